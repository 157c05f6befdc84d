"""Kernels: the element loops that have two implementations, NumPy's and ours.

`reference.py` is the definition, `native.py` the fast twin; one test suite runs over both.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from weftdb.core.schema import Metric
from weftdb.core.types import Rows

DocCounts = NDArray[np.uint32]


class Kernels(Protocol):
    """Works on whole arrays; no method is called once a vector."""

    @property
    def name(self) -> str:
        """`native` or `reference`."""
        ...

    def distance_matrix(self, queries: Rows, rows: Rows, metric: Metric) -> NDArray[np.float32]:
        """Distances of every query to every row, float32[queries, rows].

        Cosine takes vectors of length one (`normalised`) and is 1 - dot, never below 0; dot is the
        negated product; hamming counts the positions that differ. Raises ValueError if the
        dimensions differ.
        """
        ...

    def max_sim(self, query: Rows, rows: Rows, counts: DocCounts) -> NDArray[np.float32]:
        """MaxSim distances (late interaction) of a query matrix to docs, float32[docs].

        The rows of the docs follow one another, `counts` says how many are each doc's. A distance
        is minus the sum over query rows of the largest dot product with any row of the doc. Raises
        ValueError if the dimensions differ, a doc or the query has no rows, or `counts` does not
        add up.
        """
        ...

    def normalised(self, rows: Rows) -> Rows:
        """Copies with length one; zero vectors stay zero."""
        ...
