"""BatchStream: acknowledged when queued, reported when written, paced, drained at a shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import pytest

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import DiskFull, InvalidRequest, Overloaded, SchemaViolation
from weftdb.proto.v1 import batch_pb2
from weftdb.server.grpc.batch_stream import (
    BACKOFF_INTERVAL_S,
    OVERLOADED_S_MAX,
    BatchStream,
    Pace,
)
from weftdb.server.grpc.imports import Failure

T = TypeVar("T")
Request = batch_pb2.BatchStreamRequest
START = Request(start=Request.Start())
STOP = Request(stop=Request.Stop())


class Writes:
    """Remembers what was written; objects called `bad` fail, `full` fails the node, `much` does not
    fit into its memory."""

    def __init__(self, clock: list[float], seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.levels: set[ConsistencyLevel | None] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.room_from_s = float("inf")
        self._clock = clock
        self._seconds = seconds

    async def write(
        self, objects: Sequence[batch_pb2.BatchObject], level: ConsistencyLevel | None
    ) -> list[Failure]:
        await self.gate.wait()
        self.levels.add(level)
        self._clock[0] += self._seconds
        names = [wire.uuid for wire in objects]
        if "full" in names:
            raise DiskFull("no space")
        if "much" in names and self._clock[0] < self.room_from_s:
            raise Overloaded("not enough memory")
        self.batches.append(names)
        bad = SchemaViolation("no good")
        return [Failure(at, bad) for at, name in enumerate(names) if name == "bad"]


def data(*uuids: str) -> batch_pb2.BatchStreamRequest:
    objects = Request.Data.Objects(values=[batch_pb2.BatchObject(uuid=uuid) for uuid in uuids])
    return Request(data=Request.Data(objects=objects))


async def aside(work: Callable[[], T]) -> T:
    await asyncio.sleep(0)
    return work()


def make(writes: Writes, clock: list[float], stopping: asyncio.Event) -> BatchStream:
    async def sleep(seconds: float) -> None:
        clock[0] += seconds
        await asyncio.sleep(0)

    return BatchStream(writes.write, stopping, aside, lambda: clock[0], sleep)


async def feed(*messages: batch_pb2.BatchStreamRequest) -> AsyncIterator[bytes]:
    for message in messages:
        yield message.SerializeToString()


async def play(
    *messages: batch_pb2.BatchStreamRequest, seconds: float = 0.0
) -> tuple[list[batch_pb2.BatchStreamReply], Writes]:
    clock = [0.0]
    writes = Writes(clock, seconds)
    stream = make(writes, clock, asyncio.Event())
    replies = [
        batch_pb2.BatchStreamReply.FromString(raw) async for raw in stream.run(feed(*messages))
    ]
    return replies, writes


def kinds(replies: Sequence[batch_pb2.BatchStreamReply]) -> list[str | None]:
    return [reply.WhichOneof("message") for reply in replies]


def test_objects_are_acknowledged_then_reported_in_order() -> None:
    replies, writes = asyncio.run(play(START, data("a", "bad"), data("c"), STOP))
    assert kinds(replies)[0] == "started"
    assert sorted(kinds(replies)[1:]) == ["acks", "acks", "results", "results"]
    assert writes.batches == [["a", "bad"], ["c"]]
    first = next(reply.results for reply in replies if reply.HasField("results"))
    assert [(item.error, item.uuid) for item in first.errors] == [("no good", "bad")]
    assert [item.uuid for item in first.successes] == ["a"]


def test_a_stream_may_end_without_a_stop_and_may_hold_nothing() -> None:
    replies, writes = asyncio.run(play(START, data("a")))
    assert kinds(replies) == ["started", "acks", "results"]
    replies, _ = asyncio.run(play(START, STOP))
    assert kinds(replies) == ["started"]
    assert writes.batches == [["a"]]


@pytest.mark.parametrize("messages", [[data("a")], [STOP], []])
def test_the_first_message_is_start(messages: list[batch_pb2.BatchStreamRequest]) -> None:
    with pytest.raises(InvalidRequest, match="first message must be a start message"):
        asyncio.run(play(*messages))


def test_a_second_start_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="got start"):
        asyncio.run(play(START, START))


def test_a_node_that_cannot_write_fails_the_stream() -> None:
    with pytest.raises(DiskFull):
        asyncio.run(play(START, data("full"), data("b"), data("c"), data("d"), STOP))


def test_references_are_refused_one_by_one() -> None:
    wire = batch_pb2.BatchReference(name="by", from_collection="book", from_uuid="x")
    references = Request.Data.References(values=[wire])
    replies, _ = asyncio.run(play(START, Request(data=Request.Data(references=references)), STOP))
    (error,) = replies[-1].results.errors
    assert error.beacon == "weaviate://localhost/Book/x/by"
    assert "references" in error.error


def test_slow_writes_are_told_to_the_client() -> None:
    replies, _ = asyncio.run(play(START, data("a"), data("b"), STOP, seconds=BACKOFF_INTERVAL_S))
    sizes = [reply.backoff.batch_size for reply in replies if reply.HasField("backoff")]
    assert sizes == [100, 100]


def test_the_pace_moves_by_steps_between_its_bounds() -> None:
    pace = Pace()
    for _ in range(20):
        pace.add(5000, 1.0)
    assert pace.objects == pace.objects_max
    for _ in range(40):
        pace.add(10, 1.0)
    assert pace.objects == pace.objects_min


def test_a_shutdown_drains_what_was_acknowledged() -> None:
    async def main() -> None:
        clock, stopping = [0.0], asyncio.Event()
        writes = Writes(clock)
        writes.gate.clear()

        async def endless() -> AsyncIterator[bytes]:
            yield START.SerializeToString()
            yield data("a").SerializeToString()
            await asyncio.Event().wait()

        seen = []
        async for raw in make(writes, clock, stopping).run(endless()):
            reply = batch_pb2.BatchStreamReply.FromString(raw)
            seen.append(reply.WhichOneof("message"))
            if seen[-1] == "acks":
                stopping.set()
            if seen[-1] == "shutting_down":
                writes.gate.set()
        assert seen == ["started", "acks", "shutting_down", "results"]
        assert writes.batches == [["a"]]

    asyncio.run(asyncio.wait_for(main(), timeout=10))


def test_a_client_that_goes_away_leaves_no_task_behind() -> None:
    async def main() -> None:
        clock = [0.0]
        writes = Writes(clock)
        writes.gate.clear()
        before = asyncio.all_tasks()
        stream = make(writes, clock, asyncio.Event()).run(feed(START, data("a"), STOP))
        async for _ in stream:
            break
        await stream.aclose()
        await asyncio.sleep(0.01)  # Cancelled futures end at the next turn of the loop.
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), timeout=10))


def test_what_memory_has_no_room_for_fails_and_the_stream_goes_on() -> None:
    replies, writes = asyncio.run(play(START, data("a", "much"), data("b"), STOP))
    assert writes.batches == [["b"]]
    refused, taken = [reply.results for reply in replies if reply.HasField("results")]
    assert [(item.uuid, item.error) for item in refused.errors] == [
        ("a", "not enough memory"),
        ("much", "not enough memory"),
    ]
    assert [done.uuid for done in taken.successes] == ["b"]
    assert replies[1].HasField("backoff") or replies[2].HasField("backoff")


def test_what_memory_has_no_room_for_waits_while_the_client_is_slowed_down() -> None:
    clock = [0.0]
    writes = Writes(clock)
    writes.room_from_s = 6.0
    stream = make(writes, clock, asyncio.Event())

    async def all_replies() -> list[batch_pb2.BatchStreamReply]:
        messages = feed(START, data("a", "much"), data("b"), STOP)
        return [batch_pb2.BatchStreamReply.FromString(raw) async for raw in stream.run(messages)]

    replies = asyncio.run(all_replies())
    assert writes.batches == [["a", "much"], ["b"]], "in their order"
    assert not any(reply.results.errors for reply in replies)
    sizes = [reply.backoff.batch_size for reply in replies if reply.HasField("backoff")]
    assert sizes[:2] == [100, 100], "half of 200, and not below what the protocol has"
    assert clock[0] < OVERLOADED_S_MAX


def test_a_node_that_stops_does_not_wait_for_room() -> None:
    clock, stopping = [0.0], asyncio.Event()
    writes = Writes(clock)

    async def all_replies() -> list[batch_pb2.BatchStreamReply]:
        stream = make(writes, clock, stopping)
        stopping.set()
        messages = feed(START, data("much"), STOP)
        return [batch_pb2.BatchStreamReply.FromString(raw) async for raw in stream.run(messages)]

    replies = asyncio.run(all_replies())
    assert all(len(reply.results.errors) <= 1 for reply in replies)
    assert clock[0] == 0.0
