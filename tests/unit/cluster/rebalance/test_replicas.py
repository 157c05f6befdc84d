"""Plans for replicas: few steps, an order that keeps what is promised, the texts of the API."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.unit.cluster.rebalance.clusters import DOC, SHARD_SIZE, carry_out, nodes, placed, view
from weftdb.cluster.rebalance.changes import CopyReplica, DropReplica, MoveReplica, SetFactor
from weftdb.cluster.rebalance.replicas import (
    TransferType,
    plan_drain,
    plan_replace,
    plan_scale,
    transfer,
)
from weftdb.core.errors import InvalidRequest, TooFewNodes
from weftdb.core.types import CollectionName, NodeName, ShardName

S0 = ShardName("s0")
N1, N2, N3, N4 = (NodeName(f"n{number}") for number in range(1, 5))


def test_a_client_names_a_copy_or_a_move() -> None:
    cluster = view(nodes(3), placed(nodes(3), 1, 1))
    assert transfer(cluster, DOC, S0, source=N1, target=N2) == CopyReplica(DOC, S0, N1, N2)
    moved = transfer(cluster, DOC, S0, source=N1, target=N2, kind=TransferType.MOVE)
    assert moved == MoveReplica(DOC, S0, N1, N1, N2)


@pytest.mark.parametrize(
    ("collection", "shard", "source", "target", "text"),
    [
        ("Doc", "s0", "n1", "n1",
         "invalid request: source and target node are the same: bad request"),
        ("RGx", "s0", "n1", "n2",
         "invalid request: collection RGx does not exists: class not found"),
        ("Doc", "S", "n1", "n2",
         "could not find shard S for collection Doc on source node n1: node not found"),
        ("Doc", "s0", "n3", "n2",
         "could not find shard s0 for collection Doc on source node n3: node not found"),
        ("Doc", "s0", "n1", "n2",
         "shard s0 already exist for collection Doc on target node n2: already exists"),
        ("Doc", "s0", "n1", "n9", "target node n9 is not in the cluster: node not found"),
        ("Doc", "s0", "n1", "n4", "target node n4 is draining: it takes no replicas"),
    ],
)  # fmt: skip
def test_wrong_wishes_are_refused_in_the_words_of_the_api(
    collection: str, shard: str, source: str, target: str, text: str
) -> None:
    facts = nodes(4, draining="n4")
    cluster = view(facts, placed(facts, 1, 2))
    with pytest.raises(InvalidRequest, match=f"^{re.escape(text)}$"):
        transfer(
            cluster,
            CollectionName(collection),
            ShardName(shard),
            source=NodeName(source),
            target=NodeName(target),
        )


def test_the_factor_is_raised_when_the_copies_are_there() -> None:
    cluster = view(nodes(3), placed(nodes(3), 3, 1))
    plan = plan_scale(cluster, DOC, 3)
    assert [type(step.change) for step in plan.steps] == [CopyReplica] * 6 + [SetFactor]
    assert plan.steps[-1].after == tuple(range(6))
    assert plan.size.bytes == 6 * SHARD_SIZE.bytes
    *_, before, last = carry_out(plan, cluster.states)[DOC]
    assert last.factor == 3
    assert all(len(shard.replicas) == 3 for shard in before.shards)


def test_the_factor_is_lowered_before_anything_is_dropped() -> None:
    facts = nodes(4, zones=3)  # n1 and n4 share z0.
    state = placed(facts, 4, 3)
    for shard in state.shards:
        for node in (N1, N2, N3, N4):
            if node not in shard.replicas:
                state = state.with_joining(shard.name, node).with_joined(shard.name, node)
    cluster = view(facts, state.with_factor(4))
    plan = plan_scale(cluster, DOC, 3)
    assert [type(step.change) for step in plan.steps] == [SetFactor] + [DropReplica] * 4
    drops = [step.change for step in plan.steps if isinstance(step.change, DropReplica)]
    assert {drop.node for drop in drops} == {N1, N4}
    assert plan.steps[1].why == "zone z0 has 2 replicas of the shard"
    last = carry_out(plan, cluster.states)[DOC][-1]
    assert sorted(last.replica_counts().values()) == [2, 2, 4, 4]


def test_what_does_not_answer_is_dropped_first_and_then_what_drains() -> None:
    facts = nodes(4, draining="n2")
    state = placed(nodes(4), 1, 4)
    plan = plan_scale(view(facts, state, dead=frozenset({"n3"})), DOC, 2)
    assert [str(step) for step in plan.steps] == [
        "set the replication factor of Doc to 2",
        "drop Doc/s0 on n3: it does not answer",
        "drop Doc/s0 on n2: it is draining",
    ]


def test_lost_replicas_are_restored_by_scaling_to_the_same_factor() -> None:
    state = placed(nodes(3), 3, 2).without_node(S0, N1)
    plan = plan_scale(view(nodes(3), state), DOC, 2)
    assert [str(step.change) for step in plan.steps] == [str(CopyReplica(DOC, S0, N2, N1))]


def test_too_few_nodes_are_told_in_the_words_of_the_api() -> None:
    cluster = view(nodes(1), placed(nodes(1), 1, 1))
    with pytest.raises(
        TooFewNodes,
        match=r"^failed to execute query: could not get replication scale plan: "
        r"not enough storage replicas: found 1 want 2$",
    ):
        plan_scale(cluster, DOC, 2)
    with pytest.raises(InvalidRequest, match="at least 1 is needed: got 0"):
        plan_scale(cluster, DOC, 0)


def test_a_drained_node_ends_empty_and_no_shard_has_fewer_replicas() -> None:
    cluster = view(nodes(4), placed(nodes(4), 8, 2), placed(nodes(4), 4, 3, "t"))
    plan = plan_drain(cluster, N2)
    assert all(isinstance(step.change, MoveReplica) for step in plan.steps)
    assert len(plan.steps) == 4 + 3
    for collection, states in carry_out(plan, cluster.states).items():
        factor = cluster.states[collection].factor
        assert all(len(shard.replicas) >= factor for state in states for shard in state.shards)
        assert not list(states[-1].held_on(N2))
        counts = [states[-1].replica_counts()[node] for node in (N1, N3, N4)]
        assert max(counts) - min(counts) <= 2, "those beside it cannot take its replicas"


def test_a_node_that_is_needed_cannot_be_drained() -> None:
    cluster = view(nodes(3), placed(nodes(3), 1, 3))
    with pytest.raises(
        TooFewNodes,
        match=r"^n2 cannot give away shard s0 of Doc: could not find enough weaviate nodes for "
        r"replication: 2 available, 3 requested$",
    ):
        plan_drain(cluster, N2)
    with pytest.raises(InvalidRequest, match="no node n7 in the cluster, which has: n1, n2, n3"):
        plan_drain(cluster, NodeName("n7"))


def test_a_dead_node_is_replaced_from_the_living_replicas() -> None:
    facts = nodes(4)
    state = placed(nodes(3), 3, 2)
    cluster = view(facts, state, dead=frozenset({"n1"}))
    plan = plan_replace(cluster, N1, N4)
    assert len(plan.steps) == 2
    for step in plan.steps:
        assert isinstance(step.change, MoveReplica)
        assert (step.change.leaving, step.change.target) == (N1, N4)
        assert step.change.source in (N2, N3)
    states = carry_out(plan, cluster.states)[DOC]
    assert not list(states[-1].held_on(N1))
    assert len(list(states[-1].held_on(N4))) == 2


def test_a_replacement_that_has_the_shard_already_leaves_it_to_another() -> None:
    cluster = view(nodes(3), placed(nodes(2), 1, 2), dead=frozenset({"n1"}))
    (step,) = plan_replace(cluster, N1, N2).steps
    assert isinstance(step.change, MoveReplica)
    assert step.change.target == N3


def test_what_has_no_living_replica_is_told() -> None:
    facts = nodes(3)
    cluster = view(facts, placed(nodes(2), 2, 1), dead=frozenset({"n1"}))
    plan = plan_replace(cluster, N1, N3)
    assert plan.steps == ()
    assert plan.notes == (
        "shard s0 of Doc has no living replica beside n1: its data is lost unless a node that "
        "holds it returns",
    )
    assert "note: shard s0" in plan.render()


def test_a_wiped_node_does_not_count_until_it_is_filled_again() -> None:
    cluster = view(nodes(3), placed(nodes(3), 3, 3), placed(nodes(1), 1, 1, "t"))
    lone = cluster.states[CollectionName("Doc1")]
    assert lone.shards[0].replicas == (N1,)
    plan = plan_replace(cluster, N1, N1)
    assert [type(step.change) for step in plan.steps] == [DropReplica, CopyReplica] * 3
    assert plan.steps[1].after == (0,)
    assert len(plan.notes) == 1
    states = carry_out(plan, cluster.states)[DOC]
    assert states[-1].replica_counts() == {N1: 3, N2: 3, N3: 3}


def test_a_replacement_has_to_be_alive_and_known() -> None:
    cluster = view(nodes(3), placed(nodes(3), 3, 2), dead=frozenset({"n2"}))
    with pytest.raises(InvalidRequest, match="n2 does not answer"):
        plan_replace(cluster, N1, N2)
    with pytest.raises(InvalidRequest, match="no node n9"):
        plan_replace(cluster, N1, NodeName("n9"))


def test_nothing_is_planned_while_something_is_on_its_way() -> None:
    state = placed(nodes(3), 3, 1).with_joining(S0, N3)
    cluster = view(nodes(3), state)
    with pytest.raises(InvalidRequest, match="Doc is being changed \\(1 shards get a replica"):
        plan_scale(cluster, DOC, 2)
    with pytest.raises(InvalidRequest, match="wait for that, or cancel it"):
        plan_drain(cluster, N1)


def test_a_collection_that_is_not_touched_may_be_on_its_way() -> None:
    busy = placed(nodes(3), 1, 1, "t").with_joining(ShardName("t0"), N3)
    cluster = view(nodes(3), placed(nodes(3), 3, 1), busy)
    assert plan_scale(cluster, DOC, 2).steps
    assert plan_drain(replace(cluster, states={DOC: cluster.state(DOC)}), N1).steps
