"""RecallTable: which ef reaches which recall, learnt from measurements. Pure.

Recall is measured by rows: one row for results up to a number (`K_BOUNDS`), one column for each of
`EFS`. A row is a moving mean: the first measurements count in full, later ones replace old ones
slowly, so that it follows a graph that grows. Read, a row is made monotone (a larger ef never
finds less; where measurements say otherwise it is chance) and is a line between two columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil

EFS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
K_BOUNDS = (10, 30, 100, 300, 1000, 10_000)
QUERIES_MIN = 24
"""A row of fewer measured queries is not used: 240 neighbours tell 0.95 within 0.014."""
QUERIES_KEPT = 400
"""So many queries make up the moving mean."""
MARGIN = 0.1
"""Of the allowed loss, kept in hand: wanted 0.95 aims at 0.955, as the next queries are others."""


@dataclass(slots=True)
class _Row:
    means: list[float] = field(default_factory=lambda: [0.0] * len(EFS))
    queries: int = 0

    def monotone(self) -> list[float]:
        return list(accumulate(self.means, max))


@dataclass(slots=True)
class RecallTable:
    """What was measured so far. Concurrency: one writer; readers see a row of before or after."""

    _rows: dict[int, _Row] = field(default_factory=dict)

    def add(self, k: int, recalls: Sequence[float], queries: int) -> None:
        """Take in the mean recalls of `queries` queries for `k` results, one a column of `EFS`."""
        assert len(recalls) == len(EFS), len(recalls)
        if queries <= 0:
            return
        old = self._rows.get(row_of(k), _Row())
        weight = queries / min(old.queries + queries, QUERIES_KEPT)
        weight = min(weight, 1.0)
        means = [mean + weight * (new - mean) for mean, new in zip(old.means, recalls, strict=True)]
        self._rows[row_of(k)] = _Row(means, old.queries + queries)

    def ef_for(self, k: int, target: float) -> int | None:
        """The least ef that reaches `target` for `k` results; None before enough is known.

        The largest ef where none reaches it.
        """
        row = self._known(k)
        if row is None:
            return None
        wanted = target + MARGIN * (1.0 - target)
        recalls = row.monotone()
        at = bisect_left(recalls, wanted)
        if at == 0:
            return max(EFS[0], k)
        if at == len(EFS):
            return max(EFS[-1], k)
        low, high = recalls[at - 1], recalls[at]
        share = (wanted - low) / (high - low)
        return max(ceil(EFS[at - 1] + share * (EFS[at] - EFS[at - 1])), k)

    def recall_at(self, k: int, ef: int) -> float | None:
        """The recall that `ef` reaches for `k` results; None before enough is known."""
        row = self._known(k)
        if row is None:
            return None
        recalls = row.monotone()
        at = bisect_left(EFS, ef)
        if at == 0 or at == len(EFS):
            return recalls[min(at, len(EFS) - 1)]
        share = (ef - EFS[at - 1]) / (EFS[at] - EFS[at - 1])
        return recalls[at - 1] + share * (recalls[at] - recalls[at - 1])

    def queries(self, k: int) -> int:
        """Queries measured for about `k` results."""
        row = self._rows.get(row_of(k))
        return row.queries if row is not None else 0

    def _known(self, k: int) -> _Row | None:
        row = self._rows.get(row_of(k))
        return row if row is not None and row.queries >= QUERIES_MIN else None


def row_of(k: int) -> int:
    """The row that `k` results belong to, by its bound."""
    return K_BOUNDS[min(bisect_left(K_BOUNDS, k), len(K_BOUNDS) - 1)]
