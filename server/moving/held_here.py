"""HeldHere: the shards that lie on this node, as who moves data sees them (`mover.Here`)."""

from __future__ import annotations

from collections.abc import Sequence

from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import ShardingState
from weftdb.core.errors import UnknownCollection
from weftdb.core.partial import TokenRanges
from weftdb.core.types import NodeName
from weftdb.engine.database import Database
from weftdb.engine.replica import ShardReplica
from weftdb.server.agreement.agreed_schema import AgreedSchema
from weftdb.server.agreement.held_shards import HeldShards
from weftdb.server.agreement.node_view import NodeView, open_shard
from weftdb.server.agreement.peers import Peers
from weftdb.server.internode.gate import ShardGate

SETTLED_S_MAX = 5.0


class HeldHere:
    """Thread-safe."""

    def __init__(
        self,
        view: NodeView,
        schema: AgreedSchema,
        database: Database,
        peers: Peers,
        shards: HeldShards,
        gate: ShardGate,
    ) -> None:
        self._view = view
        self._schema = schema
        self._database = database
        self._peers = peers
        self._shards = shards
        self._gate = gate

    @property
    def node(self) -> NodeName:
        """This node."""
        return self._view.node

    @property
    def is_complete(self) -> bool:
        """Whether all that is agreed is made here."""
        return self._view.is_complete

    def here(self) -> Sequence[ShardRef]:
        """The shards that lie here."""
        return list(self._view.here())

    def holds(self, shard: ShardRef) -> bool:
        """Whether the sharding state gives the shard to this node, or is not known."""
        found = self._schema.sharding(shard.collection)
        if found is None:
            return True
        placed = found[0].shard(shard.shard)
        return placed is not None and self.node in placed.holders

    def replica(self, shard: ShardRef) -> ShardReplica | None:
        """The open shard here, if there is one."""
        found = open_shard(self._database, shard)
        return None if found is None else found.replica

    def sharding(self, shard: ShardRef) -> ShardingState | None:
        """The newest sharding state of its collection."""
        found = self._schema.sharding(shard.collection)
        return None if found is None else found[0]

    def kept(self, shard: ShardRef) -> TokenRanges | None:
        """The tokens of the objects that it may hold by that; None for all of them."""
        return self._shards.kept(shard)

    def is_settled(self, shard: ShardRef) -> bool:
        """Wait a moment until nothing by an older state is under way. Blocks."""
        found = self._schema.sharding(shard.collection)
        if found is None:
            return False
        return self._gate.wait_until_settled(shard.collection, found[1], SETTLED_S_MAX)

    def drop(self, shard: ShardRef) -> None:
        """Remove a shard with its data, durably. Blocks."""
        try:
            self._database.drop_shard(shard.collection, shard.shard)
        except UnknownCollection:
            return  # It went with its collection.

    def add(self, shard: ShardRef) -> None:
        """Begin a shard with nothing; none where its collection is gone. Blocks."""
        try:
            self._database.add_shard(shard.collection, shard.shard)
        except UnknownCollection:
            return

    def alive(self) -> Sequence[NodeName]:
        """The members that are taken for alive."""
        return self._peers.alive()
