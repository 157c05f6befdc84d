"""Nodes that reach each other over real sockets of this machine, in one process and one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.replicas import PowerStore, open_node, replicated, state, version
from tests.unit.engine.samples import uid
from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.messages import Applied, Apply, ShardRef
from weftdb.core.env import SystemClock
from weftdb.core.errors import UnknownCollection
from weftdb.core.objects import ObjectState
from weftdb.core.partial import TokenRanges
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.local_shard import LocalShard
from weftdb.engine.replica import ShardReplica
from weftdb.server.internode.answers import Answers, Lanes
from weftdb.server.internode.client import InternodeClient
from weftdb.server.internode.hint_store import StateEncoders
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.messages import (
    NO_REVISION,
    AskFacts,
    Moved,
    NodeFacts,
    Noted,
    ShardFacts,
    Tell,
)
from weftdb.server.internode.peer import PeerBounds
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.security import InternodeSecurity
from weftdb.server.internode.service import InternodeService
from weftdb.server.search_driver import SearchDriver
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.state_codec import encoded_properties

DOC = CollectionName("Doc")
SHARD = ShardRef(DOC, ShardName("s"))
CLOCK = SystemClock()
OPEN = InternodeSecurity("test")
SOON_S = 20.0


def within(seconds: float = SOON_S) -> float:
    """A deadline."""
    return CLOCK.monotonic_s() + seconds


def named(name: str) -> NodeName:
    """A node."""
    return NodeName(name)


@dataclass
class Known:
    """What a node holds and knows; `LocalShards` and `NodeAnswers`."""

    collection: LocalCollection
    schema: int = 1
    revision: int = NO_REVISION
    rebuilding: bool = False
    is_deleted: bool = False
    kept_ranges: TokenRanges | None = None
    told: list[tuple[NodeName, Tell]] = field(default_factory=list)
    learned: asyncio.Event = field(default_factory=asyncio.Event)

    def local(self, shard: ShardRef) -> LocalShard:
        if shard != SHARD:
            raise UnknownCollection(shard.collection)
        return self.collection.only

    def kept(self, _shard: ShardRef) -> TokenRanges | None:
        return self.kept_ranges

    def is_coming(self, _shard: ShardRef) -> bool:
        return False

    def is_rebuilding(self, _shard: ShardRef) -> bool:
        return self.rebuilding

    def sharding(self, collection: CollectionName) -> Moved | None:
        return Moved(collection, self.revision, b"{}") if self.revision else None

    def schema_version(self, _collection: CollectionName) -> int:
        return self.schema

    async def wait_for_schema(
        self, collection: CollectionName, version: int, deadline_s: float
    ) -> bool:
        if self.is_deleted:
            raise UnknownCollection(collection)
        return await self._wait(lambda: self.schema >= version, deadline_s)

    async def wait_for_sharding(
        self, _collection: CollectionName, revision: int, deadline_s: float
    ) -> bool:
        return await self._wait(lambda: self.revision >= revision, deadline_s)

    async def _wait(self, holds: Any, deadline_s: float) -> bool:
        while not holds():
            left_s = deadline_s - CLOCK.monotonic_s()
            if left_s <= 0:
                return False
            self.learned.clear()
            try:
                await asyncio.wait_for(self.learned.wait(), left_s)
            except TimeoutError:
                return False
        return True

    def note(self, sender: NodeName, tell: Tell) -> Noted:
        self.told.append((sender, tell))
        return Noted(tell.marked)

    def facts(self, question: AskFacts) -> NodeFacts:
        shard = ShardFacts(DOC, SHARD.shard, 3, "READY", 1, False, True, 2, 3)
        shards = (shard,) if question.with_shards else None
        return NodeFacts(named("n"), "1.39.0", "0.1", "abc", "HEALTHY", "ReadWrite", 7, 2.5, shards)


@dataclass
class Heard:
    """Hears how calls went; `CallObserver` and the counter of calls."""

    answers: list[tuple[NodeName, int]] = field(default_factory=list)
    failures: list[tuple[NodeName, CallOutcome]] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def on_answer(self, node: NodeName, generation: int) -> None:
        self.answers.append((node, generation))

    def on_failure(self, node: NodeName, failure: CallOutcome, *, began_s: float) -> None:
        assert began_s <= CLOCK.monotonic_s()
        self.failures.append((node, failure))

    def observe(self, method: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.counted.append((method, code))


class WiredNode:
    """One node. `start` listens at a free port and tells `addresses`."""

    def __init__(
        self,
        name: str,
        path: Path,
        addresses: dict[NodeName, str],
        *,
        security: InternodeSecurity = OPEN,
        waiting_max: int = 16,
        bounds: PeerBounds | None = None,
        generation: int = 1,
        driver: SearchDriver | None = None,
    ) -> None:
        self.name = named(name)
        self.addresses = addresses
        (path / name).mkdir(exist_ok=True)
        self.database = open_node(path / name, PowerStore())
        self.known = Known(replicated(self.database))
        self.heard, self.served = Heard(), Heard()
        lanes = Lanes(
            Lane("writes", threads=2, waiting_max=waiting_max, clock=CLOCK),
            Lane("reads", threads=2, waiting_max=waiting_max, clock=CLOCK),
        )
        self.answers = Answers(
            self.known, self.known, lanes, generation=generation, release="0.1", driver=driver
        )
        self.service = InternodeService(
            self.answers, node=self.name, security=security, clock=CLOCK, observer=self.served
        )
        self.client = InternodeClient(
            self.answers,
            node=self.name,
            address_of=addresses.get,
            security=security,
            outcomes=self.heard,
            observer=self.heard,
            clock=CLOCK,
            bounds=bounds,
            encode=StateEncoders(self._definition).encode,
        )

    def _definition(self, name: CollectionName) -> Collection | None:
        return self.known.collection.schema if name == DOC else None

    @property
    def replica(self) -> ShardReplica:
        """Its only one."""
        return self.known.collection.replica

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """Listen."""
        port = await self.service.start(host, port)
        self.addresses[self.name] = f"{host}:{port}"
        return port

    async def stop(self) -> None:
        """End everything."""
        await self.client.close()
        await self.service.stop(0.1)
        await asyncio.to_thread(self.answers.lanes.close)
        self.database.close()


class Pair:
    """Two nodes, `left` and `right`, as a context."""

    def __init__(self, path: Path, **options: Any) -> None:
        addresses: dict[NodeName, str] = {}
        self.left = WiredNode("left", path, addresses, **options)
        self.right = WiredNode("right", path, addresses, **options)

    async def __aenter__(self) -> Pair:
        await self.left.start()
        await self.right.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.left.stop()
        await self.right.stop()

    async def apply(
        self, states: Sequence[ObjectState], *, within_s: float = SOON_S, **options: Any
    ) -> Applied:
        """`left` writes to `right`."""
        request = Apply(SHARD, 1, tuple(states))
        said = await self.left.client.ask(named("right"), request, within(within_s), **options)
        assert isinstance(said, Applied)
        return said


def encoded(made: ObjectState, node: WiredNode) -> ObjectState:
    """A state whose properties are in their stored encoding."""
    encoder = PropertyEncoder(node.known.collection.schema)
    message = encoded_properties(made.properties, encoder)
    return ObjectState(
        made.id,
        made.version,
        made.is_deleted,
        made.created_ms,
        made.updated_ms,
        EncodedProperties(message),
        made.vectors,
    )


def objects(node: WiredNode, count: int, *, first: int = 1, **content: Any) -> list[ObjectState]:
    """States of `count` objects."""
    numbers = range(first, first + count)
    return [encoded(state(uid(n), version(n), **content), node) for n in numbers]


def play(path: Path, main: Callable[[Pair], Awaitable[None]], **options: Any) -> None:
    """Run `main` with two nodes."""

    async def run() -> None:
        async with Pair(path, **options) as pair:
            await main(pair)

    asyncio.run(asyncio.wait_for(run(), 60))


async def failure_of(call: Awaitable[object]) -> CallFailed:
    """What a call fails with."""
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value
