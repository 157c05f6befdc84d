"""NativeKernels: the kernels in C++, for the instruction set of this CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weftdb.core.schema import Metric
from weftdb.core.types import Rows
from weftdb.index.kernels import _native
from weftdb.index.kernels.abc import DocCounts


class NativeKernels:
    """Kernels of the extension. `simd` None takes the best that this CPU has."""

    name = "native"

    def __init__(self, simd: str | None = None) -> None:
        self._simd = simd

    def distance_matrix(self, queries: Rows, rows: Rows, metric: Metric) -> NDArray[np.float32]:
        """Distances of every query to every row, float32[queries, rows]."""
        return _native.distance_matrix(queries, rows, metric.value, self._simd)

    def max_sim(self, query: Rows, rows: Rows, counts: DocCounts) -> NDArray[np.float32]:
        """MaxSim distances (late interaction) of a query matrix to docs, float32[docs]."""
        return _native.max_sim(query, rows, counts, self._simd)

    def normalised(self, rows: Rows) -> Rows:
        """Copies with length one; zero vectors stay zero."""
        return _native.normalised(rows)
