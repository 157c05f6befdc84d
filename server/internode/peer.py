"""Peer: the connection to one other node, and how much may be on its way to it.

A call has an answer of the other node or fails, at the latest at its deadline. A connection is
pinged while calls run and while they do not: a peer that is cut off without a word is noticed
within `_PING_S` + `_PING_ANSWER_S`, and the connection is made anew, at least once in
`_RECONNECT_S_MAX`, until the peer is back.

Bytes and calls on the way are bounded. What goes beyond is refused here, at once: who asks gets a
failure while others still answer, instead of memory filling with what a slow node does not take.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc
import grpc.aio

from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.effects import Failure
from weftdb.core.errors import Overloaded
from weftdb.core.limits import INTERNODE_MESSAGE_BYTES_MAX, MiB
from weftdb.core.types import NodeName
from weftdb.server.internode.bundles import Bundles, UnknownCall
from weftdb.server.internode.failure_codec import failed
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.security import HEADER, InternodeSecurity

_PING_S = 2.0
_PING_ANSWER_S = 3.0
_CONNECT_S = 2.0
_RECONNECT_S_MAX = 1.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    # A channel to a node that came back must not wait for the broken one of an earlier address.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name it bounds how long one attempt may take, with its handshakes.
    ("grpc.min_reconnect_backoff_ms", int(_CONNECT_S * 1000)),
    ("grpc.max_reconnect_backoff_ms", int(_RECONNECT_S_MAX * 1000)),
    ("grpc.keepalive_time_ms", int(_PING_S * 1000)),
    ("grpc.keepalive_timeout_ms", int(_PING_ANSWER_S * 1000)),
    # The timeout above does not cut the connection (1.78); this one does.
    ("grpc.http2.ping_timeout_ms", int(_PING_ANSWER_S * 1000)),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_send_message_length", INTERNODE_MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", INTERNODE_MESSAGE_BYTES_MAX),
)


_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


@dataclass(frozen=True, slots=True)
class PeerBounds:
    """What may be on its way to one node. A message larger than `bytes_max` goes alone."""

    calls_max: int = 512
    bytes_max: int = 64 * MiB


@dataclass(slots=True)
class PeerFigures:
    """How the calls to a node went, since the start; for metrics."""

    answered: int = 0
    timed_out: int = 0
    broken: int = 0
    held_back: int = 0
    """Refused here, because too much was on its way."""


class NoAnswer(CallFailed):
    """The call came to nothing on its way."""

    def __init__(self, failure: Failure, outcome: CallOutcome) -> None:
        super().__init__(failure)
        self.outcome = outcome
        """As membership understands it."""


class Peer:
    """Lives in one event loop."""

    def __init__(
        self,
        node: NodeName,
        address: str,
        security: InternodeSecurity,
        bounds: PeerBounds,
        figures: PeerFigures,
    ) -> None:
        """`address` is host:port. Raises OSError for files of TLS that cannot be read."""
        self.address = address
        self.figures = figures
        self._node = node
        self._bounds = bounds
        self._calls = 0
        self._bytes = 0
        proof = security.proof()
        self._bundles = Bundles(self._send)
        self._metadata = ((HEADER, proof),) if proof else ()
        credentials = security.channel_credentials()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
            return
        options: tuple[tuple[str, int | str], ...] = _OPTIONS
        if security.tls is not None and security.tls.server_name:
            options = (*_OPTIONS, ("grpc.ssl_target_name_override", security.tls.server_name))
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)

    @property
    def bytes_on_the_way(self) -> int:
        """Of messages that are not answered yet."""
        return self._bytes

    async def call(
        self, path: str, message: bytes, timeout_s: float, *, is_bounded: bool = True
    ) -> bytes:
        """The answer to `message`. Raises NoAnswer, CallFailed where too much is on its way."""
        size = len(message)
        if is_bounded and not self._has_room(size):
            self.figures.held_back += 1
            raise failed(
                Overloaded(
                    f"{self._calls} calls with {self._bytes} bytes are on their way to "
                    f"{self._node} already"
                )
            )
        self._calls += 1
        self._bytes += size
        try:
            if self._bundles.takes(path, message, timeout_s):
                reply = await self._bundles.call(path, message, timeout_s)
            else:
                reply = await self._send(path, message, timeout_s)
        finally:
            self._calls -= 1
            self._bytes -= size
        self.figures.answered += 1
        return reply

    async def _send(self, path: str, message: bytes, timeout_s: float) -> bytes:
        """One call over the wire. Raises NoAnswer, CallFailed."""
        try:
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
            reply: bytes = await ask(message, timeout=timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._no_answer(error) from None
        except grpc.aio.UsageError as error:  # The channel is closed.
            raise self._broken(str(error)) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this task: it is gRPC's word for a channel that was closed.
            raise self._broken("the connection was closed") from None
        return reply

    async def close(self, grace_s: float | None = None) -> None:
        """End the connection, and the calls on it that take longer than `grace_s`."""
        await self._channel.close(grace_s)

    def _has_room(self, size: int) -> bool:
        if self._calls >= self._bounds.calls_max:
            return False
        return not self._calls or self._bytes + size <= self._bounds.bytes_max

    def _no_answer(self, error: grpc.aio.AioRpcError) -> CallFailed:
        code, text = error.code(), error.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self.figures.timed_out += 1
            reason = f"{self._node} ({self.address}) did not answer in time"
            return NoAnswer(Failure(reason), CallOutcome.TIMEOUT)
        if code in _AWAY:
            return self._broken(f"{code.name} {text}".rstrip())
        self.figures.broken += 1
        if code is grpc.StatusCode.UNIMPLEMENTED:
            text = f"{self._node} ({self.address}): its release does not know this call"
            return UnknownCall(Failure(text))
        # Somebody answered, if nothing useful: that says nothing of whether the node is there.
        return CallFailed(Failure(f"{self._node} ({self.address}): {code.name} {text}".rstrip()))

    def _broken(self, text: str) -> NoAnswer:
        self.figures.broken += 1
        return NoAnswer(Failure(f"{self._node} ({self.address}): {text}"), CallOutcome.REFUSED)
