"""ClusterView: what a plan is made from: nodes, sharding states, sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from weftdb.cluster.placement import NodeFacts, Placer
from weftdb.cluster.rebalance.plan import Size, Sizes
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import InvalidRequest, TooFewNodes
from weftdb.core.types import CollectionName, NodeName, ShardName


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster at one moment."""

    nodes: tuple[NodeFacts, ...]
    """All that belong to it, living or not."""
    states: Mapping[CollectionName, ShardingState]
    sizes: Sizes = field(default_factory=dict)
    dead: frozenset[NodeName] = frozenset()
    """Nodes that nothing is copied to or from."""

    @property
    def living(self) -> tuple[NodeFacts, ...]:
        """The nodes that answer."""
        return tuple(node for node in self.nodes if node.name not in self.dead)

    @property
    def takers(self) -> tuple[NodeFacts, ...]:
        """The nodes that may be given something."""
        return tuple(node for node in self.living if not node.is_draining)

    def node(self, name: NodeName) -> NodeFacts:
        """The node called so. Raises InvalidRequest."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise InvalidRequest(f"no node {name} in the cluster, which has: {known}")

    def state(self, collection: CollectionName) -> ShardingState:
        """The sharding of a collection. Raises InvalidRequest with the text of the API."""
        try:
            return self.states[collection]
        except KeyError:
            raise InvalidRequest(
                f"invalid request: collection {collection} does not exists: class not found"
            ) from None

    def size(self, collection: CollectionName, shard: ShardName) -> Size:
        """What the shard holds, as far as it is known."""
        return self.sizes.get(ShardRef(collection, shard), Size())

    def held_on(self, node: NodeName) -> Iterator[tuple[CollectionName, PlacedShard]]:
        """All that lies on a node, in the order of names."""
        for collection in sorted(self.states):
            for shard in self.states[collection].held_on(node):
                yield collection, shard

    def load_beside(self, collection: CollectionName) -> Counter[NodeName]:
        """How many replicas of other collections each node holds."""
        load: Counter[NodeName] = Counter()
        for name, state in self.states.items():
            if name != collection:
                load.update(state.replica_counts())
        return load

    def placer(self, collection: CollectionName) -> Placer:
        """A placer for more replicas of a collection, beside those that are there."""
        sizes = [self.size(collection, shard.name).bytes for shard in self.state(collection).shards]
        return Placer(
            self.takers,
            load=self.load_beside(collection),
            held=self.state(collection).replica_counts(),
            bytes_needed=max(sizes),
        )

    def living_replica(self, shard: PlacedShard, *, beside: NodeName | None = None) -> NodeName:
        """A replica to copy from, `beside` another. Raises TooFewNodes where none lives."""
        for node in shard.replicas:
            if node not in self.dead and node != beside:
                return node
        raise TooFewNodes(f"shard {shard.name} has no living replica to copy from")

    def check_quiet(self, collection: CollectionName) -> None:
        """Raise InvalidRequest while something of the collection is on its way: a plan that does
        not know where things will lie would place them twice."""
        state = self.state(collection)
        joining = [shard.name for shard in state.shards if shard.joining]
        if joining or state.moving:
            raise InvalidRequest(
                f"{collection} is being changed ({len(joining)} shards get a replica, "
                f"{len(state.moving)} rows of virtual shards move): wait for that, or cancel it"
            )
