"""ServedCollection: what doors do with the objects of a collection, wherever they lie.

`LocalCollection` is one, of the shards on this node; a router over the shards of several nodes is
another (docs/decisions/0030). Doors get theirs from `Catalogue.served`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import UnknownTenant, WeftError
from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.query import Filter, Hits, Search
from weftdb.core.schema import Collection
from weftdb.core.types import NodeName, ObjectId, PropertyValue, VectorName
from weftdb.engine.change import PutMode
from weftdb.engine.steps import Steps


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """Outcome of a delete by filter. `ids` are the matches (all of them, there is no cap)."""

    matches: int
    deleted: int
    ids: tuple[ObjectId, ...]


def wrong_tenant(schema: Collection, tenant: str) -> UnknownTenant:
    """Why a request cannot be served: there are no tenants yet, or it names one, or none, wrongly.
    Requires: it names a tenant, or the collection has them."""
    name = schema.name
    if not schema.multi_tenant:
        return UnknownTenant(
            f"class {name} has multi-tenancy disabled, but request was with tenant"
        )
    if not tenant:
        return UnknownTenant(
            f"class {name} has multi-tenancy enabled, but request was without tenant"
        )
    return UnknownTenant(f'tenant not found: "{tenant}"')


class ServedCollection(Protocol):
    """The objects of one collection. Every method is synchronous and may be called in any thread
    but that of an event loop; `search_steps` in any.

    `level` says how many replicas must have answered. None is QUORUM for writes and for objects by
    id, ONE for searches, aggregations and counts. Where there is one replica, all levels are met.
    """

    @property
    def schema(self) -> Collection:
        """The present definition."""
        ...

    @property
    def reads_elsewhere(self) -> bool:
        """Whether steps wait for other nodes: then a loop drives the long reads, too, and their
        long parts are calls for a thread."""
        ...

    def put(
        self,
        drafts: Sequence[ObjectDraft],
        mode: PutMode = PutMode.UPSERT,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[WeftError | None]:
        """Write objects, each atomically; None where it went well. Of the same id twice, the last
        wins. Raises what concerns all of them, before anything is written."""
        ...

    def merge(
        self,
        object_id: ObjectId,
        changes: Mapping[str, PropertyValue],
        vectors: Mapping[VectorName, NDArray[np.float32]],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> None:
        """Change single properties (None removes) and vectors. Raises ObjectNotFound."""
        ...

    def delete(
        self,
        ids: Sequence[ObjectId],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[bool]:
        """Delete; False where there was nothing."""
        ...

    def delete_where(
        self,
        condition: Filter,
        *,
        dry_run: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> DeleteReport:
        """Delete every object that the filter matches."""
        ...

    def get(
        self,
        object_id: ObjectId,
        *,
        with_vectors: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
        node: NodeName | None = None,
    ) -> Object | None:
        """The object, or None; with `node`, as the replica there has it."""
        ...

    def exists(
        self, object_id: ObjectId, *, tenant: str = "", level: ConsistencyLevel | None = None
    ) -> bool:
        """Whether the object is stored."""
        ...

    def search(self, query: Search, *, level: ConsistencyLevel | None = None) -> Hits:
        """Run any read: list, vector, keyword, hybrid, with filter, sort, paging, autocut."""
        ...

    def search_steps(self, query: Search, *, level: ConsistencyLevel | None = None) -> Steps[Hits]:
        """The same read as steps, for a driver that runs the long calls elsewhere."""
        ...

    def aggregate(self, query: Aggregate, *, level: ConsistencyLevel | None = None) -> Aggregated:
        """Count objects and sum their properties up, also by groups."""
        ...

    def count(
        self,
        condition: Filter | None = None,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> int:
        """Objects, or those that match."""
        ...


__all__ = ["DeleteReport", "PutMode", "ServedCollection", "wrong_tenant"]
