"""Operation: one change on its way, as a value that survives the crash of anyone who works on it.

    REGISTERED → HYDRATING → FINALIZING → INTEGRATING → DEHYDRATING → READY
         └────────────┴───────────┴──→ CANCELLED

Participants report facts, in any order and as often as they like: a fact moves the operation on
when it is the one that its state waits for, and a fact of a state that is behind changes nothing.
What a participant has to do after a restart follows from state and role alone (`duty_of`).

No two coordinators may ever know sharding states that lie two steps apart: of neighbouring states,
a read at QUORUM by one meets a write by the other in a replica. So the facts that end a state are
reported only when the sharding state that came with it is told (told.py), and a node that was away
reads the sharding states anew before it coordinates anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from weftdb.cluster.rebalance.changes import (
    Change,
    CopyReplica,
    DropReplica,
    DropShard,
    MoveReplica,
    MoveRow,
    OperationState,
    path_of,
)
from weftdb.cluster.sharding import ShardingState
from weftdb.core.errors import NotCancelable
from weftdb.core.types import NodeName, ShardName

ERRORS_KEPT_MAX = 10
"""Of each state; older ones are dropped, and `errors_dropped` counts them."""


class Fact(Enum):
    """What a participant reports; the value is the state in which it counts."""

    BEGUN = OperationState.REGISTERED
    """Somebody took the operation up."""
    COPIED = OperationState.HYDRATING
    """The target has the snapshot, durably."""
    CAUGHT_UP = OperationState.FINALIZING
    """The joining is told, and after that the target has pulled what differs from a majority of
    the replicas. One is not enough: a write may lie on the two others, of which one is lost."""
    TOLD = OperationState.INTEGRATING
    """The sharding state that came with INTEGRATING is told."""
    CLEANED = OperationState.DEHYDRATING
    """It is told what has left, a majority of those who stay has all that it had, and its data is
    deleted."""


class Role(Enum):
    """Who asks what it has to do."""

    SOURCE = "source"
    """Its snapshot is copied; of a change of metadata only, nobody."""
    TARGET = "target"
    """It is filled, and drives the operation."""
    LEAVING = "leaving"
    """Its data is deleted at the end; often the source as well."""


class Duty(Enum):
    """What a participant does, also when it comes up again in the middle."""

    NOTHING = "nothing"
    BEGIN = "begin"
    """Report `BEGUN`."""
    COPY_ANEW = "copy anew"
    """Drop what a former life has copied, take a new snapshot from the source, report `COPIED`."""
    GIVE_SNAPSHOT = "give a snapshot"
    """Answer the target; snapshots of a former life are gone, and it asks again."""
    CATCH_UP = "catch up"
    """When it is told that this node joins, compare hash trees with a majority of the replicas and
    pull what they have, report `CAUGHT_UP`."""
    SERVE = "serve"
    """Answer reads and writes as a replica."""
    TELL = "tell"
    """Ask the nodes whether they know the sharding state (told.py), report `TOLD`."""
    DELETE = "delete"
    """When it is told that this node has left, compare hash trees with a majority of those who stay
    and give them what they lack, delete what the sharding state does not give to this node, report
    `CLEANED`. Where the node is gone for good, the target (or any who stays) sees to it that those
    who stay compare with each other, a majority with a majority, and reports it."""


_DUTIES: dict[OperationState, dict[Role, Duty]] = {
    OperationState.REGISTERED: {Role.TARGET: Duty.BEGIN},
    OperationState.HYDRATING: {Role.TARGET: Duty.COPY_ANEW, Role.SOURCE: Duty.GIVE_SNAPSHOT},
    OperationState.FINALIZING: {Role.TARGET: Duty.CATCH_UP, Role.SOURCE: Duty.SERVE},
    OperationState.INTEGRATING: {
        Role.TARGET: Duty.TELL,
        Role.SOURCE: Duty.SERVE,
        Role.LEAVING: Duty.SERVE,
    },
    OperationState.DEHYDRATING: {Role.TARGET: Duty.SERVE, Role.LEAVING: Duty.DELETE},
    OperationState.READY: {},
    # A target whose filling was given up has a part of a copy.
    OperationState.CANCELLED: {Role.TARGET: Duty.DELETE},
}


@dataclass(frozen=True, slots=True)
class StateError:
    """Something that went wrong in a state and was tried again."""

    message: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A state, since when, and what went wrong in it."""

    state: OperationState
    since_ms: int
    errors: tuple[StateError, ...] = ()
    errors_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """A change, its present state and the states behind it. Times are wall-clock milliseconds."""

    id: str
    change: Change
    status: StateEntry
    history: tuple[StateEntry, ...] = field(default=())
    """The states behind it, oldest first."""

    @classmethod
    def registered(cls, operation_id: str, change: Change, *, now_ms: int) -> Operation:
        """A new operation."""
        return cls(operation_id, change, StateEntry(OperationState.REGISTERED, now_ms))

    @property
    def state(self) -> OperationState:
        """Its present state."""
        return self.status.state

    @property
    def started_ms(self) -> int:
        """When it was registered."""
        return (self.history or (self.status,))[0].since_ms

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to do; a cancelled one may have to clean up still."""
        return self.state in (OperationState.READY, OperationState.CANCELLED)

    @property
    def is_cancelable(self) -> bool:
        """Whether it may still be taken back."""
        return self.state in (
            OperationState.REGISTERED,
            OperationState.HYDRATING,
            OperationState.FINALIZING,
        )

    def after(self, fact: Fact, *, now_ms: int) -> Operation:
        """The operation after `fact` was reported; itself where the fact changes nothing.

        A fact of a state that lies ahead is a programmer's error: nobody can have come so far.
        """
        path = path_of(self.change)
        if self.is_over or fact.value not in path:
            return self
        at, reported = path.index(self.state), path.index(fact.value)
        assert reported <= at, f"{self.id} is {self.state.value}, and {fact.name} is reported"
        return self if reported < at else self._entering(path[at + 1], now_ms)

    def cancelled(self, *, now_ms: int) -> Operation:
        """The operation, given up. Raises NotCancelable."""
        if self.state is OperationState.CANCELLED:
            return self
        if not self.is_cancelable:
            raise NotCancelable(
                f"replication operation {self.id} is {self.state.value} and cannot be cancelled"
            )
        return self._entering(OperationState.CANCELLED, now_ms)

    def with_error(self, message: str, *, now_ms: int) -> Operation:
        """The operation after an attempt in its present state failed; the state stays."""
        errors = (*self.status.errors, StateError(message, now_ms))
        kept = errors[-ERRORS_KEPT_MAX:]
        dropped = self.status.errors_dropped + len(errors) - len(kept)
        return replace(self, status=replace(self.status, errors=kept, errors_dropped=dropped))

    def roles_of(self, node: NodeName, state: ShardingState) -> tuple[Role, ...]:
        """What `node` has to do with the change; of a row that moves, every replica of its two
        shards has a role. A change of metadata only has no roles."""
        roles: dict[Role, tuple[NodeName, ...]]
        match self.change:
            case CopyReplica(source=source, target=target):
                roles = {Role.SOURCE: (source,), Role.TARGET: (target,)}
            case MoveReplica(source=source, leaving=leaving, target=target):
                roles = {Role.SOURCE: (source,), Role.TARGET: (target,), Role.LEAVING: (leaving,)}
            case MoveRow(source=giving, target=taking):
                givers, takers = _replicas(state, giving), _replicas(state, taking)
                roles = {Role.SOURCE: givers, Role.TARGET: takers, Role.LEAVING: givers}
            case DropReplica(node=leaving):
                roles = {Role.LEAVING: (leaving,)}
            case DropShard(replicas=replicas):
                roles = {Role.LEAVING: replicas}
            case _:
                roles = {}
        return tuple(role for role, names in roles.items() if node in names)

    def _entering(self, state: OperationState, now_ms: int) -> Operation:
        return replace(self, status=StateEntry(state, now_ms), history=(*self.history, self.status))


def _replicas(state: ShardingState, name: ShardName) -> tuple[NodeName, ...]:
    shard = state.shard(name)
    return shard.replicas if shard else ()


def duty_of(state: OperationState, role: Role) -> Duty:
    """What a participant in `role` does while the operation is in `state`."""
    return _DUTIES[state].get(role, Duty.NOTHING)
