"""A target's stream of hints: in order, one request at a time, slower while it fails."""

from __future__ import annotations

from weftdb.cluster.replication.effects import CallNumber, Failure, Send, Wake
from weftdb.cluster.replication.hint_replay import (
    ForgetHints,
    HintReplay,
    LoadedHint,
    LoadHints,
    ReplayPace,
)
from weftdb.cluster.replication.messages import Applied, Apply, Digests, ShardRef
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, Version

N1 = NodeName("n1")
S1, S2 = (ShardRef(CollectionName("C"), ShardName(name)) for name in ("s1", "s2"))
PACE = ReplayPace(backoff_s_min=1, backoff_s_max=5, load_count_max=10, states_max=3)
LOAD = LoadHints(N1, 10)


class Middling:
    """Always draws a half."""

    def random(self) -> float:
        return 0.5


def state(name: str, stamp: int) -> ObjectState:
    return ObjectState(ObjectId(name.encode() * 16), Version(stamp))


def hint(sequence: int, shard: ShardRef, *states: ObjectState) -> LoadedHint:
    return LoadedHint(sequence, shard, states)


def begun() -> HintReplay:
    replay = HintReplay(N1, PACE, Middling())
    assert replay.on_available(0.0) == [LOAD]
    return replay


def test_hints_go_in_order_and_are_forgotten_when_they_arrived() -> None:
    replay = begun()
    a, b, c = state("a", 1), state("b", 2), state("c", 3)
    sent = replay.on_loaded([hint(4, S1, a), hint(5, S1, b), hint(7, S2, c)], 9, 0.0)
    assert sent == [Send(CallNumber(0), N1, Apply(S1, 9, (a, b)))]
    assert replay.on_reply(CallNumber(0), Applied((None, Version(8))), 0.1) == [
        ForgetHints(N1, 5),
        Send(CallNumber(1), N1, Apply(S2, 9, (c,))),
    ], "a newer state over there is as good"
    assert replay.on_reply(CallNumber(0), Applied((None, None)), 0.1) == [], "said twice"
    assert replay.on_reply(CallNumber(1), Applied((None,)), 0.2) == [ForgetHints(N1, 7), LOAD]
    assert replay.on_loaded([], 9, 0.2) == []
    assert replay.on_available(0.3) == [], "nothing new"


def test_of_an_object_only_the_newest_state_travels() -> None:
    replay = begun()
    old, new = state("a", 1), state("a", 2)
    (sent,) = replay.on_loaded([hint(0, S1, new), hint(1, S1, old), hint(2, S1, new)], 1, 0.0)
    assert sent == Send(CallNumber(0), N1, Apply(S1, 1, (new,)))
    assert replay.on_reply(CallNumber(0), Applied((None,)), 0.0) == [ForgetHints(N1, 2), LOAD]


def test_requests_are_bounded_but_one_hint_always_fits() -> None:
    replay = begun()
    states = [state(name, 1) for name in "abcdef"]
    large, small = hint(0, S1, *states[:4]), hint(1, S1, *states[4:])
    (sent,) = replay.on_loaded([large, small], 1, 0.0)
    assert isinstance(sent, Send)
    assert sent.request == Apply(S1, 1, tuple(states[:4]))


def test_failures_slow_it_down_and_success_speeds_it_up() -> None:
    replay = begun()
    a = hint(0, S1, state("a", 1))
    waits = []
    now_s, call = 0.0, 0
    for _ in range(5):
        replay.on_loaded([a], 1, now_s)
        (wake,) = replay.on_failure(CallNumber(call), Failure("no route"), now_s)
        assert isinstance(wake, Wake)
        waits.append(wake.at_s - now_s)
        assert replay.on_time(now_s) == [], "too early"
        now_s = wake.at_s
        assert replay.on_time(now_s) == [LOAD]
        call += 1
    assert waits == [0.75, 1.5, 3.0, 3.75, 3.75]
    replay.on_loaded([a], 1, now_s)
    replay.on_reply(CallNumber(call), Applied((None,)), now_s)
    replay.on_loaded([a], 1, now_s)
    assert replay.on_failure(CallNumber(call + 1), Failure("x"), now_s) == [Wake(now_s + 0.75)]


def test_its_return_ends_a_backoff() -> None:
    replay = begun()
    replay.on_loaded([hint(0, S1, state("a", 1))], 1, 0.0)
    replay.on_failure(CallNumber(0), Failure("no route"), 0.0)
    assert replay.on_available(0.1) == [LOAD]


def test_it_stops_while_the_target_is_away() -> None:
    replay = begun()
    replay.on_loaded([hint(0, S1, state("a", 1))], 1, 0.0)
    assert replay.on_unavailable() == []
    assert replay.on_reply(CallNumber(0), Applied((None,)), 1.0) == [], "kept; sent once more"
    assert replay.on_kept(1.0) == []
    assert replay.on_loaded([], 1, 1.0) == []
    assert replay.on_available(2.0) == [LOAD]


def test_what_the_target_never_takes_is_given_up() -> None:
    replay = begun()
    replay.on_loaded([hint(3, S1, state("a", 1))], 1, 0.0)
    assert replay.on_failure(CallNumber(0), Failure("no such shard", is_final=True), 0.0) == [
        ForgetHints(N1, 3, is_final=True),
        LOAD,
    ]


def test_an_answer_of_another_kind_is_a_failure() -> None:
    replay = begun()
    replay.on_loaded([hint(3, S1, state("a", 1))], 1, 0.0)
    assert replay.on_reply(CallNumber(0), Digests(()), 0.0) == [Wake(0.75)]
    replay.on_time(0.75)
    replay.on_loaded([hint(3, S1, state("a", 1))], 1, 1.0)
    assert replay.on_reply(CallNumber(1), Applied(()), 1.0) == [Wake(2.5)]


def test_a_hint_that_is_kept_meanwhile_is_not_overlooked() -> None:
    replay = begun()
    assert replay.on_kept(0.0) == [], "it is reading already"
    assert replay.on_loaded([], 1, 0.0) == [LOAD], "but may have read too early"
    assert replay.on_loaded([], 1, 0.0) == []
    (wake,) = replay.on_kept(5.0)
    assert isinstance(wake, Wake)
    assert replay.on_time(wake.at_s) == [LOAD]
