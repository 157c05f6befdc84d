"""Several engines in one process that drivers ask without a wire, with failures on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.unit.engine.replicas import PowerStore, open_node, replicated
from weftdb.cluster.replication.answering import answer
from weftdb.cluster.replication.effects import AnyRequest, Failure, KeepHint
from weftdb.cluster.replication.messages import Apply, Purpose, Reply, Request, ShardRef
from weftdb.core.env import ManualClock
from weftdb.core.errors import WeftError
from weftdb.core.objects import Digest
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.server.internode.cluster_view import LocalReplica
from weftdb.server.internode.messages import NO_REVISION, Moved, Noted, Tell
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.standings import Standings

T = TypeVar("T")

SHARD = ShardRef(CollectionName("Doc"), ShardName("s"))
NAMES = tuple(NodeName(name) for name in ("n1", "n2", "n3"))
SOON_S = 20.0
"""By then everything has happened, on a loaded machine."""


class FleetClock(ManualClock):
    """The wall clock moves when it is told to, the monotonic one by itself."""

    def __init__(self) -> None:
        super().__init__(1_700_000_100_000)

    def monotonic_s(self) -> float:
        """Real seconds."""
        return time.monotonic()


@dataclass
class FleetNode:
    """One engine, and what befalls it."""

    name: NodeName
    database: Database
    standings: Standings | None = None
    is_down: bool = False
    holds: asyncio.Event | None = None
    """Requests wait for it, once it is there."""
    breaks: BaseException | None = None
    revisions: set[int] = field(default_factory=set)
    """Of sharding states, by which it was asked."""
    heard: list[tuple[Request, Purpose]] = field(default_factory=list)
    gate: Callable[[Request, Purpose], None] | None = None
    """May raise what the node's own rules raise."""

    @property
    def collection(self) -> LocalCollection:
        """The only one."""
        return self.database.collection("Doc")

    @property
    def root(self) -> bytes:
        """Of its hash tree."""
        return self.collection.replica.tree_nodes(0, [0])[0]

    def check(self, request: AnyRequest, purpose: Purpose) -> bool:
        """Whether what is answered counts. Raises as a node does that does not vouch."""
        if self.standings is None:
            return True
        self.standings.check(SHARD)
        counts = purpose is Purpose.COMPARE or not self.standings.is_rebuilding(SHARD)
        if not counts and not isinstance(request, Apply):
            raise CallFailed(Failure("it is being rebuilt"))
        return counts

    def digests(self, ids: Sequence[ObjectId]) -> list[Digest | None]:
        """What is held."""
        return self.collection.replica.digests(ids)

    def applied(self) -> int:
        """How many requests brought states."""
        return sum(isinstance(request, Apply) for request, _ in self.heard)


class Fleet:
    """Nodes by name; a `ReplicaCaller`."""

    def __init__(self, path: Path, **changes: Any) -> None:
        """`changes` are made to the definition of the collection."""
        self.clock = FleetClock()
        self.path = path
        self.nodes: dict[NodeName, FleetNode] = {}
        self.told: list[tuple[NodeName, Tell]] = []
        for name in NAMES:
            (path / name).mkdir()
            database = open_node(path / name, PowerStore(), self.clock)
            replicated(database, **changes)
            self.nodes[name] = FleetNode(name, database)

    def roots(self) -> list[bytes]:
        """Of all nodes."""
        return [node.root for node in self.nodes.values()]

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """Of a `NodeCaller`; the sender is not known here, and is `n1`."""
        return await self.tell_from(NAMES[0], node, tell)

    async def tell_from(self, sender: NodeName, node: NodeName, tell: Tell) -> Noted:
        """Tell one of them."""
        asked = self.nodes[node]
        if asked.is_down:
            raise CallFailed(Failure("connection refused"))
        assert asked.standings is not None
        self.told.append((node, tell))
        try:
            return await asyncio.to_thread(asked.standings.note, sender, tell)
        except WeftError as error:
            raise CallFailed(Failure(str(error)), error=error) from None

    def __getitem__(self, name: str) -> FleetNode:
        return self.nodes[NodeName(name)]

    async def ask(
        self,
        node: NodeName,
        request: Request,
        deadline_s: float,
        *,
        revision: int = NO_REVISION,
        purpose: Purpose = Purpose.SERVE,
    ) -> Reply:
        """Ask one of them."""
        asked = self.nodes[node]
        asked.heard.append((request, purpose))
        asked.revisions.add(revision)
        try:
            async with asyncio.timeout(deadline_s - self.clock.monotonic_s()):
                if asked.holds is not None:
                    await asked.holds.wait()
                if asked.breaks is not None:
                    raise asked.breaks
                if asked.is_down:
                    raise CallFailed(Failure("connection refused"))
                if asked.gate is not None:
                    asked.gate(request, purpose)
                counts = asked.check(request, purpose)
                replica = asked.collection.replica
                reply = await asyncio.to_thread(answer, replica, request, purpose)
                if not counts:
                    raise CallFailed(Failure("it is being rebuilt"))
                return reply
        except TimeoutError:
            raise CallFailed(Failure("no answer in time")) from None
        except WeftError as error:
            raise CallFailed(Failure(str(error)), error=error) from None


class FleetView:
    """What one node of a fleet knows of it: a `ClusterView`."""

    def __init__(self, fleet: Fleet, node: NodeName) -> None:
        self._fleet = fleet
        self.node = node
        self.away: set[NodeName] = set()
        self.doubted: set[NodeName] = set()
        self.gone: set[NodeName] = set()
        self.placed: dict[ShardRef, Sequence[NodeName]] = {SHARD: NAMES}
        self.learned: list[Moved] = []

    def schema(self, collection: CollectionName) -> Collection | None:
        """Of the only collection."""
        return self._fleet.nodes[self.node].collection.schema if collection == "Doc" else None

    def schema_version(self, collection: CollectionName) -> int:
        """Some number."""
        return 7

    def revision(self, collection: CollectionName) -> int:
        """Some number."""
        return 11

    def replicas(self, shard: ShardRef) -> Sequence[NodeName]:
        """Where the shard lies."""
        return self.placed.get(shard, ())

    def here(self) -> list[ShardRef]:
        """What lies here."""
        return [shard for shard, nodes in self.placed.items() if self.node in nodes]

    def local(self, shard: ShardRef) -> LocalReplica | None:
        """The only shard."""
        return self._fleet.nodes[self.node].collection.only if shard in self.here() else None

    @property
    def is_complete(self) -> bool:
        """The only shard is there."""
        return True

    def empty(self, shard: ShardRef) -> None:
        """Begin it anew."""
        node = self._fleet.nodes[self.node]
        name = node.collection.only.name
        node.database.drop_shard("Doc", name)
        node.database.add_shard("Doc", name)

    def is_member(self, node: NodeName) -> bool:
        """As the test says."""
        return node not in self.gone

    def is_alive(self, node: NodeName) -> bool:
        """As the test says."""
        return node not in self.away | self.doubted

    def is_away(self, node: NodeName) -> bool:
        """As the test says."""
        return node in self.away

    def learn(self, moved: Moved) -> None:
        """Note it."""
        self.learned.append(moved)


class KeptHints:
    """A sink that remembers, and may be made to wait."""

    def __init__(self) -> None:
        self.kept: list[KeepHint] = []
        self.durable: asyncio.Event | None = None

    async def keep(self, hint: KeepHint) -> None:
        """Note it, and wait for the disk."""
        if self.durable is not None:
            await self.durable.wait()
        self.kept.append(hint)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a test in a loop of its own, bounded in time."""
    return asyncio.run(asyncio.wait_for(main, SOON_S * 10))


async def eventually(holds: Callable[[], bool]) -> None:
    """Let the loop go on until it is so."""
    for _ in range(int(SOON_S / 0.005)):  # Not by the clock: the process may be stopped for long.
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")
