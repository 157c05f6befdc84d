"""NodeLinks: what connects a node to the others while its loop runs: the service and the client,
hints, comparisons, rebuilding.

`start` listens, so that others can ask before they hear that this node is there; `stop` lets what
runs come to its end. Lives in one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from weftdb import __version__
from weftdb.core.config import Config
from weftdb.core.env import Clock
from weftdb.core.types import NodeName
from weftdb.server.agreement.entry import Entered, settle
from weftdb.server.agreement.held_shards import HeldShards
from weftdb.server.agreement.node_view import NodeView
from weftdb.server.agreement.peers import Peers
from weftdb.server.cluster_settings import ClusterSettings
from weftdb.server.grpc.connection import Observer
from weftdb.server.internode.answers import Answers, Lanes
from weftdb.server.internode.client import InternodeClient
from weftdb.server.internode.comparing import Comparer
from weftdb.server.internode.conversation import Wiring
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.forgetting import Forgetting, bounds_of
from weftdb.server.internode.hint_keeper import HintKeeper
from weftdb.server.internode.hint_store import HintStore
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.messages import AskFacts, NodeFacts, Noted, Tell
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.repair import Repairs
from weftdb.server.internode.replica_records import ReplicaRecords
from weftdb.server.internode.security import InternodeSecurity, InternodeTls
from weftdb.server.internode.service import InternodeService
from weftdb.server.internode.standings import Standings
from weftdb.server.own_facts import OwnFacts
from weftdb.server.right_of_way import RightOfWay
from weftdb.storage.kv import KeyValueStore

log = logging.getLogger("weftdb.cluster")

PING_S = 1.0
WRITE_THREADS, READ_THREADS = 8, 4
WAITING_MAX = 512
"""Requests of other nodes that wait for a thread, of each kind."""


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What the links of a node are made of."""

    settings: ClusterSettings
    config: Config
    entered: Entered
    directory: KeyValueStore
    peers: Peers
    view: NodeView
    shards: HeldShards
    facts: OwnFacts
    clock: Clock


class _Says:
    """`NodeAnswers`: what this node keeps in mind of others, and what it has."""

    def __init__(self, standings: Standings, facts: OwnFacts) -> None:
        self._standings = standings
        self._facts = facts

    def note(self, sender: NodeName, tell: Tell) -> Noted:
        """Keep what was told, durably."""
        return self._standings.note(sender, tell)

    def facts(self, question: AskFacts) -> NodeFacts:
        """What this node has."""
        return self._facts.facts(question)


class NodeLinks:
    """Of one node; made in the loop that it lives in."""

    def __init__(
        self,
        parts: NodeParts,
        *,
        observer: Observer,
        way: RightOfWay | None = None,
        begin_thread: Callable[[], None] | None = None,
    ) -> None:
        """`begin_thread` is called once in each thread that answers others."""
        self._parts = parts
        clock, view, name = parts.clock, parts.view, parts.view.node
        grace, hint_bounds = bounds_of(parts.config.replication.tombstone_grace_s)
        grace_ms = round(parts.config.replication.tombstone_grace_s * 1000)
        self.records = ReplicaRecords(parts.directory)
        self.standings = Standings(
            self.records,
            view,
            clock,
            grace_ms=grace_ms,
            was_emptied=parts.entered.identity.was_emptied,
        )
        parts.shards.standings = self.standings
        lanes = Lanes(
            *(
                Lane(kind, threads=count, waiting_max=WAITING_MAX, clock=clock, begin=begin_thread)
                for kind, count in (("writes", WRITE_THREADS), ("reads", READ_THREADS))
            )
        )
        self.answers = Answers(
            parts.shards,
            _Says(self.standings, parts.facts),
            lanes,
            generation=parts.entered.generation,
            release=__version__,
        )
        security = security_of(parts.settings)
        self.client = InternodeClient(
            self.answers,
            node=name,
            address_of=parts.peers.address_of,
            security=security,
            outcomes=parts.peers,
            observer=observer,
            clock=clock,
        )
        self.service = InternodeService(
            self.answers, node=name, security=security, clock=clock, observer=observer, way=way
        )
        randomness = random.Random(random.SystemRandom().random())
        self.hints = HintKeeper(
            HintStore(parts.directory, clock, bounds=hint_bounds),
            self.client,
            view,
            clock,
            randomness,
        )
        self.outcomes = Outcomes()
        self.driver = Driver(Wiring(self.client, self.hints, clock), self.outcomes)
        self.comparer = Comparer(self.driver, self.client, view, clock, grace_ms=grace_ms)
        self.repairs = Repairs(
            self.comparer,
            self.standings,
            Forgetting(self.standings, self.records, view, clock, grace),
            self.records,
            self.hints.store,
            self.client,
            view,
            clock,
            randomness,
            settled=lambda: settle(parts.directory),
        )
        self._loop = asyncio.get_running_loop()
        self._probes: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, then begin what goes on by itself. Raises InvalidRequest, OSError."""
        settings = self._parts.settings
        port = await self.service.start(settings.bind_host, settings.node_port)
        log.info("other nodes are answered on %s:%d", settings.bind_host, port)
        if settings.network_trusted and not (settings.secret or settings.certificate):
            log.warning("other nodes need not prove who they are: keep these ports among them")
        self._parts.peers.probe = self._probe
        self.hints.start()
        self.repairs.start()

    async def stop(self, grace_s: float) -> None:
        """End what goes on, within `grace_s` or a little more; what was acknowledged is kept."""
        self._parts.peers.probe = _nobody
        await self.driver.drain(grace_s)
        await self.repairs.stop()
        await self.hints.stop()
        await self.service.stop(grace_s)
        for probe in tuple(self._probes):
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await self.client.close()
        await asyncio.to_thread(self.answers.lanes.close)

    def _probe(self, node: NodeName) -> None:
        """Ask a node whether it is there; the client tells membership how that went. Any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin_probe, node)

    def _begin_probe(self, node: NodeName) -> None:
        task = self._loop.create_task(self._ping(node))
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _ping(self, node: NodeName) -> None:
        try:
            await self.client.ping(node, self._parts.clock.monotonic_s() + PING_S)
        except CallFailed as failure:
            log.debug("node %s does not answer: %s", node, failure)


def security_of(settings: ClusterSettings) -> InternodeSecurity:
    """How nodes know each other."""
    tls = None
    if settings.certificate is not None:
        assert settings.key is not None, "the settings are checked"
        assert settings.authority is not None, "the settings are checked"
        tls = InternodeTls(settings.certificate, settings.key, settings.authority)
    return InternodeSecurity(settings.name, tls, settings.secret, settings.network_trusted)


def _nobody(_node: NodeName) -> None:
    """Ask nobody: the loop is about to end."""
