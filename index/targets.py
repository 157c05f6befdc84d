"""Joins the distances of several target vectors into one, and certainties with distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weftdb.core.partial import DistanceRange
from weftdb.core.query import Combination


def combine_distances(
    combination: Combination,
    distances: NDArray[np.floating],
    weights: Sequence[float],
    ranges: Sequence[DistanceRange] | None = None,
) -> NDArray[np.float64]:
    """One distance a doc from float[targets, docs], f64[docs]; NaN is "no such vector".

    A doc that lacks a vector is NaN in the answer, too, except with MINIMUM, where the vectors it
    has count. `weights` (one a target) matter to MANUAL and RELATIVE_SCORE only; `ranges` (one a
    target), to the latter: they are those of all shards, where these docs are not all.
    """
    rows = np.asarray(distances, dtype=np.float64)
    assert rows.ndim == 2, rows.shape
    assert len(weights) == len(rows), (len(weights), rows.shape)
    match combination:
        case Combination.MINIMUM:
            return np.asarray(np.fmin.reduce(rows, axis=0))
        case Combination.SUM:
            return np.asarray(rows.sum(axis=0))
        case Combination.AVERAGE:
            return np.asarray(rows.mean(axis=0))
        case Combination.MANUAL:
            return _weighted(rows, weights)
        case Combination.RELATIVE_SCORE:
            return _weighted(_stretched(rows, ranges), weights)


def _weighted(rows: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """The weighted sum of each column; the same whatever columns stand beside it, which a matrix
    product does not promise of the last bit."""
    sums = np.zeros(rows.shape[1])
    for weight, row in zip(weights, rows, strict=True):
        sums += weight * row
    return sums


def distance_ranges(distances: NDArray[np.floating]) -> tuple[DistanceRange, ...]:
    """Of float[targets, docs] the least and the greatest distance to each target, of the docs that
    have all vectors; empty when none has."""
    rows = np.asarray(distances, dtype=np.float64)
    complete = rows[:, ~np.isnan(rows).any(axis=0)]
    if not complete.size:
        return ()
    lows, highs = complete.min(axis=1).tolist(), complete.max(axis=1).tolist()
    return tuple(DistanceRange(low, high) for low, high in zip(lows, highs, strict=True))


def _stretched(
    rows: NDArray[np.float64], ranges: Sequence[DistanceRange] | None
) -> NDArray[np.float64]:
    """Stretch each row to 0..1 over the docs that have all vectors; the others become NaN."""
    ranges = ranges or distance_ranges(rows)
    is_complete = ~np.isnan(rows).any(axis=0)
    stretched = np.full_like(rows, np.nan)
    if not is_complete.any():
        return stretched
    assert len(ranges) == len(rows), (len(ranges), len(rows))
    complete = rows[:, is_complete]
    low = np.array([[each.low] for each in ranges])
    span = np.array([[each.high] for each in ranges]) - low
    stretched[:, is_complete] = np.divide(
        complete - low, span, out=np.zeros_like(complete), where=span > 0
    )
    return stretched


def certainty_of(distance: float) -> float:
    """Certainty of a cosine distance."""
    return 1.0 - distance / 2.0


def distance_of(certainty: float) -> float:
    """Cosine distance of a certainty."""
    return 2.0 * (1.0 - certainty)
