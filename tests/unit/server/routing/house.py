"""A node with its router over replicas in one process, for tests of what it routes."""

from __future__ import annotations

import asyncio
import threading
import time

from tests.unit.cluster.search.fleet import Fleet
from weftdb.cluster.replication.effects import AnyReply, AnyRequest, Failure, KeepHint
from weftdb.cluster.replication.messages import Purpose
from weftdb.cluster.sharding import ShardingState
from weftdb.core.config import QueryConfig
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import (
    ReadOnly,
)
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, Version
from weftdb.modules.registry import Registry
from weftdb.server.internode.conversation import Wiring
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.failure_codec import failed
from weftdb.server.internode.messages import NO_REVISION, Moved
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.ports import CallFailed
from weftdb.server.routing.collection import RoutedCollection
from weftdb.server.routing.router import Router, Surroundings
from weftdb.storage.versions import VersionClock

N0, N1, N2 = (NodeName(f"n{at}") for at in range(3))


class Caller:
    """`ReplicaCaller` over a fleet; knows a newer sharding state when told to."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.moved: Moved | None = None
        self.flying = 0
        """Calls that are not answered."""
        self._turn = threading.Lock()

    async def ask(
        self,
        node: NodeName,
        request: AnyRequest,
        deadline_s: float,
        *,
        revision: int = NO_REVISION,
        purpose: Purpose = Purpose.SERVE,
    ) -> AnyReply:
        if self.moved is not None and revision < self.moved.revision:
            raise CallFailed(Failure("the shards have moved"), moved=self.moved)

        def said() -> AnyReply | Failure:
            with self._turn:
                return self.fleet.ask(node, request)

        self.flying += 1
        try:
            reply = await asyncio.to_thread(said)
        except ReadOnly as error:
            raise failed(error) from error
        finally:
            self.flying -= 1
        if isinstance(reply, Failure):
            raise CallFailed(reply, error=reply.refusal)
        return reply


class Hints:
    """`HintSink` that remembers."""

    def __init__(self) -> None:
        self.kept: list[KeepHint] = []

    async def keep(self, hint: KeepHint) -> None:
        self.kept.append(hint)


class Agreed:
    """`Agreement` of one collection."""

    def __init__(self, schema: Collection, state: ShardingState) -> None:
        self.schema: Collection | None = schema
        self.state: ShardingState | None = state
        self.revision = 5
        self.learned: list[Moved] = []

    def definition(self, name: CollectionName) -> Collection | None:
        return self.schema if name == "Doc" else None

    def schema_version(self, name: CollectionName) -> int:
        return 1

    def sharding(self, name: CollectionName) -> tuple[ShardingState, int] | None:
        return None if self.state is None else (self.state, self.revision)

    def learn(self, moved: Moved) -> None:
        self.learned.append(moved)
        self.revision = moved.revision


class HouseClock(ManualClock):
    """The wall clock of the replicas, which stands; deadlines are real."""

    def monotonic_s(self) -> float:
        return time.monotonic()


class House:
    """A node with its router, in a loop of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.caller, self.hints = fleet, Caller(fleet), Hints()
        self.agreed = Agreed(fleet.schema, fleet.state)
        self.away: set[NodeName] = set()
        self.doubted: set[NodeName] = set()
        env = Env(HouseClock())
        self.outcomes = Outcomes()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

        async def made() -> tuple[Router, Driver]:
            driver = Driver(Wiring(self.caller, self.hints, env.clock), self.outcomes)
            around = Surroundings(
                N0,
                self.agreed,
                lambda node: node not in self.away | self.doubted,
                self.away.__contains__,
                VersionClock(env.clock, node=7, floor=Version(0)),
                Registry(),
                QueryConfig(),
                env,
            )
            return Router(around, driver), driver

        self.router, self.driver = asyncio.run_coroutine_threadsafe(made(), self.loop).result(30)
        self.doc = RoutedCollection(self.router, fleet.schema)

    def settle(self) -> None:
        """Wait until no replica is asked any more: a write is answered before the last has it."""
        end_s = time.monotonic() + 30
        while self.caller.flying:
            assert time.monotonic() < end_s, "calls that do not end"
            time.sleep(0.001)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.driver.drain(5.0), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()
        self.fleet.close()
