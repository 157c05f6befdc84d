"""LocalCollection: the objects of one collection on this node; what doors and library call.

Every method is synchronous and thread-safe. A write returns after the sync that covers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import WeftError
from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.query import Filter, Hits, Search
from weftdb.core.schema import Collection
from weftdb.core.types import ObjectId, PropertyValue, VectorName


class PutMode(Enum):
    """What a put expects of the id."""

    UPSERT = "upsert"
    INSERT = "insert"
    """ObjectExists if it is taken."""
    REPLACE = "replace"
    """ObjectNotFound if it is free."""


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """Outcome of a delete by filter. `ids` are the matches (all of them, there is no cap)."""

    matches: int
    deleted: int
    ids: tuple[ObjectId, ...]


class LocalCollection:
    """The objects of one collection on this node."""

    schema: Collection

    def put(
        self, drafts: Sequence[ObjectDraft], mode: PutMode = PutMode.UPSERT, *, tenant: str = ""
    ) -> list[WeftError | None]:
        """Write objects in one atomic batch a shard; None where it went well.

        Drafts are validated already (core/validation.py); here vectors are made where a vectorizer
        is configured and missing, and dimensions are checked. Of the same id twice, the last wins.
        """
        raise NotImplementedError

    def merge(
        self,
        object_id: ObjectId,
        changes: Mapping[str, PropertyValue],
        vectors: Mapping[VectorName, NDArray[np.float32]],
        *,
        tenant: str = "",
    ) -> None:
        """Change single properties (None removes) and vectors. Raises ObjectNotFound."""
        raise NotImplementedError

    def delete(self, ids: Sequence[ObjectId], *, tenant: str = "") -> list[bool]:
        """Delete; False where there was nothing."""
        raise NotImplementedError

    def delete_where(
        self, condition: Filter, *, dry_run: bool = False, tenant: str = ""
    ) -> DeleteReport:
        """Delete every object that the filter matches."""
        raise NotImplementedError

    def get(
        self, object_id: ObjectId, *, with_vectors: bool = False, tenant: str = ""
    ) -> Object | None:
        """The object, or None."""
        raise NotImplementedError

    def exists(self, object_id: ObjectId, *, tenant: str = "") -> bool:
        """Whether the object is stored."""
        raise NotImplementedError

    def search(self, query: Search) -> Hits:
        """Run any read: list, vector, keyword, hybrid, with filter, sort, paging, autocut."""
        raise NotImplementedError

    def count(self, condition: Filter | None = None, *, tenant: str = "") -> int:
        """Objects, or those that match."""
        raise NotImplementedError

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until every vector is linked into its graph; False when the time is up."""
        raise NotImplementedError
