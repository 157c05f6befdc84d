"""Spreading: as few moves as can, zones first, and nothing when all is even."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.unit.cluster.rebalance.clusters import DOC, SHARD_SIZE, carry_out, nodes, placed, view
from weftdb.cluster.rebalance.spread import plan_spread
from weftdb.core.errors import InvalidRequest
from weftdb.core.types import CollectionName, NodeName, ShardName


def test_an_even_cluster_stays_as_it_is() -> None:
    cluster = view(nodes(3), placed(nodes(3), 6, 2))
    plan = plan_spread(cluster)
    assert plan.steps == ()
    assert plan.render() == "spread replicas evenly: no steps"


def test_new_nodes_get_their_part_by_the_fewest_moves() -> None:
    cluster = view(nodes(5), placed(nodes(3), 12, 3))
    plan = plan_spread(cluster)
    # 36 replicas on 5 nodes: two new nodes get 7 each.
    assert len(plan.steps) == 14
    assert plan.size.bytes == 14 * SHARD_SIZE.bytes
    states = carry_out(plan, cluster.states)[DOC]
    assert all(len(shard.replicas) >= 3 for state in states for shard in state.shards)
    assert sorted(states[-1].replica_counts().values()) == [7, 7, 7, 7, 8]


def test_small_collections_even_out_together() -> None:
    """Each alone is as even as can be; together they lie on one node."""
    states = [placed(nodes(1), 1, 1, f"c{number}-") for number in range(6)]
    cluster = view(nodes(3), *states)
    plan = plan_spread(cluster)
    assert len(plan.steps) == 4
    ends = carry_out(plan, cluster.states)
    total = sum((Counter(end[-1].replica_counts()) for end in ends.values()), Counter())
    assert sorted(total.values()) == [2, 2, 2]


def test_a_new_zone_is_used() -> None:
    cluster = view(nodes(4, zones=2), placed(nodes(4, zones=2)[::2], 4, 2))
    assert {node.zone for node in cluster.nodes if node.name in ("n1", "n3")} == {"z0"}
    plan = plan_spread(cluster)
    state = carry_out(plan, cluster.states)[DOC][-1]
    zones = {node.name: node.zone for node in cluster.nodes}
    assert all({zones[node] for node in shard.replicas} == {"z0", "z1"} for shard in state.shards)
    assert sorted(state.replica_counts().values()) == [2, 2, 2, 2]
    assert len(plan.steps) == 4


def test_evenness_never_costs_a_zone() -> None:
    facts = nodes(4, zones=2)[:2] + nodes(4, zones=1)[2:]  # z1 has n2 only.
    cluster = view(facts, placed(facts, 6, 2))
    assert plan_spread(cluster).steps == ()
    assert cluster.state(DOC).replica_counts()[NodeName("n2")] == 6


def test_dead_and_draining_nodes_are_left_alone() -> None:
    state = placed(nodes(2), 8, 1)
    plan = plan_spread(view(nodes(4, draining="n3"), state, dead=frozenset({"n4"})))
    assert plan.steps == ()


def test_the_reason_of_a_move_is_told() -> None:
    plan = plan_spread(view(nodes(2), placed(nodes(1), 2, 1)))
    assert plan.render().splitlines() == [
        "spread replicas evenly: 1 step, copies about 976.6 KiB, 1,000 objects",
        "   1 move Doc/s0 from n1 to n2 (about 976.6 KiB, 1,000 objects): of Doc n1 has 2 and "
        "will have 1, n2 0 and 1",
    ]


def test_nothing_is_planned_while_something_moves() -> None:
    busy = placed(nodes(2), 1, 1).with_joining(ShardName("s0"), NodeName("n2"))
    with pytest.raises(InvalidRequest, match="Doc is being changed"):
        plan_spread(view(nodes(2), busy))
    assert CollectionName("Doc") == DOC
