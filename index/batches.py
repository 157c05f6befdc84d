"""Batches: many queries for one vector index at once."""

from __future__ import annotations

from collections.abc import Sequence

from weftdb.core.types import Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import BatchIndex, Neighbours, VectorIndex


def search_many(
    index: VectorIndex,
    queries: Rows,
    k: int,
    *,
    allow: AllowList | None = None,
    ef: int | None = None,
    distance_max: float | None = None,
) -> Sequence[Neighbours]:
    """`index.search` for each row of `queries`; in one native call where the index has it."""
    if isinstance(index, BatchIndex):
        return index.search_many(queries, k, allow=allow, ef=ef, distance_max=distance_max)
    return [
        index.search(query, k, allow=allow, ef=ef, distance_max=distance_max) for query in queries
    ]
