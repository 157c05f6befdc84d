"""Connection: one client of the gRPC door, between its socket and the handlers.

HTTP/2 and the framing of gRPC are the native session's (src/session.h). This feeds it what
arrives, runs a task for every call, and writes what the session has to say once per turn of the
loop, so that replies that are ready together leave together. A caller that gives up has its task
cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from weftdb.core.errors import UnknownCollection, WeftError
from weftdb.server.errors import codes_of
from weftdb.server.grpc import _session
from weftdb.server.grpc.status import Status
from weftdb.server.right_of_way import RightOfWay

log = logging.getLogger(__name__)

_DETAILS_CHARS_MAX = 4096
"""Statuses travel in HTTP/2 trailers, which clients bound (8 KiB is common)."""
_WRITE_BYTES = 256 * 1024
_READ_BYTES = 256 * 1024
_BUG = "internal error: this is a bug of WeftDB; the server's log has the details"
_STOPPING = "the server is stopping"
_NOT_HTTP2 = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"this port speaks gRPC (HTTP/2); REST has a port of its own\n"
)
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler may know of a call beside its bytes."""

    header: Callable[[str], str]
    """Looks a request header up by its lower-case name; the empty text if it is not there."""


UnaryHandler = Callable[[bytes, Call], Awaitable[bytes]]
StreamHandler = Callable[[AsyncIterator[bytes], Call], AsyncIterator[bytes]]


class Observer(Protocol):
    """Counts the calls."""

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Note one finished call."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table: where calls of a path go."""

    path: str
    unary: UnaryHandler | None = None
    stream: StreamHandler | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class CallTable:
    """What all connections of a door share."""

    methods: tuple[Method, ...]
    message_bytes_max: int
    calls_max: int
    header_bytes_max: int
    observer: Observer
    way: RightOfWay
    received: memoryview = field(default_factory=lambda: memoryview(bytearray(_READ_BYTES)))
    """Where loops put what they read, until the same turn of the loop has taken it out."""

    def session(self) -> _session.Session:
        """A session for a new connection."""
        return _session.Session(
            [(method.path, method.stream is not None) for method in self.methods],
            message_bytes_max=self.message_bytes_max,
            calls_max=self.calls_max,
            header_bytes_max=self.header_bytes_max,
        )


class _Refusal(Exception):
    """A call ends with this status, without its handler."""

    def __init__(self, status: Status, details: str) -> None:
        super().__init__(details)
        self.status = status


class Connection(asyncio.BufferedProtocol):
    """Lives in one event loop, from connection made to connection lost."""

    def __init__(
        self, table: CallTable, loop: asyncio.AbstractEventLoop, others: set[Connection]
    ) -> None:
        """`others`: the open connections of the door; this one joins and leaves it."""
        self._table = table
        self._loop = loop
        self._others = others
        self._session = table.session()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._inboxes: dict[int, _Inbox] = {}
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._paused = False
        self._flush_due = False

    # --- asyncio.BufferedProtocol -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass.
        self._others.add(self)
        self._socket = transport.get_extra_info("socket")
        if self._socket is not None:
            self._table.way.watch(self._socket.fileno())
        self._flush_later()

    def get_buffer(self, _size_wanted: int) -> memoryview:
        """Where the loop may put what it is about to read. From here on it works: what it has read
        cannot be seen on the socket any more."""
        self._table.way.loop_works()
        return self._table.received

    def buffer_updated(self, size: int) -> None:
        """Start and feed calls."""
        data = bytes(self._table.received[:size])
        try:
            events = self._session.receive(data)
        except _session.SessionError as error:
            self._give_up(data, error)
            self._table.way.loop_rests()
            return
        for kind, stream, number, message, packed in events:
            if kind == _session.CALL:
                self._start(stream, number, partial(self._unary, stream, message, packed=packed))
            else:
                self._stream_event(kind, stream, number, message, packed=packed)
        self._flush_later()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel what runs: nobody would read the answers."""
        self._others.discard(self)
        self._transport = None
        if self._socket is not None:
            self._table.way.forget(self._socket.fileno())
        self._table.way.loop_rests()  # The last that it read was the end.
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def pause_writing(self) -> None:
        """Keep replies in the session while the client does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on writing."""
        self._paused = False
        self._flush_later()

    # --- the door's end of life ---------------------------------------------------------------

    def go_away(self) -> set[asyncio.Task[None]]:
        """Take no new calls; return those that run."""
        self._session.go_away()
        self._flush_later()
        return set(self._tasks.values())

    def close(self) -> None:
        """End what still runs with UNAVAILABLE, and the connection."""
        for stream, task in tuple(self._tasks.items()):
            self._session.finish(stream, Status.UNAVAILABLE, _STOPPING)
            task.cancel()
        if self._transport is not None:
            self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection off, whatever was not sent yet."""
        if self._transport is not None:
            self._transport.abort()

    # --- calls --------------------------------------------------------------------------------

    def _start(self, stream: int, number: int, answer: Callable[[Method], Awaitable[None]]) -> None:
        call = self._serve(stream, self._table.methods[number], answer)
        self._tasks[stream] = self._loop.create_task(call)

    async def _serve(
        self, stream: int, method: Method, answer: Callable[[Method], Awaitable[None]]
    ) -> None:
        """Run one call to its status, whatever happens."""
        begun = time.perf_counter()
        status, details = Status.OK, ""
        try:
            await answer(method)
        except _Refusal as refusal:
            status, details = refusal.status, str(refusal)
        except WeftError as error:
            status, details = status_of(error)
        except asyncio.CancelledError:
            status = Status.CANCELLED
            raise
        except Exception:
            log.exception("gRPC %s failed unexpectedly", method.name)
            status, details = Status.INTERNAL, _BUG
        finally:
            self._session.finish(stream, status, details)  # Nothing, if it was answered.
            self._tasks.pop(stream, None)
            self._inboxes.pop(stream, None)
            self._flush_later()
            seconds = time.perf_counter() - begun
            self._table.observer.observe(method.name, status.name, seconds)

    async def _unary(self, stream: int, message: bytes, method: Method, *, packed: bool) -> None:
        assert method.unary is not None, method.path
        if packed:
            message = self._unpack(stream, message)
        reply = await method.unary(message, Call(partial(self._session.header, stream)))
        self._check_size(reply)
        self._session.reply(stream, reply)

    async def _streaming(self, stream: int, inbox: _Inbox, method: Method) -> None:
        assert method.stream is not None, method.path
        call = Call(partial(self._session.header, stream))
        async for reply in method.stream(self._requests(stream, inbox), call):
            self._check_size(reply)
            self._session.send(stream, reply)
            self._flush_later()

    def _stream_event(
        self, kind: int, stream: int, number: int, message: bytes, *, packed: bool
    ) -> None:
        if kind == _session.GONE:
            task = self._tasks.pop(stream, None)
            if task is not None:
                task.cancel()
        elif kind == _session.OPENED:
            inbox = self._inboxes[stream] = _Inbox()
            self._start(stream, number, partial(self._streaming, stream, inbox))
        elif stream in self._inboxes:
            ended = kind == _session.ENDED
            self._inboxes[stream].put(None if ended else (message, packed))

    async def _requests(self, stream: int, inbox: _Inbox) -> AsyncIterator[bytes]:
        while (entry := await inbox.take()) is not None:
            message, packed = entry
            self._session.consumed(stream, len(message))
            self._flush_later()
            yield self._unpack(stream, message) if packed else message

    # --- bytes --------------------------------------------------------------------------------

    def _unpack(self, stream: int, message: bytes) -> bytes:
        encoding = self._session.header(stream, "grpc-encoding")
        if encoding not in _WINDOW_BITS:
            raise _Refusal(
                Status.UNIMPLEMENTED,
                f"a message compressed as {encoding!r}; gzip and deflate are understood",
            )
        unpacker = zlib.decompressobj(_WINDOW_BITS[encoding])
        bound = self._table.message_bytes_max
        try:
            unpacked = unpacker.decompress(message, bound + 1)
        except zlib.error as error:
            raise _Refusal(Status.INTERNAL, f"the message is no {encoding}: {error}") from None
        if len(unpacked) > bound:
            raise _Refusal(
                Status.RESOURCE_EXHAUSTED,
                f"a message of more than {bound} bytes when unpacked; at most {bound} are taken",
            )
        if not unpacker.eof:
            raise _Refusal(Status.INTERNAL, f"the message is no {encoding}: its end is missing")
        return unpacked

    def _check_size(self, reply: bytes) -> None:
        bound = self._table.message_bytes_max
        if len(reply) > bound:
            raise _Refusal(
                Status.RESOURCE_EXHAUSTED,
                f"the reply has {len(reply)} bytes; at most {bound} are sent: ask for fewer "
                "objects or properties, or raise GRPC_MAX_MESSAGE_SIZE",
            )

    def _flush_later(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        while self._transport is not None and not self._paused:
            out = self._session.outgoing(_WRITE_BYTES)
            if not out:
                break
            self._transport.write(out)
        if self._transport is not None and self._session.is_finished:
            self._transport.close()
        self._table.way.loop_rests()

    def _give_up(self, data: bytes, error: Exception) -> None:
        log.info("a gRPC connection is closed: %s", error)
        assert self._transport is not None
        if data[:4] in (b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC"):
            self._transport.write(_NOT_HTTP2)
        self._transport.close()


class _Inbox:
    """Messages of a streaming call that its handler has not taken yet; None is the end."""

    def __init__(self) -> None:
        self._entries: deque[tuple[bytes, bool] | None] = deque()
        self._arrived = asyncio.Event()

    def put(self, entry: tuple[bytes, bool] | None) -> None:
        """Add a message: its bytes, and whether they are compressed."""
        self._entries.append(entry)
        self._arrived.set()

    async def take(self) -> tuple[bytes, bool] | None:
        """Wait for the next one."""
        while not self._entries:
            self._arrived.clear()
            await self._arrived.wait()
        return self._entries.popleft()


def status_of(error: WeftError) -> tuple[Status, str]:
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
