"""What the nodes of a run agree on, and when each hears of it.

The store is the product's (`StoredMetadata`); a node hears of a commit a little later, or, while it
is cut off from the store, when that is over. What it has heard is its NodeView: the product's gate,
repairs and movers ask that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import CollectionRecord
from weftdb.cluster.metadata.store import Committed, Outcome, Put, Record, Snapshot, Transaction
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.cluster.rebalance.operation import Operation
from weftdb.cluster.rebalance.stored_operation import decode_operation
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import ShardingState, decode_sharding, encode_sharding
from weftdb.core.definition import parse_collection
from weftdb.core.errors import MetadataUnavailable, UnknownCollection
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName
from weftdb.server.internode.messages import Moved
from weftdb.storage.memory import MemoryStore

from .events import SkewedClock
from .replicas import TREE_HEIGHT, VALUE, Local

if TYPE_CHECKING:
    from .node import SimulatedNode

KEYS = ClusterKeys("main")
POLL_S = 0.02
"""Between two looks of who waits for news."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is about: one collection."""

    collection: CollectionName
    strategy: DeletionStrategy
    factor: int
    grace_s: float

    def definition(self, name: str) -> dict[str, object]:
        """The definition of the collection."""
        return {
            "class": name,
            "vectorizer": "none",
            "properties": [{"name": VALUE, "dataType": ["int"]}],
            "replicationConfig": {
                "factor": self.factor,
                "deletionStrategy": self.strategy.value,
                "asyncConfig": {
                    "hashtreeHeight": TREE_HEIGHT,
                    "frequency": 12_000,
                    "frequencyWhilePropagating": 4_000,
                    "propagationDelay": 1_000,
                    "diffPerNodeTimeout": 3,
                    "prePropagationTimeout": 8,
                    "propagationTimeout": 4,
                },
            },
        }


@dataclass(frozen=True, slots=True)
class News:
    """Everything agreed, as of one commit."""

    at: int
    """The revision of that commit."""
    revision: int
    """Of the sharding state."""
    sharding: bytes
    schema_version: int
    operations: dict[str, bytes] = field(default_factory=dict)


class Metadata:
    """The store, and who has to hear of what is committed."""

    def __init__(
        self, terms: Terms, state: ShardingState, clock: SkewedClock, dice: random.Random,
        *, lag_s: float,
    ) -> None:  # fmt: skip
        """`lag_s` is the median of how late a node hears of a commit."""
        self._terms = terms
        self._dice = dice
        self._lag_s = lag_s
        self.store = StoredMetadata(MemoryStore(), clock)
        self.views: dict[NodeName, NodeView] = {}
        self.committed: list[Callable[[], None]] = []
        """Called after each commit."""
        record = CollectionRecord(terms.definition(terms.collection), 1, "a")
        self._commit(
            Put(KEYS.sharding(terms.collection), encode_sharding(state)),
            Put(KEYS.collection(terms.collection), record.encode()),
        )

    @property
    def news(self) -> News:
        """What is agreed now."""
        sharding = self.store.get(KEYS.sharding(self._terms.collection))
        definition = self.store.get(KEYS.collection(self._terms.collection))
        assert sharding is not None
        assert definition is not None
        known = CollectionRecord.decode(definition.key, definition.value)
        listed = self.store.list(KEYS.operations)
        operations = {record.key: record.value for record in listed.records}
        return News(
            listed.revision, sharding.revision, sharding.value, known.schema_version, operations
        )

    @property
    def state(self) -> ShardingState:
        """The sharding state that is agreed now."""
        return decode_sharding(self.news.sharding, collection=self._terms.collection)

    def operations(self) -> list[Operation]:
        """All operations there are."""
        return [decode_operation(value) for value in self.news.operations.values()]

    def change_schema(self) -> None:
        """Make another version of the definition, which says the same."""
        record = self.store.get(KEYS.collection(self._terms.collection))
        assert record is not None
        known = CollectionRecord.decode(record.key, record.value)
        after = CollectionRecord(known.definition, known.schema_version + 1, known.incarnation)
        self._commit(Put(record.key, after.encode()))
        self.spread()

    def spread(self) -> None:
        """Let every node hear of what is committed, each in its time."""
        for told in self.committed:
            told()
        news = self.news
        for view in self.views.values():
            view.hear_later(news, self._lag_s * self._dice.lognormvariate(0.0, 0.7))

    def _commit(self, *puts: Put) -> None:
        outcome = self.store.commit(Transaction(puts))
        assert isinstance(outcome, Committed), outcome


class MetadataDoor:
    """The store as one node reaches it (`cluster.metadata.store.MetadataStore`)."""

    def __init__(self, metadata: Metadata, node: SimulatedNode) -> None:
        self._metadata = metadata
        self._node = node

    def get(self, key: str) -> Record | None:
        """Raises MetadataUnavailable."""
        return self._store().get(key)

    def list(self, prefix: str) -> Snapshot:
        """Raises MetadataUnavailable."""
        return self._store().list(prefix)

    def commit(self, transaction: Transaction) -> Outcome:
        """Raises MetadataUnavailable."""
        outcome = self._store().commit(transaction)
        if isinstance(outcome, Committed):
            self._metadata.spread()
        return outcome

    def _store(self) -> StoredMetadata:
        if self._node.is_cut_off:
            raise MetadataUnavailable(f"{self._node.name} is cut off from the metadata")
        return self._metadata.store


class NodeView:
    """What one life of a node has heard, and what lies on it: `ClusterView`, `mover.Here` and what
    the gate asks of `LocalShards`, in one."""

    def __init__(
        self,
        simulated: SimulatedNode,
        metadata: Metadata,
        *,
        living: Callable[[], Sequence[NodeName]],
        members: Callable[[], frozenset[NodeName]],
    ) -> None:
        self._simulated = simulated
        self._terms = simulated.terms
        self._living = living
        self._members = members
        self._schema = parse_collection(self._terms.definition(self._terms.collection))
        self._news = metadata.news
        self._state = self._decoded(self._news.sharding)
        self._held_back: News | None = None
        self.check: Callable[[ShardRef], None] = lambda _shard: None
        self.is_rebuilding: Callable[[ShardRef], bool] = lambda _shard: False
        """Both are the standings' word."""
        metadata.views[self.node] = self

    @property
    def node(self) -> NodeName:
        """This node."""
        return self._simulated.name

    @property
    def state(self) -> ShardingState:
        """The sharding state that this node goes by."""
        return self._state

    # --- hearing ---------------------------------------------------------------------------------

    def hear_later(self, news: News, delay_s: float) -> None:
        """News are on their way to the process."""
        self._simulated.when(delay_s, lambda: self._hear(news))

    def reconnect(self) -> None:
        """The node is cut off no more."""
        news, self._held_back = self._held_back, None
        if news is not None:
            self._hear(news)

    def apply(self) -> None:
        """Make the shards that should lie here and do not."""
        for shard in self._state.held_on(self.node):
            ref = ShardRef(self._terms.collection, shard.name)
            if ref not in self._simulated.replicas:
                self._simulated.open_replica(ref)

    def learn(self, moved: Moved) -> None:
        """Take a newer sharding state from who refused by it."""
        if moved.revision > self._news.revision:
            self._take(replace(self._news, revision=moved.revision, sharding=moved.state))

    def _hear(self, news: News) -> None:
        if self._simulated.is_cut_off:
            self._held_back = news
            return
        known = self._news
        if news.at < known.at:
            return  # Later news have come before.
        if news.revision < known.revision:
            news = replace(news, revision=known.revision, sharding=known.sharding)
        self._take(news)

    def _take(self, news: News) -> None:
        if news.revision > self._news.revision:
            self._simulated.note("learns", f"revision {news.revision} of the sharding state")
        self._news = news
        self._state = self._decoded(news.sharding)
        self.apply()

    def _decoded(self, sharding: bytes) -> ShardingState:
        return decode_sharding(sharding, collection=self._terms.collection)

    def all(self) -> dict[str, bytes]:
        """The operations that were heard of (`server.follower.Follower`)."""
        return dict(self._news.operations)

    # --- what is known ---------------------------------------------------------------------------

    def schema(self, collection: CollectionName) -> Collection | None:
        """The definition."""
        return self._schema if collection == self._terms.collection else None

    def schema_version(self, collection: CollectionName) -> int:
        """Of the definition."""
        return self._news.schema_version

    def revision(self, collection: CollectionName) -> int:
        """Of the sharding state."""
        return self._news.revision

    def sharding(self, collection: CollectionName) -> Moved | None:
        """The newest sharding state known here."""
        return Moved(collection, self._news.revision, self._news.sharding)

    async def wait_for_schema(
        self, collection: CollectionName, version: int, deadline_s: float
    ) -> bool:
        """Wait until that version is known."""
        return await self._wait(lambda: self._news.schema_version >= version, deadline_s)

    async def wait_for_sharding(
        self, collection: CollectionName, revision: int, deadline_s: float
    ) -> bool:
        """Wait until that sharding state is known."""
        return await self._wait(lambda: self._news.revision >= revision, deadline_s)

    async def _wait(self, is_there: Callable[[], bool], deadline_s: float) -> bool:
        while not is_there() and self._simulated.clock.monotonic_s() < deadline_s:
            await asyncio.sleep(POLL_S)
        return is_there()

    def replicas(self, shard: ShardRef) -> Sequence[NodeName]:
        """Those that are read."""
        placed = self._state.shard(shard.shard)
        return () if placed is None else placed.replicas

    def holds(self, shard: ShardRef) -> bool:
        """Whether the shard is this node's."""
        placed = self._state.shard(shard.shard)
        return placed is not None and self.node in placed.holders

    def alive(self) -> Sequence[NodeName]:
        """The members that are taken for alive."""
        return self._living()

    def is_member(self, node: NodeName) -> bool:
        """Whether a node belongs to the cluster."""
        return node in self._members()

    def is_away(self, node: NodeName) -> bool:
        """Whether membership calls a node away."""
        return node not in self._living()

    def is_alive(self, node: NodeName) -> bool:
        """Whether membership has no doubt of a node; here it has none until it calls it away."""
        return not self.is_away(node)

    # --- what lies here --------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Shards are made as soon as they are heard of."""
        return True

    def is_coming(self, shard: ShardRef) -> bool:
        """Nothing is, for the same reason."""
        return False

    def here(self) -> Iterable[ShardRef]:
        """The shards that lie on this node."""
        return sorted(self._simulated.replicas)

    def local(self, shard: ShardRef) -> Local | None:
        """A shard on this node."""
        return self._simulated.replicas.get(shard)

    def empty(self, shard: ShardRef) -> None:
        """Begin a shard anew with nothing."""
        self._simulated.was_given_up = True
        self._simulated.drop_replica(shard)
        self._simulated.open_replica(shard)

    def drop(self, shard: ShardRef) -> None:
        """Remove a shard with its data, durably."""
        self._simulated.drop_replica(shard)

    def add(self, shard: ShardRef) -> None:
        """Begin a shard with nothing."""
        self._simulated.open_replica(shard)


class HereView:
    """The view as movers want it (`server.moving.mover.Here`)."""

    def __init__(self, view: NodeView) -> None:
        self._view = view
        self.node = view.node
        self.is_complete = view.is_complete
        self.holds = view.holds
        self.drop = view.drop
        self.add = view.add
        self.alive = view.alive
        self.here = view.here

    def replica(self, shard: ShardRef) -> object:
        """The open shard here, if there is one."""
        local = self._view.local(shard)
        return None if local is None else local.replica

    def sharding(self, shard: ShardRef) -> ShardingState:
        """The newest sharding state that is known."""
        return self._view.state

    def kept(self, shard: ShardRef) -> None:
        """Any object may lie here: rows do not move between shards."""

    def is_settled(self, shard: ShardRef) -> bool:
        """Work takes no time, so none by an older state is under way."""
        return True


class HeldView:
    """The view as `Answers` wants it: a shard that is not here is an error."""

    def __init__(self, view: NodeView) -> None:
        self._view = view
        self.is_rebuilding = view.is_rebuilding
        self.is_coming = view.is_coming
        self.sharding = view.sharding
        self.schema_version = view.schema_version
        self.wait_for_schema = view.wait_for_schema
        self.wait_for_sharding = view.wait_for_sharding

    def kept(self, shard: ShardRef) -> None:
        """Any object may lie here: rows do not move between shards."""

    def local(self, shard: ShardRef) -> Local:
        """The open shard. Raises UnknownCollection, ShardLoading."""
        found = self._view.local(shard)
        if found is None:
            raise UnknownCollection(f"{shard.collection} (shard {shard.shard} is not here)")
        self._view.check(shard)
        return found
