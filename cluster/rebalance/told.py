"""Told: who knows a new sharding state, and when all know it who have to.

Nobody may make the state after the next one while somebody acts on the one before (operation.py).
Two rules hold that, even where a node is cut off from the metadata and from membership:

1. A replica that knows a sharding state refuses requests made by an older one, with the state that
   it knows; the sender goes on with that one. A replica that is asked by a newer state learns it
   first.
2. A state counts as told when every living node knows it, and in every set of replicas that a write
   by the state before needs a majority of, so many know it that the others are no majority.

So what was cut off can reach no majority by the old state: those who know better refuse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from weftdb.cluster.sharding import ShardingState, VirtualMove
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import NodeName, ShardName


@dataclass(frozen=True, slots=True)
class Told:
    """The spreading of one new sharding state. `revision` is that of its commit."""

    before: ShardingState
    after: ShardingState
    revision: int
    known: Mapping[NodeName, int] = field(default_factory=dict)
    """The newest revision that each node has said to know."""

    def with_known(self, node: NodeName, revision: int) -> Told:
        """After `node` said that it knows `revision`; an older word changes nothing."""
        if self.known.get(node, -1) >= revision:
            return self
        return Told(self.before, self.after, self.revision, {**self.known, node: revision})

    def missing(self, living: Collection[NodeName]) -> tuple[NodeName, ...]:
        """Who has to be told still: the living who do not know, and, where too many of a set of
        replicas are away, those of them that were not heard. Empty when the state is told."""
        knowing = {node for node, revision in self.known.items() if revision >= self.revision}
        wanted = {node for node in living if node not in knowing}
        for group in self._groups():
            ignorant = [node for node in group if node not in knowing]
            if len(ignorant) >= ConsistencyLevel.QUORUM.required(len(group)):
                wanted.update(ignorant)
        return tuple(sorted(wanted))

    def is_told(self, living: Collection[NodeName]) -> bool:
        """Whether nobody can get anything done by the state before any more."""
        return not self.missing(living)

    def _groups(self) -> Iterator[tuple[NodeName, ...]]:
        """The sets of replicas of every shard that the two states do not have in common."""
        for shard in self.before.shards:
            now = self.after.shard(shard.name)
            if now != shard or self._owns_otherwise(shard.name):
                yield from shard.write_groups

    def _owns_otherwise(self, name: ShardName) -> bool:
        rows = [_rows_of(state, name) for state in (self.before, self.after)]
        return rows[0] != rows[1] or self.before.ranges_of(name) != self.after.ranges_of(name)


def _rows_of(state: ShardingState, name: ShardName) -> set[VirtualMove]:
    """The rows on their way to a shard or from it."""
    at = state.position_of(name)
    return {
        move for move in state.moving if at in (move.target, int(state.table.owners[move.first]))
    }
