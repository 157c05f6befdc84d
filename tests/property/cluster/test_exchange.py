"""Two replicas that exchange hold the same afterwards, at a cost that grows with what differs."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.cluster.replica_model import (
    SHARD,
    Choose,
    NetworkModel,
    ReplicaModel,
    Run,
    object_id,
)
from weftdb.cluster.replication.differences import Rules, Side
from weftdb.cluster.replication.effects import CallNumber, Failure, Send
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.merkle import Exchange, ExchangeBounds, Exchanged, ExchangeOrder
from weftdb.cluster.replication.messages import Applied, ReadLeaf, ShardRef, TreeNodes
from weftdb.core.hashing import token
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ShardName, Version

LEFT, RIGHT = NodeName("n1"), NodeName("n2")
TIME_BASED = Rules(DeletionStrategy.TIME_BASED_RESOLUTION, 1000, 0)
SMALL = ExchangeBounds(
    positions_max=4, calls_max=2, leaf_ids_max=2, states_max=2, differences_max=1000, stride=2
)


def first(_below: int) -> int:
    """Always the first."""
    return 0


def exchange(
    network: NetworkModel,
    choose: Choose = first,
    *,
    rules: Rules = TIME_BASED,
    bounds: ExchangeBounds = SMALL,
) -> Run:
    """One exchange between the two replicas."""
    height = network.replicas[LEFT].height
    order = ExchangeOrder(SHARD, 1, LEFT, RIGHT, height, rules, 10.0, bounds)
    return network.run(Exchange(order), choose)


def two_replicas(height: int) -> NetworkModel:
    return NetworkModel({LEFT: ReplicaModel(height), RIGHT: ReplicaModel(height)}, is_faulty=False)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    height=st.integers(0, 5),
    strategy=st.sampled_from(list(DeletionStrategy)),
    stride=st.integers(1, 3),
)
def test_replicas_are_equal_afterwards(
    data: st.DataObject, height: int, strategy: DeletionStrategy, stride: int
) -> None:
    network = two_replicas(height)
    stamps = st.integers(1, 6)
    held = st.lists(st.tuples(st.integers(0, 15), stamps), max_size=20)
    for replica in network.replicas.values():
        for number, stamp in data.draw(held):
            replica.apply(ObjectState(object_id(number), Version(stamp), is_deleted=stamp % 3 == 0))
    before = {node: dict(replica.held) for node, replica in network.replicas.items()}
    bounds = ExchangeBounds(
        positions_max=8, calls_max=data.draw(st.integers(2, 6)), leaf_ids_max=3, states_max=3,
        stride=stride,
    )  # fmt: skip
    run = exchange(
        network,
        random.Random(data.draw(st.integers(0, 2**32))).randrange,
        rules=Rules(strategy, 1000, 0),
        bounds=bounds,
    )
    report: Exchanged = run.outcome
    assert report.is_complete
    assert report.failure is None
    left, right = (network.replicas[node].held for node in (LEFT, RIGHT))
    differing = {key for key in left.keys() | right.keys() if left.get(key) != right.get(key)}
    assert len(differing) == report.unresolved
    for key in differing:
        assert strategy is DeletionStrategy.NO_AUTOMATED_RESOLUTION
        assert left[key].is_deleted != right[key].is_deleted
        assert (left[key], right[key]) == (before[LEFT][key], before[RIGHT][key])
    for key in left.keys() - differing:
        stored = [before[node][key] for node in before if key in before[node]]
        if (
            strategy is DeletionStrategy.DELETE_ON_CONFLICT
            and len({s.is_deleted for s in stored}) == 2
        ):
            assert left[key].is_deleted
        else:
            assert left[key] == max(stored, key=lambda state: state.version)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), height=st.integers(1, 5), since=st.sampled_from([0, 3]))
def test_a_row_is_given_to_another_shard_one_way(
    data: st.DataObject, height: int, since: int
) -> None:
    """Within its tokens the target ends with the newer of both, and nothing else changes."""
    network = two_replicas(height)
    held = st.lists(st.tuples(st.integers(0, 15), st.integers(1, 6)), max_size=20)
    for replica in network.replicas.values():
        for number, stamp in data.draw(held):
            version = Version(stamp)
            replica.apply(ObjectState(object_id(number), version, is_deleted=stamp % 3 == 0))
    cuts = sorted(data.draw(st.sets(st.integers(0, 16), min_size=2, max_size=4)))[:4]
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    within = tuple((first << 60, stop << 60) for first, stop in pairs)
    before = {node: dict(replica.held) for node, replica in network.replicas.items()}
    rules = replace(
        TIME_BASED,
        settled_before_ms=1 << 47,
        within=within,
        gives=frozenset({Side.RIGHT}),
        since_ms=since,
    )
    other = ShardRef(SHARD.collection, ShardName("other"))
    bounds = ExchangeBounds(positions_max=8, calls_max=2, leaf_ids_max=3, states_max=3, stride=2)
    order = ExchangeOrder(SHARD, 1, LEFT, RIGHT, height, rules, 10.0, bounds, other)
    asked = []

    class Noting(Exchange):
        def begin(self, now_s: float) -> Any:
            effects = super().begin(now_s)
            asked.extend(
                (each.to, each.request.shard) for each in effects if isinstance(each, Send)
            )
            return effects

    assert network.run(Noting(order), first).outcome.is_complete
    assert asked == [(LEFT, SHARD), (RIGHT, other)]
    left, right = (network.replicas[node].held for node in (LEFT, RIGHT))
    assert left == before[LEFT]
    for number in range(16):
        key = object_id(number)
        known = before[RIGHT].get(key)
        mine = left.get(key)
        is_in = any(start <= token(key) < stop for start, stop in within)
        is_new = mine is not None and (known is None or mine.version > known.version)
        if is_in and is_new and mine is not None and mine.version.time_ms >= since:
            known = mine
        assert right.get(key) == known


def test_equal_replicas_cost_one_request_each() -> None:
    network = two_replicas(8)
    for replica in network.replicas.values():
        for number in range(50):
            replica.apply(ObjectState(object_id(number), Version(5)))
    run = exchange(network)
    assert (run.requests, run.outcome.leaves, run.outcome.is_complete) == (2, 0, True)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_cost_is_that_of_the_differences(stride: int) -> None:
    """Height 12: one object that differs costs the way down, not the 4096 leaves."""
    network = two_replicas(12)
    network.replicas[LEFT].apply(ObjectState(object_id(7), Version(5)))
    bounds = ExchangeBounds(positions_max=256, stride=stride)
    run = exchange(network, bounds=bounds)
    tree, listing, transfer = 2 * (1 + 12 // stride), 1, 2  # The other side has no leaf to list.
    assert run.requests == tree + listing + transfer
    assert (run.outcome.found, run.outcome.sent, run.outcome.leaves) == (1, 1, 1)
    assert network.replicas[RIGHT].held == network.replicas[LEFT].held


def test_an_exchange_is_cut_at_its_bound_and_the_next_goes_on() -> None:
    network = two_replicas(4)
    for number in range(40):
        network.replicas[LEFT].apply(ObjectState(object_id(number), Version(5)))
    bounds = ExchangeBounds(
        positions_max=16, calls_max=2, leaf_ids_max=4, states_max=4, differences_max=10
    )
    rounds = 0
    while not (report := exchange(network, bounds=bounds).outcome).is_complete:
        assert 10 <= report.found < 10 + 8
        rounds += 1
        assert rounds < 6
    assert rounds >= 2
    assert network.replicas[RIGHT].held == network.replicas[LEFT].held


def test_the_young_are_left_to_their_own_write() -> None:
    network = two_replicas(4)
    network.replicas[LEFT].apply(ObjectState(object_id(1), Version(1000)))
    network.replicas[LEFT].apply(ObjectState(object_id(2), Version(999)))
    report = exchange(network).outcome
    assert (report.found, report.young, report.is_complete) == (1, 1, True)
    assert set(network.replicas[RIGHT].held) == {object_id(2)}


def test_deletions_past_their_grace_go_only_where_the_object_is() -> None:
    network = two_replicas(4)
    rules = Rules(DeletionStrategy.TIME_BASED_RESOLUTION, 1000, 500)
    left, right = network.replicas[LEFT], network.replicas[RIGHT]
    for number in (1, 2):
        left.apply(ObjectState(object_id(number), Version(400), is_deleted=True))
    right.apply(ObjectState(object_id(2), Version(300)))
    report = exchange(network, rules=rules).outcome
    assert (report.found, report.sent) == (1, 1)
    assert set(right.held) == {object_id(2)}
    assert right.held[object_id(2)].is_deleted


def test_a_failure_ends_it() -> None:
    order = ExchangeOrder(SHARD, 1, LEFT, RIGHT, 4, TIME_BASED, 10.0)
    run = Exchange(order)
    run.begin(0.0)
    (answer,) = run.on_failure(CallNumber(1), Failure("no route"), 0.0)
    assert "n2: no route" in str(answer)
    assert run.is_done
    assert run.on_reply(CallNumber(0), TreeNodes((bytes(16),)), 0.0) == []
    assert run.on_time(99.0) == []


def test_the_deadline_ends_it() -> None:
    run = Exchange(ExchangeOrder(SHARD, 1, LEFT, RIGHT, 4, TIME_BASED, 10.0))
    run.begin(0.0)
    assert run.on_time(9.9) == []
    (answer,) = run.on_time(10.0)
    assert "the time was up" in str(answer)


@pytest.mark.parametrize("reply", [Applied(()), TreeNodes(()), TreeNodes((b"short",))])
def test_a_reply_of_another_form_ends_it(reply: Applied | TreeNodes) -> None:
    run = Exchange(ExchangeOrder(SHARD, 1, LEFT, RIGHT, 4, TIME_BASED, 10.0))
    effects = run.begin(0.0)
    assert sum(isinstance(effect, Send) for effect in effects) == 2
    (answer,) = run.on_reply(CallNumber(0), reply, 0.0)
    assert "out of protocol" in str(answer)


@pytest.mark.parametrize("bare", [LEFT, RIGHT])
def test_who_has_nothing_is_not_asked_for_listings(bare: NodeName) -> None:
    """As one that is rebuilt: it is filled, page by page, and asked for hashes only; where it has
    something in a leaf, it is asked."""
    network = two_replicas(4)
    full = RIGHT if bare == LEFT else LEFT
    for number in range(60):
        network.replicas[full].apply(ObjectState(object_id(number), Version(number + 1)))
    asked: list[tuple[NodeName, type]] = []

    class Noting(Exchange):
        def on_reply(self, call: CallNumber, reply: Any, now_s: float) -> Any:
            effects = super().on_reply(call, reply, now_s)
            asked.extend(
                (each.to, type(each.request)) for each in effects if isinstance(each, Send)
            )
            return effects

    def compare() -> Exchanged:
        asked.clear()
        order = ExchangeOrder(SHARD, 1, LEFT, RIGHT, 4, TIME_BASED, 10.0, SMALL)
        report: Exchanged = network.run(Noting(order), first).outcome
        return report

    report = compare()
    assert report.is_complete
    assert report.sent == 60
    assert network.replicas[LEFT].held == network.replicas[RIGHT].held
    assert (full, ReadLeaf) in asked
    assert (bare, ReadLeaf) not in asked
    network.replicas[full].apply(ObjectState(object_id(1), Version(99)))
    assert compare().sent == 1
    assert (bare, ReadLeaf) in asked
    assert network.replicas[LEFT].held == network.replicas[RIGHT].held
