"""Upgrades: remembers that a dynamic index has become a graph.

The switch itself needs nobody (index/hnsw/dynamic.py). That it is one-way must outlive a restart
even where the snapshot is gone and most vectors are deleted; so a mark goes into the store. A crash
before the mark costs nothing: an index that still holds enough vectors switches again.
"""

from __future__ import annotations

import logging

from weftdb.core.errors import WeftError
from weftdb.core.types import VectorName
from weftdb.engine.shard import Shard
from weftdb.index.ports import Quantizable, Upgradable, VectorIndex
from weftdb.storage import keys
from weftdb.storage.kv import Family, WriteBatch

log = logging.getLogger("weftdb.upgrades")


class UpgradeChore:
    """Marks one dynamic index once it is a graph."""

    def __init__(self, shard: Shard, vector: VectorName) -> None:
        self._shard = shard
        self._vector = vector
        self._is_marked = is_marked(shard, vector)

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"upgrade of {self._shard.schema.name} {self._vector}".rstrip()

    def run_if_due(self) -> bool:
        """Write the mark if the index has become a graph since the last look."""
        index = self._shard.vectors.get(self._vector)
        if self._is_marked or not isinstance(index, Upgradable) or not index.is_upgraded:
            return False
        batch = WriteBatch()
        batch.put(Family.METADATA, keys.upgraded_key(self._shard.shard_id, self._vector), b"")
        self._shard.store.wait_durable(self._shard.store.write(batch))
        self._is_marked = True
        if isinstance(index, Quantizable):
            index.quantize(self._shard.schema.vector_by_name[self._vector])
        log.info("%s: the graph takes over from the exact scan", self.name)
        return True

    def finish(self) -> None:
        """Mark what switched in the last moment."""
        try:
            self.run_if_due()
        except (WeftError, OSError):
            log.exception("%s: the mark was not written", self.name)


def is_marked(shard: Shard, vector: VectorName) -> bool:
    """Whether the dynamic index of a vector has become a graph before."""
    key = keys.upgraded_key(shard.shard_id, vector)
    return shard.store.get(Family.METADATA, key) is not None


def restore_upgrade(shard: Shard, vector: VectorName, index: VectorIndex) -> None:
    """Make an index that is being opened the graph that it was."""
    if isinstance(index, Upgradable) and is_marked(shard, vector):
        index.upgrade()
        if isinstance(index, Quantizable):
            index.quantize(shard.schema.vector_by_name[vector])
