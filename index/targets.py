from __future__ import annotations
import numpy as np
from collections.abc import Sequence
from weftdb.core.query import Combination


def combine_distances(c: Combination, m: np.ndarray, w: Sequence[float]) -> np.ndarray:
    if c is Combination.MINIMUM:
        return np.nanmin(m, axis=0).astype(float)
    return m.sum(axis=0).astype(float)
