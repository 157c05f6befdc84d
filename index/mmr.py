"""Maximal marginal relevance: hits that are close to the query and unlike each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BALANCE_DEFAULT = 0.5


def diversify(
    query_distances: Sequence[float],
    between: NDArray[np.floating],
    limit: int,
    balance: float | None = None,
) -> list[int]:
    """Positions of the chosen hits, in the order they are chosen; at most `limit`.

    `query_distances[i]` is the distance of hit i (best first) to the query, `between[i, j]` that of
    two hits. The best hit is first; then always the one with the largest
    -balance x query distance + (1 - balance) x distance to the nearest chosen hit.
    """
    count = len(query_distances)
    assert between.shape == (count, count), between.shape
    if count == 0 or limit < 1:
        return []
    weight = BALANCE_DEFAULT if balance is None else balance
    relevance = -weight * np.asarray(query_distances, dtype=np.float64)
    chosen = [0]
    nearest = np.array(between[0], dtype=np.float64)
    is_left = np.ones(count, dtype=bool)
    is_left[0] = False
    while len(chosen) < min(limit, count):
        gain = np.where(is_left, relevance + (1.0 - weight) * nearest, -np.inf)
        best = int(np.argmax(gain))  # The first of equals: the closer hit.
        chosen.append(best)
        is_left[best] = False
        nearest = np.minimum(nearest, between[best])
    return chosen
