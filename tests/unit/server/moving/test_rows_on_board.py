"""Rows of virtual shards, and shards that come and go, on the board of operations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.unit.server.moving.test_board import BOOK, N1, N2, N3, SHARD, TO_THE_END, Table
from weftdb.cluster.placement import NodeFacts
from weftdb.cluster.rebalance.changes import (
    AddShard,
    Change,
    DropShard,
    MoveRow,
    OperationState,
    Refine,
    SetCount,
)
from weftdb.cluster.rebalance.shards import plan_reshard
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.sharding import ShardingState
from weftdb.core.errors import InvalidRequest
from weftdb.core.types import ShardName
from weftdb.server.moving.footprint import before, is_first, refs_of, worker_of

NEW = ShardName("t")
ADD = AddShard(BOOK, NEW, (N2, N3))
ROW = MoveRow(BOOK, SHARD, NEW, first=64, length=64)
DROP = DropShard(BOOK, NEW, (N2, N3))


@pytest.fixture
def table() -> Iterator[Table]:
    made = Table(N1, N2)
    yield made
    made.follower.close()


def done(table: Table, change: Change) -> list[tuple[OperationState, ShardingState]]:
    """The states of an operation with the sharding state in each."""
    operation = table.board.register(change)
    seen = [(operation.state, table.state)]
    for fact in TO_THE_END:
        after = table.board.report(operation.id, fact)
        assert after is not None
        if after.state is not seen[-1][0]:
            seen.append((after.state, table.state))
    assert seen[-1][0] is OperationState.READY
    return seen


@pytest.mark.parametrize("change", [Refine(BOOK, 2), SetCount(BOOK, 2), ADD, ROW, DROP])
def test_the_state_before_a_step_is_found_again(table: Table, change: Change) -> None:
    if change in (ROW, DROP):
        done(table, ADD)
    seen = done(table, change)
    for (_, was), (into, now) in pairwise(seen):
        if was == now or change in (Refine(BOOK, 2), SetCount(BOOK, 2)):
            continue  # These move nothing.
        found = before(now, change, into)
        assert {shard.name: was.kept_ranges(shard.name) for shard in was.shards} == {
            shard.name: found.kept_ranges(shard.name) for shard in found.shards
        }, into
        assert set(found.shards) == set(was.shards)
        assert [(each.first, each.target) for each in found.moving] == [
            (each.first, each.target) for each in was.moving
        ]
    last = seen[-1][1]
    assert before(last, change, OperationState.READY) == last


def test_a_row_goes_from_shard_to_shard(table: Table) -> None:
    done(table, ADD)
    seen = {state: found.table.counts(2) for state, found in done(table, ROW)}
    assert seen[OperationState.FINALIZING] == [128, 0]
    assert seen[OperationState.INTEGRATING] == seen[OperationState.READY] == [64, 64]
    assert table.state.moving == ()
    assert table.state.may_stray
    assert len(refs_of(ROW)) == 2
    operation = table.board.register(MoveRow(BOOK, NEW, SHARD, first=64, length=1))
    assert worker_of(operation, (N3, N2)) == N2
    other = table.board.register(MoveRow(BOOK, SHARD, NEW, first=0, length=1))
    both = [operation, other]
    assert sorted(is_first(each, both) for each in both) == [False, True]


def test_what_cannot_be_is_refused(table: Table) -> None:
    def refusal(change: Change) -> str:
        with pytest.raises(InvalidRequest) as caught:
            table.board.register(change)
        return str(caught.value)

    assert refusal(ROW) == "there is no shard t"
    assert refusal(DROP) == "there is no shard t"
    done(table, ADD)
    assert "there is a shard t already" in refusal(ADD)
    assert "from 120 on" in refusal(MoveRow(BOOK, SHARD, NEW, first=120, length=9))
    assert "not all of shard t" in refusal(MoveRow(BOOK, NEW, SHARD, first=0, length=9))
    assert "not all of shard s" in refusal(MoveRow(BOOK, SHARD, SHARD, first=0, length=9))
    assert "has virtual shards" in refusal(DropShard(BOOK, SHARD, (N1,)))
    assert "at least one shard" in refusal(SetCount(BOOK, 0))
    assert "cut into 0" in refusal(Refine(BOOK, 0))
    moving = table.board.register(ROW)
    table.board.report(moving.id, TO_THE_END[0])
    assert "are moving already" in refusal(MoveRow(BOOK, SHARD, NEW, first=100, length=1))
    assert "are moving" in refusal(Refine(BOOK, 2))
    assert "has virtual shards" in refusal(DROP), "some are on their way to it"


def test_a_row_that_is_taken_back_stays_where_it_is(table: Table) -> None:
    done(table, ADD)
    moving = table.board.register(ROW)
    table.board.report(moving.id, TO_THE_END[0])
    assert table.state.moving != ()
    table.board.cancel(moving.id)
    assert (table.state.moving, table.state.table.counts(2)) == ((), [128, 0])
    assert table.state.may_stray, "what was copied is still to be removed"


def test_a_shard_that_has_gone_is_what_was_wanted(table: Table) -> None:
    done(table, ADD)
    done(table, DROP)
    assert [shard.name for shard in table.state.shards] == [SHARD]
    over = next(each for each in table.board.all() if each.change == DROP)
    assert over.history[-1].errors == ()


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_plan_to_its_end(table: Table, count: int) -> None:
    facts = tuple(NodeFacts(node, "", None, False) for node in (N1, N2, N3))
    for wanted in (count, 2):
        names = [ShardName(f"{wanted}-{number}") for number in range(wanted)]
        view = ClusterView(facts, {BOOK: table.state})
        missing = names[: max(0, wanted - len(table.state.shards))]
        stored = table.plans.add(plan_reshard(view, BOOK, wanted, names=missing))
        for _ in range(200):
            table.hear()
            table.plans.advance()
            table.hear()
            under_way = [each for each in table.board.known() if not each.is_over]
            for operation in under_way:
                waits = operation.state is OperationState.REGISTERED
                if not waits or is_first(operation, under_way):
                    fact = next(each for each in TO_THE_END if each.value is operation.state)
                    table.board.report(operation.id, fact)
            found = table.plans.get(stored.id)
            assert found is not None
            if found.state != "RUNNING":
                break
        assert found.state == "DONE"
        held = table.state.table.counts(len(table.state.shards))
        assert len(held) == table.state.desired_count == wanted
        assert max(held) - min(held) <= 1
