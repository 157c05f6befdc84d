"""NativeKernels: the kernels in C++, for the instruction set of this CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weftdb.core.schema import Metric
from weftdb.core.types import Rows
from weftdb.index.kernels import _native


class NativeKernels:
    """Kernels of the extension. `simd` None takes the best that this CPU has."""

    name = "native"

    def __init__(self, simd: str | None = None) -> None:
        self._simd = simd

    def distance_matrix(self, queries: Rows, rows: Rows, metric: Metric) -> NDArray[np.float32]:
        """Distances of every query to every row, float32[queries, rows]."""
        return _native.distance_matrix(queries, rows, metric.value, self._simd)

    def normalised(self, rows: Rows) -> Rows:
        """Copies with length one; zero vectors stay zero."""
        return _native.normalised(rows)
