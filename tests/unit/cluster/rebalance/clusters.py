"""Small clusters for the tests of plans, and a play of a plan to its end."""

from __future__ import annotations

from collections.abc import Mapping

from weftdb.cluster.placement import NodeFacts, place_new
from weftdb.cluster.rebalance.changes import OperationState, entered, path_of
from weftdb.cluster.rebalance.plan import Plan, Size, Sizes
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC = CollectionName("Doc")
SHARD_SIZE = Size(1_000_000, 1_000)


def nodes(count: int, *, zones: int = 1, draining: str = "") -> tuple[NodeFacts, ...]:
    """n1 … in turn in zone z0 …"""
    return tuple(
        NodeFacts(
            NodeName(f"n{number + 1}"), f"z{number % zones}", None, draining == f"n{number + 1}"
        )
        for number in range(count)
    )


def placed(
    facts: tuple[NodeFacts, ...], shards: int, factor: int, prefix: str = "s"
) -> ShardingState:
    """A collection as it is created."""
    names = [ShardName(f"{prefix}{number}") for number in range(shards)]
    placements = place_new(facts, names, factor=factor)
    return ShardingState.create(
        [PlacedShard(each.shard, each.replicas) for each in placements], factor=factor
    )


def sizes_of(states: Mapping[CollectionName, ShardingState]) -> Sizes:
    """Every shard as large as the other."""
    return {
        ShardRef(collection, shard.name): SHARD_SIZE
        for collection, state in states.items()
        for shard in state.shards
    }


def view(
    facts: tuple[NodeFacts, ...], *states: ShardingState, dead: frozenset[str] = frozenset()
) -> ClusterView:
    """The first state is that of `Doc`, the others of Doc1 …"""
    named = {CollectionName(f"Doc{number or ''}"): state for number, state in enumerate(states)}
    return ClusterView(facts, named, sizes_of(named), frozenset(NodeName(name) for name in dead))


def carry_out(
    plan: Plan, states: Mapping[CollectionName, ShardingState]
) -> dict[CollectionName, list[ShardingState]]:
    """Every sharding state on the way, the first included; one step after the other, the youngest
    that may begin first, to show that order is only what `after` says."""
    history = {collection: [state] for collection, state in states.items()}
    while not plan.is_done:
        startable = plan.startable()
        assert startable, f"nothing may begin:\n{plan.render()}"
        at = startable[-1]
        change = plan.steps[at].change
        for into in path_of(change)[1:]:
            states_so_far = history[change.collection]
            states_so_far.append(entered(states_so_far[-1], change, into))
            plan = plan.with_state(at, into)
    assert all(step.state is OperationState.READY for step in plan.steps)
    return history
