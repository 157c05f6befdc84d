"""Hints arrive, each at least once and none too late, whatever happens on the way."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.cluster.replica_model import ReplicaModel, object_id
from weftdb.cluster.replication.effects import Failure, Send, Wake
from weftdb.cluster.replication.hint_replay import (
    ForgetHints,
    HintReplay,
    LoadedHint,
    LoadHints,
    ReplayEffect,
    ReplayPace,
)
from weftdb.cluster.replication.hints import HintBounds, HintQueue
from weftdb.cluster.replication.messages import Apply, Reply, ShardRef
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, NodeName, ShardName, Version

TARGET = NodeName("n1")
SHARDS = [ShardRef(CollectionName("C"), ShardName(name)) for name in ("s1", "s2")]
STEPS_MAX = 3_000


class Keeper:
    """A coordinator's hints for one target, over a dict, and the way to that target."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.replicas = {shard: ReplicaModel() for shard in SHARDS}
        self.stored: dict[int, tuple[ShardRef, ObjectState]] = {}
        self.queue = HintQueue(HintBounds())
        self.replay = HintReplay(TARGET, ReplayPace(states_max=3, load_count_max=4), choose)
        self.sent: list[Send] = []
        self.wake_s: float | None = None
        self.now_s = 0.0
        self.is_up = True

    def keep(self, shard: ShardRef, state: ObjectState) -> None:
        """Keep a hint, as a write does."""
        admission = self.queue.admit(1, 0)
        assert admission.sequence is not None
        self.stored[admission.sequence] = (shard, state)
        self.carry_out(self.replay.on_kept(self.now_s))

    def carry_out(self, effects: list[ReplayEffect]) -> None:
        """Do what the replay wants."""
        for effect in effects:
            match effect:
                case Send():
                    assert not self.sent, "one request at a time"
                    self.sent.append(effect)
                case Wake(at_s):
                    self.wake_s = at_s
                case LoadHints(count_max=most):
                    first = sorted(self.stored)[:most]
                    hints = [
                        LoadedHint(number, self.stored[number][0], (self.stored[number][1],))
                        for number in first
                    ]
                    self.carry_out(self.replay.on_loaded(hints, 1, self.now_s))
                case ForgetHints(through=through, is_final=is_final):
                    for number in self.queue.forget_through(through, is_final=is_final):
                        del self.stored[number]

    def step(self) -> None:
        """Let one thing happen."""
        event = self.choose.randrange(10)
        if event == 0:
            self.is_up = not self.is_up
            self.sent.clear()
            told = self.replay.on_available(self.now_s) if self.is_up else None
            self.carry_out(self.replay.on_unavailable() if told is None else told)
        elif self.sent:
            self.deliver()
        elif self.wake_s is not None:
            self.now_s, self.wake_s = max(self.now_s, self.wake_s), None
            self.carry_out(self.replay.on_time(self.now_s))

    def deliver(self) -> None:
        """The request arrives, or not; so does its answer."""
        send = self.sent.pop()
        fate = self.choose.randrange(5)
        reply: Reply | None = None
        if fate:
            assert isinstance(send.request, Apply)
            reply = self.replicas[send.request.shard].answer(send.request)
        if reply is None or fate == 1:
            self.carry_out(self.replay.on_failure(send.call, Failure("lost"), self.now_s))
        else:
            self.carry_out(self.replay.on_reply(send.call, reply, self.now_s))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_hint_arrives(seed: int) -> None:
    choose = random.Random(seed)
    keeper = Keeper(choose)
    keeper.carry_out(keeper.replay.on_available(0.0))
    newest: dict[tuple[ShardRef, int], Version] = {}
    for number in range(choose.randrange(1, 30)):
        shard, key = choose.choice(SHARDS), choose.randrange(4)
        stamp = Version(choose.randrange(20), number)
        keeper.keep(shard, ObjectState(object_id(key), stamp))
        newest[shard, key] = max(newest.get((shard, key), stamp), stamp)
        for _ in range(choose.randrange(4)):
            keeper.step()
    for _ in range(STEPS_MAX):
        if not keeper.stored:
            break
        keeper.step()
    assert not keeper.stored
    assert len(keeper.queue) == keeper.queue.size_bytes == 0
    for (shard, key), version in newest.items():
        assert keeper.replicas[shard].held[object_id(key)].version == version


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30), st.integers(0, 8)), max_size=60))
def test_a_queue_keeps_its_bounds_and_loses_nothing_in_silence(
    steps: list[tuple[int, int, int]],
) -> None:
    """Against a list: what is kept, delivered and dropped adds up at every moment."""
    bounds = HintBounds(bytes_max=50, count_max=6, age_ms_max=20)
    queue = HintQueue(bounds)
    model: dict[int, tuple[int, int]] = {}
    now_ms = 0
    for kind, size_bytes, pause_ms in steps:
        now_ms += pause_ms
        if kind == 0:
            gone = queue.expire(now_ms)
        elif kind == 1 and model:
            gone = queue.forget_through(sorted(model)[size_bytes % len(model)])
        else:
            admission = queue.admit(size_bytes, now_ms)
            assert admission.sequence is not None
            gone = admission.dropped
            model[admission.sequence] = (size_bytes, now_ms)
        assert list(gone) == sorted(model)[: len(gone)], "the oldest go first"
        for number in gone:
            del model[number]
        assert len(queue) == len(model) <= bounds.count_max
        assert queue.size_bytes == sum(size for size, _ in model.values()) <= bounds.bytes_max
        tally = queue.tally
        left = tally.delivered + tally.dropped_full + tally.dropped_old + tally.dropped_final
        assert tally.kept == left + len(queue)
