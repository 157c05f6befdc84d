"""ReferenceKernels: what the kernels mean, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weftdb.core.schema import Metric
from weftdb.core.types import Rows
from weftdb.index.kernels.abc import DocCounts

_CELLS_MAX = 1 << 22
"""Cells of the largest array made at once; rows are taken in blocks of this size."""


class ReferenceKernels:
    """Kernels as plain array arithmetic. Slow, and easy to trust."""

    name = "reference"

    def distance_matrix(self, queries: Rows, rows: Rows, metric: Metric) -> NDArray[np.float32]:
        """Distances of every query to every row, float32[queries, rows]."""
        if queries.shape[1] != rows.shape[1]:
            raise ValueError("queries and rows differ in their dimensions")
        if metric is Metric.COSINE:
            return np.asarray(np.maximum(1 - queries @ rows.T, 0), dtype=np.float32)
        if metric is Metric.DOT:
            return np.asarray(-(queries @ rows.T), dtype=np.float32)
        out = np.empty((len(queries), len(rows)), dtype=np.float32)
        step = max(1, _CELLS_MAX // max(1, queries.size))
        for first in range(0, len(rows), step):
            block = rows[first : first + step]
            out[:, first : first + step] = _by_position(queries[:, None], block[None], metric)
        return out

    def max_sim(self, query: Rows, rows: Rows, counts: DocCounts) -> NDArray[np.float32]:
        """MaxSim distances (late interaction) of a query matrix to docs, float32[docs]."""
        if query.shape[1] != rows.shape[1]:
            raise ValueError("query and rows differ in their dimensions")
        if len(query) == 0:
            raise ValueError("the query has no rows")
        if (counts == 0).any():
            raise ValueError("a doc has no rows")
        ends = np.cumsum(counts, dtype=np.int64)
        if (int(ends[-1]) if len(ends) else 0) != len(rows):
            raise ValueError("the counts do not add up to the rows")
        if len(counts) == 0:
            return np.zeros(0, dtype=np.float32)
        best = np.maximum.reduceat(query @ rows.T, ends - counts, axis=1)
        return np.asarray(-best.sum(axis=0, dtype=np.float64), dtype=np.float32)

    def normalised(self, rows: Rows) -> Rows:
        """Copies with length one; zero vectors stay zero."""
        wide = rows.astype(np.float64)
        lengths = np.sqrt(np.sum(wide * wide, axis=1, keepdims=True))
        scaled = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
        return np.asarray(scaled, dtype=np.float32)


def _by_position(
    left: NDArray[np.float32], right: NDArray[np.float32], metric: Metric
) -> NDArray[np.float32]:
    if metric is Metric.HAMMING:
        return np.asarray(np.sum(left != right, axis=2), dtype=np.float32)
    gaps = left - right
    terms = gaps * gaps if metric is Metric.L2_SQUARED else np.abs(gaps)
    return np.asarray(np.sum(terms, axis=2), dtype=np.float32)
