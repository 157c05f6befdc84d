"""Agreed: what the nodes agree on about one collection, read from the followed metadata."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from weftdb.cluster.metadata.keys import ClusterKeys, name_below
from weftdb.cluster.metadata.records import CollectionRecord, ShardStates
from weftdb.cluster.metadata.store import Event, Revision
from weftdb.cluster.sharding import ShardingState, decode_sharding
from weftdb.core.definition import load_collection
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.follower import Follower


@dataclass(frozen=True, slots=True)
class Agreed:
    """A collection at one revision of the metadata."""

    record: CollectionRecord
    revision: Revision
    """Of the last change of the definition. It grows over incarnations, too, and is what nodes call
    the version of the schema."""
    sharding: ShardingState | None
    """None of a collection with tenants."""
    sharding_revision: Revision
    read_only: frozenset[ShardName] = frozenset()
    """Shards that take no writes of clients."""

    @property
    def definition(self) -> Collection:
        """The definition as clients see it: with the numbers of shards and replicas as they are."""
        body = dict(self.record.definition)
        if self.sharding is None:
            return load_collection(body)
        factor = self.sharding.factor
        replication = {**body["replicationConfig"], "factor": factor, "asyncEnabled": factor > 1}
        schema = load_collection({**body, "replicationConfig": replication})
        counts = {**schema.definition["shardingConfig"], **self.sharding.sharding_counts()}
        return replace(schema, definition={**schema.definition, "shardingConfig": counts})

    def shards_on(self, node: NodeName) -> tuple[ShardName, ...]:
        """The shards that `node` has, or is being given."""
        if self.sharding is None:
            return ()
        return tuple(shard.name for shard in self.sharding.held_on(node))


def read_agreed(follower: Follower, keys: ClusterKeys, name: CollectionName) -> Agreed | None:
    """The collection as far as is known, its records of one moment. Raises CorruptData."""
    paths = keys.collection(name), keys.sharding(name), keys.states(name)
    found, placed, states = follower.known(*paths)
    if found is None:
        return None
    sharding = None if placed is None else decode_sharding(placed.value, collection=name)
    record = CollectionRecord.decode(paths[0], found.value)
    known = None if states is None else ShardStates.decode(paths[2], states.value)
    is_meant = known is not None and known.incarnation == record.incarnation
    return Agreed(
        record,
        found.revision,
        sharding,
        Revision(0) if placed is None else placed.revision,
        known.read_only if known is not None and is_meant else frozenset(),
    )


def changed_names(keys: ClusterKeys, events: Iterable[Event]) -> dict[CollectionName, Revision]:
    """The collections that events below `/schema/` are about, with the newest revision of each."""
    found: dict[CollectionName, Revision] = {}
    for event in events:
        for prefix in (keys.collections, keys.shards, keys.shard_states):
            if event.key.startswith(prefix):
                found[CollectionName(name_below(prefix, event.key))] = event.revision
    return found
