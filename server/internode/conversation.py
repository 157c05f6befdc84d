"""Conversation: one coordination that is under way: sends, wakes, keeps hints, answers.

The twin of `tests/simulation/driver.py` in real time. Everything happens in one event loop, so the
coordination is fed by one caller at a time.

An answer is given once every hint that was asked for before it is durable, or is known not to be
(`HintSink`): whoever is told that a write succeeded may rely on what was promised to the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar

from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    AnyRequest,
    CallNumber,
    Coordination,
    Effects,
    Failure,
    KeepHint,
    Send,
    Wake,
)
from weftdb.cluster.replication.messages import Apply, Purpose
from weftdb.core.env import Clock
from weftdb.core.errors import (
    Fault,
    ReadOnly,
    RequestError,
    UnknownCollection,
    UnknownTenant,
    WeftError,
)
from weftdb.server.internode.alarms import Alarms
from weftdb.server.internode.messages import NO_REVISION, Moved
from weftdb.server.internode.ports import CallFailed, ReplicaCaller
from weftdb.server.internode.throttle import Throttle
from weftdb.storage.encoded_properties import EncodedProperties

log = logging.getLogger("weftdb.replication")

ResultT = TypeVar("ResultT")

_STATE_BYTES = 512
"""Of a state on its way, without its content."""


class HintSink(Protocol):
    """Where hints go."""

    async def keep(self, hint: KeepHint) -> None:
        """Return once the hint is durable, or once it is known that it cannot be: then that is
        counted, and the replica is compared instead. Does not raise."""
        ...


@dataclass(frozen=True, slots=True)
class Wiring:
    """What conversations are carried out with."""

    caller: ReplicaCaller
    hints: HintSink
    clock: Clock


@dataclass(frozen=True, slots=True)
class Manner:
    """How one coordination asks. Times are seconds; `deadline_s` is monotonic."""

    deadline_s: float
    purpose: Purpose = Purpose.SERVE
    revision: int = NO_REVISION
    """Of the sharding state by which the replicas were chosen."""
    request_s_max: Callable[[AnyRequest], float] | None = None
    """How long a request may take, where that is less than until the deadline."""
    is_read: bool = False
    """For a client's read: what it has stored are repairs."""
    learn: Callable[[Moved], None] | None = None
    """Takes the newer sharding state that a replica refused with."""
    throttle: Throttle | None = None
    """Slows down what is stored."""


class Conversation(Generic[ResultT]):
    """One coordination, from its beginning until it is done. Lives in one event loop."""

    def __init__(
        self,
        coordination: Coordination[ResultT],
        wiring: Wiring,
        manner: Manner,
        *,
        changed: Callable[[Conversation[ResultT]], None],
        replied: Callable[[AnyRequest, AnyReply], None],
    ) -> None:
        """`changed` is called when the answer is given, and when all is done; `replied` sees every
        reply."""
        self._loop = asyncio.get_running_loop()
        self._coordination = coordination
        self._wiring = wiring
        self._manner = manner
        self._changed = changed
        self._replied = replied
        self._calls: dict[CallNumber, tuple[Send, asyncio.Task[AnyReply]]] = {}
        self._alarms = Alarms(self._loop, wiring.clock)
        self._keeping: set[asyncio.Task[None]] = set()
        self._is_answering = False
        self._is_broken = False
        self.answer: asyncio.Future[ResultT] = self._loop.create_future()
        # A caller that has gone away does not hear of an error, and nothing is said of that.
        self.answer.add_done_callback(_look)

    @property
    def is_done(self) -> bool:
        """True once the caller has its answer, nothing more can come of it, hints are durable."""
        ends = self._is_broken or self._coordination.is_done
        return self.answer.done() and not self._keeping and ends

    def begin(self) -> None:
        """Start it."""
        self._feed(lambda: self._coordination.begin(self._now()))

    def hasten(self, reason: str) -> None:
        """Wait for no reply any longer: what is still open counts as failed."""
        for call, (_, task) in list(self._calls.items()):
            task.cancel()
            self._end_call(call, Failure(reason))

    def weight_bytes(self) -> int:
        """About what the requests that are still open hold in memory."""
        return sum(_request_bytes(send.request) for send, _ in self._calls.values())

    def _now(self) -> float:
        return self._wiring.clock.monotonic_s()

    def _feed(self, step: Callable[[], Effects[ResultT]]) -> None:
        """Let the coordination take a step, and carry out what it asks for."""
        if self._is_broken:
            return
        try:
            effects = step()
        except AssertionError as error:
            self._break(error)
            raise
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect)
                case Wake(at_s=at_s):
                    self._alarms.set(at_s, self._wake)
                case KeepHint():
                    self._keep(effect)
                case Answer(outcome=outcome):
                    self._give(outcome)
        self._look_whether_done()

    def _send(self, send: Send) -> None:
        task = self._loop.create_task(self._ask(send))
        self._calls[send.call] = (send, task)
        task.add_done_callback(partial(self._heard, send))

    async def _ask(self, send: Send) -> AnyReply:
        throttle = self._manner.throttle
        if throttle is not None and isinstance(send.request, Apply):
            await throttle.admit(_request_bytes(send.request))
        deadline_s, most = self._manner.deadline_s, self._manner.request_s_max
        if most is not None:
            deadline_s = min(deadline_s, self._now() + most(send.request))
        return await self._wiring.caller.ask(
            send.to,
            send.request,
            deadline_s,
            revision=self._manner.revision,
            purpose=self._purpose(send.request),
        )

    def _purpose(self, request: AnyRequest) -> Purpose:
        if self._manner.is_read and isinstance(request, Apply):
            return Purpose.REPAIR
        return self._manner.purpose

    def _heard(self, send: Send, task: asyncio.Task[AnyReply]) -> None:
        if task.cancelled():
            self._end_call(send.call, Failure("the call was given up"))
            return
        error = task.exception()
        if error is None:
            reply = task.result()
            self._replied(send.request, reply)
            self._end_call(send.call, reply)
        elif isinstance(error, CallFailed):
            self._learn(error)
            self._end_call(send.call, _with_refusal(error))
        elif isinstance(error, WeftError):
            self._end_call(send.call, Failure(f"{type(error).__name__}: {error}"))
        else:
            log.error("a call to %s broke", send.to, exc_info=error)
            self._end_call(send.call, Failure(f"broke: {error!r}"))

    def _learn(self, failed: CallFailed) -> None:
        if failed.moved is None or self._manner.learn is None:
            return
        try:
            self._manner.learn(failed.moved)
        except WeftError as error:
            log.warning("a sharding state that was told cannot be read: %s", error)

    def _end_call(self, call: CallNumber, outcome: AnyReply | Failure) -> None:
        if self._calls.pop(call, None) is None:
            return
        if isinstance(outcome, Failure):
            self._feed(lambda: self._coordination.on_failure(call, outcome, self._now()))
        else:
            self._feed(lambda: self._coordination.on_reply(call, outcome, self._now()))

    def _wake(self) -> None:
        self._feed(lambda: self._coordination.on_time(self._now()))

    def _keep(self, hint: KeepHint) -> None:
        task = self._loop.create_task(self._wiring.hints.keep(hint))
        self._keeping.add(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[None]) -> None:
        self._keeping.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a hint was not kept", exc_info=task.exception())
        self._look_whether_done()

    def _give(self, outcome: ResultT | WeftError) -> None:
        assert not self._is_answering, "a coordination has answered twice"
        self._is_answering = True
        waiting = list(self._keeping)
        if not waiting:
            self._answer_with(outcome)
            return
        group = asyncio.gather(*waiting, return_exceptions=True)
        group.add_done_callback(lambda _: self._give_late(outcome))

    def _give_late(self, outcome: ResultT | WeftError) -> None:
        self._answer_with(outcome)
        self._look_whether_done()

    def _answer_with(self, outcome: ResultT | WeftError) -> None:
        if self.answer.done():
            return  # Its caller has gone away, or the coordination has broken.
        if isinstance(outcome, WeftError):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)
        self._changed(self)

    def _look_whether_done(self) -> None:
        if self.is_done:
            self._let_go()
            self._changed(self)

    def _let_go(self) -> None:
        self._alarms.cancel()
        calls, self._calls = self._calls, {}
        for _, task in calls.values():
            task.cancel()  # Of an exchange that stopped: nobody waits for them.

    def _break(self, error: AssertionError) -> None:
        """A coordination whose rules do not hold is not gone on with."""
        self._is_broken = True
        self._let_go()
        if not self.answer.done():
            self.answer.set_exception(Fault(f"a coordination broke: {error}"))
        self._changed(self)


def _look(answer: asyncio.Future[ResultT]) -> None:
    if not answer.cancelled():
        answer.exception()


def _with_refusal(failed: CallFailed) -> Failure:
    """Why a call failed; with the error itself where every other replica would raise it, too."""
    error = failed.error
    is_gone = isinstance(error, UnknownCollection | UnknownTenant)
    if isinstance(error, RequestError) and not is_gone:
        return replace(failed.failure, refusal=error)
    if isinstance(error, ReadOnly):
        return replace(failed.failure, is_read_only=True)
    return failed.failure


def _request_bytes(request: AnyRequest) -> int:
    if not isinstance(request, Apply):
        return _STATE_BYTES
    total = _STATE_BYTES * len(request.states)
    for state in request.states:
        total += sum(vector.nbytes for vector in state.vectors.values())
        if isinstance(state.properties, EncodedProperties):
            total += len(state.properties.message)
    return total
