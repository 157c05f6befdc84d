"""InvertedIndex: both sides of one shard's inverted index, and keyword search over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weftdb.core.partial import KeywordStatistics
from weftdb.core.types import DocIds
from weftdb.index.allow_list import AllowList
from weftdb.index.bm25 import OPERATOR_CODES, KeywordPlan, explanation
from weftdb.index.fields import value_field
from weftdb.index.inverted.delta import Delta
from weftdb.index.inverted.side import InvertedSide, SideKind
from weftdb.index.kernels import _native
from weftdb.index.live_docs import LiveDocs
from weftdb.index.ports import SegmentStore

MEAN_LENGTH_UNKNOWN = 40.0
"""Mean length of a property that no object has."""


class TermCache:
    """Decoded postings of sealed segments, all shards together, below a number of bytes."""

    def __init__(self, bytes_max: int) -> None:
        self.native = _native.TermCache(bytes_max)

    def metrics(self) -> dict[str, int]:
        """Bytes held, the bound, hits and misses."""
        held = self.native
        return {
            "bytes": held.bytes,
            "bytes_max": held.bytes_max,
            "hits": held.hits,
            "misses": held.misses,
        }


@dataclass(frozen=True, slots=True)
class ScoredDocs:
    """Best first; docs that tie with the last wanted one are all there, so there may be more than
    asked for. Equal scores come by doc id; explanations are empty unless asked for."""

    doc_ids: DocIds
    scores: NDArray[np.float32]
    explanations: Sequence[str] = ()


class InvertedIndex:
    """Opens both sides. Damage found later raises CorruptData from the read that meets it; the
    engine then drops the rows of the shard's two families and feeds all objects again."""

    def __init__(
        self, filterable: SegmentStore, searchable: SegmentStore, cache: TermCache
    ) -> None:
        """Read manifests and deltas. Raises CorruptData."""
        self.filterable = InvertedSide(SideKind.FILTERABLE, filterable, cache.native)
        self.searchable = InvertedSide(SideKind.SEARCHABLE, searchable, cache.native)
        self.sides = (self.filterable, self.searchable)

    def publish(self, delta: Delta) -> None:
        """Make a written delta visible."""
        self.filterable.publish(delta.first_doc, delta.filterable)
        self.searchable.publish(delta.first_doc, delta.searchable)

    def memory_bytes(self) -> int:
        """Resident bytes without the term cache."""
        return sum(side.memory_bytes() for side in self.sides)

    def search(
        self,
        plan: KeywordPlan,
        k: int,
        *,
        live: LiveDocs,
        mean_lengths: Mapping[str, float],
        k1: float,
        b: float,
        allow: AllowList | None = None,
        explain: bool = False,
        statistics: KeywordStatistics | None = None,
    ) -> ScoredDocs:
        """The `k` best live, allowed docs, and those that tie with the last of them.

        `mean_lengths` has the mean number of terms by property. `statistics` are those of all
        shards, and count instead of this one's. Raises CorruptData.
        """
        documents, frequencies = live.count, None
        if statistics is not None:
            documents = statistics.documents
            frequencies = [statistics.frequencies.get(place, 0) for place in _places(plan)]
            mean_lengths = {name: each.mean for name, each in statistics.lengths.items()}
        query = self.searchable.keyword_query(_groups(plan, mean_lengths))
        has_dead = live.version != 0
        doc_ids, scores = query.search(
            k,
            k1,
            b,
            documents,
            live.end,
            OPERATOR_CODES[plan.operator],
            plan.terms_min,
            None if allow is None else allow.words(),
            live.live.words() if has_dead else None,
            live.dead() if has_dead else None,
            live.version,
            frequencies,
        )
        texts: list[str] = []
        if explain:
            texts = [explanation(plan, query.explain(int(doc_id))) for doc_id in doc_ids]
        return ScoredDocs(doc_ids, scores, texts)

    def frequencies(self, plan: KeywordPlan, live: LiveDocs) -> dict[tuple[str, str], int]:
        """How many of the live docs have each term of a plan, by property and term. Raises
        CorruptData."""
        query = self.searchable.keyword_query(_groups(plan, {}))
        has_dead = live.version != 0
        counts = query.frequencies(
            live.end,
            live.live.words() if has_dead else None,
            live.dead() if has_dead else None,
            live.version,
        )
        return dict(zip(_places(plan), counts, strict=True))


def _places(plan: KeywordPlan) -> Iterator[tuple[str, str]]:
    """Every property and term, in the order of native code."""
    for group in plan.groups:
        for term in group.terms:
            for name, _ in group.properties:
                yield name, term


def _groups(
    plan: KeywordPlan, mean_lengths: Mapping[str, float]
) -> list[tuple[list[tuple[bytes, float, float]], list[tuple[bytes, float]]]]:
    return [
        (
            [
                (value_field(name), boost, mean_lengths.get(name) or MEAN_LENGTH_UNKNOWN)
                for name, boost in group.properties
            ],
            [(key, float(times)) for key, times in zip(group.keys, group.counts, strict=True)],
        )
        for group in plan.groups
    ]
