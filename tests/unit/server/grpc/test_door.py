"""The door carries bytes, turns errors into statuses, and survives handlers that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from weftdb.core.errors import DiskFull, InvalidRequest, UnknownCollection, Unsupported, WeftError
from weftdb.server.grpc.connection import Call
from weftdb.server.grpc.door import Door, DoorSettings

MESSAGE_BYTES_MAX = 100_000


class Calls:
    """Remembers what was observed."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def observe(self, method: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((method, code))


async def echo(request: bytes, call: Call) -> bytes:
    return request + call.header("x-suffix").encode()


def raising(error: Exception) -> Callable[[bytes, Call], Awaitable[bytes]]:
    async def handler(_request: bytes, _call: Call) -> bytes:
        raise error

    return handler


async def doubled(requests: AsyncIterator[bytes], _call: Call) -> AsyncIterator[bytes]:
    async for request in requests:
        if request == b"bad":
            raise InvalidRequest("no such thing")
        yield request * 2


def run(play: Callable[[grpc.aio.Channel, Calls], Awaitable[None]], **unary: Any) -> Calls:
    calls = Calls()

    async def main() -> None:
        table = {"/weaviate.v1.Weaviate/Echo": echo}
        table.update((f"/x.Y/{name}", handler) for name, handler in unary.items())
        settings = DoorSettings("127.0.0.1", 0, MESSAGE_BYTES_MAX)
        door = Door(table, {"/x.Y/Doubled": doubled}, settings, calls)
        port = await door.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await play(channel, calls)
        finally:
            await door.stop(1.0)

    asyncio.run(asyncio.wait_for(main(), timeout=20))
    return calls


def test_bytes_go_in_and_out_with_headers() -> None:
    async def play(channel: grpc.aio.Channel, _calls: Calls) -> None:
        method = channel.unary_unary("/weaviate.v1.Weaviate/Echo")
        assert await method(b"abc", metadata=(("x-suffix", "def"),)) == b"abcdef"
        zipped = await method(b"a" * 50_000, compression=grpc.Compression.Gzip)
        assert zipped == b"a" * 50_000

    assert run(play).seen == [("Echo", "OK"), ("Echo", "OK")]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InvalidRequest("wrong"), grpc.StatusCode.UNKNOWN, "wrong"),
        (UnknownCollection("Nope"), grpc.StatusCode.UNKNOWN, "could not find class Nope in schema"),
        (Unsupported("later"), grpc.StatusCode.UNIMPLEMENTED, "later"),
        (DiskFull("full"), grpc.StatusCode.RESOURCE_EXHAUSTED, "full"),
        (InvalidRequest("x" * 100_000), grpc.StatusCode.UNKNOWN, "(cut)"),
    ],
)
def test_errors_become_statuses(error: WeftError, code: grpc.StatusCode, words: str) -> None:
    async def play(channel: grpc.aio.Channel, calls: Calls) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/x.Y/Fail")(b"")
        assert caught.value.code() is code
        assert words in (caught.value.details() or "")
        assert calls.seen == [("Fail", code.name)]

    run(play, Fail=raising(error))


def test_a_bug_is_logged_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def play(channel: grpc.aio.Channel, _calls: Calls) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/x.Y/Broken")(b"")
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in (caught.value.details() or "")
        assert await channel.unary_unary("/weaviate.v1.Weaviate/Echo")(b"still") == b"still"

    run(play, Broken=raising(KeyError("secret")))
    assert "Broken failed unexpectedly" in caplog.text


def test_unknown_methods_and_messages_over_the_limit() -> None:
    async def play(channel: grpc.aio.Channel, _calls: Calls) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/weaviate.v1.Weaviate/Nope")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/weaviate.v1.Weaviate/Echo")(b"a" * (MESSAGE_BYTES_MAX + 1))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    run(play)


def test_streams() -> None:
    async def play(channel: grpc.aio.Channel, calls: Calls) -> None:
        call = channel.stream_stream("/x.Y/Doubled")()
        for part in (b"a", b"b"):
            await call.write(part)
        await call.done_writing()
        assert [reply async for reply in call] == [b"aa", b"bb"]
        broken = channel.stream_stream("/x.Y/Doubled")()
        await broken.write(b"bad")
        with pytest.raises(grpc.aio.AioRpcError, match="no such thing"):
            await broken.read()
        assert calls.seen == [("Doubled", "OK"), ("Doubled", "UNKNOWN")]

    run(play)


def test_an_address_that_is_taken_is_an_os_error() -> None:
    async def main() -> None:
        first = Door({}, {}, DoorSettings("127.0.0.1", 0, MESSAGE_BYTES_MAX), Calls())
        port = await first.start()
        second = Door({}, {}, DoorSettings("127.0.0.1", port, MESSAGE_BYTES_MAX), Calls())
        with pytest.raises(OSError, match="cannot listen"):
            await second.start()
        await second.stop(0)
        await first.stop(0)

    asyncio.run(main())
