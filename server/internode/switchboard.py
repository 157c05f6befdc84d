"""Switchboard: asks one question of one node, and tells how that went.

It knows where nodes are, keeps a connection to each (peer.py), puts its name on every question, and
looks at the head of every answer: whether it is an answer of that node at all. How each call ended
is told to an observer (membership), and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.effects import Failure
from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData, LimitExceeded
from weftdb.core.limits import INTERNODE_MESSAGE_BYTES_MAX
from weftdb.core.types import NodeName
from weftdb.server.grpc.connection import Observer
from weftdb.server.internode import codec
from weftdb.server.internode.failure_codec import failed, failure_of
from weftdb.server.internode.methods import AnswerT, Method, QuestionT
from weftdb.server.internode.peer import NoAnswer, Peer, PeerBounds, PeerFigures
from weftdb.server.internode.ports import CallFailed, CallObserver
from weftdb.server.internode.security import InternodeSecurity
from weftdb.server.internode.seldom import SeldomLog

log = logging.getLogger("weftdb.internode")

_TIMEOUT_MS_MAX = 2**32 - 1
_MOVED_S = 2.0
"""How long calls to a node may go on at the address that it had before."""


class Switchboard:
    """Of one node. Lives in one event loop."""

    def __init__(
        self,
        *,
        node: NodeName,
        generation: int,
        address_of: Callable[[NodeName], str | None],
        security: InternodeSecurity,
        outcomes: CallObserver,
        observer: Observer,
        clock: Clock,
        bounds: PeerBounds,
    ) -> None:
        self._node = node
        self._generation = generation
        self._address_of = address_of
        self._security = security
        self._outcomes = outcomes
        self._observer = observer
        self._clock = clock
        self._bounds = bounds
        self._peers: dict[NodeName, Peer] = {}
        self._figures: dict[NodeName, PeerFigures] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._refusals = SeldomLog(log, clock)

    async def call(
        self,
        node: NodeName,
        method: Method[QuestionT, AnswerT],
        question: QuestionT,
        deadline_s: float,
        *,
        is_bounded: bool = True,
    ) -> AnswerT:
        """One question and its answer, whose head is looked at. Raises CallFailed."""
        began_s = self._clock.monotonic_s()
        left_s = deadline_s - began_s
        if left_s <= 0:
            raise CallFailed(Failure(f"the deadline passed before {node} was asked"))
        peer = self._peer(node)
        head = question.head
        head.cluster, head.sender, head.receiver = self._security.cluster, self._node, node
        head.generation = self._generation
        head.timeout_ms = min(int(left_s * 1000) + 1, _TIMEOUT_MS_MAX)
        begun, code = time.perf_counter(), "CANCELLED"
        try:
            message = question.SerializeToString()
            if len(message) > INTERNODE_MESSAGE_BYTES_MAX:
                raise failed(
                    LimitExceeded(
                        f"a question of {len(message)} bytes: nodes send each other at most "
                        f"{INTERNODE_MESSAGE_BYTES_MAX}"
                    )
                )
            answered = await peer.call(method.path, message, left_s, is_bounded=is_bounded)
            reply = self._answer_of(node, method, answered, began_s)
            code = "OK"
        except NoAnswer as failure:
            code = failure.outcome.name
            self._outcomes.on_failure(node, failure.outcome, began_s=began_s)
            raise
        except CallFailed as failure:
            code = failure.code
            raise
        finally:
            self._observer.observe(method.name, code, time.perf_counter() - begun)
        return reply

    def _answer_of(
        self, node: NodeName, method: Method[QuestionT, AnswerT], answered: bytes, began_s: float
    ) -> AnswerT:
        """Read an answer, and tell that there was one. Raises CallFailed, NoAnswer."""
        try:
            reply = codec.read_reply(method, answered)
        except CorruptData as error:
            raise NoAnswer(Failure(f"{node}: {error}"), CallOutcome.REFUSED) from error
        head = reply.head
        failure = failure_of(head.failure) if head.HasField("failure") else None
        if not head.generation:  # Somebody answered, who is not that node or does not know us.
            text = failure.failure.reason if failure else "an answer without a sender"
            self._refusals.warn(f"{node} ({self._address_of(node)}) refuses this node: {text}")
            raise NoAnswer(Failure(f"{node}: {text}"), CallOutcome.REFUSED)
        self._outcomes.on_answer(node, head.generation)
        if failure is not None:
            raise failure
        return reply

    def figures(self) -> Mapping[NodeName, PeerFigures]:
        """How calls went, by node, since the start."""
        return dict(self._figures)

    def bytes_on_the_way(self) -> Mapping[NodeName, int]:
        """Of messages that are not answered yet, by node."""
        return {node: peer.bytes_on_the_way for node, peer in self._peers.copy().items()}

    def forget(self, node: NodeName) -> None:
        """Close the connection to a node that is no member any more."""
        peer = self._peers.pop(node, None)
        if peer is not None:
            self._close_later(peer)

    async def close(self) -> None:
        """End all calls and connections."""
        self._is_closed = True
        for node in tuple(self._peers):
            self.forget(node)
        while self._closing:
            await asyncio.gather(*self._closing)

    def _peer(self, node: NodeName) -> Peer:
        if self._is_closed:
            raise CallFailed(Failure("this node is stopping"))
        address = self._address_of(node)
        if address is None:
            raise CallFailed(Failure(f"no address of {node} is known"))
        peer = self._peers.get(node)
        if peer is not None and peer.address == address:
            return peer
        if peer is not None:  # It lives elsewhere now; what it answers still counts.
            del self._peers[node]
            self._close_later(peer, _MOVED_S)
        figures = self._figures.setdefault(node, PeerFigures())
        try:
            peer = Peer(node, address, self._security, self._bounds, figures)
        except OSError as error:
            raise CallFailed(Failure(f"no connection to {node}: {error}")) from error
        self._peers[node] = peer
        return peer

    def _close_later(self, peer: Peer, grace_s: float | None = None) -> None:
        task = asyncio.ensure_future(peer.close(grace_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
