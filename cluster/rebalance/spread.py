"""Plans that even out: replicas over zones, then each collection over nodes, then everything.

Every move goes from a node that has at least two more than another to that one (or, in the last
round, one more of the collection and two more in all), so no move is taken back by a later one and
there are as few as possible. A replica never moves where it would have fewer zones than before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from weftdb.cluster.rebalance.changes import MoveReplica
from weftdb.cluster.rebalance.plan import Plan, StepList
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.sharding import PlacedShard
from weftdb.core.types import CollectionName, NodeName


def plan_spread(view: ClusterView) -> Plan:
    """Even out the replicas over the living nodes that take some."""
    for collection in sorted(view.states):
        view.check_quiet(collection)
    board = _Board(view)
    for collection in sorted(view.states):
        board.spread_zones(collection)
        board.even_out(collection)
    board.even_out_all()
    return board.plan()


class _Board:
    """Where every replica would lie after the moves found so far; moves of one shard that follow
    each other become one."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._zones = {node.name: node.zone for node in view.nodes}
        self._takers = [node.name for node in sorted(view.takers, key=lambda node: node.name)]
        self._homes: dict[tuple[CollectionName, str], list[NodeName]] = {}
        self._held: dict[CollectionName, Counter[NodeName]] = {}
        self._on: dict[tuple[CollectionName, NodeName], dict[str, PlacedShard]] = {}
        for collection, state in view.states.items():
            self._held[collection] = Counter(state.replica_counts())
            for shard in state.shards:
                self._homes[collection, shard.name] = list(shard.replicas)
                for node in shard.replicas:
                    self._on.setdefault((collection, node), {})[shard.name] = shard
        self._total = sum(self._held.values(), Counter[NodeName]())

    def spread_zones(self, collection: CollectionName) -> None:
        """Use a zone more for each shard that has two replicas in one and could have them apart."""
        zones = {self._zones[name] for name in self._takers}
        for shard in self._view.state(collection).shards:
            homes = self._homes[collection, shard.name]
            while True:
                used = Counter(self._zones.get(node, "") for node in homes)
                crowded = [node for node in homes if used[self._zones.get(node, "")] > 1]
                movable = [node for node in crowded if node in self._takers]
                if not movable or zones <= set(used):
                    break
                leaving = max(movable, key=lambda node: (self._held[collection][node], node))
                self._move(collection, shard, leaving, self._best_in_new_zone(collection, homes))

    def _best_in_new_zone(self, collection: CollectionName, homes: list[NodeName]) -> NodeName:
        used = {self._zones.get(node, "") for node in homes}
        held = self._held[collection]
        return min(
            (name for name in self._takers if self._zones[name] not in used),
            key=lambda name: (held[name], self._total[name], name),
        )

    def even_out(self, collection: CollectionName) -> None:
        """Until no node has two more replicas of the collection than another could take."""
        held = self._held[collection]
        while any(
            self._try(collection, source, target)
            for source, target in self._pairs(held, self._total, apart=2)
        ):
            pass

    def even_out_all(self) -> None:
        """Until no node has two more replicas in all, as far as no collection gets less even."""
        while any(
            self._held[collection][source] > self._held[collection][target]
            and self._try(collection, source, target)
            for source, target in self._pairs(self._total, self._total, apart=2)
            for collection in sorted(self._held)
        ):
            pass

    def _pairs(
        self, counts: Counter[NodeName], ties: Counter[NodeName], *, apart: int
    ) -> Iterator[tuple[NodeName, NodeName]]:
        """Nodes that are at least `apart`, the fullest and the emptiest first."""
        rising = sorted(self._takers, key=lambda name: (counts[name], ties[name], name))
        for source in reversed(rising):
            for target in rising:
                if counts[source] - counts[target] < apart:
                    break
                yield source, target

    def _try(self, collection: CollectionName, source: NodeName, target: NodeName) -> bool:
        """Move the smallest shard that may go from one node to the other."""
        there = self._on.get((collection, target), {})
        movable = [
            shard
            for name, shard in self._on.get((collection, source), {}).items()
            if name not in there and self._keeps_zones(collection, shard, source, target)
        ]
        if not movable:
            return False
        sizes = self._view.size
        shard = min(movable, key=lambda each: (sizes(collection, each.name).bytes, each.name))
        self._move(collection, shard, source, target)
        return True

    def _keeps_zones(
        self, collection: CollectionName, shard: PlacedShard, source: NodeName, target: NodeName
    ) -> bool:
        homes = self._homes[collection, shard.name]
        before = {self._zones.get(node, "") for node in homes}
        after = {self._zones.get(node, "") for node in homes if node != source}
        return len(after | {self._zones[target]}) >= len(before)

    def _move(
        self, collection: CollectionName, shard: PlacedShard, source: NodeName, target: NodeName
    ) -> None:
        homes = self._homes[collection, shard.name]
        homes[homes.index(source)] = target
        self._on[collection, source].pop(shard.name)
        self._on.setdefault((collection, target), {})[shard.name] = shard
        for counts in (self._held[collection], self._total):
            counts[source] -= 1
            counts[target] += 1

    def plan(self) -> Plan:
        """The moves from where replicas lie to where they would lie."""
        steps = StepList()
        for collection in sorted(self._view.states):
            for shard in self._view.state(collection).shards:
                homes = self._homes[collection, shard.name]
                leaving = [node for node in shard.replicas if node not in homes]
                coming = [node for node in homes if node not in shard.replicas]
                for old, new in zip(leaving, coming, strict=True):
                    steps.add(
                        MoveReplica(collection, shard.name, old, leaving=old, target=new),
                        size=self._view.size(collection, shard.name),
                        why=self._why(collection, old, new),
                    )
        return steps.plan("spread replicas evenly")

    def _why(self, collection: CollectionName, old: NodeName, new: NodeName) -> str:
        before = Counter(self._view.state(collection).replica_counts())
        after = self._held[collection]
        return (
            f"of {collection} {old} has {before[old]} and will have {after[old]}, "
            f"{new} {before[new]} and {after[new]}"
        )
