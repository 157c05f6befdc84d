"""RowCache: stored objects kept in memory, all shards together, below a number of bytes.

A row never changes (an update is a new doc), it only goes away. Two halves make a cheap LRU: rows
are read into the young half; when that is full it becomes the old one and the old one is dropped;
a row that is found in the old half moves to the young one.

Concurrency: any number of readers. While a shard changes its readers go to the store, and what was
read before a change is not kept after it: so a row that the store has given up is never given out
to a read that begins, or ranks, after its change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from weftdb.core.types import DocId, ShardId

_ROW_OVERHEAD_BYTES = 160
"""What Python needs for a key, a value's header and their place in the table."""
_SHARD_BITS = 32

Load = Callable[[list[DocId]], list[bytes | None]]


class RowCache:
    """The rows of all shards. `bytes_max` 0 keeps nothing."""

    def __init__(self, bytes_max: int) -> None:
        self._half_bytes_max = bytes_max // 2
        self._lock = Lock()
        self.young: dict[int, bytes] = {}
        self.old: dict[int, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0

    @property
    def bytes_held(self) -> int:
        """Bytes held, with what Python adds to them."""
        return self._young_bytes + self._old_bytes

    def keep(self, rows: dict[int, bytes], is_current: Callable[[], bool]) -> None:
        """Take rows in, unless `is_current` says under the lock that they may be gone."""
        with self._lock:
            if not self._half_bytes_max or not is_current():
                return
            for key, row in rows.items():
                if key not in self.young:
                    self.young[key] = row
                    self._young_bytes += len(row) + _ROW_OVERHEAD_BYTES
            if self._young_bytes > self._half_bytes_max:
                self.old, self._old_bytes = self.young, self._young_bytes
                self.young, self._young_bytes = {}, 0

    def drop(self, keys: Sequence[int], then: Callable[[], None]) -> None:
        """Let go of rows and call `then`, both under the lock."""
        with self._lock:
            for key in keys:
                young, old = self.young.pop(key, None), self.old.pop(key, None)
                if young is not None:
                    self._young_bytes -= len(young) + _ROW_OVERHEAD_BYTES
                if old is not None:
                    self._old_bytes -= len(old) + _ROW_OVERHEAD_BYTES
            then()


class ShardRows:
    """The rows of one shard, through the cache."""

    def __init__(self, cache: RowCache, shard: ShardId, load: Load) -> None:
        """`load` reads rows from the store; None where there is none."""
        self._cache = cache
        self._base = shard << _SHARD_BITS
        self._load = load
        self._is_changing = False
        self._changes = 0

    def read(self, doc_ids: list[DocId]) -> list[bytes | None]:
        """Stored objects by doc id, None for a doc that has been replaced or deleted."""
        if self._is_changing:
            return self._load(doc_ids)
        base, young = self._base, self._cache.young
        rows = [young.get(base | doc_id) for doc_id in doc_ids]
        return self._completed(doc_ids, rows) if None in rows else rows

    def begin_change(self) -> None:
        """Send readers to the store: rows are about to go. Requires: one change at a time."""
        self._is_changing = True

    def end_change(self, removed: Sequence[DocId]) -> None:
        """Forget `removed` and let readers back."""
        self._cache.drop([self._base | doc_id for doc_id in removed], self._count_change)
        self._is_changing = False

    def _count_change(self) -> None:
        self._changes += 1

    def _completed(self, doc_ids: list[DocId], rows: list[bytes | None]) -> list[bytes | None]:
        before, old, base = self._changes, self._cache.old, self._base
        found: dict[int, bytes] = {}
        missing: list[int] = []
        for at, row in enumerate(rows):
            if row is None:
                held = old.get(base | doc_ids[at])
                if held is None:
                    missing.append(at)
                else:
                    rows[at] = found[base | doc_ids[at]] = held
        for at, row in zip(missing, self._load([doc_ids[at] for at in missing]), strict=True):
            if row is not None:
                rows[at] = found[base | doc_ids[at]] = row
        self._cache.keep(found, lambda: self._changes == before and not self._is_changing)
        return rows
