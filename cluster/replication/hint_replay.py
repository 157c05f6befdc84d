"""Decides when a target's hints are sent to it: one stream, in order, one request at a time.

Not a `Coordination`, for it has no caller and no end: it lives as long as the target is a node of
the cluster. The driver tells it that the target is back (`on_available`), that a hint was kept
(`on_kept`), what it read (`on_loaded`), and what became of its request; it asks for hints
(`LoadHints`), sends them (`Send`), and says which are to be forgotten (`ForgetHints`). The
driver gives each request a deadline: one that is never answered is a failure in the end. A crash
repeats what was not yet forgotten, which does no harm: applying a state twice is applying it once.

A failure waits `backoff_s_min`, then twice as long each time up to `backoff_s_max`, each less a
random part of up to a half, so that the nodes do not all call a returning node in the same second.
A target that answers with newer states has what the hint said: hints never stamp anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftdb.cluster.replication.calls import Calls
from weftdb.cluster.replication.effects import AnyReply, CallNumber, Failure, Send, Wake
from weftdb.cluster.replication.messages import Applied, Apply, ShardRef
from weftdb.core.env import Randomness
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId


@dataclass(frozen=True, slots=True)
class LoadHints:
    """Let go of the target's hints that are too old (`HintQueue.expire`), read the oldest of the
    others, at most `count_max`, and call `on_loaded`."""

    target: NodeName
    count_max: int


@dataclass(frozen=True, slots=True)
class ForgetHints:
    """Delete the target's hints up to `through`; `is_final`: they were refused, not delivered."""

    target: NodeName
    through: int
    is_final: bool = False


ReplayEffect: TypeAlias = Send | Wake | LoadHints | ForgetHints


@dataclass(frozen=True, slots=True)
class LoadedHint:
    """One hint, decoded."""

    sequence: int
    shard: ShardRef
    states: tuple[ObjectState, ...]


@dataclass(frozen=True, slots=True)
class ReplayPace:
    """How fast hints are replayed."""

    backoff_s_min: float = 1.0
    backoff_s_max: float = 60.0
    load_count_max: int = 100
    states_max: int = 100
    """In one request; hints of one shard that follow each other travel together."""


class _Stage(Enum):
    AWAY = "away"
    IDLE = "idle"
    LOADING = "loading"
    SENDING = "sending"
    BACKING_OFF = "backing off"


@dataclass(frozen=True, slots=True)
class _Sent:
    """What one request carries: so many states, of the hints up to a sequence."""

    count: int
    through: int


class HintReplay:
    """The stream of hints to one target. Begins with the target away."""

    def __init__(self, target: NodeName, pace: ReplayPace, randomness: Randomness) -> None:
        self._target = target
        self._pace = pace
        self._randomness = randomness
        self._stage = _Stage.AWAY
        self._calls: Calls[_Sent] = Calls()
        self._loaded: list[LoadedHint] = []
        self._failures = 0
        self._retry_at_s = 0.0
        self._schema_version = 0
        self._was_kept = False

    def on_available(self, now_s: float) -> list[ReplayEffect]:
        """Membership says that the target is there: begin, whatever the backoff says."""
        if self._stage not in (_Stage.AWAY, _Stage.BACKING_OFF):
            return []
        self._failures = 0
        return self._load()

    def on_unavailable(self) -> list[ReplayEffect]:
        """Membership says that the target is away: stop."""
        self._stage = _Stage.AWAY
        self._calls.close_all()
        self._loaded.clear()
        return []

    def on_kept(self, now_s: float) -> list[ReplayEffect]:
        """A hint for the target was kept; it may have failed without being away."""
        if self._stage is _Stage.IDLE:
            # Its failure is fresh: give the target a moment.
            return self._back_off(now_s)
        self._was_kept = True
        return []

    def on_loaded(
        self, hints: Sequence[LoadedHint], schema_version: int, now_s: float
    ) -> list[ReplayEffect]:
        """Take the hints that `LoadHints` asked for, oldest first; none: all are delivered."""
        if self._stage is not _Stage.LOADING:
            return []
        self._schema_version = schema_version
        self._loaded = list(hints)
        if not hints and self._was_kept:
            return self._load()
        if not hints:
            self._stage = _Stage.IDLE
            return []
        return self._send_next()

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> list[ReplayEffect]:
        """The target has what was sent: forget it, go on."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        if not isinstance(reply, Applied) or len(reply.newer) != closed.purpose.count:
            return self._back_off(now_s)
        self._failures = 0
        return self._forget(closed.purpose.through, is_final=False)

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> list[ReplayEffect]:
        """Try again later; what the target will never take is forgotten."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        if failure.is_final:
            return self._forget(closed.purpose.through, is_final=True)
        return self._back_off(now_s)

    def on_time(self, now_s: float) -> list[ReplayEffect]:
        """After a backoff: read again from the oldest hint, for some may have been dropped."""
        if self._stage is not _Stage.BACKING_OFF or now_s < self._retry_at_s:
            return []
        return self._load()

    def _load(self) -> list[ReplayEffect]:
        self._stage = _Stage.LOADING
        self._was_kept = False
        return [LoadHints(self._target, self._pace.load_count_max)]

    def _send_next(self) -> list[ReplayEffect]:
        """Send the hints of one shard that stand first, of each object only the newest state."""
        self._stage = _Stage.SENDING
        shard = self._loaded[0].shard
        states: dict[ObjectId, ObjectState] = {}
        through = self._loaded[0].sequence
        while self._loaded and self._loaded[0].shard == shard:
            hint = self._loaded[0]
            if states and len(states) + len(hint.states) > self._pace.states_max:
                break
            for state in hint.states:
                held = states.get(state.id)
                if held is None or held.version < state.version:
                    states[state.id] = state
            through = hint.sequence
            del self._loaded[0]
        request = Apply(shard, self._schema_version, tuple(states.values()))
        return [self._calls.open(self._target, request, _Sent(len(states), through))]

    def _forget(self, through: int, *, is_final: bool) -> list[ReplayEffect]:
        effects: list[ReplayEffect] = [ForgetHints(self._target, through, is_final)]
        return effects + (self._send_next() if self._loaded else self._load())

    def _back_off(self, now_s: float) -> list[ReplayEffect]:
        self._stage = _Stage.BACKING_OFF
        self._loaded.clear()
        longest = min(self._pace.backoff_s_min * 2**self._failures, self._pace.backoff_s_max)
        self._failures = min(self._failures + 1, 30)
        self._retry_at_s = now_s + longest * (1 - self._randomness.random() / 2)
        return [Wake(self._retry_at_s)]
