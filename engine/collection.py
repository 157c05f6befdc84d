"""LocalCollection: what this node has of one collection; what doors and library call.

Without a cluster that is everything, in one shard. With one, the sharding state says which shards
this node holds, perhaps none, and a router stands before this (engine/serving.py).

Every method is synchronous and thread-safe. A write returns after the sync that covers it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import Closed, ShardLoading, Unsupported, WeftError
from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.query import Filter, Hits, Search
from weftdb.core.schema import Collection
from weftdb.core.types import NodeName, ObjectId, PropertyValue, ShardName, VectorName
from weftdb.engine.change import PutMode
from weftdb.engine.local_shard import LocalShard
from weftdb.engine.maintenance import Chore
from weftdb.engine.replica import ShardReplica
from weftdb.engine.serving import DeleteReport, wrong_tenant
from weftdb.engine.shard import Shard
from weftdb.engine.shard_sums import ShardSums
from weftdb.engine.steps import Steps, run


class LocalCollection:
    """What this node has of one collection: a ServedCollection. Its methods take a `level` as that
    asks for, and pass over it: the one replica meets all."""

    reads_elsewhere = False

    def __init__(self, schema: Collection, shards: Sequence[LocalShard]) -> None:
        """Serve open shards."""
        self._schema = schema
        self._hold({shard.name: shard for shard in shards})
        self._retired = threading.Event()
        self.figures = ShardSums(lambda: [shard.figures for shard in self._shards.values()])

    @property
    def schema(self) -> Collection:
        """The present definition."""
        return self._schema

    @property
    def shards(self) -> Mapping[ShardName, LocalShard]:
        """The shards on this node; another mapping after each change."""
        return self._shards

    @property
    def only(self) -> LocalShard:
        """The shard that a collection without a router has. Raises where there is another number of
        shards: ShardLoading for none, Unsupported for several."""
        if self._only is not None:
            return self._only
        self._check()
        if not self._shards:
            raise ShardLoading(f"this node holds no shard of {self.schema.name}")
        raise Unsupported(
            f"this node holds {len(self._shards)} shards of {self.schema.name}: one has to be named"
        )

    @property
    def shard(self) -> Shard:
        """What `only` serves."""
        return self.only.shard

    @property
    def replica(self) -> ShardReplica:
        """What `only` does as a replica."""
        return self.only.replica

    @property
    def chores(self) -> Sequence[Chore]:
        """The background work of all shards."""
        return [chore for shard in self._shards.values() for chore in shard.chores]

    @property
    def pending(self) -> int:
        """Vectors that wait to be linked into their graphs (they are found all the same)."""
        return self.figures.pending

    @property
    def read_only(self) -> frozenset[str]:
        """Names of the shards that somebody has set read-only."""
        return frozenset().union(*(shard.status.read_only for shard in self._shards.values()))

    # What doors ask for.

    def put(
        self,
        drafts: Sequence[ObjectDraft],
        mode: PutMode = PutMode.UPSERT,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[WeftError | None]:
        """Write objects, each atomically; None where it went well (engine/local_shard.py)."""
        return self._of(tenant).put(drafts, mode)

    def merge(
        self,
        object_id: ObjectId,
        changes: Mapping[str, PropertyValue],
        vectors: Mapping[VectorName, NDArray[np.float32]],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> None:
        """Change single properties (None removes) and vectors (engine/local_shard.py)."""
        self._of(tenant).merge(object_id, changes, vectors)

    def delete(
        self,
        ids: Sequence[ObjectId],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[bool]:
        """Delete; False where there was nothing."""
        return self._of(tenant).delete(ids)

    def delete_where(
        self,
        condition: Filter,
        *,
        dry_run: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> DeleteReport:
        """Delete every object that the filter matches. Raises ReadOnly."""
        return self._of(tenant).delete_where(condition, dry_run=dry_run)

    def get(
        self,
        object_id: ObjectId,
        *,
        with_vectors: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
        node: NodeName | None = None,
    ) -> Object | None:
        """The object, or None. There is one replica, whichever node is named."""
        return self._of(tenant).get(object_id, with_vectors=with_vectors)

    def exists(
        self, object_id: ObjectId, *, tenant: str = "", level: ConsistencyLevel | None = None
    ) -> bool:
        """Whether the object is stored."""
        return self._of(tenant).exists(object_id)

    def search(self, query: Search, *, level: ConsistencyLevel | None = None) -> Hits:
        """Run any read: list, vector, keyword, hybrid, with filter, sort, paging, autocut."""
        return run(self.search_steps(query))

    def search_steps(self, query: Search, *, level: ConsistencyLevel | None = None) -> Steps[Hits]:
        """The same read as steps, for a driver that runs the long calls elsewhere."""
        return self._of(query.tenant).search_steps(query)

    def aggregate(self, query: Aggregate, *, level: ConsistencyLevel | None = None) -> Aggregated:
        """Count objects and sum their properties up, also by groups."""
        return run(self._of(query.tenant).aggregate_steps(query))

    def count(
        self,
        condition: Filter | None = None,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> int:
        """Objects, or those that match."""
        return self._of(tenant).count(condition)

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until every vector is linked into its graph; False when the time is up."""
        return all(shard.wait_indexed(timeout_s) for shard in self._shards.values())

    # What the database asks for.

    def set_read_only(self, name: str, *, is_read_only: bool) -> None:
        """Have a shard refuse writes, or take them again. A collection without a router may report
        its one shard under several names. Durability: synced when this returns."""
        shard = self._shards.get(ShardName(name)) or self.only
        shard.status.set_read_only(name, is_read_only=is_read_only)

    def reconfigure(self, definition: Collection) -> None:
        """Take a changed definition."""
        for shard in self._shards.values():
            shard.reconfigure(definition)
        self._schema = definition

    def add(self, shard: LocalShard) -> None:
        """Take a shard in. Requires: nobody else changes the shards."""
        assert shard.name not in self._shards, shard.name
        self._hold({**self._shards, shard.name: shard})

    def remove(self, name: ShardName) -> None:
        """Let go of a shard that was retired. Requires: nobody else changes the shards."""
        self._hold({key: shard for key, shard in self._shards.items() if key != name})

    def retire(self) -> None:
        """Refuse everything from now on: the collection is being dropped. Twice is fine."""
        self._retired.set()
        for shard in self._shards.values():
            shard.retire()

    def close(self) -> None:
        """Save derived state and stop."""
        for shard in self._shards.values():
            shard.close()
        self._retired.set()

    def _hold(self, shards: Mapping[ShardName, LocalShard]) -> None:
        self._shards = shards
        self._only = next(iter(shards.values())) if len(shards) == 1 else None

    def _of(self, tenant: str) -> LocalShard:
        """The shard that has what is asked for. Raises UnknownTenant, Closed, and as `only`."""
        if tenant or self._schema.multi_tenant:
            self._check()
            raise wrong_tenant(self._schema, tenant)
        return self.only

    def _check(self) -> None:
        if self._retired.is_set():
            raise Closed(f"collection {self.schema.name} has been dropped")


__all__ = ["DeleteReport", "LocalCollection", "PutMode"]
