"""Resharding: virtual shards move straight to where they stay."""

from __future__ import annotations

import pytest

from tests.unit.cluster.rebalance.clusters import DOC, SHARD_SIZE, carry_out, nodes, placed, view
from weftdb.cluster.rebalance.changes import AddShard, DropShard, MoveRow, Refine, SetCount
from weftdb.cluster.rebalance.plan import Plan
from weftdb.cluster.rebalance.shards import Row, plan_reshard, rows_to_even
from weftdb.cluster.ring import VirtualTable
from weftdb.core.errors import InvalidRequest, TooFewNodes
from weftdb.core.types import ShardName


def names(count: int) -> list[ShardName]:
    return [ShardName(f"new{number}") for number in range(count)]


def moved(plan: Plan) -> int:
    return sum(step.change.length for step in plan.steps if isinstance(step.change, MoveRow))


def test_three_shards_become_five() -> None:
    cluster = view(nodes(5), placed(nodes(3), 3, 3))
    plan = plan_reshard(cluster, DOC, 5, names=names(2))
    kinds = [type(step.change) for step in plan.steps]
    assert kinds[:4] == [SetCount, Refine, AddShard, AddShard]
    assert moved(plan) == 153 + 153  # of 768
    assert plan.size.objects == pytest.approx(3_000 * 306 / 768, abs=3)
    states = carry_out(plan, cluster.states)[DOC]
    assert sorted(states[-1].table.counts(5)) == [153, 153, 154, 154, 154]
    assert states[-1].desired_count == 5
    assert states[-1].moving == ()
    for state in states:
        owned = state.table.counts(len(state.shards))
        assert sum(owned) == state.table.count


def test_new_shards_go_where_little_lies() -> None:
    cluster = view(nodes(5), placed(nodes(3), 3, 2))
    plan = plan_reshard(cluster, DOC, 5, names=names(2))
    added = [step.change for step in plan.steps if isinstance(step.change, AddShard)]
    assert added[0].replicas == ("n4", "n5")


def test_five_shards_become_three() -> None:
    cluster = view(nodes(3), placed(nodes(3), 5, 1))
    plan = plan_reshard(cluster, DOC, 3)
    assert isinstance(plan.steps[-1].change, DropShard)
    assert moved(plan) == 256
    state = carry_out(plan, cluster.states)[DOC][-1]
    assert [shard.name for shard in state.shards] == ["s0", "s1", "s2"]
    assert sorted(state.table.counts(3)) == [213, 213, 214]


def test_there_and_back_again_moves_as_much_as_there() -> None:
    there = view(nodes(5), placed(nodes(5), 3, 1))
    plan = plan_reshard(there, DOC, 5, names=names(2))
    back = view(nodes(5), carry_out(plan, there.states)[DOC][-1])
    returned = plan_reshard(back, DOC, 3)
    assert moved(returned) == moved(plan)
    state = carry_out(returned, back.states)[DOC][-1]
    assert sorted(state.table.counts(3)) == [256, 256, 256]


def test_one_shard_becomes_many() -> None:
    cluster = view(nodes(3), placed(nodes(3), 1, 1))
    plan = plan_reshard(cluster, DOC, 100, names=names(99))
    state = carry_out(plan, cluster.states)[DOC][-1]
    assert set(state.table.counts(100)) == {128}
    assert len(plan.steps) == 1 + 1 + 99 + 99
    assert plan.size.bytes == pytest.approx(0.99 * SHARD_SIZE.bytes, rel=0.01)


def test_the_same_number_again_evens_out() -> None:
    assert rows_to_even(VirtualTable.of_owners([0, 0, 0, 1]), 2, frozenset()) == (Row(2, 1, 0, 1),)
    cluster = view(nodes(3), placed(nodes(3), 3, 1))
    assert plan_reshard(cluster, DOC, 3).steps == ()


def test_a_wrong_number_is_refused_in_the_words_of_the_api() -> None:
    cluster = view(nodes(3), placed(nodes(3), 3, 1))
    for count in (0, 1025):
        with pytest.raises(InvalidRequest, match=f"must be between 1 and 1024, got {count}"):
            plan_reshard(cluster, DOC, count)


def test_new_shards_need_nodes() -> None:
    cluster = view(nodes(3, draining="n1"), placed(nodes(3), 3, 3))
    with pytest.raises(TooFewNodes, match="2 available, 3 requested"):
        plan_reshard(cluster, DOC, 4, names=names(1))
