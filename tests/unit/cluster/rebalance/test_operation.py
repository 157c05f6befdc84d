"""Operations: the states that a change goes through, cancelling, duties after a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
    cancelled,
    entered,
    path_of,
)
from weftdb.cluster.rebalance.operation import (
    ERRORS_KEPT_MAX,
    Duty,
    Fact,
    Operation,
    Role,
    duty_of,
)
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import NotCancelable
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC = CollectionName("Doc")
A, B, C = (ShardName(name) for name in "ABC")
N1, N2, N3 = (NodeName(f"n{number}") for number in range(1, 4))
COPY = CopyReplica(DOC, A, source=N1, target=N3)
MOVE = MoveReplica(DOC, A, source=N1, leaving=N1, target=N3)
ROW = MoveRow(DOC, A, B, first=100, length=28)
FACTS = (Fact.BEGUN, Fact.COPIED, Fact.CAUGHT_UP, Fact.TOLD, Fact.CLEANED)


def two_shards() -> ShardingState:
    return ShardingState.create((PlacedShard(A, (N1, N2)), PlacedShard(B, (N2, N3))), factor=2)


def operation(change: Change = MOVE) -> Operation:
    return Operation.registered("op-1", change, now_ms=1_000)


def carried_out(state: ShardingState, change: Change) -> list[ShardingState]:
    """The sharding states on the change's path."""
    states = [state]
    for into in path_of(change)[1:]:
        states.append(entered(states[-1], change, into))
    return states


@pytest.mark.parametrize(
    ("change", "states"),
    [
        (COPY, "REGISTERED HYDRATING FINALIZING INTEGRATING READY"),
        (MOVE, "REGISTERED HYDRATING FINALIZING INTEGRATING DEHYDRATING READY"),
        (ROW, "REGISTERED HYDRATING FINALIZING INTEGRATING DEHYDRATING READY"),
        (DropReplica(DOC, A, N1), "REGISTERED DEHYDRATING READY"),
        (DropShard(DOC, B, (N2, N3)), "REGISTERED DEHYDRATING READY"),
        (SetFactor(DOC, 3), "REGISTERED INTEGRATING READY"),
    ],
)
def test_facts_lead_along_the_path_of_the_change(change: Change, states: str) -> None:
    present = operation(change)
    seen = [present.state.value]
    for at, fact in enumerate(FACTS):
        following = present.after(fact, now_ms=2_000 + at)
        if following is not present:
            seen.append(following.state.value)
            assert following.history[-1] == present.status
        assert following.after(fact, now_ms=9_000) is following, "a fact told twice is one fact"
        present = following
    assert " ".join(seen) == states
    assert present.is_over
    assert present.started_ms == 1_000
    assert [entry.state.value for entry in present.history] == seen[:-1]


def test_a_fact_from_the_future_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="op-1 is REGISTERED, and COPIED is reported"):
        operation().after(Fact.COPIED, now_ms=2_000)


def test_an_operation_is_cancelled_until_its_target_counts() -> None:
    present = operation()
    for fact in FACTS[:3]:
        assert present.is_cancelable
        given_up = present.cancelled(now_ms=5_000)
        assert given_up.state is OperationState.CANCELLED
        assert given_up.cancelled(now_ms=6_000) is given_up
        assert given_up.after(fact, now_ms=6_000) is given_up, "late facts do not wake it"
        present = present.after(fact, now_ms=2_000)
    for fact in (*FACTS[3:], Fact.CLEANED):
        with pytest.raises(NotCancelable, match=f"op-1 is {present.state.value} and cannot"):
            present.cancelled(now_ms=5_000)
        present = present.after(fact, now_ms=2_000)


def test_errors_are_kept_with_their_state_and_counted_beyond_a_bound() -> None:
    present = operation()
    for at in range(ERRORS_KEPT_MAX + 3):
        present = present.with_error(f"try {at}", now_ms=at)
    assert present.status.errors[0].message == "try 3"
    assert present.status.errors_dropped == 3
    assert present.after(Fact.BEGUN, now_ms=99).status.errors == ()
    assert len(present.after(Fact.BEGUN, now_ms=99).history[0].errors) == ERRORS_KEPT_MAX


def test_every_participant_knows_its_duty_after_a_restart() -> None:
    duties = {
        state.value: [duty_of(state, role).value for role in Role] for state in OperationState
    }
    assert duties == {
        "REGISTERED": ["nothing", "begin", "nothing"],
        "HYDRATING": ["give a snapshot", "copy anew", "nothing"],
        "FINALIZING": ["serve", "catch up", "nothing"],
        "INTEGRATING": ["serve", "tell", "serve"],
        "DEHYDRATING": ["nothing", "serve", "delete"],
        "READY": ["nothing", "nothing", "nothing"],
        "CANCELLED": ["nothing", "delete", "nothing"],
    }
    assert duty_of(OperationState.CANCELLED, Role.TARGET) is Duty.DELETE


def test_nodes_have_roles() -> None:
    state = two_shards()
    assert operation(MOVE).roles_of(N1, state) == (Role.SOURCE, Role.LEAVING)
    assert operation(MOVE).roles_of(N3, state) == (Role.TARGET,)
    assert operation(COPY).roles_of(N1, state) == (Role.SOURCE,)
    assert operation(ROW).roles_of(N2, state) == (Role.SOURCE, Role.TARGET, Role.LEAVING)
    assert operation(ROW).roles_of(N3, state) == (Role.TARGET,)
    assert operation(DropReplica(DOC, A, N1)).roles_of(N1, state) == (Role.LEAVING,)
    assert operation(DropShard(DOC, C, (N3,))).roles_of(N3, state) == (Role.LEAVING,)
    assert operation(SetFactor(DOC, 2)).roles_of(N1, state) == ()
    assert operation(MoveRow(DOC, C, C, 0, 1)).roles_of(N1, state) == ()


def test_a_replica_moves_without_a_gap() -> None:
    states = [state.shard(A) for state in carried_out(two_shards(), MOVE)]
    joining, counted = PlacedShard(A, (N1, N2), (N3,)), PlacedShard(A, (N1, N2, N3))
    moved = PlacedShard(A, (N2, N3))
    assert states == [PlacedShard(A, (N1, N2)), joining, joining, counted, moved, moved]


def test_a_row_moves_without_a_gap() -> None:
    states = carried_out(two_shards(), ROW)
    assert [len(state.moving) for state in states] == [0, 1, 1, 1, 0, 0]
    assert [state.table.counts(2) for state in states[2:4]] == [[128, 128], [100, 156]]


def test_the_other_changes_are_made_at_once() -> None:
    state = two_shards()
    assert carried_out(state, DropReplica(DOC, A, N1))[-1].shard(A) == PlacedShard(A, (N2,))
    added = carried_out(state, AddShard(DOC, C, (N1,)))[-1]
    assert added.shard(C) == PlacedShard(C, (N1,))
    assert carried_out(added, DropShard(DOC, C, (N1,)))[-1] == state
    assert carried_out(state, SetFactor(DOC, 3))[-1].factor == 3
    assert carried_out(state, SetCount(DOC, 5))[-1].desired_count == 5
    assert carried_out(state, Refine(DOC, 2))[-1].table.count == 512


@pytest.mark.parametrize("change", [COPY, MOVE, ROW])
def test_a_cancelled_change_leaves_no_trace(change: Change) -> None:
    states = carried_out(two_shards(), change)
    for was, state in zip(path_of(change)[:3], states, strict=False):
        # What was copied of a row may still lie somewhere.
        assert replace(cancelled(state, change, was), may_stray=False) == two_shards()
    with pytest.raises(AssertionError):
        cancelled(states[3], change, OperationState.INTEGRATING)
    assert cancelled(two_shards(), SetFactor(DOC, 9), OperationState.REGISTERED) == two_shards()
