"""The gRPC door: carries bytes between the network and handlers that know nothing of gRPC.

A table maps a method's path to its handler: `async handler(request bytes, call) -> reply bytes`, or
a generator of bytes for a stream. Message packages do not travel on the wire, so our messages
answer under the paths of the public API. A handler raises `WeftError`; the door makes a status of
it. Anything else that escapes is a bug of ours: it is logged and answered INTERNAL, and the server
goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from weftdb.core.errors import UnknownCollection, WeftError
from weftdb.server.errors import codes_of

log = logging.getLogger(__name__)

_DETAILS_CHARS_MAX = 4096
"""Statuses travel in HTTP/2 trailers, which clients bound (8 KiB is common)."""

PING_INTERVAL_MS_MIN = 5_000


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler may know of a call beside its bytes."""

    header: Callable[[str], str]
    """Looks a request header up; the empty text if it is not there."""


UnaryHandler = Callable[[bytes, Call], Awaitable[bytes]]
StreamHandler = Callable[[AsyncIterator[bytes], Call], AsyncIterator[bytes]]


class Observer(Protocol):
    """Counts the calls."""

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Note one finished call."""
        ...


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Where the door is and what goes through it."""

    host: str
    port: int
    message_bytes_max: int
    certificate: Path | None = None
    key: Path | None = None


class Door:
    """One gRPC listener. Lives in the event loop that starts it."""

    def __init__(
        self,
        unary: Mapping[str, UnaryHandler],
        streams: Mapping[str, StreamHandler],
        settings: DoorSettings,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.message_bytes_max),
                ("grpc.max_send_message_length", settings.message_bytes_max),
                ("grpc.so_reuseport", 0),
                # Clients keep idle connections alive with pings; the default would cut them off.
                ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MS_MIN),
                ("grpc.keepalive_permit_without_calls", 1),
            ]
        )
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            path: grpc.unary_unary_rpc_method_handler(self._unary(path, handler))
            for path, handler in unary.items()
        }
        handlers.update(
            (path, grpc.stream_stream_rpc_method_handler(self._stream(path, handler)))
            for path, handler in streams.items()
        )
        self._server.add_generic_rpc_handlers((_Table(handlers),))

    async def start(self) -> int:
        """Listen; return the port. Raises OSError when the address cannot be used."""
        settings = self._settings
        address = f"{settings.host}:{settings.port}"
        try:
            if settings.certificate and settings.key:
                pair = (settings.key.read_bytes(), settings.certificate.read_bytes())
                port = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {address}: {error}") from error
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new calls and give running ones `grace_s` seconds."""
        await self._server.stop(grace_s)

    def _unary(self, path: str, handler: UnaryHandler) -> Callable[..., Awaitable[bytes]]:
        method = path.rpartition("/")[2]
        observe = self._observer.observe

        async def serve(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            begun = time.perf_counter()
            try:
                reply = await handler(request, _call(context))
            except WeftError as error:
                code, details = status_of(error)
            except Exception:
                log.exception("gRPC %s failed unexpectedly", method)
                code, details = grpc.StatusCode.INTERNAL, _BUG
            else:
                observe(method, "OK", time.perf_counter() - begun)
                return reply
            observe(method, code.name, time.perf_counter() - begun)
            await context.abort(code, details)

        return serve

    def _stream(self, path: str, handler: StreamHandler) -> Callable[..., AsyncIterator[bytes]]:
        method = path.rpartition("/")[2]
        observe = self._observer.observe

        async def serve(
            requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[bytes]:
            begun = time.perf_counter()
            try:
                async for reply in handler(requests, _call(context)):
                    yield reply
            except WeftError as error:
                code, details = status_of(error)
            except Exception:
                log.exception("gRPC %s failed unexpectedly", method)
                code, details = grpc.StatusCode.INTERNAL, _BUG
            else:
                observe(method, "OK", time.perf_counter() - begun)
                return
            observe(method, code.name, time.perf_counter() - begun)
            await context.abort(code, details)

        return serve


_BUG = "internal error: this is a bug of WeftDB; the server's log has the details"


class _Table(grpc.GenericRpcHandler):
    """Looks methods up by their path."""

    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a path; None answers UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)


def status_of(error: WeftError) -> tuple[grpc.StatusCode, str]:
    """The status that a client sees for an error."""
    text = error_text(error)
    if len(text) > _DETAILS_CHARS_MAX:
        text = text[:_DETAILS_CHARS_MAX] + " ... (cut)"
    return codes_of(error).grpc, text


def error_text(error: WeftError) -> str:
    """The words for an error over gRPC, where clients look for other words than over REST."""
    if isinstance(error, UnknownCollection):
        return f"could not find class {error.name} in schema"
    return str(error)


def _call(context: grpc.aio.ServicerContext[Any, Any]) -> Call:
    def header(name: str) -> str:
        for key, value in context.invocation_metadata() or ():
            if key == name:
                return value if isinstance(value, str) else value.decode("latin-1")
        return ""

    return Call(header)
