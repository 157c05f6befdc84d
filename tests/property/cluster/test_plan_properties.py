"""Plans, any cluster: minimal, never below the replicas that were there, and they end as meant."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cluster.rebalance.clusters import DOC, carry_out, nodes, placed, view
from weftdb.cluster.rebalance.plan import decode_plan, encode_plan
from weftdb.cluster.rebalance.replicas import plan_drain, plan_replace, plan_scale
from weftdb.cluster.rebalance.shards import plan_reshard, rows_to_even
from weftdb.cluster.rebalance.spread import plan_spread
from weftdb.cluster.ring import VirtualTable
from weftdb.cluster.sharding import ShardingState, decode_sharding, encode_sharding
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import NodeName, ObjectId, ShardName

QUORUM = ConsistencyLevel.QUORUM
SHARDS = st.integers(1, 12)


def least_replicas(states: list[ShardingState]) -> int:
    return min(len(shard.replicas) for state in states for shard in state.shards)


def check_readable(states: list[ShardingState]) -> None:
    for state in states:
        assert decode_sharding(encode_sharding(state), collection=DOC) == state


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), SHARDS, st.integers(1, 3))
def test_new_nodes_get_their_part_and_nothing_else_moves(
    old: int, more: int, shards: int, factor: int
) -> None:
    factor = min(factor, old)
    cluster = view(nodes(old + more), placed(nodes(old), shards, factor))
    before = cluster.state(DOC).replica_counts()
    plan = plan_spread(cluster)
    states = carry_out(plan, cluster.states)[DOC]
    held = [states[-1].replica_counts().get(node.name, 0) for node in cluster.nodes]
    assert max(held) - min(held) <= 1
    assert least_replicas(states) == factor
    # Nobody can do with fewer moves than are missing at the least on the new nodes.
    total = shards * factor
    highest = -(-total // (old + more))
    over = sum(max(0, before.get(node.name, 0) - highest) for node in cluster.nodes)
    lowest = total // (old + more)
    under = sum(max(0, lowest - before.get(node.name, 0)) for node in cluster.nodes)
    assert len(plan.steps) == max(over, under)
    assert decode_plan(encode_plan(plan)) == plan
    check_readable(states)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), SHARDS, st.integers(1, 3), st.integers(1, 3), st.data())
def test_a_node_that_goes_takes_nothing_with_it(
    count: int, shards: int, factor: int, zones: int, data: st.DataObject
) -> None:
    factor = min(factor, count - 1)
    state = placed(nodes(count, zones=zones), shards, factor)
    gone = NodeName(f"n{data.draw(st.integers(1, count))}")
    cluster = view(nodes(count, zones=zones), state)
    plan = plan_drain(cluster, gone)
    assert len(plan.steps) == state.replica_counts().get(gone, 0)
    states = carry_out(plan, cluster.states)[DOC]
    assert least_replicas(states) == factor
    assert not list(states[-1].held_on(gone))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), SHARDS, st.integers(2, 3))
def test_a_replaced_node_is_replaced_entirely(count: int, shards: int, factor: int) -> None:
    factor = min(factor, count)
    state = placed(nodes(count), shards, factor)
    cluster = view(nodes(count + 1), state, dead=frozenset({"n1"}))
    plan = plan_replace(cluster, NodeName("n1"), NodeName(f"n{count + 1}"))
    states = carry_out(plan, cluster.states)[DOC]
    assert least_replicas(states) == factor
    lost = state.replica_counts().get(NodeName("n1"), 0)
    assert states[-1].replica_counts().get(NodeName(f"n{count + 1}"), 0) == lost


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), SHARDS, st.integers(1, 6), st.integers(1, 6))
def test_scaling_reaches_its_factor_and_only_that(
    count: int, shards: int, old: int, new: int
) -> None:
    old, new = min(old, count), min(new, count)
    cluster = view(nodes(count), placed(nodes(count), shards, old))
    plan = plan_scale(cluster, DOC, new)
    states = carry_out(plan, cluster.states)[DOC]
    assert {len(shard.replicas) for shard in states[-1].shards} == {new}
    assert states[-1].factor == new
    assert least_replicas(states) == min(old, new)
    assert all(
        len(shard.replicas) >= min(state.factor, old) for state in states for shard in state.shards
    )
    assert len(plan.steps) == abs(new - old) * shards + (new != old)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=6, max_size=80), st.sets(st.integers(0, 5), max_size=5))
def test_virtual_shards_move_as_few_as_can(owners: list[int], leaving: set[int]) -> None:
    table = VirtualTable.of_owners(owners)
    rows = rows_to_even(table, 6, frozenset(leaving))
    moved = sum(row.length for row in rows)
    for row in rows:
        assert set(owners[row.first : row.first + row.length]) == {row.source}
        table = table.with_owner(row.first, row.target, length=row.length)
    staying = [shard for shard in range(6) if shard not in leaving]
    counts = table.counts(6)
    assert all(counts[shard] == 0 for shard in leaving)
    kept = [counts[shard] for shard in staying]
    assert max(kept) - min(kept) <= 1
    # The fewest: what leaves, and beyond the best quotas that anybody could choose.
    before = VirtualTable.of_owners(owners).counts(6)
    each, over = divmod(len(owners), len(staying))
    fullest = sorted((before[shard] for shard in staying), reverse=True)
    best = [each + (place < over) for place in range(len(staying))]
    stay = sum(min(held, quota) for held, quota in zip(fullest, best, strict=True))
    assert moved == len(owners) - stay


def reaching(nodes_of: Sequence[NodeName], groups: Sequence[Sequence[NodeName]]) -> list[set[str]]:
    """Every smallest set of nodes with a majority of each group."""
    found: list[set[str]] = []
    for size in range(1, len(nodes_of) + 1):
        for chosen in map(set, combinations(nodes_of, size)):
            enough = all(
                len(chosen & set(group)) >= QUORUM.required(len(group)) for group in groups
            )
            if enough and not any(smaller <= chosen for smaller in found):
                found.append(chosen)
    return found


def check_quorums_meet(written: ShardingState, read: ShardingState, object_id: ObjectId) -> None:
    """Every write by one state is seen by every read by the other."""
    owner = read.shard_of(object_id)
    assert owner.name in written.write_shards_of([object_id]), "it is written where it is read"
    target = written.shard(owner.name)
    assert target is not None
    for writers in reaching(target.holders, target.write_groups):
        for readers in reaching(owner.replicas, [owner.replicas]):
            assert writers & readers, f"{target} and {owner}"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
    st.sampled_from(["raise", "lower", "drain", "spread", "reshard"]),
)  # fmt: skip
def test_neighbouring_states_meet_at_quorum(
    count: int, shards: int, factor: int, other: int, what: str
) -> None:
    """The promise that the order of steps is made for (decision 24, changes.py)."""
    cluster = view(nodes(count + 1), placed(nodes(count), shards, factor))
    names = [ShardName(f"new{number}") for number in range(other)]
    plan = {
        "raise": lambda: plan_scale(cluster, DOC, max(factor, other)),
        "lower": lambda: plan_scale(cluster, DOC, min(factor, other)),
        "drain": lambda: plan_drain(cluster, NodeName("n1")),
        "spread": lambda: plan_spread(cluster),
        "reshard": lambda: plan_reshard(cluster, DOC, other, names=names),
    }[what]()
    ids = [ObjectId(bytes([number]) * 16) for number in range(6)]
    for before, after in pairwise(carry_out(plan, cluster.states)[DOC]):
        for object_id in ids:
            check_quorums_meet(before, after, object_id)
            check_quorums_meet(after, before, object_id)


def test_the_check_notices_states_that_are_two_steps_apart() -> None:
    """A canary: of {n1 n2 n3} and {n2 n3 n4} two majorities need not meet."""
    cluster = view(nodes(4), placed(nodes(3), 1, 3))
    states = carry_out(plan_drain(cluster, NodeName("n1")), cluster.states)[DOC]
    with pytest.raises(AssertionError, match="PlacedShard"):
        check_quorums_meet(states[0], states[-1], ObjectId(bytes(16)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_resharding_keeps_every_object_in_one_shard(old: int, new: int, seed: int) -> None:
    cluster = view(nodes(3), placed(nodes(3), old, 2))
    names = [ShardName(f"new{number}") for number in range(new)]
    plan = plan_reshard(cluster, DOC, new, names=names)
    states = carry_out(plan, cluster.states)[DOC]
    assert len(states[-1].shards) == new
    counts = states[-1].table.counts(new)
    assert max(counts) - min(counts) <= 1
    source = random.Random(seed)
    ids = [ObjectId(source.randbytes(16)) for _ in range(50)]
    for before, after in pairwise(states):
        writes, reads = before.write_shards_of(ids), after.shards_of(ids)
        for name, positions in reads.items():
            written = set(writes.get(name, ()))
            assert set(positions) <= written, "what is read next was written to before"
    check_readable(states)
