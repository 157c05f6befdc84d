"""HintKeeper: the hints of one node on its lossy disk, and their way to those who missed them.

What `cluster/replication/hints.py` and `hint_replay.py` decide is done here, in virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from weftdb.cluster.replication.effects import Failure, KeepHint, Send, Wake
from weftdb.cluster.replication.hint_replay import (
    ForgetHints,
    HintReplay,
    LoadedHint,
    LoadHints,
    ReplayEffect,
    ReplayPace,
)
from weftdb.cluster.replication.hints import (
    Entry,
    Hint,
    HintBounds,
    HintQueue,
    decode_hint,
    decode_key,
    encode_hint,
    encode_key,
    key_prefix,
)
from weftdb.cluster.replication.messages import Apply, Purpose, Reply
from weftdb.core.types import NodeName
from weftdb.storage.kv import Family, WriteBatch

from .agreed import NodeView
from .node import Asked, MovedFailure, SimulatedNode
from .replicas import pack_state, unpack_state
from .telling import tell_reply, tell_request, tell_state

LOOK_S = 1.0
"""Between two looks at who is there."""
PATIENCE_S = 2.0
"""Of a request that carries hints."""
_PREFIX = b"hint/"


class HintKeeper:
    """The hints of one life of a node's process."""

    def __init__(
        self,
        node: SimulatedNode,
        peers: Mapping[str, SimulatedNode],
        *,
        view: NodeView,
        bounds: HintBounds,
        keeps: bool,
    ) -> None:
        """`keeps` False is a canary: hints are dropped."""
        self._node = node
        self._peers = peers
        self._view = view
        self._keeps = keeps
        self._bounds = bounds
        dice = random.Random(f"{node.name}/{node.around.dice.random()}")
        names = [NodeName(name) for name in peers]
        self._queues = {name: HintQueue(self._bounds) for name in names}
        self._replays = {name: HintReplay(name, ReplayPace(), dice) for name in names}
        for name, queue in self._queues.items():
            queue.restore(self._stored(name))

    @property
    def is_idle(self) -> bool:
        """True when nobody misses anything that this node knows of."""
        return not any(map(len, self._queues.values()))

    def begin(self) -> None:
        """Start looking who is there."""
        self._look()
        self._node.every(LOOK_S, self._look)

    def keep(self, effect: KeepHint) -> None:
        """Store a hint."""
        told = ", ".join(map(tell_state, effect.states))
        about = effect.states[0].id if len(effect.states) == 1 else None
        if not self._keeps:
            return
        self._node.note("hints", f"{effect.to}: {told}", about=about)
        now_ms = self._node.clock.now_ms()
        hint = Hint(effect.shard, now_ms, tuple(map(pack_state, effect.states)))
        value = encode_hint(hint)
        admission = self._queues[effect.to].admit(len(value), now_ms)
        batch = WriteBatch()
        for sequence in admission.dropped:
            batch.delete(Family.METADATA, _PREFIX + encode_key(effect.to, sequence))
        if admission.sequence is not None:
            batch.put(Family.METADATA, _PREFIX + encode_key(effect.to, admission.sequence), value)
        ticket = self._node.disk.write(batch)
        self._node.when_durable(
            ticket,
            lambda: self._carry_out(effect.to, self._replays[effect.to].on_kept(self._now())),
        )

    def play(self) -> None:
        """Send everything now: whoever was away is back."""
        for name, replay in self._replays.items():
            self._carry_out(name, replay.on_available(self._now()))

    def _look(self) -> None:
        for name, replay in self._replays.items():
            if self._view.is_away(name):
                self._carry_out(name, replay.on_unavailable())
            else:
                self._carry_out(name, replay.on_available(self._now()))

    def _carry_out(self, target: NodeName, effects: list[ReplayEffect]) -> None:
        replay = self._replays[target]
        for effect in effects:
            match effect:
                case Send():
                    self._send(replay, effect)
                case Wake(at_s=at_s):
                    delay = self._node.clock.delay_until(at_s)
                    self._node.when(delay, partial(self._wake, target))
                case LoadHints(count_max=count):
                    loaded = self._load(target, count)
                    self._carry_out(target, replay.on_loaded(loaded, 0, self._now()))
                case ForgetHints(through=through, is_final=is_final):
                    gone = self._queues[target].forget_through(through, is_final=is_final)
                    batch = WriteBatch()
                    for sequence in gone:
                        batch.delete(Family.METADATA, _PREFIX + encode_key(target, sequence))
                    self._node.disk.write(batch)  # Not waited for: a hint may be sent twice.

    def _wake(self, target: NodeName) -> None:
        self._carry_out(target, self._replays[target].on_time(self._now()))

    def _send(self, replay: HintReplay, effect: Send) -> None:
        text, key = tell_request(effect.request)
        self._node.note("replays", f"{effect.to}: {text}", about=key)

        def hear(outcome: Reply | Failure) -> None:
            self._node.note("hears", f"hint {effect.to}: {tell_reply(outcome)}", about=key)
            if isinstance(outcome, MovedFailure) and outcome.moved is not None:
                self._view.learn(outcome.moved)
            if isinstance(outcome, Failure):
                effects = replay.on_failure(effect.call, outcome, self._now())
            else:
                effects = replay.on_reply(effect.call, outcome, self._now())
            self._carry_out(effect.to, effects)

        assert isinstance(effect.request, Apply), effect.request
        collection = effect.request.shard.collection
        # By what is known now, not by what was known when the hint was kept.
        request = replace(effect.request, schema_version=self._view.schema_version(collection))
        asked = Asked(self._view.revision(collection), Purpose.REPAIR)
        self._node.ask(self._peers[effect.to], request, hear, asked, patience_s=PATIENCE_S)

    def _load(self, target: NodeName, count: int) -> list[LoadedHint]:
        self._expire(target)
        loaded = []
        for key, value in self._rows(target):
            _, sequence = decode_key(key)
            hint = decode_hint(value)
            states = tuple(map(unpack_state, hint.states))
            loaded.append(LoadedHint(sequence, hint.shard, states))
        return loaded[:count]

    def _expire(self, target: NodeName) -> None:
        """Let go of what is too old: the deletion that it met may be forgotten by now."""
        batch = WriteBatch()
        for sequence in self._queues[target].expire(self._node.clock.now_ms()):
            batch.delete(Family.METADATA, _PREFIX + encode_key(target, sequence))
        self._node.disk.write(batch)

    def _stored(self, target: NodeName) -> list[Entry]:
        return [
            Entry(decode_key(key)[1], len(value), decode_hint(value).kept_ms)
            for key, value in self._rows(target)
        ]

    def _rows(self, target: NodeName) -> list[tuple[bytes, bytes]]:
        start = _PREFIX + key_prefix(target)
        found = self._node.disk.scan(Family.METADATA, start, start + b"\xff" * 9)
        return [(key[len(_PREFIX) :], value) for key, value in found]

    def _now(self) -> float:
        return self._node.clock.monotonic_s()
