"""Compaction as one node sees it: when deleted vectors are looked for, whether there is room to
give their slots back, and what there is to tell.

An index compacts itself when a seventh of its slots is deleted (index/kernels/src/compaction.h);
`cleanupIntervalSeconds` makes it look for less, so that an index at rest does not stay with it. A
large compaction copies much, so it begins here, once the guards of memory and disk have room for
the copy. Where they have none it waits: deleted vectors keep their slots, which is slower and
larger, but never wrong. Deleting more makes the copy smaller. After it the allocator is told to
return what was freed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from weftdb.core.env import Env
from weftdb.core.errors import Closed
from weftdb.core.types import VectorName
from weftdb.engine.admission import Admission
from weftdb.engine.maintenance import Chore
from weftdb.engine.shard import Shard
from weftdb.index.ports import Compactable

log = logging.getLogger("weftdb.maintenance")

DELETED_SHARE_MAX = 1 / 7
"""Above it an index is to be compacted (`kDeletedShareMax` in vector_index.h)."""
CLEANED_SHARE = 0.02
"""A smaller share of deleted vectors costs searches less than the copy of a graph."""
ASK_S = 5.0
"""How often room is asked for where there was none."""
WARNING_S = 60.0
"""One that waits says so this often."""


@dataclass(frozen=True, slots=True)
class GraphUpkeep:
    """Deleted vectors, repairs and logs of all the graphs of a shard; repairs without room."""

    deleted: int = 0
    compactions: int = 0
    log_bytes: int = 0
    waiting: int = 0


def graph_upkeep(shard: Shard, chores: Sequence[Chore] = ()) -> GraphUpkeep:
    """What the graphs of a shard hold and did since they were opened."""
    graphs = [index for index in shard.vectors.values() if isinstance(index, Compactable)]
    return GraphUpkeep(
        sum(graph.deleted for graph in graphs),
        sum(graph.compactions for graph in graphs),
        sum(graph.log_bytes for graph in graphs),
        sum(isinstance(chore, CompactionChore) and chore.is_waiting for chore in chores),
    )


class CompactionChore:
    """Begins the compactions that an index leaves to its owner.

    Looks for a seventh always, for less every `cleanupIntervalSeconds`; 0 leaves it at that.
    """

    def __init__(self, shard: Shard, vector: VectorName, env: Env, admission: Admission) -> None:
        self._shard = shard
        self._vector = vector
        self._env = env
        self._admission = admission
        self._looked_at_s = env.clock.monotonic_s()
        self._rest_until_s = float("-inf")
        self._warned_s = float("-inf")
        self._returned = 0
        """Compactions after which memory was given back."""
        self.is_waiting = False

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"compaction of {self._shard.schema.name} {self._vector}".rstrip()

    def run_if_due(self) -> bool:
        """Begin a compaction if there is enough to gain, and room; it goes on in the background."""
        index = self._shard.vectors.get(self._vector)
        now_s = self._env.clock.monotonic_s()
        if not isinstance(index, Compactable) or now_s < self._rest_until_s:
            return False
        self._give_back(index)
        share = self._share(now_s)
        try:
            memory, disk = index.compaction_room(share)
        except Closed:
            return False  # The collection is being dropped.
        if not memory and not disk:
            self.is_waiting = False  # It runs, or too few are deleted by now.
            return False
        missing = (disk and self._admission.disk.shortage(disk)) or (
            self._admission.memory.claim(memory)
        )
        if missing:
            self._wait(missing, now_s)
            return False
        if self.is_waiting:
            log.info("%s goes on: there is room", self.name)
        self.is_waiting = False
        with suppress(Closed):
            index.compact(share)
        return False

    def finish(self) -> None:
        """Leave deleted vectors to the next start."""

    def _give_back(self, index: Compactable) -> None:
        if index.compactions > self._returned:
            self._returned = index.compactions
            self._admission.memory.give_back()

    def _share(self, now_s: float) -> float:
        """The share of deleted slots that is worth a compaction now."""
        interval_s = self._shard.schema.vector_by_name[self._vector].hnsw.cleanup_interval_s
        if interval_s <= 0 or now_s - self._looked_at_s < interval_s:
            return DELETED_SHARE_MAX
        self._looked_at_s = now_s
        return CLEANED_SHARE

    def _wait(self, missing: str, now_s: float) -> None:
        self.is_waiting = True
        self._rest_until_s = now_s + ASK_S
        if now_s - self._warned_s >= WARNING_S:
            self._warned_s = now_s
            log.warning(
                "%s waits for room: %s. Deleted vectors keep their slots until then; searches and "
                "writes go on. It gets smaller as more is deleted",
                self.name, missing,
            )  # fmt: skip
