"""InvertedIndex: both sides of one shard's inverted index, and keyword search over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    ) -> ScoredDocs:
        """The `k` best live, allowed docs, and those that tie with the last of them.

        `mean_lengths` has the mean number of terms by property. Raises CorruptData.
        """
        query = self.searchable.keyword_query(_groups(plan, mean_lengths))
        has_dead = live.version != 0
        doc_ids, scores = query.search(
            k,
            k1,
            b,
            live.count,
            live.end,
            OPERATOR_CODES[plan.operator],
            plan.terms_min,
            None if allow is None else allow.words(),
            live.live.words() if has_dead else None,
            live.dead() if has_dead else None,
            live.version,
        )
        texts: list[str] = []
        if explain:
            texts = [explanation(plan, query.explain(int(doc_id))) for doc_id in doc_ids]
        return ScoredDocs(doc_ids, scores, texts)


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
