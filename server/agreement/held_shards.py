"""HeldShards: the shards of this node, for requests of other nodes (`internode.LocalShards`)."""

from __future__ import annotations

from typing import Protocol

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.errors import ShardLoading, UnknownCollection
from weftdb.core.partial import TokenRanges
from weftdb.core.types import CollectionName, NodeName
from weftdb.engine.database import Database
from weftdb.engine.local_shard import LocalShard
from weftdb.server.agreement.agreed_schema import AgreedSchema
from weftdb.server.agreement.node_view import open_shard
from weftdb.server.internode.messages import Moved


class Standing(Protocol):
    """Which replicas here vouch for what they hold."""

    def check(self, shard: ShardRef) -> None:
        """Raise ShardLoading for a replica that must not be touched yet."""
        ...

    def is_rebuilding(self, shard: ShardRef) -> bool:
        """Whether a replica takes states, but says nothing that counts."""
        ...


class _Plain:
    """All vouch."""

    def check(self, shard: ShardRef) -> None:
        """Nothing to say."""

    def is_rebuilding(self, shard: ShardRef) -> bool:
        """Never."""
        return False


class HeldShards:
    """Thread-safe; nothing here waits but `wait_for_...`, in an event loop."""

    def __init__(self, own: NodeName, schema: AgreedSchema, database: Database) -> None:
        self._own = own
        self._schema = schema
        self._database = database
        self.standings: Standing = _Plain()
        """Which replicas vouch for what they hold (server/internode/standings.py), once there is
        somebody who keeps that."""

    def local(self, shard: ShardRef) -> LocalShard:
        """The open shard. Raises UnknownCollection where it is gone for good, ShardLoading where it
        is being made ready, or has to be emptied first."""
        found = open_shard(self._database, shard)
        if found is not None:
            self.standings.check(shard)
            return found
        where = f"shard {shard.shard} of {shard.collection} on {self._own}"
        if self.is_coming(shard):
            raise ShardLoading(f"{where} is being made")
        raise UnknownCollection(f"{shard.collection} ({where})")

    def is_coming(self, shard: ShardRef) -> bool:
        """Whether the shard is given to this node, and is not open yet."""
        if open_shard(self._database, shard) is not None:
            return False
        known = self._schema.sharding(shard.collection)
        placed = None if known is None else known[0].shard(shard.shard)
        return placed is not None and self._own in placed.holders

    def kept(self, shard: ShardRef) -> TokenRanges | None:
        """The tokens of the objects that a replica here may hold; None for all of them."""
        known = self._schema.sharding(shard.collection)
        if known is None or not known[0].may_stray:
            return None
        return tuple((each.start, each.stop) for each in known[0].kept_ranges(shard.shard))

    def is_rebuilding(self, shard: ShardRef) -> bool:
        """Whether the replica was emptied and is not rebuilt yet."""
        return self.standings.is_rebuilding(shard)

    def sharding(self, collection: CollectionName) -> Moved | None:
        """The newest sharding state known here; None without one."""
        return self._schema.moved(collection)

    def schema_version(self, collection: CollectionName) -> int:
        """Of the definition that this node goes by; 0 for a collection that it does not know."""
        return self._schema.schema_version(collection)

    async def wait_for_schema(
        self, collection: CollectionName, version: int, deadline_s: float
    ) -> bool:
        """Wait until this node goes by that version or a newer one. Raises UnknownCollection."""
        return await self._schema.wait_for_schema(collection, version, deadline_s)

    async def wait_for_sharding(
        self, collection: CollectionName, revision: int, deadline_s: float
    ) -> bool:
        """The same for the sharding state."""
        return await self._schema.wait_for_sharding(collection, revision, deadline_s)
