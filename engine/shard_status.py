"""ShardStatus: whether somebody has set a shard read-only; outlives restarts.

Without a cluster a collection has one shard here, whatever number it reports, and each name that it
reports has a status. The rows lie among those of the shard: one that is dropped takes them along.
"""

from __future__ import annotations

import threading

from weftdb.core.errors import ReadOnly
from weftdb.core.types import ShardId
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch


class ShardStatus:
    """Of one shard. Thread-safe; readers take no lock."""

    def __init__(self, store: KeyValueStore, shard: ShardId) -> None:
        """Read what was set."""
        self._lock = threading.Lock()
        self._store = store
        self._shard = shard
        start, end = keys.read_only_range(shard)
        rows = store.scan(Family.METADATA, start, end)
        self._read_only = frozenset(key[len(start) :].decode() for key, _ in rows)

    @property
    def read_only(self) -> frozenset[str]:
        """Names of the shards that take no writes."""
        return self._read_only

    def set_read_only(self, name: str, *, is_read_only: bool) -> None:
        """Refuse writes, or take them again. Durability: synced when this returns."""
        key, batch = keys.read_only_key(self._shard, name), WriteBatch()
        if is_read_only:
            batch.put(Family.METADATA, key, b"")
        else:
            batch.delete(Family.METADATA, key)
        changed = frozenset((name,))
        with self._lock:
            self._store.wait_durable(self._store.write(batch))
            before = self._read_only
            self._read_only = before | changed if is_read_only else before - changed

    def check(self) -> None:
        """Raise ReadOnly while there is a shard that takes no writes."""
        for name in sorted(self._read_only):
            raise ReadOnly(f'shard="{name}": store is read-only due to: manually set by user')
