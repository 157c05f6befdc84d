"""Carries the effects of coordinations out on a simulated node, and feeds back what comes of them.

The twin of the asyncio driver in `server/internode`, for virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from weftdb.cluster.replication.effects import (
    Answer,
    Coordination,
    Effects,
    Failure,
    KeepHint,
    Send,
    Wake,
)
from weftdb.cluster.replication.messages import Apply, Purpose, Reply
from weftdb.core.errors import WeftError
from weftdb.server.internode.messages import Moved

from .node import Answered, Asked, MovedFailure, SimulatedNode
from .telling import tell_reply, tell_request

ResultT = TypeVar("ResultT")


class Driver:
    """Runs coordinations on one node. They die with its process."""

    def __init__(
        self,
        node: SimulatedNode,
        peers: Mapping[str, SimulatedNode],
        keep_hint: Callable[[KeepHint], None],
    ) -> None:
        self._node = node
        self._peers = peers
        self._keep_hint = keep_hint

    def run(
        self,
        coordination: Coordination[ResultT],
        answered: Callable[[ResultT | WeftError], None],
        *,
        label: str,
        asked: Asked,
        learn: Callable[[Moved], None],
        sent: Callable[[Send], None] = lambda _: None,
        request_s_max: Callable[[Any], float] | None = None,
        is_read: bool = False,
    ) -> None:
        """Begin a coordination; `answered` gets its outcome, `sent` sees every request, `learn` the
        newer sharding state of who refuses. `is_read`: what it has stored are repairs."""

        def send(effect: Send, hear: Answered) -> None:
            sent(effect)
            by = asked
            if is_read and isinstance(effect.request, Apply):
                by = replace(asked, purpose=Purpose.REPAIR)
            self._node.ask(
                self._peers[effect.to],
                effect.request,
                lambda outcome: hear(_learned(outcome, learn)),
                by,
                patience_s=None if request_s_max is None else request_s_max(effect.request),
            )

        Conversation(self._node, send, self._keep_hint, coordination, answered, label).begin()


def _learned(outcome: Any, learn: Callable[[Moved], None]) -> Any:
    if isinstance(outcome, MovedFailure) and outcome.moved is not None:
        learn(outcome.moved)
    return outcome


class Conversation(Generic[ResultT]):
    """One coordination that is under way."""

    def __init__(
        self,
        node: SimulatedNode,
        send: Callable[[Send, Answered], None],
        keep_hint: Callable[[KeepHint], None],
        coordination: Coordination[ResultT],
        answered: Callable[[ResultT | WeftError], None],
        label: str,
    ) -> None:
        self._node = node
        self._send_on = send
        self._keep_hint = keep_hint
        self._coordination = coordination
        self._answered = answered
        self._label = label
        self._is_answered = False

    def begin(self) -> None:
        """Start it."""
        self._carry_out(self._coordination.begin(self._now()))

    def _now(self) -> float:
        return self._node.clock.monotonic_s()

    def _carry_out(self, effects: Effects[ResultT]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect)
                case Wake(at_s=at_s):
                    self._node.when(self._node.clock.delay_until(at_s), self._wake)
                case KeepHint():
                    self._keep_hint(effect)
                case Answer(outcome=outcome):
                    assert not self._is_answered, f"{self._label} is answered twice"
                    self._is_answered = True
                    self._answered(outcome)

    def _send(self, effect: Send) -> None:
        text, key = tell_request(effect.request)
        self._node.note("asks", f"{self._label} {effect.to}: {text}", about=key)

        def hear(outcome: Reply | Failure) -> None:
            self._node.note("hears", f"{self._label} {effect.to}: {tell_reply(outcome)}", about=key)
            if isinstance(outcome, Failure):
                effects = self._coordination.on_failure(effect.call, outcome, self._now())
            else:
                effects = self._coordination.on_reply(effect.call, outcome, self._now())
            self._carry_out(effects)

        self._send_on(effect, hear)

    def _wake(self) -> None:
        if not self._coordination.is_done:
            self._carry_out(self._coordination.on_time(self._now()))
