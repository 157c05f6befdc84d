"""What a change touches: its shards, its nodes, who works on it, and why it may not be possible.

Pure functions of values of cluster/rebalance, for the board and for who carries operations out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from weftdb.cluster.rebalance.changes import (
    AddShard,
    Change,
    CopyReplica,
    DropReplica,
    DropShard,
    MoveReplica,
    MoveRow,
    OperationState,
    Refine,
    SetCount,
    SetFactor,
)
from weftdb.cluster.rebalance.operation import Operation
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState, VirtualMove
from weftdb.core.limits import VIRTUAL_SHARDS_MAX
from weftdb.core.types import NodeName, ShardName


def refs_of(change: Change) -> tuple[ShardRef, ...]:
    """The shards that a change is about and that are there before it; a change of numbers is about
    none."""
    match change:
        case (
            CopyReplica(collection=collection, shard=shard)
            | MoveReplica(collection=collection, shard=shard)
            | DropReplica(collection=collection, shard=shard)
            | DropShard(collection=collection, shard=shard)
        ):
            return (ShardRef(collection, shard),)
        case MoveRow(collection=collection, source=source, target=target):
            return (ShardRef(collection, source), ShardRef(collection, target))
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
        case MoveRow():
            return _obstacle_of_row(state, change)
        case AddShard(shard=name):
            return None if state.shard(name) is None else f"there is a shard {name} already"
        case DropShard(shard=name):
            return _obstacle_of_drop(state, name)
        case Refine(factor=factor):
            if state.moving:
                return "virtual shards are moving"
            is_right = 1 <= factor <= VIRTUAL_SHARDS_MAX // state.table.count
            return None if is_right else f"virtual shards cannot be cut into {factor}"
        case SetCount(count=count):
            return None if count >= 1 else f"a collection has at least one shard: got {count}"


def before(state: ShardingState, change: Change, into: OperationState) -> ShardingState:
    """The sharding state that `state` came from when `change` went `into` its present state. Other
    shards are taken for unchanged: what changed them waited for itself."""
    match change:
        case MoveRow():
            return _before_row(state, change, into)
        case AddShard(shard=name) if into is OperationState.INTEGRATING:
            is_empty = state.shard(name) is not None and not state.kept_ranges(name)
            return state.without_shard(name) if is_empty else state
        case DropShard(shard=name, replicas=replicas) if into is OperationState.DEHYDRATING:
            is_there = state.shard(name) is not None
            return state if is_there else state.with_shard_added(PlacedShard(name, replicas))
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


def _before_row(state: ShardingState, change: MoveRow, into: OperationState) -> ShardingState:
    """`state` itself where it is not the one that going `into` made."""
    names = {shard.name for shard in state.shards}
    if not {change.source, change.target} <= names:
        return state
    forth = VirtualMove(change.first, change.length, state.position_of(change.target))
    back = VirtualMove(change.first, change.length, state.position_of(change.source))
    is_arrived = _owners_of(state, change) == {forth.target}
    match into:
        case OperationState.HYDRATING | OperationState.FINALIZING if forth in state.moving:
            return state.without_moving(forth)
        case OperationState.INTEGRATING if back in state.moving:
            table = state.table.with_owner(change.first, back.target, length=change.length)
            settled = state.without_moving(back)
            return replace(settled, table=table, moving=(*settled.moving, forth))
        case OperationState.DEHYDRATING if is_arrived and not _is_moving(state, change):
            return state.with_moving(back)
    return state


def _owners_of(state: ShardingState, change: MoveRow) -> set[int]:
    return set(state.table.owners[change.first : change.first + change.length].tolist())


def _is_moving(state: ShardingState, change: MoveRow) -> bool:
    last = change.first + change.length
    return any(
        change.first < other.first + other.length and other.first < last for other in state.moving
    )


def _obstacle_of_row(state: ShardingState, change: MoveRow) -> str | None:
    for name in (change.source, change.target):
        if state.shard(name) is None:
            return f"there is no shard {name}"
    what = f"{change.length} virtual shards from {change.first} on"
    if change.length < 1 or change.first + change.length > state.table.count:
        return f"there are no {what}"
    if change.source == change.target or _owners_of(state, change) != {
        state.position_of(change.source)
    }:
        return f"{what} are not all of shard {change.source}"
    return f"{what} are moving already" if _is_moving(state, change) else None


def _obstacle_of_drop(state: ShardingState, name: ShardName) -> str | None:
    if state.shard(name) is None:
        return f"there is no shard {name}"
    return f"shard {name} has virtual shards" if state.kept_ranges(name) else None


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
