"""Batches: many queries for one vector index at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weftdb.core.types import Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import NO_DOC, BatchIndex, Neighbours, NeighbourTable, VectorIndex


def search_many(
    index: VectorIndex,
    queries: Rows,
    k: int,
    *,
    allow: AllowList | None = None,
    ef: int | None = None,
    distance_max: float | None = None,
    threads: int = 1,
) -> NeighbourTable:
    """`index.search` for each row of `queries`; in one native call where the index has it.

    `threads` is how many such a call may use; an index without one answers query by query.
    """
    if isinstance(index, BatchIndex):
        return index.search_many(
            queries, k, allow=allow, ef=ef, distance_max=distance_max, threads=threads
        )
    return tabulate(
        [index.search(query, k, allow=allow, ef=ef, distance_max=distance_max) for query in queries]
    )


def tabulate(rows: Sequence[Neighbours]) -> NeighbourTable:
    """Lay single results below each other."""
    counts = np.array([len(row.doc_ids) for row in rows], dtype=np.uint32)
    shape = (len(rows), int(counts.max(initial=0)))
    doc_ids = np.full(shape, NO_DOC, dtype=np.uint32)
    distances = np.full(shape, np.inf, dtype=np.float32)
    for at, row in enumerate(rows):
        doc_ids[at, : len(row.doc_ids)] = row.doc_ids
        distances[at, : len(row.doc_ids)] = row.distances
    return NeighbourTable(doc_ids, distances, counts, [row.explanation for row in rows])
