"""Compaction as one node sees it: when deleted vectors are looked for, and what there is to tell.

An index compacts itself when a seventh of its slots is deleted (index/kernels/src/compaction.h);
`cleanupIntervalSeconds` makes it look for less, so that an index at rest does not stay with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.core.env import Env
from weftdb.core.types import VectorName
from weftdb.engine.shard import Shard
from weftdb.index.ports import Compactable

CLEANED_SHARE = 0.02
"""A smaller share of deleted vectors costs searches less than the copy of a graph."""


@dataclass(frozen=True, slots=True)
class GraphUpkeep:
    """Deleted vectors, repairs and logs of all the graphs of a shard."""

    deleted: int = 0
    compactions: int = 0
    log_bytes: int = 0


def graph_upkeep(shard: Shard) -> GraphUpkeep:
    """What the graphs of a shard hold and did since they were opened."""
    graphs = [index for index in shard.vectors.values() if isinstance(index, Compactable)]
    return GraphUpkeep(
        sum(graph.deleted for graph in graphs),
        sum(graph.compactions for graph in graphs),
        sum(graph.log_bytes for graph in graphs),
    )


class CompactionChore:
    """Looks every `cleanupIntervalSeconds` whether a graph is worth compacting; 0 leaves it."""

    def __init__(self, shard: Shard, vector: VectorName, env: Env) -> None:
        self._shard = shard
        self._vector = vector
        self._env = env
        self._looked_at_s = env.clock.monotonic_s()

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"compaction of {self._shard.schema.name} {self._vector}".rstrip()

    def run_if_due(self) -> bool:
        """Begin a compaction if there is enough to gain; it goes on in the background."""
        interval_s = self._shard.schema.vector_by_name[self._vector].hnsw.cleanup_interval_s
        now_s = self._env.clock.monotonic_s()
        if interval_s <= 0 or now_s - self._looked_at_s < interval_s:
            return False
        self._looked_at_s = now_s
        index = self._shard.vectors[self._vector]
        if isinstance(index, Compactable):
            index.compact(CLEANED_SHARE)
        return False

    def finish(self) -> None:
        """Leave deleted vectors to the next start."""
