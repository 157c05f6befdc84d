"""Driver: runs coordinations in an event loop, each until its answer and on until it is done.

A caller waits for its answer only. What goes on behind it (slow replicas of a write, repairs of a
read) is bounded in number and bytes: beyond that the oldest stop waiting for replies, as if their
replicas had failed, so that their hints are kept and their memory is free. Nobody who writes is
held up by a replica that has fallen asleep.

Concurrency: lives in one event loop; `call` is for the threads of doors.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from weftdb.cluster.replication.effects import AnyReply, AnyRequest, Coordination
from weftdb.cluster.replication.messages import Applied, Apply
from weftdb.core.errors import Closed, Overloaded
from weftdb.core.limits import MiB
from weftdb.server.internode.conversation import Conversation, Manner, Wiring
from weftdb.server.internode.outcomes import Kind, Outcomes

log = logging.getLogger("weftdb.replication")

ResultT = TypeVar("ResultT")

_SLACK_S = 5.0
"""How much later than its deadline a coordination's answer may reach another thread."""
_ENDINGS_MAX = 50
_ENDING_S = 0.1
"""Together five seconds, which a disk may take for the hints."""
_HASTENED = "it was not waited for any longer: too much waits for slow replicas"
_STOPPING = "this node is stopping"


@dataclass(frozen=True, slots=True)
class DriverBounds:
    """What may go on behind answers."""

    count_max: int = 10_000
    bytes_max: int = 64 * MiB


class Driver:
    """The coordinations of one node. Requires: made in the thread of its loop."""

    def __init__(
        self, wiring: Wiring, outcomes: Outcomes, bounds: DriverBounds | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._wiring = wiring
        self._outcomes = outcomes
        self._bounds = bounds or DriverBounds()
        self._running: set[Conversation[Any]] = set()
        self._behind: dict[Conversation[Any], int] = {}
        """Answered and not done, oldest first, with the bytes that they hold."""
        self._behind_bytes = 0
        self._is_stopping = False
        self._emptied = asyncio.Event()
        self._emptied.set()

    @property
    def outcomes(self) -> Outcomes:
        """What came of coordinations, for metrics."""
        return self._outcomes

    @property
    def running(self) -> int:
        """Coordinations that are not done."""
        return len(self._running)

    @property
    def behind(self) -> int:
        """Coordinations whose caller has its answer, and that are not done."""
        return len(self._behind)

    async def run(
        self, coordination: Coordination[ResultT], manner: Manner, kind: Kind | None = None
    ) -> ResultT:
        """Carry a coordination out; its answer, as soon as it is given.

        Raises what it answers, Closed while the node stops. A caller that is cancelled hears
        nothing more; the coordination goes on to its end.
        """
        if self._is_stopping:
            raise Closed(_STOPPING)
        if kind is not None and kind.is_read:
            manner = replace(manner, is_read=True)
        conversation = Conversation(
            coordination,
            self._wiring,
            manner,
            changed=self._changed,
            replied=self._note_repairs if manner.is_read else _note_nothing,
        )
        self._running.add(conversation)
        self._emptied.clear()
        if kind is not None:
            conversation.answer.add_done_callback(lambda answer: self._outcomes.note(kind, answer))
        conversation.begin()
        return await asyncio.shield(conversation.answer)

    def call(
        self, coordination: Coordination[ResultT], manner: Manner, kind: Kind | None = None
    ) -> ResultT:
        """The same from another thread, which waits. Raises Overloaded when the loop is far behind.

        Requires: not called in the loop's thread, which would wait for itself.
        """
        future = asyncio.run_coroutine_threadsafe(self.run(coordination, manner, kind), self._loop)
        patience_s = manner.deadline_s - self._wiring.clock.monotonic_s() + _SLACK_S
        try:
            return future.result(max(patience_s, _SLACK_S))
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise Overloaded("the node did not come round to answering: try again") from None

    async def drain(self, grace_s: float) -> None:
        """Begin nothing more; let what runs end, and after `grace_s` end it: hints are kept."""
        self._is_stopping = True
        if await self._is_emptied(grace_s):
            return
        for _ in range(_ENDINGS_MAX):
            # More than once: a coordination may turn to other replicas, which are not waited for.
            for conversation in list(self._running):
                conversation.hasten(_STOPPING)
            if await self._is_emptied(_ENDING_S):
                return
        log.error("%d coordinations did not end: their hints may be lost", len(self._running))

    async def _is_emptied(self, patience_s: float) -> bool:
        try:
            await asyncio.wait_for(self._emptied.wait(), patience_s)
        except TimeoutError:
            return False
        return True

    def _changed(self, conversation: Conversation[Any]) -> None:
        """A conversation has answered, or is done."""
        if conversation.is_done:
            self._running.discard(conversation)
            self._behind_bytes -= self._behind.pop(conversation, 0)
            if not self._running:
                self._emptied.set()
        elif conversation not in self._behind:
            weight = conversation.weight_bytes()
            self._behind[conversation] = weight
            self._behind_bytes += weight
            self._bound()

    def _bound(self) -> None:
        """Stop waiting in the oldest conversations while too much goes on behind answers."""
        bounds = self._bounds
        while self._behind and (
            len(self._behind) > bounds.count_max or self._behind_bytes > bounds.bytes_max
        ):
            oldest = next(iter(self._behind))
            self._behind_bytes -= self._behind.pop(oldest)
            self._outcomes.hastened += 1
            # Not at once: it may be in the middle of a step of its own.
            self._loop.call_soon(oldest.hasten, _HASTENED)

    def _note_repairs(self, request: AnyRequest, reply: AnyReply) -> None:
        """Count the states that a read sent to stale replicas."""
        if isinstance(request, Apply) and isinstance(reply, Applied):
            self._outcomes.reads_repaired += len(reply.newer) - len(reply.refused)


def _note_nothing(_request: AnyRequest, _reply: AnyReply) -> None:
    """Of what is no read."""
