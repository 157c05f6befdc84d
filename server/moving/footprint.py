"""What a change touches: its shards, its nodes, who works on it, and why it may not be possible.

Pure functions of values of cluster/rebalance, for the board and for who carries operations out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from weftdb.cluster.rebalance.changes import (
    Change,
    CopyReplica,
    DropReplica,
    MoveReplica,
    OperationState,
    SetFactor,
)
from weftdb.cluster.rebalance.operation import Operation
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.types import NodeName


def refs_of(change: Change) -> tuple[ShardRef, ...]:
    """The shards that a change is about; a change of numbers is about none."""
    match change:
        case (
            CopyReplica(collection=collection, shard=shard)
            | MoveReplica(collection=collection, shard=shard)
            | DropReplica(collection=collection, shard=shard)
        ):
            return (ShardRef(collection, shard),)
        case _:
            return ()


def filled_by(change: Change) -> NodeName | None:
    """The node that is given a replica."""
    match change:
        case CopyReplica(target=target) | MoveReplica(target=target):
            return target
        case _:
            return None


def leaves_from(change: Change) -> NodeName | None:
    """The node whose replica goes."""
    match change:
        case MoveReplica(leaving=node) | DropReplica(node=node):
            return node
        case _:
            return None


def worker_of(operation: Operation, living: Collection[NodeName]) -> NodeName | None:
    """The node that goes on with an operation now; None while it has to wait for one.

    What leaves hands over by itself while it lives. What joins fills itself. Anything else may be
    done by anybody: the first of the living.
    """
    change = operation.change
    if operation.is_over or not living:
        return None
    leaving, target = leaves_from(change), filled_by(change)
    if operation.state is OperationState.DEHYDRATING and leaving in living:
        return leaving
    if operation.state is not OperationState.DEHYDRATING and target is not None:
        return target if target in living else None
    return min(living)


def is_first(operation: Operation, known: Collection[Operation]) -> bool:
    """Whether nothing that was registered before is under way on the same shard: neighbouring
    states of a shard may differ by one step only."""
    mine = set(refs_of(operation.change))
    for other in known:
        if other.is_over or other.id == operation.id or mine.isdisjoint(refs_of(other.change)):
            continue
        if other.state is not OperationState.REGISTERED:
            return False
        if (other.started_ms, other.id) < (operation.started_ms, operation.id):
            return False
    return True


def obstacle(state: ShardingState, change: Change) -> str | None:
    """Why a change cannot begin from this sharding state; None when it can."""
    match change:
        case CopyReplica(shard=name, source=source, target=target):
            return _obstacle(state, name, present=source, absent=target)
        case MoveReplica(shard=name, source=source, leaving=leaving, target=target):
            return _obstacle(state, name, present=source, absent=target) or _obstacle(
                state, name, present=leaving, absent=target
            )
        case DropReplica(shard=name, node=node):
            placed = state.shard(name)
            if placed is not None and placed.replicas == (node,):
                return f"shard {name} would have no replica without {node}"
            return _obstacle(state, name, present=node)
        case SetFactor(factor=factor):
            if factor < 1:
                return f"invalid replication factor: at least 1 is needed: got {factor}"
            return None
        case _:
            return "the number of shards of a collection cannot be changed by this build"


def before(state: ShardingState, change: Change, into: OperationState) -> ShardingState:
    """The sharding state that `state` came from when `change` went `into` its present state. Other
    shards are taken for unchanged: what changed them waited for itself."""
    (ref,) = refs_of(change) or (None,)
    placed = None if ref is None else state.shard(ref.shard)
    if placed is None:
        return state
    target, leaving = filled_by(change), leaves_from(change)
    match into:
        case OperationState.HYDRATING | OperationState.FINALIZING if target in placed.joining:
            joining = tuple(node for node in placed.joining if node != target)
            return _with(state, replace(placed, joining=joining))
        case OperationState.INTEGRATING if target is not None and target in placed.replicas:
            replicas = tuple(node for node in placed.replicas if node != target)
            joined = PlacedShard(placed.name, replicas, (*placed.joining, target))
            return _with(state, joined)
        case OperationState.DEHYDRATING if leaving is not None and leaving not in placed.holders:
            return _with(state, replace(placed, replicas=(*placed.replicas, leaving)))
    return state


def _with(state: ShardingState, shard: PlacedShard) -> ShardingState:
    shards = tuple(shard if each.name == shard.name else each for each in state.shards)
    return replace(state, shards=shards)


def _obstacle(
    state: ShardingState, name: str, *, present: NodeName, absent: NodeName | None = None
) -> str | None:
    placed = next((shard for shard in state.shards if shard.name == name), None)
    if placed is None:
        return f"there is no shard {name}"
    if present not in placed.replicas:
        return f"{present} has no replica of shard {name}"
    if absent is not None and absent in placed.holders:
        return f"{absent} has a replica of shard {name} already"
    return None
