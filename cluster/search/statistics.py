"""Adds up what has to be known of all shards before one of them can score its objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from weftdb.core.partial import (
    DistanceRange,
    KeywordStatistics,
    PropertyLength,
    SearchStatistics,
)
from weftdb.core.query import Combination, NearVector, Search


def needs_statistics(query: Search) -> bool:
    """Whether the score of an object depends on the objects of other shards. `query` is resolved:
    what is searched by vectors is a `NearVector`."""
    if query.keyword is not None:
        return True
    hybrid = query.hybrid
    if hybrid is not None and hybrid.alpha < 1 and hybrid.query:
        return True
    near = query.near if hybrid is None else hybrid.near
    return (
        isinstance(near, NearVector)
        and len(near.targets) > 1
        and near.combination is Combination.RELATIVE_SCORE
    )


def total(parts: Sequence[SearchStatistics]) -> SearchStatistics:
    """The statistics of all shards. Requires: they answer the same question."""
    words = [part.keyword for part in parts if part.keyword is not None]
    ranges = [part.ranges for part in parts if part.ranges]
    return SearchStatistics(
        _total_of_words(words) if words else None,
        _widest(ranges) if ranges else None,
    )


def _total_of_words(parts: Sequence[KeywordStatistics]) -> KeywordStatistics:
    documents: Counter[str] = Counter()
    terms: Counter[str] = Counter()
    frequencies: Counter[tuple[str, str]] = Counter()
    for part in parts:
        frequencies.update(part.frequencies)
        for name, length in part.lengths.items():
            documents[name] += length.documents
            terms[name] += length.terms
    lengths = {name: PropertyLength(documents[name], terms[name]) for name in documents}
    return KeywordStatistics(sum(part.documents for part in parts), lengths, dict(frequencies))


def _widest(parts: Sequence[tuple[DistanceRange, ...]]) -> tuple[DistanceRange, ...]:
    return tuple(
        DistanceRange(min(each.low for each in ranges), max(each.high for each in ranges))
        for ranges in zip(*parts, strict=True)
    )
