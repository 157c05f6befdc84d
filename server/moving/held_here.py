"""HeldHere: the shards that lie on this node, as who moves data sees them (`mover.Here`)."""

from __future__ import annotations

from collections.abc import Sequence

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.errors import UnknownCollection
from weftdb.core.types import NodeName
from weftdb.engine.database import Database
from weftdb.server.agreement.agreed_schema import AgreedSchema
from weftdb.server.agreement.node_view import NodeView
from weftdb.server.agreement.peers import Peers


class HeldHere:
    """Thread-safe."""

    def __init__(
        self, view: NodeView, schema: AgreedSchema, database: Database, peers: Peers
    ) -> None:
        self._view = view
        self._schema = schema
        self._database = database
        self._peers = peers

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
