"""Ranked: the outcome of a search before objects are read: doc ids with what ranked them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from weftdb.core.search_explanation import SearchExplanation
from weftdb.core.types import DocId


@dataclass(frozen=True, slots=True)
class Ranked:
    """Best first; the columns that are there have one entry a doc. `vector_searches` tell how
    the docs were found."""

    doc_ids: list[DocId]
    distances: list[float] | None = None
    scores: list[float] | None = None
    explanations: list[str] | None = None
    vector_searches: tuple[SearchExplanation, ...] = ()

    def __len__(self) -> int:
        return len(self.doc_ids)

    def slice(self, start: int, stop: int) -> Ranked:
        """The hits [start, stop)."""
        return replace(
            self,
            doc_ids=self.doc_ids[start:stop],
            distances=None if self.distances is None else self.distances[start:stop],
            scores=None if self.scores is None else self.scores[start:stop],
            explanations=None if self.explanations is None else self.explanations[start:stop],
        )

    def pick(self, positions: Sequence[int]) -> Ranked:
        """The hits at `positions`, in that order."""
        return replace(
            self,
            doc_ids=[self.doc_ids[i] for i in positions],
            distances=_pick(self.distances, positions),
            scores=_pick(self.scores, positions),
            explanations=None
            if self.explanations is None
            else [self.explanations[i] for i in positions],
        )


def _pick(column: list[float] | None, positions: Sequence[int]) -> list[float] | None:
    return None if column is None else [column[i] for i in positions]
