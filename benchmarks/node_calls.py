"""What a call between nodes costs over loopback, beside the same request without a wire.

    python -m benchmarks.node_calls [--scale small|full]

A node in a process of its own answers, with RocksDB and every write synced (vectors are not linked:
`skip`). Asked are a ping, an Apply of 1 and of 100 objects with 256 dimensions, digests of 1 and of
100 ids, one after the other and 8 at a time; the same requests to a node's own replica, through the
same lanes, say what is left without gRPC. Milliseconds of wall clock, median and p95.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import uvloop

from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.messages import Apply, ReadDigests, ShardRef
from weftdb.core.definition import parse_collection
from weftdb.core.env import SystemClock
from weftdb.core.objects import ObjectState
from weftdb.core.types import UNNAMED, CollectionName, NodeName, ObjectId, ShardName, Version
from weftdb.engine.assembly import open_engine
from weftdb.engine.local_shard import LocalShard
from weftdb.server.internode.answers import Answers, Lanes
from weftdb.server.internode.client import InternodeClient
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.messages import AskFacts, Moved, NodeFacts, Noted, Tell
from weftdb.server.internode.security import InternodeSecurity
from weftdb.server.internode.service import InternodeService
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.property_codec import PropertyEncoder

ROUNDS = {"small": 100, "full": 1_000}
AT_ONCE = 8
DIM = 256
COUNTS = (1, 100)
DEADLINE_S = 30.0
CLOCK = SystemClock()
SHARD = ShardRef(CollectionName("Doc"), ShardName("s"))
NODE, OTHER = NodeName("asked"), NodeName("asking")
BODY = {
    "class": "Doc",
    "vectorIndexConfig": {"skip": True},
    "properties": [{"name": "title", "dataType": ["text"]}],
    "replicationConfig": {"factor": 3},
}


class OneShard:
    """`LocalShards` and `NodeAnswers` of a node with one shard."""

    def __init__(self, shard: LocalShard) -> None:
        self._shard = shard

    def local(self, _shard: ShardRef) -> LocalShard:
        """The only one."""
        return self._shard

    def is_rebuilding(self, _shard: ShardRef) -> bool:
        """Never."""
        return False

    def sharding(self, _collection: CollectionName) -> Moved | None:
        """Nobody looks at it."""
        return None

    def schema_version(self, _collection: CollectionName) -> int:
        """The first."""
        return 1

    async def wait_for_schema(self, _name: CollectionName, _version: int, _until: float) -> bool:
        """It is there."""
        return True

    async def wait_for_sharding(self, _name: CollectionName, _revision: int, _until: float) -> bool:
        """It is there."""
        return True

    def note(self, _sender: NodeName, _tell: Tell) -> Noted:
        """Nothing is told."""
        return Noted()

    def facts(self, _question: AskFacts) -> NodeFacts:
        """Nothing is asked."""
        raise NotImplementedError


class Deaf:
    """Hears how calls went, and does nothing about it."""

    def on_answer(self, node: NodeName, generation: int) -> None:
        """Do nothing."""

    def on_failure(self, node: NodeName, failure: CallOutcome, *, began_s: float) -> None:
        """Do nothing."""

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Do nothing."""


def answers_of(shard: LocalShard) -> Answers:
    """As a node has them."""
    only = OneShard(shard)
    lanes = Lanes(
        Lane("writes", threads=8, waiting_max=512, clock=CLOCK),
        Lane("reads", threads=4, waiting_max=512, clock=CLOCK),
    )
    return Answers(only, only, lanes, generation=1, release="bench")


def open_shard(path: Path) -> tuple[LocalShard, Callable[[], None]]:
    """An empty shard, and how to close it."""
    engine = open_engine(path)
    body = parse_collection(BODY, engine.config.schema, None)
    return engine.database.create_collection(body).only, engine.close


def serve(path: Path, pipe: Connection) -> None:
    """Answer at a free port until told to stop."""

    async def main() -> None:
        shard, close = open_shard(path)
        answers = answers_of(shard)
        security = InternodeSecurity("bench")
        service = InternodeService(
            answers, node=NODE, security=security, clock=CLOCK, observer=Deaf()
        )
        pipe.send(await service.start("127.0.0.1", 0))
        await asyncio.to_thread(pipe.recv)
        await service.stop(1.0)
        answers.lanes.close()
        close()

    uvloop.run(main())


class Asker:
    """Makes requests that are all different, and times them."""

    def __init__(self, client: InternodeClient, shard: LocalShard, rounds: int) -> None:
        self._client = client
        self._rounds = rounds
        self._dice = random.Random(5)
        self._encoder = PropertyEncoder(shard.schema)
        self._made = 0

    def states(self, count: int) -> tuple[ObjectState, ...]:
        """New objects."""
        made = []
        for _ in range(count):
            self._made += 1
            title = EncodedProperties(self._encoder.encode({"title": f"some words {self._made}"}))
            vector = np.frombuffer(self._dice.randbytes(4 * DIM), dtype=np.uint8)[:DIM]
            made.append(
                ObjectState(
                    ObjectId(self._dice.randbytes(16)),
                    Version(CLOCK.now_ms(), self._made & 0xFFFF, 1),
                    created_ms=1,
                    updated_ms=2,
                    properties=title,
                    vectors={UNNAMED: vector.astype(np.float32)},
                )
            )
        return tuple(made)

    async def table(self, node: NodeName) -> dict[str, tuple[float, float, float]]:
        """By request: median and p95 of one at a time, median of `AT_ONCE`; milliseconds."""
        rows: dict[str, tuple[float, float, float]] = {}
        rows["ping"] = await self._row([lambda: self._client.ping(node, self._until)])
        for count in COUNTS:
            writes = [Apply(SHARD, 1, self.states(count)) for _ in range(2 * self._rounds)]
            calls = [partial(self._asked, node, one) for one in writes]
            rows[f"Apply of {count}"] = await self._row(calls)
            reads = [ReadDigests(SHARD, 1, tuple(s.id for s in one.states)) for one in writes]
            asked = [partial(self._asked, node, one) for one in reads]
            rows[f"digests of {count}"] = await self._row(asked)
        return rows

    async def _asked(self, node: NodeName, request: Apply | ReadDigests) -> None:
        await self._client.ask(node, request, self._until)

    @property
    def _until(self) -> float:
        return CLOCK.monotonic_s() + DEADLINE_S

    async def _row(
        self, calls: Sequence[Callable[[], Awaitable[object]]]
    ) -> tuple[float, float, float]:
        async def timed(at: int) -> float:
            begun = time.perf_counter()
            await calls[at % len(calls)]()
            return 1e3 * (time.perf_counter() - begun)

        await timed(0)
        alone = [await timed(at) for at in range(self._rounds)]
        many: list[float] = []
        for start in range(self._rounds, 2 * self._rounds, AT_ONCE):
            many += await asyncio.gather(*(timed(start + at) for at in range(AT_ONCE)))
        ordered = sorted(alone)
        return (
            statistics.median(alone),
            ordered[int(0.95 * (len(ordered) - 1))],
            statistics.median(many),
        )


async def measure(path: Path, port: int, rounds: int) -> None:
    """Ask over the wire and without, and print both."""
    shard, close = open_shard(path)
    answers, deaf = answers_of(shard), Deaf()
    client = InternodeClient(
        answers,
        node=OTHER,
        address_of={NODE: f"127.0.0.1:{port}"}.get,
        security=InternodeSecurity("bench"),
        outcomes=deaf,
        observer=deaf,
        clock=CLOCK,
    )
    asker = Asker(client, shard, rounds)
    wired, own = await asker.table(NODE), await asker.table(OTHER)
    print(
        f"{'':>16} {'over the wire':>28} {'own node':>28}   (ms: median, p95, {AT_ONCE} at a time)"
    )
    for name, row in wired.items():
        columns = [f"{value:8.2f}" for value in (*row, *own[name])]
        print(f"{name:>16} {' '.join(columns[:3]):>28} {' '.join(columns[3:]):>28}")
    await client.close()
    answers.lanes.close()
    close()


def main() -> None:
    """Start the node that is asked, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=ROUNDS, default="small")
    rounds = ROUNDS[parser.parse_args().scale]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        for name in ("asked", "asking"):
            (Path(scratch) / name).mkdir()
        process = context.Process(target=serve, args=(Path(scratch) / "asked", theirs))
        process.start()
        try:
            uvloop.run(measure(Path(scratch) / "asking", ours.recv(), rounds))
        finally:
            ours.send("stop")
            process.join(30)


if __name__ == "__main__":
    main()
