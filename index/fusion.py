"""Fusion: joins the keyword and the vector leg of a hybrid search into one ranking.

    ranked          score = sum over legs of weight / (rank + 60), rank from 0
    relative score  every leg's values are stretched to 0..1 over the leg, weighted and summed

Pure. Scores that differ by less than `TIE` are ties: the doc with the larger value in the last leg
that has it goes first, then the smaller object id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from weftdb.core.query import Fusion
from weftdb.core.types import DocId

RANK_OFFSET = 60
TIE = 1e-7

VECTOR_LEG = "vector,hybridVector"
KEYWORD_LEG = "keyword,bm25"


@dataclass(frozen=True, slots=True)
class Leg:
    """One result list, best first. `values` are scores: larger is better (1 - distance)."""

    name: str
    weight: float
    doc_ids: Sequence[DocId]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Share:
    """What one leg gave to the score of one doc."""

    leg: str
    value: float
    score: float


@dataclass(slots=True)
class FusedDoc:
    """One doc of the joined ranking."""

    doc_id: DocId
    score: float = 0.0
    tie_value: float = 0.0
    shares: list[Share] = field(default_factory=list)


def fuse(method: Fusion, legs: Sequence[Leg], tie_key: Callable[[DocId], bytes]) -> list[FusedDoc]:
    """Join `legs` (the vector leg first), best doc first.

    `tie_key` gives the object id of a doc; it is asked only for docs that tie.
    """
    weigh = _weigh_ranks if method is Fusion.RANKED else _weigh_values
    docs: dict[DocId, FusedDoc] = {}
    for leg in legs:
        assert len(leg.doc_ids) == len(leg.values), leg.name
        for doc_id, value, score in zip(leg.doc_ids, leg.values, weigh(leg), strict=True):
            doc = docs.get(doc_id)
            if doc is None:
                doc = docs[doc_id] = FusedDoc(doc_id)
            doc.score += score
            doc.tie_value = value
            doc.shares.append(Share(leg.name, value, score))
    return _in_order(list(docs.values()), tie_key)


def _weigh_ranks(leg: Leg) -> list[float]:
    return [leg.weight / (rank + RANK_OFFSET) for rank in range(len(leg.doc_ids))]


def _weigh_values(leg: Leg) -> list[float]:
    if not leg.values:
        return []
    low, high = min(leg.values), max(leg.values)
    if high == low:
        return [leg.weight] * len(leg.values)
    return [leg.weight * (value - low) / (high - low) for value in leg.values]


def _in_order(docs: list[FusedDoc], tie_key: Callable[[DocId], bytes]) -> list[FusedDoc]:
    docs.sort(key=lambda doc: -doc.score)
    start = 0
    for stop in range(1, len(docs) + 1):
        if stop < len(docs) and docs[stop - 1].score - docs[stop].score < TIE:
            continue
        if stop - start > 1:
            tied = docs[start:stop]
            tied.sort(key=lambda doc: (-doc.tie_value, tie_key(doc.doc_id)))
            docs[start:stop] = tied
        start = stop
    return docs


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
