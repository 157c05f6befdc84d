"""Change: one change of where data lies, and what each of its steps makes of the sharding state.

A change goes through its `path` of states (operation.py). Entering a state changes the agreed
sharding state of the collection, in the same commit that stores the operation:

    change        HYDRATING        FINALIZING   INTEGRATING          DEHYDRATING
    CopyReplica   target joins     -            target is a replica  (not entered)
    MoveReplica   target joins     -            target is a replica  the leaving node is none more
    MoveRow       row is moving    -            row is the target's  it moves no more
    DropReplica   (not entered)                                      the node is a replica no more
    AddShard, Refine, SetFactor, SetCount   (only INTEGRATING)  done there
    DropShard     (only DEHYDRATING)                                 the shard is gone

Cancelled before INTEGRATING, what joined or moved does so no more. So a shard has at every moment
at least the replicas that it had at first or has at last.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftdb.cluster.sharding import PlacedShard, ShardingState, VirtualMove
from weftdb.core.types import CollectionName, NodeName, ShardName


class OperationState(Enum):
    """How far an operation is, in the words of the API."""

    REGISTERED = "REGISTERED"
    HYDRATING = "HYDRATING"
    """The target copies a snapshot; it is given all new writes already."""
    FINALIZING = "FINALIZING"
    """The target compares hash trees with a majority of the replicas."""
    INTEGRATING = "INTEGRATING"
    """The target is read and counted; every node is told. No way back from here."""
    DEHYDRATING = "DEHYDRATING"
    """Data that is not in the sharding state any more is deleted."""
    READY = "READY"
    CANCELLED = "CANCELLED"


_R, _H, _F = OperationState.REGISTERED, OperationState.HYDRATING, OperationState.FINALIZING
_I, _D = OperationState.INTEGRATING, OperationState.DEHYDRATING
_FILLED = (_R, _H, _F, _I, OperationState.READY)
_FILLED_AND_CLEANED = (_R, _H, _F, _I, _D, OperationState.READY)
_TOLD = (_R, _I, OperationState.READY)
_CLEANED = (_R, _D, OperationState.READY)


@dataclass(frozen=True, slots=True)
class CopyReplica:
    """One replica more of a shard."""

    collection: CollectionName
    shard: ShardName
    source: NodeName
    """Whose snapshot is copied."""
    target: NodeName


@dataclass(frozen=True, slots=True)
class MoveReplica:
    """A replica goes to another node. A dead node may leave: another replica is copied then."""

    collection: CollectionName
    shard: ShardName
    source: NodeName
    leaving: NodeName
    target: NodeName


@dataclass(frozen=True, slots=True)
class DropReplica:
    """One replica less of a shard."""

    collection: CollectionName
    shard: ShardName
    node: NodeName


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A row of virtual shards goes from its shard to another."""

    collection: CollectionName
    source: ShardName
    target: ShardName
    first: int
    length: int


@dataclass(frozen=True, slots=True)
class AddShard:
    """A shard more, empty and without virtual shards."""

    collection: CollectionName
    shard: ShardName
    replicas: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True)
class DropShard:
    """A shard less, which has no virtual shards."""

    collection: CollectionName
    shard: ShardName
    replicas: tuple[NodeName, ...]
    """Where its empty rest is deleted."""


@dataclass(frozen=True, slots=True)
class Refine:
    """Every virtual shard is cut; moves no object."""

    collection: CollectionName
    factor: int


@dataclass(frozen=True, slots=True)
class SetFactor:
    """The number of replicas that are meant."""

    collection: CollectionName
    factor: int


@dataclass(frozen=True, slots=True)
class SetCount:
    """The number of shards that is asked for."""

    collection: CollectionName
    count: int


Change: TypeAlias = (
    CopyReplica
    | MoveReplica
    | DropReplica
    | MoveRow
    | AddShard
    | DropShard
    | Refine
    | SetFactor
    | SetCount
)


def path_of(change: Change) -> tuple[OperationState, ...]:
    """The states that a change goes through, unless it is cancelled."""
    match change:
        case CopyReplica():
            return _FILLED
        case MoveReplica() | MoveRow():
            return _FILLED_AND_CLEANED
        case DropReplica() | DropShard():
            return _CLEANED
        case AddShard() | Refine() | SetFactor() | SetCount():
            return _TOLD


def entered(state: ShardingState, change: Change, into: OperationState) -> ShardingState:
    """The sharding state after `change` went on into its next state on its path.

    Requires: `state` is as the states before left it.
    """
    match change:
        case CopyReplica(shard=shard, target=target):
            return _filled(state, shard, target, into)
        case MoveReplica(shard=shard, leaving=leaving, target=target):
            if into is _D:
                return state.without_node(shard, leaving)
            return _filled(state, shard, target, into)
        case MoveRow():
            return _row_moved(state, change, into)
        case DropReplica(shard=shard, node=node):
            return state.without_node(shard, node) if into is _D else state
        case DropShard(shard=shard):
            return state.without_shard(shard) if into is _D else state
        case _:
            return _told(state, change) if into is _I else state


def cancelled(state: ShardingState, change: Change, was: OperationState) -> ShardingState:
    """The sharding state after `change` was given up in the state `was`.

    Requires: `was` comes before INTEGRATING.
    """
    assert was in (_R, _H, _F), was
    if was is _R:
        return state
    match change:
        case CopyReplica(shard=shard, target=target) | MoveReplica(shard=shard, target=target):
            return state.without_node(shard, target)
        case MoveRow():
            return state.without_moving(_virtual_move(state, change, change.target))
        case _:
            return state


def _filled(
    state: ShardingState, shard: ShardName, target: NodeName, into: OperationState
) -> ShardingState:
    if into is _H:
        return state.with_joining(shard, target)
    return state.with_joined(shard, target) if into is _I else state


def _told(state: ShardingState, change: Change) -> ShardingState:
    match change:
        case AddShard(shard=shard, replicas=replicas):
            return state.with_shard_added(PlacedShard(shard, replicas))
        case Refine(factor=factor):
            return state.refined(factor)
        case SetFactor(factor=factor):
            return state.with_factor(factor)
        case SetCount(count=count):
            return state.with_desired_count(count)
        case _:
            raise AssertionError(f"nothing to tell of {change}")


def _row_moved(state: ShardingState, change: MoveRow, into: OperationState) -> ShardingState:
    if into is _H:
        return state.with_moving(_virtual_move(state, change, change.target))
    if into is _I:
        return state.with_moved(_virtual_move(state, change, change.target))
    if into is _D:
        return state.without_moving(_virtual_move(state, change, change.source))
    return state


def _virtual_move(state: ShardingState, change: MoveRow, beside: ShardName) -> VirtualMove:
    return VirtualMove(change.first, change.length, state.position_of(beside))
