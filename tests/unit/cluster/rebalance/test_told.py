"""Told: when a new sharding state is known by all who have to know it."""

from __future__ import annotations

from itertools import combinations

from weftdb.cluster.rebalance.changes import MoveReplica, MoveRow, OperationState, entered
from weftdb.cluster.rebalance.told import Told
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC, A, B = CollectionName("Doc"), ShardName("A"), ShardName("B")
N1, N2, N3, N4, N5 = (NodeName(f"n{number}") for number in range(1, 6))
ALL = (N1, N2, N3, N4, N5)


def told(state: ShardingState, change: MoveReplica | MoveRow, into: OperationState) -> Told:
    return Told(state, entered(state, change, into), revision=7)


def start() -> ShardingState:
    placed = (PlacedShard(A, (N1, N2, N3)), PlacedShard(B, (N3, N4, N5)))
    return ShardingState.create(placed, factor=3)


MOVE = MoveReplica(DOC, A, source=N1, leaving=N1, target=N4)


def test_every_living_node_has_to_know() -> None:
    spreading = told(start(), MOVE, OperationState.HYDRATING)
    assert spreading.missing(ALL) == ALL
    for node in ALL:
        assert not spreading.is_told(ALL)
        spreading = spreading.with_known(node, 7)
    assert spreading.is_told(ALL)


def test_a_node_that_is_away_is_not_waited_for_while_few_are_away() -> None:
    spreading = told(start(), MOVE, OperationState.HYDRATING)
    for node in (N2, N3, N4, N5):
        spreading = spreading.with_known(node, 9)
    assert spreading.is_told((N2, N3, N4, N5))
    assert spreading.missing(ALL) == (N1,)


def test_a_majority_that_is_away_is_waited_for() -> None:
    """They could take writes by the old state, from a node that is cut off with them."""
    spreading = told(start(), MOVE, OperationState.HYDRATING)
    for node in (N3, N4, N5):
        spreading = spreading.with_known(node, 7)
    assert spreading.missing((N3, N4, N5)) == (N1, N2)
    assert spreading.with_known(N2, 7).is_told((N3, N4, N5))


def test_of_a_row_both_shards_are_waited_for() -> None:
    """A majority of the source that does not know could take writes that never reach the target."""
    row = MoveRow(DOC, A, B, first=0, length=9)
    spreading = told(start(), row, OperationState.HYDRATING)
    for node in (N3, N4, N5):
        spreading = spreading.with_known(node, 7)
    assert spreading.missing((N3, N4, N5)) == (N1, N2)


def test_shards_that_did_not_change_need_nobody() -> None:
    spreading = told(start(), MOVE, OperationState.HYDRATING)
    for node in (N1, N2, N3):
        spreading = spreading.with_known(node, 7)
    assert spreading.is_told((N1, N2, N3)), "n4 and n5 hold B, of which nothing changed"


def test_a_row_changes_both_of_its_shards() -> None:
    row = MoveRow(DOC, A, B, first=0, length=10)
    moving = entered(start(), row, OperationState.HYDRATING)
    spreading = told(moving, row, OperationState.INTEGRATING)
    for node in (N1, N2, N3):
        spreading = spreading.with_known(node, 7)
    assert spreading.missing((N1, N2, N3)) == (N4, N5)


def test_an_older_word_changes_nothing() -> None:
    spreading = told(start(), MOVE, OperationState.HYDRATING).with_known(N1, 7)
    assert spreading.with_known(N1, 3) is spreading
    assert spreading.with_known(N2, 6).missing((N1, N2, N3)) == (N2, N3)


def test_nobody_reaches_a_majority_by_a_state_that_was_replaced() -> None:
    """Whoever knows may be any set for which the state counts as told."""
    for into in (OperationState.HYDRATING, OperationState.INTEGRATING):
        state = start()
        if into is OperationState.INTEGRATING:
            state = entered(state, MOVE, OperationState.HYDRATING)
        for size in range(len(ALL) + 1):
            for knowing in combinations(ALL, size):
                spreading = told(state, MOVE, into)
                for node in knowing:
                    spreading = spreading.with_known(node, 7)
                if not spreading.is_told(living=knowing):
                    continue
                for group in state.shards[0].write_groups:
                    ignorant = set(group) - set(knowing)
                    assert len(ignorant) < ConsistencyLevel.QUORUM.required(len(group))
