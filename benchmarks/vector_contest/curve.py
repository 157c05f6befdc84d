"""Curve: what one contestant reaches at which recall, read between measured points. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One setting of the knob (ef or nprobe): recall@10 and searches per second by threads."""

    knob: int
    recall: float
    one_per_s: float
    two_per_s: float | None = None
    """None where only one thread was measured."""


def best_at(points: Sequence[Point], recall: float, *, threads: int) -> tuple[float, float] | None:
    """Searches per second and knob at a recall, between the nearest points on both sides.

    A curve that begins above the recall gives its first point, which is what a user would set; one
    that never reaches it gives None. Rates are read on a logarithmic scale.
    """
    measured = sorted(
        (item.recall, rate, item.knob)
        for item in points
        if (rate := item.one_per_s if threads == 1 else item.two_per_s) is not None
    )
    above = [item for item in measured if item[0] >= recall]
    if not above:
        return None
    # The fastest setting that is good enough; noise in recall must not hide a faster one.
    high = max(above, key=lambda item: item[1])
    below = [item for item in measured if item[0] < recall and item[1] > high[1]]
    if not below:
        return high[1], float(high[2])
    low = max(below)
    share = (recall - low[0]) / (high[0] - low[0])
    rate = math.exp(math.log(low[1]) * (1 - share) + math.log(high[1]) * share)
    return rate, low[2] * (1 - share) + high[2] * share


def knobs_around(recall_of: dict[int, float], wanted: Sequence[float]) -> list[int]:
    """The knobs that lie directly below and above each wanted recall, ascending."""
    chosen: set[int] = set()
    for recall in wanted:
        below = [knob for knob, value in recall_of.items() if value < recall]
        above = [knob for knob, value in recall_of.items() if value >= recall]
        if above:
            chosen.add(min(above))
            chosen |= (
                {max(knob for knob in below if knob < min(above))}
                if any(knob < min(above) for knob in below)
                else set()
            )
    return sorted(chosen or ({max(recall_of)} if recall_of else set()))
