"""NodeView: the cluster as this node knows it, for hints and repairs (`internode.ClusterView`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weftdb.cluster.membership import Liveness
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.errors import UnknownCollection
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName
from weftdb.engine.database import Database
from weftdb.engine.local_shard import LocalShard
from weftdb.server.agreement.agreed_schema import AgreedSchema
from weftdb.server.agreement.peers import Peers
from weftdb.server.internode.messages import NO_REVISION, Moved


class NodeView:
    """Thread-safe; nothing here waits but `empty`."""

    def __init__(self, schema: AgreedSchema, database: Database, peers: Peers) -> None:
        self._schema = schema
        self._database = database
        self._peers = peers

    @property
    def node(self) -> NodeName:
        """This node."""
        return self._peers.own

    def schema(self, collection: CollectionName) -> Collection | None:
        """The definition that this node goes by."""
        return self._schema.definition(collection)

    def schema_version(self, collection: CollectionName) -> int:
        """Of that definition; 0 of a collection that is not known."""
        return self._schema.schema_version(collection)

    def revision(self, collection: CollectionName) -> int:
        """Of the sharding state that this node goes by; NO_REVISION without one."""
        found = self._schema.sharding(collection)
        return NO_REVISION if found is None else found[1]

    def learn(self, moved: Moved) -> None:
        """Take a newer sharding state from who refused by it."""
        self._schema.learn(moved)

    def replicas(self, shard: ShardRef) -> Sequence[NodeName]:
        """The nodes with a replica that reads may be served from; none of an unknown shard."""
        found = self._schema.sharding(shard.collection)
        placed = None if found is None else found[0].shard(shard.shard)
        return () if placed is None else placed.replicas

    def here(self) -> Iterable[ShardRef]:
        """The shards that lie on this node."""
        for schema in self._database.collections():
            name = CollectionName(schema.name)
            try:
                held = self._database.collection(name)
            except UnknownCollection:
                continue  # Dropped meanwhile.
            for shard in held.shards:
                yield ShardRef(name, shard)

    def local(self, shard: ShardRef) -> LocalShard | None:
        """A shard on this node; None where it is not, or not yet, open."""
        return open_shard(self._database, shard)

    @property
    def is_complete(self) -> bool:
        """Whether all shards that are agreed to lie here are open."""
        return self._schema.is_complete

    def empty(self, shard: ShardRef) -> None:
        """Drop what lies here of a shard, and begin it anew with nothing. Blocks; durable when it
        returns. A crash on the way leaves it as it was, or without it, which the next start makes
        up for."""
        self._database.drop_shard(shard.collection, shard.shard)
        self._database.add_shard(shard.collection, shard.shard)

    def is_member(self, node: NodeName) -> bool:
        """Whether a node belongs to the cluster; true while no members are known."""
        members = self._peers.members()
        return not members or node in members

    def is_alive(self, node: NodeName) -> bool:
        """Whether membership has no doubt of a node."""
        return self._peers.liveness_of(node) is Liveness.ALIVE

    def is_away(self, node: NodeName) -> bool:
        """Whether membership calls a node away."""
        return self._peers.liveness_of(node) in (Liveness.UNAVAILABLE, Liveness.LEFT)


def open_shard(database: Database, shard: ShardRef) -> LocalShard | None:
    """The open shard of a database, if there is one."""
    try:
        return database.collection(shard.collection).shards.get(shard.shard)
    except UnknownCollection:
        return None
