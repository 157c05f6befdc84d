"""ClusterNode: one node of a cluster, put together from its parts, for one life of its process.

    directory held → metadata open (own etcd) → number and life taken → engine open
      → metadata followed, database as agreed → others are answered → this node says it is there

and back in the reverse order; the own etcd stops last. `JoiningNode` goes the first line of the
way, because a node needs its number before its engine is opened. Only `server/main.py` imports
this file, and only where settings name a cluster: one node does not pay for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from weftdb.cluster.membership import Liveness
from weftdb.cluster.metadata.store import Event, Revision
from weftdb.core.env import Env
from weftdb.core.errors import Closed, CommitUnknown, Fault, MetadataUnavailable
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.engine.assembly import Engine
from weftdb.engine.collection import LocalCollection
from weftdb.engine.serving import ServedCollection
from weftdb.server.agreement.address import node_record, told_address
from weftdb.server.agreement.agreed_schema import AgreedSchema, SchemaStores
from weftdb.server.agreement.applier import SchemaApplier
from weftdb.server.agreement.cluster_reports import ClusterReports
from weftdb.server.agreement.entry import Entered, enter
from weftdb.server.agreement.held_shards import HeldShards
from weftdb.server.agreement.holding import DatabaseHolder
from weftdb.server.agreement.incarnations import Incarnations
from weftdb.server.agreement.metadata import (
    PAUSE_S,
    AgreedMetadata,
    open_metadata,
    patiently,
)
from weftdb.server.agreement.node_view import NodeView
from weftdb.server.agreement.peers import Peers
from weftdb.server.cluster_figures import ClusterFigures
from weftdb.server.cluster_settings import MANAGED, NodeInCluster
from weftdb.server.etcd.member_plan import ask_at
from weftdb.server.etcd.roster import EtcdRoster
from weftdb.server.follower import Follower
from weftdb.server.moving.board import OperationBoard
from weftdb.server.moving.figures import MovingTally
from weftdb.server.moving.held_here import HeldHere
from weftdb.server.moving.members import MemberBoard
from weftdb.server.moving.movements import Movements
from weftdb.server.moving.mover import Mover
from weftdb.server.moving.plans import PlanBoard
from weftdb.server.moving.sizes import object_bytes
from weftdb.server.node_links import Lent, NodeLinks, NodeParts
from weftdb.server.own_facts import OwnFacts
from weftdb.server.presence import Presence
from weftdb.server.routing.collection import RoutedCollection
from weftdb.server.routing.router import Router, Surroundings
from weftdb.storage.kv import KeyValueStore
from weftdb.storage.versions import LIFE_BITS, writer_number

log = logging.getLogger("weftdb.cluster")

APPLIED_S_MAX = 60.0
"""How long a start waits for its database to be as agreed; what takes longer goes on beside."""


class JoiningNode:
    """A node on its way into its cluster: until its engine is open."""

    def __init__(self, settings: NodeInCluster, data: Path, env: Env) -> None:
        self._settings = settings
        self._data = data
        self._env = env
        self._random = random.SystemRandom()
        self._metadata: AgreedMetadata | None = None
        self._entered: Entered | None = None

    def enter(self, directory: KeyValueStore) -> int:
        """What `open_engine` calls once the directory is held: open the metadata, take the next
        life; return what stands for it in versions. Raises WeftError."""
        self._metadata = open_metadata(
            self._settings, self._data, self._env.clock, random.Random(self._random.random())
        )
        opened, clock = self._metadata, self._env.clock
        self._entered = patiently(
            lambda: enter(
                opened.store,
                opened.keys,
                directory,
                self._settings.node,
                zone=self._settings.cluster.zone,
                randomness=self._random,
            ),
            clock.monotonic_s() + self._settings.cluster.bootstrap_timeout_s,
            clock,
        )
        return writer_number(self._entered.number, self._random.getrandbits(LIFE_BITS))

    def join(self, engine: Engine) -> ClusterNode:
        """The node, around its open engine."""
        assert self._metadata is not None, "the engine was opened with `enter`"
        assert self._entered is not None
        return ClusterNode(self._settings, self._data, engine, self._metadata, self._entered)

    def close(self) -> None:
        """Let go of the metadata, and stop the own etcd. After the engine is closed."""
        if self._metadata is not None:
            self._metadata.close()


class ClusterNode:
    """One node. `start` and `close` in the main thread, `running` in the loop between them."""

    def __init__(
        self,
        settings: NodeInCluster,
        data: Path,
        engine: Engine,
        metadata: AgreedMetadata,
        entered: Entered,
    ) -> None:
        self.name: NodeName = settings.node
        self.settings = settings
        self.engine = engine
        self.metadata = metadata
        self.entered = entered
        self._is_superseded = False
        self._end: Callable[[], None] = self._note_superseded
        clock, keys, store = engine.env.clock, metadata.keys, metadata.store
        self.peers = Peers(
            self.name, entered.generation, keys, clock, on_superseded=lambda: self._end()
        )
        holder = DatabaseHolder(engine.database)
        incarnations = Incarnations(engine.database.store)
        self.applier = SchemaApplier(self.name, keys, holder, incarnations, clock)
        followed = Follower(store, keys.schema, self.applier.hear)
        self.applier.attach(followed)
        operations = Follower(store, keys.operations, _hear_nothing)
        self.board = OperationBoard(keys, store, operations, clock, random.SystemRandom())
        self.plans = PlanBoard(keys, store, self.board, clock, random.SystemRandom())
        self._followers = (
            operations,
            Follower(store, keys.members, self.peers.hear_members),
            Follower(store, keys.nodes, self.peers.hear_nodes),
            followed,
        )
        self.schema = AgreedSchema(
            SchemaStores(keys, store, metadata.reads, followed),
            self.applier,
            holder,
            self.peers,
            engine.config.replication,
            clock=clock,
            randomness=random.SystemRandom(),
        )
        self.view = NodeView(self.schema, engine.database, self.peers)
        self.shards = HeldShards(self.name, self.schema, engine.database)
        self.facts = OwnFacts(
            self.name, engine.database, holds_all=False, replicas=self._replica_count
        )
        self.links: NodeLinks | None = None
        """What connects it to the others while its loop runs."""
        self._mover: Mover | None = None
        address = told_address(settings, self._asked())
        self._presence = Presence(
            store,
            keys.node(self.name),
            node_record(address, entered.generation, data),
            goodbye=node_record(address, entered.generation, data, is_leaving=True),
        )

    @property
    def is_current(self) -> bool:
        """Whether the metadata is heard: what this node knows is the newest."""
        return all(follower.is_current for follower in self._followers)

    def start(self) -> None:
        """Follow the metadata, and make the database as agreed. Raises MetadataUnavailable, Fault.

        Objects are refused until `running`: there is no router yet, and they would stay here.
        """
        for follower in self._followers:
            follower.start()
        for follower in self._followers:
            if not follower.wait_for(Revision(0), self.settings.cluster.bootstrap_timeout_s):
                raise MetadataUnavailable(f"the metadata of node {self.name} cannot be listed")
        self.peers.start()
        if not self.applier.start(APPLIED_S_MAX):
            log.warning("the database is not all as agreed yet; the log says what is tried again")
        self._check_life()
        catalogue = self.engine.catalogue
        catalogue.keeper = self.schema
        catalogue.serve = self._serve_nothing

    @contextlib.asynccontextmanager
    async def running(
        self, stop: asyncio.Event, lent: Lent, *, grace_s: float
    ) -> AsyncIterator[NodeLinks]:
        """Be there for other nodes while the doors are open. `stop` is set when another process
        has taken this node's name."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)

        self._end = end
        self._check_life()
        self.links = NodeLinks(self._parts(), lent)
        async with contextlib.AsyncExitStack() as begun:
            begun.push_async_callback(self.links.stop, grace_s)
            await self.links.start()
            router = Router(self._surroundings(), self.links.replication.driver)
            self.engine.catalogue.serve = lambda local: RoutedCollection(router, local.schema)
            begun.callback(setattr, self.engine.catalogue, "serve", self._serve_nothing)
            self._mover = self._make_mover(self.links)
            begun.push_async_callback(self._mover.stop)
            self._mover.start()
            self.schema.scaled = self.movements().scale
            begun.callback(setattr, self.schema, "scaled", None)
            begun.push_async_callback(asyncio.to_thread, self._presence.close)
            await self._announce(stop)
            try:
                yield self.links
            finally:
                self._end = self._note_superseded

    async def _announce(self, stop: asyncio.Event) -> None:
        """Say that this node is there, as soon as the metadata takes it. Raises
        MetadataUnavailable, CommitUnknown."""
        clock = self.engine.env.clock
        deadline_s = clock.monotonic_s() + self.settings.cluster.bootstrap_timeout_s
        while not stop.is_set():
            try:
                return await asyncio.to_thread(self._presence.start)
            except (MetadataUnavailable, CommitUnknown) as error:
                if clock.monotonic_s() >= deadline_s:
                    raise
                log.warning("others cannot be told yet that this node is there: %s", error)
            await asyncio.sleep(PAUSE_S)

    def close(self) -> None:
        """Stop following. Before the engine is closed; the metadata is closed after it."""
        for follower in self._followers:
            follower.close()
        self.applier.close()
        self.peers.close()

    def figures(self) -> ClusterFigures:
        """For metrics; any thread."""
        member = self.metadata.member
        return ClusterFigures(
            {node: self.peers.liveness_of(node) for node in self.peers.members()},
            self.is_current,
            len(self.applier.faults()),
            0 if member is None else member.restarts,
        )

    def reports(self) -> ClusterReports:
        """What the REST API tells of the nodes. Requires: running."""
        assert self.links is not None, "the doors open after the links"
        return ClusterReports(
            self.links.client,
            self.peers,
            self.schema,
            self.engine.env.clock,
            roster=self._roster().members,
            revision=lambda: max(follower.revision for follower in self._followers),
        )

    @property
    def moved(self) -> MovingTally:
        """What moving data came to. Requires: running."""
        assert self._mover is not None, "the mover starts with the links"
        return self._mover.tally

    def movements(self) -> Movements:
        """What moves data. Requires: running."""
        assert self.links is not None, "the doors open after the links"
        return Movements(
            self.board,
            self.plans,
            self._members(),
            self.schema,
            self.peers,
            self.reports,
            self.links.replication.full_repair,
            partial(object_bytes, self.engine.database),
        )

    def _members(self) -> MemberBoard:
        voters = self._roster() if self.settings.kind == MANAGED else None
        return MemberBoard(
            self.metadata.keys,
            self.metadata.store,
            voters,
            is_alive=lambda node: self.peers.liveness_of(node) is Liveness.ALIVE,
        )

    def _roster(self) -> EtcdRoster:
        return EtcdRoster(self.metadata.asked, self.engine.env.clock, random.Random())

    def _make_mover(self, links: NodeLinks) -> Mover:
        here = HeldHere(
            self.view,
            self.schema,
            self.engine.database,
            self.peers,
            self.shards,
            links.answers.gate,
        )
        comparer = links.replication.comparer
        clock = self.engine.env.clock
        return Mover(
            self.board,
            here,
            comparer,
            links.client,
            clock,
            plans=self.plans,
            bytes_per_s_max=self.engine.config.replication.moving_bytes_per_s_max,
        )

    def _parts(self) -> NodeParts:
        return NodeParts(
            self.settings.cluster,
            self.engine.config,
            self.engine.env,
            self.entered,
            self.engine.database.store,
            self.peers,
            self.view,
            self.shards,
            self.facts,
        )

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            self.name,
            self.schema,
            self.view.is_alive,
            self.view.is_away,
            self.engine.database.versions,
            self.engine.vectorizers,
            self.engine.config.query,
            self.engine.env,
            self.engine.config.comparing,
        )

    def _replica_count(self, schema: Collection, shard: ShardName) -> int:
        found = self.schema.sharding(CollectionName(schema.name))
        placed = None if found is None else found[0].shard(shard)
        return schema.replication_factor if placed is None else len(placed.replicas)

    def _asked(self) -> tuple[str, ...]:
        """host:port of others, to find out by which way they are reached."""
        settings = self.settings
        if settings.kind != MANAGED:
            return settings.etcd.addresses
        return ask_at(settings.cluster.member(self.name))[::-1]

    def _note_superseded(self) -> None:
        self._is_superseded = True

    def _check_life(self) -> None:
        if self._is_superseded:
            raise Fault(f"another process runs as node {self.name}: names must differ")

    def _serve_nothing(self, local: LocalCollection) -> ServedCollection:
        name = CollectionName(local.schema.name)
        raise Closed(f"objects of {name} cannot be reached: this node starts or stops")


def _hear_nothing(_events: Sequence[Event]) -> None:
    """The board looks at what is there."""
