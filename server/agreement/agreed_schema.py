"""AgreedSchema: changes of the schema in a cluster, agreed on by all nodes before anybody acts.

A change is one transaction: definition, sharding state and name of a new collection together, each
on the condition that what was decided from still stands. This node acts on it when its follower
tells of it, as every other node does (applier.py), and the call returns after that.

A client that made a collection on one node may use it on another at once: a node that is asked for
a name it does not know looks into the metadata before it says so (`arrives`). With the metadata
away, what is known is used, and changes are refused at once (MetadataUnavailable).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import CollectionRecord, NameRecord, ShardStates
from weftdb.cluster.metadata.store import (
    Committed,
    Delete,
    Exists,
    IsAbsent,
    IsAt,
    MetadataStore,
    Put,
    Revision,
    Transaction,
)
from weftdb.cluster.placement import check_factor, place_new
from weftdb.cluster.sharding import (
    PlacedShard,
    ShardingState,
    decode_sharding,
    encode_sharding,
)
from weftdb.core.config import ReplicationConfig
from weftdb.core.env import Clock
from weftdb.core.errors import (
    CollectionExists,
    MetadataUnavailable,
    SchemaChanged,
    SchemaViolation,
    UnknownCollection,
    WeftError,
)
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.agreement.applier import Applied, Holder, SchemaApplier
from weftdb.server.agreement.peers import Peers
from weftdb.server.follower import Follower
from weftdb.server.internode.messages import Moved

APPLIED_S_MAX = 20.0
"""How long a change waits for this node itself to make it."""
ARRIVES_S_MAX = 2.0
"""How long a request for an unknown collection waits, where the metadata knows that one."""
AWAY_S = 10.0
"""After a look into the metadata that failed, requests do without for so long."""
TRIES_MAX = 20
_NAME_CHARS = 12
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class SchemaStores:
    """Where the schema is agreed on, and where it is heard of."""

    keys: ClusterKeys
    store: MetadataStore
    reads: MetadataStore
    """Gives up soon: for requests that wait for it."""
    follower: Follower
    """Of `/schema/`."""


class Randomness(Protocol):
    """What names of shards are drawn from; `random.Random` is one."""

    def choices(self, population: str, *, k: int) -> list[str]:
        """Draw `k` letters."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Draw `k` bits."""
        ...


class AgreedSchema:
    """The SchemaKeeper of a cluster's node. Thread-safe; not for the thread of the follower."""

    def __init__(
        self,
        stores: SchemaStores,
        applier: SchemaApplier,
        holder: Holder,
        peers: Peers,
        config: ReplicationConfig,
        *,
        clock: Clock,
        randomness: Randomness | random.Random,
    ) -> None:
        self._keys = stores.keys
        self._store = stores.store
        self._reads = stores.reads
        self._follower = stores.follower
        self._applier = applier
        self._holder = holder
        self._peers = peers
        self._config = config
        self._clock = clock
        self._random = randomness
        self.scaled: Callable[[CollectionName, int], None] | None = None
        """Has a collection get another number of replicas, in time (server/moving); without it the
        factor stays. Raises InvalidRequest, TooFewNodes."""
        self._blind_until_s = float("-inf")
        self._learned: dict[CollectionName, tuple[ShardingState, Revision]] = {}
        """Sharding states that other nodes told, until the follower has them, too."""

    # --- SchemaKeeper ----------------------------------------------------------------------------

    @property
    def node_count(self) -> int:
        """Members that replicas may be given to, whether they live at this moment or not."""
        return sum(not taker.is_draining for taker in self._peers.takers())

    @property
    def factor_default(self) -> int:
        """REPLICATION_MINIMUM_FACTOR."""
        return self._config.factor_min

    def arrives(self, name: str) -> bool:
        """Look into the metadata for a collection that is not here, and wait for it to come."""
        canonical = CollectionName(name)
        is_blind = self._clock.monotonic_s() < self._blind_until_s
        if is_blind or not self._follower.is_current or canonical in self._applier.faults():
            return False  # Nobody must wait each time for what does not come soon.
        try:
            found = self._reads.get(self._keys.collection(canonical))
        except MetadataUnavailable:
            self._blind_until_s = self._clock.monotonic_s() + AWAY_S
            return False
        if found is None:
            return False
        self._applier.wait_done(canonical, found.revision, ARRIVES_S_MAX)
        return self._applier.applied(canonical) is not None

    def create(self, definition: Collection) -> Collection:
        """Place the shards of a new collection and agree on both."""
        self._check_reachable()
        name = CollectionName(definition.name)
        check_factor(
            definition.replication_factor,
            least=self._config.factor_min,
            most=self._config.factor_max,
        )
        self._holder.check(definition)
        record = CollectionRecord(definition.definition, 1, f"{self._random.getrandbits(128):032x}")
        paths = [self._keys.collection(name), self._keys.name(name)]
        changes = [Put(paths[0], record.encode()), Put(paths[1], NameRecord(name).encode())]
        holders: set[NodeName] = set()
        if not definition.multi_tenant:
            state = self._placed(definition)
            holders.update(state.replica_counts())
            changes.append(Put(self._keys.sharding(name), encode_sharding(state)))
        # A node that left since must not be given anything.
        members = [Exists(self._keys.member(node)) for node in sorted(holders)]
        absent = [IsAbsent(change.key) for change in changes]
        outcome = self._store.commit(Transaction(tuple(changes), (*absent, *members)))
        if isinstance(outcome, Committed):
            return self._made(name, outcome.revision).schema
        failed = {condition.key for condition in outcome.failed}
        if failed & set(paths) or self._keys.sharding(name) in failed:
            self.arrives(name)
            raise CollectionExists(f"class name {name} already exists")
        raise SchemaViolation(
            f"nodes left while {name} was placed on them: {', '.join(sorted(failed))}"
        )

    def replace(self, old: Collection, new: Collection) -> Collection:
        """Agree on the next definition of a collection."""
        self._check_reachable()
        name = CollectionName(old.name)
        applied = self._applier.applied(name)
        if applied is None:
            raise UnknownCollection(name)
        if applied.schema is not old:
            raise SchemaChanged(f"{name} has changed meanwhile")
        definition = new.definition
        if new.replication_factor != old.replication_factor:
            definition = self._scale(old, new)
            if definition == old.definition:
                return old
        self._holder.check(new)
        before = applied.agreed
        record = replace(
            before.record,
            definition=definition,
            schema_version=before.record.schema_version + 1,
        )
        key = self._keys.collection(name)
        outcome = self._store.commit(
            Transaction((Put(key, record.encode()),), (IsAt(key, before.revision),))
        )
        if isinstance(outcome, Committed):
            return self._made(name, outcome.revision).schema
        self._applier.wait_past(name, applied, ARRIVES_S_MAX)
        raise SchemaChanged(f"another node has changed {name} meanwhile")

    def _scale(self, old: Collection, new: Collection) -> Mapping[str, Any]:
        """Have the replicas made, or dropped, that another factor asks for; the definition until
        they are. Raises SchemaViolation, InvalidRequest, TooFewNodes."""
        if self.scaled is None:
            raise SchemaViolation(
                "updating the replication factor is not supported: it was "
                f"{old.replication_factor}, attempted to set {new.replication_factor}"
            )
        factor = new.replication_factor
        check_factor(factor, least=self._config.factor_min, most=self._config.factor_max)
        self.scaled(CollectionName(old.name), factor)
        kept = old.definition["replicationConfig"]
        replication = {
            **new.definition["replicationConfig"],
            "factor": kept["factor"],
            "asyncEnabled": kept["asyncEnabled"],
        }
        return {**new.definition, "replicationConfig": replication}

    def drop(self, name: str) -> bool:
        """Agree that a collection is gone, with its sharding state."""
        self._check_reachable()
        canonical = CollectionName(name)
        key = self._keys.collection(canonical)
        for _ in range(TRIES_MAX):
            found = self._store.get(key)
            if found is None:
                return False
            keys = self._keys
            paths = (
                key,
                keys.sharding(canonical),
                keys.states(canonical),
                keys.name(canonical),
            )
            outcome = self._store.commit(
                Transaction(tuple(map(Delete, paths)), (IsAt(key, found.revision),))
            )
            if isinstance(outcome, Committed):
                self._wait(canonical, outcome.revision)
                return True
        raise SchemaChanged(f"other nodes change {name} faster than it can be dropped")

    def set_read_only(self, name: CollectionName, shard: ShardName, *, is_read_only: bool) -> None:
        """Agree that a shard takes no writes, or takes them again; this node has made it so when
        this returns. Raises UnknownCollection, SchemaChanged, MetadataUnavailable."""
        self._check_reachable()
        key = self._keys.states(name)
        for _ in range(TRIES_MAX):
            applied, found = self._applier.applied(name), self._store.get(key)
            if applied is None:
                raise UnknownCollection(name)
            incarnation = applied.agreed.record.incarnation
            known = ShardStates(incarnation, frozenset())
            if found is not None:
                stored = ShardStates.decode(key, found.value)
                known = stored if stored.incarnation == incarnation else known
            others = known.read_only - {shard}
            changed = ShardStates(incarnation, others | {shard} if is_read_only else others)
            condition = IsAbsent(key) if found is None else IsAt(key, found.revision)
            outcome = self._store.commit(
                Transaction(
                    (Put(key, changed.encode()),),
                    (condition, Exists(self._keys.collection(name))),
                )
            )
            if isinstance(outcome, Committed):
                self._made(name, outcome.revision)
                return
        raise SchemaChanged(f"other nodes change {name} faster than its shards can be set")

    # --- what this node goes by ------------------------------------------------------------------

    def schema_version(self, name: CollectionName) -> int:
        """What requests to other nodes carry: the revision of the definition that this node goes
        by; 0 of a collection that it does not know."""
        applied = self._applier.applied(name)
        return 0 if applied is None else applied.agreed.revision

    @property
    def is_complete(self) -> bool:
        """Whether all that is agreed is made here."""
        return self._applier.is_complete

    def definition(self, name: CollectionName) -> Collection | None:
        """The definition that this node goes by."""
        applied = self._applier.applied(name)
        return None if applied is None else applied.schema

    def names(self) -> list[CollectionName]:
        """The collections that this node goes by, by name."""
        return sorted(self._applier.all())

    def learn(self, moved: Moved) -> None:
        """Take a newer sharding state from a node that refused by it: the metadata may be out of
        reach here. Raises CorruptData."""
        known = self.sharding(moved.collection)
        if known is not None and moved.revision > known[1]:
            state = decode_sharding(moved.state, collection=moved.collection)
            self._learned[moved.collection] = (state, Revision(moved.revision))

    def sharding(self, name: CollectionName) -> tuple[ShardingState, Revision] | None:
        """The newest sharding state that this node has heard of, with its revision; None of a
        collection that is not here, or has tenants."""
        found = self._followed_sharding(name)
        learned = self._learned.get(name)
        if learned is None or found is None:
            return found
        if learned[1] > found[1]:
            return learned
        self._learned.pop(name, None)
        return found

    def _followed_sharding(self, name: CollectionName) -> tuple[ShardingState, Revision] | None:
        applied = self._applier.applied(name)
        if applied is None or applied.agreed.sharding is None:
            return None
        (placed,) = self._follower.known(self._keys.sharding(name))
        if placed is not None and placed.revision == applied.agreed.sharding_revision:
            return applied.agreed.sharding, placed.revision  # Nearly always: nothing is parsed.
        newest = self._applier.newest(name)
        if newest is None or newest.record.incarnation != applied.agreed.record.incarnation:
            newest = applied.agreed  # Dropped, or made anew; what is here goes soon.
        if newest.sharding is None:
            return None
        return newest.sharding, newest.sharding_revision

    def moved(self, name: CollectionName) -> Moved | None:
        """The same, as nodes tell it to each other."""
        found = self.sharding(name)
        if found is None:
            return None
        return Moved(name, found[1], encode_sharding(found[0]))

    async def wait_for_schema(self, name: CollectionName, version: int, deadline_s: float) -> bool:
        """Wait in an event loop until this node goes by that version or a newer one; False at the
        deadline. Raises UnknownCollection once it is known that the collection was deleted."""
        if self._applier.is_gone(name, Revision(version)):
            raise UnknownCollection(name)
        found = await self._applier.wait_for(
            name, lambda applied: applied.agreed.revision >= version, deadline_s
        )
        if not found and self._applier.is_gone(name, Revision(version)):
            raise UnknownCollection(name)
        return found

    async def wait_for_sharding(
        self, name: CollectionName, revision: int, deadline_s: float
    ) -> bool:
        """The same for the sharding state, with the shards that it gives to this node."""
        if self._applier.is_gone(name, Revision(revision)):
            raise UnknownCollection(name)
        found = await self._applier.wait_for(
            name, lambda applied: applied.agreed.sharding_revision >= revision, deadline_s
        )
        if not found and self._applier.is_gone(name, Revision(revision)):
            raise UnknownCollection(name)
        return found

    # --- details ---------------------------------------------------------------------------------

    def _placed(self, definition: Collection) -> ShardingState:
        """A place for every shard. Raises SchemaViolation."""
        names = [self.new_shard_name() for _ in range(definition.shard_count)]
        load: dict[NodeName, int] = {}
        for applied in self._applier.all().values():
            if applied.agreed.sharding is not None:
                for node, count in applied.agreed.sharding.replica_counts().items():
                    load[node] = load.get(node, 0) + count
        factor = definition.replication_factor
        placements = place_new(self._peers.takers(), names, factor=factor, load=load)
        return ShardingState.create(
            [PlacedShard(each.shard, each.replicas) for each in placements],
            factor=factor,
            virtual_per_shard=definition.definition["shardingConfig"]["virtualPerPhysical"],
        )

    def new_shard_name(self) -> ShardName:
        """A name for a shard more. Any thread."""
        return ShardName("".join(self._random.choices(_LETTERS, k=_NAME_CHARS)))

    def _made(self, name: CollectionName, revision: Revision) -> Applied:
        self._wait(name, revision)
        applied = self._applier.applied(name)
        if applied is None:
            raise UnknownCollection(name)  # Somebody dropped it right after.
        return applied

    def _wait(self, name: CollectionName, revision: Revision) -> None:
        """Wait until this node has made a change. Raises MetadataUnavailable."""
        if self._applier.wait_done(name, revision, APPLIED_S_MAX):
            return
        cause: WeftError | str = self._applier.faults().get(name, "its follower is behind")
        raise MetadataUnavailable(
            f"the change of {name} is agreed on, but this node has not made it yet: {cause}"
        )

    def _check_reachable(self) -> None:
        """Refuse at once while the metadata is away: nobody should queue up for a time-out."""
        if not self._follower.is_current:
            raise MetadataUnavailable(
                "the metadata of the cluster cannot be reached: collections cannot be changed "
                "until a majority of it is back; objects can be read and written meanwhile"
            )
