"""A connection holds its bounds and keeps its word, whatever the other end does."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
import trustme
from h2.connection import H2Connection
from h2.events import ResponseReceived, TrailersReceived

from weftdb.core.limits import GRPC_HEADER_BYTES_MAX, MiB
from weftdb.server.grpc.connection import Call
from weftdb.server.grpc.door import LINGER_S, Door, DoorSettings

MESSAGE_BYTES_MAX = 12 * MiB
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Calls:
    """Remembers how calls ended."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def observe(self, method: str, code: str, seconds: float) -> None:
        self.codes.append(code)


class Handlers:
    """Handlers whose progress a test sees and steers."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def echo(self, request: bytes, _call: Call) -> bytes:
        return request

    async def inflate(self, request: bytes, _call: Call) -> bytes:
        return bytes(int(request))

    async def wait(self, request: bytes, _call: Call) -> bytes:
        self.running.set()
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request

    async def slow_reader(
        self, requests: AsyncIterator[bytes], _call: Call
    ) -> AsyncIterator[bytes]:
        self.running.set()
        await self.may_go_on.wait()
        count = 0
        async for request in requests:
            count += len(request)
        yield str(count).encode()


Play = Callable[[int, Handlers, Calls, Door], Awaitable[None]]


def run(play: Play, certificate: Path | None = None, key: Path | None = None) -> None:
    async def main() -> None:
        handlers, calls = Handlers(), Calls()
        names = ("echo", "inflate", "wait")
        door = Door(
            {f"/x.Y/{name}": getattr(handlers, name) for name in names},
            {"/x.Y/slow_reader": handlers.slow_reader},
            DoorSettings("127.0.0.1", 0, MESSAGE_BYTES_MAX, certificate, key),
            calls,
        )
        port = await door.start()
        try:
            await play(port, handlers, calls, door)
        finally:
            await door.stop(0.1)
        assert not door._connections, "they end before the door is closed"

    asyncio.run(asyncio.wait_for(main(), timeout=30))


def channel_to(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED)


def test_messages_larger_than_every_window_pass_both_ways() -> None:
    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        async with channel_to(port) as channel:
            message = bytes(range(256)) * (11 * 4096)
            echo = channel.unary_unary("/x.Y/echo")
            assert await asyncio.gather(*(echo(message) for _ in range(3))) == [message] * 3

    run(play)


def test_many_calls_at_a_time_get_their_own_answers() -> None:
    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        async with channel_to(port) as channel:
            echo = channel.unary_unary("/x.Y/echo")
            requests = [str(number).encode() for number in range(1_500)]
            assert await asyncio.gather(*map(echo, requests)) == requests

    run(play)


def test_a_reply_over_the_limit_says_what_to_do() -> None:
    async def play(port: int, _h: Handlers, calls: Calls, _d: Door) -> None:
        async with channel_to(port) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="ask for fewer") as caught:
                await channel.unary_unary("/x.Y/inflate")(str(MESSAGE_BYTES_MAX + 1).encode())
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert calls.codes == ["RESOURCE_EXHAUSTED"]

    run(play)


def test_a_caller_that_gives_up_has_its_handler_cancelled() -> None:
    async def play(port: int, handlers: Handlers, calls: Calls, _d: Door) -> None:
        async with channel_to(port) as channel:
            call = channel.unary_unary("/x.Y/wait")(b"", timeout=30)
            await handlers.running.wait()
            call.cancel()
            await handlers.cancelled.wait()
            handlers.running.clear()
            handlers.cancelled.clear()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/x.Y/wait")(b"", timeout=0.2)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await handlers.cancelled.wait()
            assert await channel.unary_unary("/x.Y/echo")(b"still") == b"still"
            assert calls.codes == ["CANCELLED", "CANCELLED", "OK"]

    run(play)


def test_a_connection_that_breaks_has_its_handlers_cancelled() -> None:
    async def play(port: int, handlers: Handlers, _c: Calls, _d: Door) -> None:
        channel = channel_to(port)
        call = channel.unary_unary("/x.Y/wait")(b"")
        await handlers.running.wait()
        await channel.close()
        await handlers.cancelled.wait()
        assert call.done()

    run(play)


def test_stopping_lets_calls_end_and_then_ends_them() -> None:
    async def play(port: int, handlers: Handlers, _c: Calls, door: Door) -> None:
        async with channel_to(port) as channel:
            quick = asyncio.ensure_future(channel.unary_unary("/x.Y/wait")(b"quick"))
            await handlers.running.wait()
            stopping = asyncio.create_task(door.stop(10.0))
            await asyncio.sleep(0.05)  # Time for a door that would not wait to end the call.
            handlers.may_go_on.set()
            assert await quick == b"quick"
            await stopping

    run(play)

    async def too_slow(port: int, handlers: Handlers, _c: Calls, door: Door) -> None:
        async with channel_to(port) as channel:
            never = asyncio.ensure_future(channel.unary_unary("/x.Y/wait")(b"never"))
            await handlers.running.wait()
            await door.stop(0.05)
            with pytest.raises(grpc.aio.AioRpcError, match="stopping") as caught:
                await never
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    run(too_slow)


def test_a_stream_that_is_not_read_is_not_taken_into_memory() -> None:
    async def play(port: int, handlers: Handlers, _c: Calls, _d: Door) -> None:
        async with channel_to(port) as channel:
            call = channel.stream_stream("/x.Y/slow_reader")()
            part, parts, written = bytes(MiB), 40, 0

            async def write() -> None:
                nonlocal written
                for _ in range(parts):
                    await call.write(part)
                    written += 1
                await call.done_writing()

            writing = asyncio.create_task(write())
            await handlers.running.wait()
            await asyncio.sleep(0.3)  # Time for a writer that nothing holds back to end.
            assert written < 20, "the window should have held the writer back"
            handlers.may_go_on.set()
            assert [reply async for reply in call] == [str(parts * MiB).encode()]
            await writing

    run(play)


@pytest.mark.parametrize(
    ("encoding", "body", "code", "words"),
    [
        ("gzip", gzip.compress(bytes(MESSAGE_BYTES_MAX + 1)), 8, "when unpacked"),
        ("gzip", b"no gzip", 13, "is no gzip"),
        ("gzip", gzip.compress(b"abc")[:-9], 13, "its end is missing"),
        ("snappy", b"abc", 12, "'snappy'"),
    ],
    ids=["bomb", "noise", "cut", "unknown"],
)
def test_compressed_messages_are_bounded_and_checked(
    encoding: str, body: bytes, code: int, words: str
) -> None:
    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        async with channel_to(port) as channel:
            prefix = b"\1" + len(body).to_bytes(4, "big")
            status, details = await raw_call(port, prefix + body, encoding)
            assert (status, words in details) == (code, True), details
            assert await channel.unary_unary("/x.Y/echo")(b"still") == b"still"

    run(play)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", 13, "exactly one"),
        (b"\0\0\0\0", 13, "exactly one"),
        (b"\0\0\0\0\2a", 13, "exactly one"),
        (b"\0\0\0\0\1ab", 13, "exactly one"),
        (b"\0\xff\xff\xff\xff", 8, "at most"),
    ],
    ids=["empty", "half a prefix", "cut", "one and a half", "too long"],
)
def test_bodies_that_are_no_message_are_refused(body: bytes, code: int, words: str) -> None:
    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        status, details = await raw_call(port, body, "identity")
        assert (status, words in details) == (code, True), details

    run(play)


def test_headers_have_a_bound() -> None:
    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        options = [("grpc.max_metadata_size", 1_000_000)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            metadata = (("x-long", "a" * (GRPC_HEADER_BYTES_MAX + 1)),)
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/x.Y/echo")(b"", metadata=metadata)
            assert await channel.unary_unary("/x.Y/echo")(b"still") == b"still"

    run(play)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [(b"GET / HTTP/1.1\r\n\r\n", b"a port of its own"), (b"\x16\x03\x01" * 20, b"")],
)
def test_another_protocol_is_sent_away(sent: bytes, answer: bytes) -> None:
    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert answer in await reader.read()
        writer.close()
        await writer.wait_closed()

    run(play)


def test_a_peer_that_reads_nothing_more_does_not_keep_the_door_open() -> None:
    async def play(port: int, _h: Handlers, _c: Calls, door: Door) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        connection = H2Connection()
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        await reader.read(1)
        (held,) = door._connections
        assert held._transport is not None
        held._transport.write(bytes(32 * MiB))  # more than sockets buffer
        began = time.monotonic()
        await door.stop(0.1)
        assert LINGER_S <= time.monotonic() - began < LINGER_S + 5
        assert not door._connections
        writer.transport.abort()

    run(play)


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    own.cert_chain_pems[0].write_to_path(certificate)
    own.private_key_pem.write_to_path(key)
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())

    async def play(port: int, _h: Handlers, _c: Calls, _d: Door) -> None:
        options = [*UNLIMITED, ("grpc.ssl_target_name_override", "localhost")]
        async with grpc.aio.secure_channel(
            f"127.0.0.1:{port}", credentials, options=options
        ) as channel:
            message = bytes(5 * MiB)
            assert await channel.unary_unary("/x.Y/echo")(message) == message

    run(play, certificate, key)


def test_a_key_that_is_none_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense")
    with pytest.raises(OSError, match="cannot listen"):
        run(play=None, certificate=tmp_path / "cert.pem", key=tmp_path / "cert.pem")  # never played


async def raw_call(port: int, body: bytes, encoding: str) -> tuple[int, str]:
    """A unary call whose body is sent as it is; its status and details."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = H2Connection()
    connection.initiate_connection()
    headers = [
        (":method", "POST"), (":path", "/x.Y/echo"), (":scheme", "http"), (":authority", "x"),
        ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-encoding", encoding),
    ]  # fmt: skip
    connection.send_headers(1, headers, end_stream=not body)
    if body:
        connection.send_data(1, body, end_stream=True)
    writer.write(connection.data_to_send())
    try:
        while True:
            for event in connection.receive_data(await reader.read(65_536)):
                if isinstance(event, TrailersReceived | ResponseReceived):
                    found = {name.decode(): value.decode() for name, value in event.headers}
                    if "grpc-status" in found:
                        return int(found["grpc-status"]), found.get("grpc-message", "")
    finally:
        writer.close()
        await writer.wait_closed()
