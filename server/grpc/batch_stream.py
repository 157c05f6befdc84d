"""BatchStream: an import that the server paces.

    client: start (data)* stop
    server: started (acks | results | backoff)* [shutting_down]

Messages are acknowledged when they are queued and reported when they are written, one after the
other, so that of two writes of one object the later one wins. They are read, and replies to them
made, off the event loop: a message of a thousand objects takes as long as ten searches. The queue
is short: a client that sends faster than the node writes is held up by the network, not by the
node's memory. When the node stops it says so, finishes what it has acknowledged and ends the
stream; the client connects again.

What the memory budget has no room for waits: the stream tells the client to send less (`backoff`),
tries the message again, and takes no further ones meanwhile. What has found no room for
`OVERLOADED_S_MAX` is reported as failed. (The protocol also has `out_of_memory`; clients 4.23 take
it for a node that restarts with more memory and give the whole import up when that does not come.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import InvalidRequest, Overloaded, Unsupported
from weftdb.core.schema import canonical_collection_name
from weftdb.proto.v1 import batch_pb2
from weftdb.server.grpc.batch_objects import decode_stream_request
from weftdb.server.grpc.connection import error_text
from weftdb.server.grpc.consistency import parse_level
from weftdb.server.grpc.imports import Failure

MESSAGES_QUEUED_MAX = 2
BACKOFF_INTERVAL_S = 5.0
OVERLOADED_PAUSE_S = 0.25
"""Before a message is tried again; doubled each time, up to `BACKOFF_INTERVAL_S`."""
OVERLOADED_S_MAX = 20.0
"""A message that has found no room for so long has failed."""

_Request, _Reply = batch_pb2.BatchStreamRequest, batch_pb2.BatchStreamReply

T = TypeVar("T")
Import = Callable[
    [Sequence[batch_pb2.BatchObject], ConsistencyLevel | None], Awaitable[list[Failure]]
]


class Aside(Protocol):
    """Runs what is too long for the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """What `work` returns or raises."""
        ...


@dataclass(slots=True)
class Pace:
    """How many objects a client should send at a time so that one batch takes about a second."""

    objects: float = 200.0
    step_max: float = 100.0
    objects_min: float = 100.0
    objects_max: float = 1000.0
    weight: float = 0.25
    """Of the newest measurement in the moving average."""
    _rate: float = 0.0

    def add(self, count: int, seconds: float) -> None:
        """Note that `count` objects were written in `seconds`."""
        rate = count / max(seconds, 1e-6)
        self._rate = rate if not self._rate else self._rate + self.weight * (rate - self._rate)
        wanted = min(max(self._rate, self.objects_min), self.objects_max)
        change = min(max(wanted - self.objects, -self.step_max), self.step_max)
        self.objects = min(max(self.objects + change, self.objects_min), self.objects_max)

    def halve(self) -> None:
        """Ask for less: there was no room for what came."""
        self.objects = max(self.objects / 2, self.objects_min)


@dataclass(slots=True)
class BatchStream:
    """One stream. `stopping` is set when the node shuts down."""

    write: Import
    stopping: asyncio.Event
    aside: Aside
    now_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _queue: asyncio.Queue[batch_pb2.BatchStreamRequest.Data | None] = field(
        default_factory=lambda: asyncio.Queue(MESSAGES_QUEUED_MAX)
    )
    _replies: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    _pace: Pace = field(default_factory=Pace)
    _level: ConsistencyLevel | None = None

    async def run(self, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Serve the stream to its end. Raises InvalidRequest, and what an import raises."""
        tasks = [asyncio.create_task(self._read(requests)), asyncio.create_task(self._work())]
        for task in tasks:
            task.add_done_callback(self._notice_failure)
        try:
            while (reply := await self._replies.get()) is not None:
                yield reply
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _notice_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._replies.put_nowait(None)

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        first = decode_stream_request(await anext(requests, b""))
        if first.WhichOneof("message") != "start":
            raise InvalidRequest("first message must be a start message")
        self._level = parse_level(first.start.consistency_level)
        self._send(_Reply(started=_Reply.Started()))
        stopping = asyncio.ensure_future(self.stopping.wait())
        coming: asyncio.Future[Any] = stopping
        try:
            while True:
                coming = asyncio.ensure_future(anext(requests, None))
                await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    self._send(_Reply(shutting_down=_Reply.ShuttingDown()))
                    break
                raw = coming.result()
                if raw is None or not await self._accept(raw):
                    break
        finally:
            coming.cancel()
            stopping.cancel()
        await self._queue.put(None)

    async def _accept(self, raw: bytes) -> bool:
        """Queue and acknowledge one message; False if it is the last."""
        request, acks = await self.aside(partial(_take_in, raw))
        kind = request.WhichOneof("message")
        if kind == "stop":
            return False
        if kind != "data":
            raise InvalidRequest(f"expected a data or stop message, got {kind or 'nothing'}")
        await self._queue.put(request.data)
        self._replies.put_nowait(acks)
        return True

    async def _work(self) -> None:
        told_s = self.now_s()
        while (data := await self._queue.get()) is not None:
            objects = data.objects.values
            failures = await self._write(objects) if objects else []
            self._replies.put_nowait(await self.aside(partial(_results, data, failures)))
            if self.now_s() - told_s >= BACKOFF_INTERVAL_S:
                told_s = self.now_s()
                self._tell_pace()
        self._replies.put_nowait(None)

    async def _write(self, objects: Sequence[batch_pb2.BatchObject]) -> list[Failure]:
        """Write a message, and wait for room where there is none; what fails in the end."""
        waited_s, pause_s = 0.0, OVERLOADED_PAUSE_S
        while True:
            begun_s = self.now_s()
            try:
                failures = await self.write(objects, self._level)
            except Overloaded as error:
                if waited_s >= OVERLOADED_S_MAX or self.stopping.is_set():
                    return [Failure(index, error) for index in range(len(objects))]
            else:
                self._pace.add(len(objects), self.now_s() - begun_s)
                return failures
            self._pace.halve()
            self._tell_pace()
            await self.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * 2, BACKOFF_INTERVAL_S)

    def _tell_pace(self) -> None:
        self._send(_Reply(backoff=_Reply.Backoff(batch_size=round(self._pace.objects))))

    def _send(self, reply: batch_pb2.BatchStreamReply) -> None:
        self._replies.put_nowait(reply.SerializeToString())


def _take_in(raw: bytes) -> tuple[batch_pb2.BatchStreamRequest, bytes]:
    """A message, and what acknowledges it."""
    request = decode_stream_request(raw)
    acks = _Reply.Acks(
        uuids=[wire.uuid for wire in request.data.objects.values],
        beacons=[_beacon(wire) for wire in request.data.references.values],
    )
    return request, _Reply(acks=acks).SerializeToString()


def _results(data: batch_pb2.BatchStreamRequest.Data, failures: list[Failure]) -> bytes:
    objects = data.objects.values
    failed = {failure.index: failure.error for failure in failures}
    refused = error_text(Unsupported("references are not part of this build yet"))
    results = _Reply.Results(
        errors=[
            *(
                _Reply.Results.Error(error=error_text(error), uuid=objects[index].uuid)
                for index, error in failed.items()
            ),
            *(
                _Reply.Results.Error(error=refused, beacon=_beacon(wire))
                for wire in data.references.values
            ),
        ],
        successes=[
            _Reply.Results.Success(uuid=wire.uuid)
            for index, wire in enumerate(objects)
            if index not in failed
        ],
    )
    return _Reply(results=results).SerializeToString()


def _beacon(wire: batch_pb2.BatchReference) -> str:
    """How a stream names a reference: by where it starts."""
    collection = canonical_collection_name(wire.from_collection)
    return f"weaviate://localhost/{collection}/{wire.from_uuid}/{wire.name}"
