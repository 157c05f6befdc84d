"""Fusion: joins the keyword and the vector leg of a hybrid search into one ranking.

    ranked          score = sum over legs of weight / (rank + 60), rank from 0
    relative score  every leg's values are stretched to 0..1 over the leg, weighted and summed

Pure. Scores that differ by less than `TIE` are ties: the doc with the larger value in the last leg
that has it goes first, then the smaller object id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from weftdb.core.query import Fusion
from weftdb.core.search_explanation import SearchExplanation
from weftdb.core.types import DocId

RANK_OFFSET = 60
TIE = 1e-7

VECTOR_LEG = "vector,hybridVector"
KEYWORD_LEG = "keyword,bm25"


@dataclass(frozen=True, slots=True)
class Leg:
    """One result list, best first. `values` are scores: larger is better (1 - distance).
    `vector_searches` tell how they were found."""

    name: str
    weight: float
    doc_ids: Sequence[DocId]
    values: Sequence[float]
    vector_searches: tuple[SearchExplanation, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """What one leg gave to the score of one doc."""

    leg: str
    value: float
    score: float


@dataclass(frozen=True, slots=True)
class FusedDoc:
    """One doc of the joined ranking."""

    doc_id: DocId
    score: float
    shares: tuple[Share, ...]


def fuse(
    method: Fusion,
    legs: Sequence[Leg],
    tie_key: Callable[[DocId], bytes],
    *,
    depth: int | None = None,
) -> list[FusedDoc]:
    """Join `legs` (the vector leg first), best doc first; only the `depth` best if that is given.

    `tie_key` gives the object id of a doc; it is asked only for docs that tie in everything else.
    """
    weigh = _weigh_ranks if method is Fusion.RANKED else _weigh_values
    scores: dict[DocId, float] = {}
    tie_values: dict[DocId, float] = {}
    given: list[dict[DocId, float]] = []
    for leg in legs:
        assert len(leg.doc_ids) == len(leg.values), leg.name
        parts = dict(zip(leg.doc_ids, weigh(leg), strict=True))
        for doc_id, part in parts.items():
            scores[doc_id] = scores.get(doc_id, 0.0) + part
        tie_values.update(zip(leg.doc_ids, leg.values, strict=True))
        given.append(parts)
    order = sorted(scores, key=scores.__getitem__, reverse=True)
    depth = len(order) if depth is None else min(depth, len(order))
    _order_ties(order, depth, scores, tie_values, tie_key)
    values = [dict(zip(leg.doc_ids, leg.values, strict=True)) for leg in legs]
    return [
        FusedDoc(
            doc_id,
            scores[doc_id],
            tuple(
                Share(leg.name, own[doc_id], parts[doc_id])
                for leg, own, parts in zip(legs, values, given, strict=True)
                if doc_id in parts
            ),
        )
        for doc_id in order[:depth]
    ]


def _weigh_ranks(leg: Leg) -> list[float]:
    return [leg.weight / (rank + RANK_OFFSET) for rank in range(len(leg.doc_ids))]


def _weigh_values(leg: Leg) -> list[float]:
    if not leg.values:
        return []
    low, high = min(leg.values), max(leg.values)
    if high == low:
        return [leg.weight] * len(leg.values)
    return [leg.weight * (value - low) / (high - low) for value in leg.values]


def _order_ties(
    order: list[DocId],
    depth: int,
    scores: Mapping[DocId, float],
    tie_values: Mapping[DocId, float],
    tie_key: Callable[[DocId], bytes],
) -> None:
    """Put docs that tie in order, as far as a run of them begins before `depth`."""
    start = 0
    while start < depth:
        stop = start + 1
        while stop < len(order) and scores[order[stop - 1]] - scores[order[stop]] < TIE:
            stop += 1
        if stop - start > 1:
            tied = sorted(order[start:stop], key=tie_values.__getitem__, reverse=True)
            ordered: list[DocId] = []
            for _, equals in groupby(tied, key=tie_values.__getitem__):
                alike = list(equals)
                ordered += sorted(alike, key=tie_key) if len(alike) > 1 else alike
            order[start:stop] = ordered
        start = stop


def explain(method: Fusion, doc: FusedDoc, object_id: str) -> str:
    """Where a score comes from, in the words of the reference."""
    head = "\nHybrid (Result Set {}) Document " + object_id
    if method is Fusion.RANKED:
        return "".join(
            f"{head.format(share.leg)} contributed {format_score(share.score)} to the score"
            for share in doc.shares
        )
    return " - ".join(
        f"{head.format(share.leg)}: original score {format_score(share.value)}, "
        f"normalized score: {format_score(share.score)}"
        for share in doc.shares
    )


def format_score(score: float) -> str:
    """The shortest text of a score that reads back as the same float32."""
    narrow = np.float32(score)
    if narrow == 0 or 1e-4 <= abs(narrow) < 1e21:
        return np.format_float_positional(narrow, unique=True, trim="-")
    return np.format_float_scientific(narrow, unique=True, trim="-", exp_digits=2)
