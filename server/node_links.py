"""NodeLinks: what connects a node to the others while its loop runs: the service that answers them,
the client that asks them, and replication, which both work for.

`start` listens, so that others can ask before they hear that this node is there; `stop` lets what
runs come to its end. Lives in one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from weftdb import __version__
from weftdb.core.config import Config
from weftdb.core.env import Clock, Env
from weftdb.core.types import NodeName
from weftdb.server.agreement.entry import Entered, settle
from weftdb.server.agreement.held_shards import HeldShards
from weftdb.server.agreement.node_view import NodeView
from weftdb.server.agreement.peers import Peers
from weftdb.server.cluster_settings import ClusterSettings
from weftdb.server.grpc.connection import Observer
from weftdb.server.internode.answers import Answers, Lanes
from weftdb.server.internode.client import InternodeClient
from weftdb.server.internode.hint_store import StateEncoders
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.messages import AskFacts, NodeFacts, Noted, Tell
from weftdb.server.internode.peer_figures import LinkFigures, link_figures
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.replication import Replication
from weftdb.server.internode.security import InternodeSecurity, InternodeTls
from weftdb.server.internode.service import InternodeService
from weftdb.server.own_facts import OwnFacts
from weftdb.server.right_of_way import RightOfWay
from weftdb.server.search_driver import SearchDriver
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
    env: Env
    entered: Entered
    directory: KeyValueStore
    peers: Peers
    view: NodeView
    shards: HeldShards
    facts: OwnFacts


class _Says:
    """`NodeAnswers`: what this node keeps in mind of others, and what it has."""

    def __init__(self, replication: Replication, facts: OwnFacts) -> None:
        self._replication = replication
        self._facts = facts

    def note(self, sender: NodeName, tell: Tell) -> Noted:
        """Keep what was told, durably."""
        return self._replication.note(sender, tell)

    def facts(self, question: AskFacts) -> NodeFacts:
        """What this node has."""
        return self._facts.facts(question)


@dataclass(frozen=True, slots=True)
class Lent:
    """What the server's loop lends to the links."""

    answered: Observer
    """Counts the questions of other nodes."""
    asked: Observer
    """Counts those to other nodes."""
    way: RightOfWay | None = None
    searches: SearchDriver | None = None


class NodeLinks:
    """Of one node; made in the loop that it lives in."""

    def __init__(self, parts: NodeParts, lent: Lent) -> None:
        """Read what is kept of replicas. Raises CorruptData."""
        self._parts = parts
        clock, name = parts.env.clock, parts.view.node
        self.replication = Replication(
            parts.directory,
            parts.view,
            parts.config,
            parts.env,
            was_emptied=parts.entered.identity.was_emptied,
            settled=lambda: settle(parts.directory),
        )
        parts.shards.standings = self.replication.standings
        self.answers = Answers(
            parts.shards,
            _Says(self.replication, parts.facts),
            Lanes(
                writes=_lane("writes", WRITE_THREADS, clock),
                reads=_lane("reads", READ_THREADS, clock),
            ),
            generation=parts.entered.generation,
            release=__version__,
            driver=lent.searches,
        )
        security = security_of(parts.settings)
        self.client = InternodeClient(
            self.answers,
            node=name,
            address_of=parts.peers.address_of,
            security=security,
            outcomes=parts.peers,
            observer=lent.asked,
            clock=clock,
            encode=StateEncoders(parts.view.schema).encode,
        )
        self.service = InternodeService(
            self.answers,
            node=name,
            security=security,
            clock=clock,
            observer=lent.answered,
            way=lent.way,
        )
        self._loop = asyncio.get_running_loop()
        self._probes: set[asyncio.Task[None]] = set()

    def figures(self) -> LinkFigures:
        """How calls go, for metrics. Any thread."""
        return link_figures(self.client.board, self.answers.lanes)

    async def start(self) -> None:
        """Listen, then begin what goes on by itself. Raises InvalidRequest, OSError."""
        settings = self._parts.settings
        port = await self.service.start(settings.bind_host, settings.node_port)
        log.info("other nodes are answered on %s:%d", settings.bind_host, port)
        if not settings.secret and settings.certificate is None:
            log.warning("other nodes need not prove who they are: keep these ports among them")
        self._parts.peers.probe = self._probe
        self.replication.start(self.client, self.client)

    async def stop(self, grace_s: float) -> None:
        """End what goes on, within `grace_s` or a little more; what was acknowledged is kept."""
        self._parts.peers.probe = _nobody
        await self.replication.stop(grace_s)
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
            await self.client.ping(node, self._parts.env.clock.monotonic_s() + PING_S)
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


def _lane(kind: str, threads: int, clock: Clock) -> Lane:
    return Lane(kind, threads=threads, waiting_max=WAITING_MAX, clock=clock)


def _nobody(_node: NodeName) -> None:
    """Ask nobody: the loop is about to end."""
