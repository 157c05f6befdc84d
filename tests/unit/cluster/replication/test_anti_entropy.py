"""Who compares with whom, and when."""

from __future__ import annotations

import random

from weftdb.cluster.replication.anti_entropy import (
    AntiEntropy,
    AntiEntropyPace,
    Pair,
    initiator,
)
from weftdb.cluster.replication.merkle import Exchanged
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.types import CollectionName, NodeName, ShardName

EQUAL = Exchanged(is_complete=True, found=0, sent=0, young=0, unresolved=0, leaves=0)
DIFFERED = Exchanged(is_complete=True, found=3, sent=3, young=0, unresolved=0, leaves=1)
CUT = Exchanged(is_complete=False, found=0, sent=0, young=0, unresolved=0, leaves=1)
FAILED = Exchanged(
    is_complete=False, found=0, sent=0, young=0, unresolved=0, leaves=0, failure="no route"
)
NODES = [NodeName(name) for name in ("a", "b", "c")]


class Middling:
    """Always draws a half."""

    def random(self) -> float:
        return 0.5


def shard(number: int) -> ShardRef:
    return ShardRef(CollectionName("C"), ShardName(f"s{number}"))


def own_pair(node: NodeName) -> Pair:
    """A pair that `node` begins."""
    return next(
        Pair(shard(number), NODES[1])
        for number in range(99)
        if initiator(shard(number), node, NODES[1]) == node
    )


def schedule(**pace: float) -> tuple[AntiEntropy, Pair]:
    pair = own_pair(NODES[0])
    made = AntiEntropy(NODES[0], AntiEntropyPace(**pace), Middling())  # type: ignore[arg-type]
    made.set_replicas({pair.shard: [NODES[0], NODES[1]]}, 0.0)
    return made, pair


def test_every_pair_has_one_beginner_and_the_work_is_even() -> None:
    begun = dict.fromkeys(NODES, 0)
    for number in range(600):
        for one, other in (("a", "b"), ("b", "c"), ("c", "a")):
            first = initiator(shard(number), NodeName(one), NodeName(other))
            assert first == initiator(shard(number), NodeName(other), NodeName(one))
            begun[first] += 1
    assert all(500 < count < 700 for count in begun.values()), begun


def test_a_pair_is_compared_once_a_period() -> None:
    made, pair = schedule(period_s=30, period_s_busy=5)
    assert made.next_at_s == 15
    assert made.begin_due(14.9) == []
    assert made.begin_due(15) == [pair]
    assert made.begin_due(100) == [], "it is running"
    made.on_finished(pair, EQUAL, 20)
    assert made.next_at_s == 50


def test_differences_make_it_soon_and_failures_rare() -> None:
    made, pair = schedule(period_s=30, period_s_busy=5, backoff_periods_max=4)
    now_s = 15.0
    pauses = []
    for outcome in (DIFFERED, CUT, FAILED, FAILED, FAILED, FAILED, FAILED, EQUAL):
        assert made.begin_due(now_s) == [pair]
        made.on_finished(pair, outcome, now_s)
        assert made.next_at_s is not None
        pauses.append(made.next_at_s - now_s)
        now_s = made.next_at_s
    assert pauses == [5, 5, 30, 60, 120, 120, 120, 30]


def test_who_is_away_costs_nothing_and_comes_first_afterwards() -> None:
    made, pair = schedule(period_s=30, period_s_busy=4)
    made.set_away({NODES[1]}, 0.0)
    assert made.begin_due(1000) == []
    assert made.next_at_s is None
    made.set_away(set(), 1000)
    assert made.next_at_s == 1002
    assert made.begin_due(1002) == [pair]


def test_exchanges_are_bounded() -> None:
    made = AntiEntropy(NODES[0], AntiEntropyPace(), random.Random(1), exchanges_max=2)
    made.set_replicas({shard(number): NODES for number in range(10)}, 0.0)
    running = made.begin_due(1000)
    assert len(running) == 2
    assert made.next_at_s is None
    seen = set(running)
    while running:
        made.on_finished(running.pop(0), EQUAL, 1000)
        running += made.begin_due(1000)
        assert len(running) <= 2
        seen.update(running)
    begun_here = [
        (number, peer)
        for number in range(10)
        for peer in NODES[1:]
        if initiator(shard(number), NODES[0], peer) == NODES[0]
    ]
    assert len(seen) == len(begun_here), "everybody has a turn"


def test_a_replica_that_moves_away_is_forgotten_while_it_runs() -> None:
    made, pair = schedule()
    assert made.begin_due(100) == [pair]
    made.set_replicas({}, 100)
    made.on_finished(pair, EQUAL, 101)
    assert made.next_at_s is None
    assert made.begin_due(10_000) == []


def test_a_new_placement_keeps_the_turns_of_old_pairs() -> None:
    made, pair = schedule(period_s=30)
    other = next(
        Pair(shard(number), NODES[2])
        for number in range(99)
        if initiator(shard(number), NODES[0], NODES[2]) == NODES[0] and shard(number) != pair.shard
    )
    made.set_replicas({pair.shard: NODES[:2], other.shard: [NODES[0], NODES[2]]}, 10.0)
    assert made.begin_due(15) == [pair]
    assert made.begin_due(25) == [other]


def test_each_collection_has_its_own_pace() -> None:
    made, pair = schedule(period_s=30)
    slow = {pair.shard.collection: AntiEntropyPace(period_s=100)}
    made.set_replicas({pair.shard: NODES[:2]}, 0.0, slow)
    assert made.begin_due(15) == [pair], "its turn stands"
    made.on_finished(pair, EQUAL, 15)
    assert made.next_at_s == 115
