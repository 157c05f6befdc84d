"""Partial answers: what one shard contributes to a search or an aggregation over several shards.

A coordinator asks every shard for its part and joins the parts (cluster/search); a shard answers
through the same code as a whole search (engine/partial.py). Hits go by object id here: doc ids are
a replica's own and do not travel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from weftdb.core.aggregation import Aggregate
from weftdb.core.hashing import TOKEN_BITS, Token
from weftdb.core.query import Filter, Search
from weftdb.core.search_explanation import SearchAccount
from weftdb.core.types import ObjectId, PropertyValue, VectorName

TokenRanges: TypeAlias = tuple[tuple[Token, Token], ...]
"""The tokens from each start on, before its stop (at most 2**64)."""


def outside(ranges: TokenRanges) -> TokenRanges:
    """All other tokens. Requires: `ranges` are in order and do not meet."""
    starts = [0, *(stop for _, stop in ranges)]
    stops = [*(start for start, _ in ranges), 1 << TOKEN_BITS]
    pairs = zip(starts, stops, strict=True)
    return tuple((Token(start), Token(stop)) for start, stop in pairs if start < stop)


@dataclass(frozen=True, slots=True)
class PropertyLength:
    """Of one searchable property: objects that have it, and their terms together."""

    documents: int
    terms: int

    @property
    def mean(self) -> float:
        """Mean number of terms, 0 without objects."""
        return self.terms / self.documents if self.documents else 0.0


@dataclass(frozen=True, slots=True)
class KeywordStatistics:
    """What BM25 has to know of all objects to score one. Sums over shards are those of the whole.

    `frequencies` has the objects with a term by property and term, for every term of the query in
    every property that is searched; what is left out counts 0.
    """

    documents: int
    lengths: Mapping[str, PropertyLength]
    frequencies: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class DistanceRange:
    """The least and the greatest distance to one target, of the objects that have all targets."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SearchStatistics:
    """What has to be known of all shards before one can score its objects.

    `keyword` is there for a search by words; `ranges` (one a target) for several targets that are
    joined by relative score, empty where no object has all of them.
    """

    keyword: KeywordStatistics | None = None
    ranges: tuple[DistanceRange, ...] | None = None


@dataclass(frozen=True, slots=True)
class PartSearch:
    """What is asked of one shard for a search over several.

    `query` is whole in itself: vectors are there for everything that is searched (`NearVector`),
    `limit` is how many hits are wanted, of each leg of a hybrid search, `offset` and `autocut` are
    0, and there is no diversity selection: these come after the merge.
    """

    query: Search
    owned: TokenRanges | None = None
    """Only objects of these tokens count: given while rows of the shard move (docs/operations)."""
    statistics: SearchStatistics | None = None
    """None where the search needs none; a search by words is then scored by the shard alone."""
    with_rows: bool = True
    """Whether hits come with their objects, and the vectors that `query.vectors` names."""


@dataclass(frozen=True, slots=True)
class PartRows:
    """Objects of one shard as they are stored (storage/object_codec.py; the doc id is the
    replica's own), None where there is none; and their vectors."""

    stored: tuple[bytes | None, ...]
    vectors: Mapping[VectorName, tuple[NDArray[np.float32] | None, ...]] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class PartLeg:
    """One ranking of one shard, best first, equal ones by ascending id. Columns that are there
    have one entry a hit. `distances` make a leg one by vectors, `scores` one by words; without
    both it is a list, in the order of the ids or of `sort_keys`."""

    ids: tuple[ObjectId, ...]
    distances: tuple[float, ...] | None = None
    scores: tuple[float, ...] | None = None
    sort_keys: tuple[tuple[PropertyValue, ...], ...] | None = None
    """The values of each key of `Search.sort`; of `_id` the id's 16 bytes, of times milliseconds,
    of places longitude and latitude, None for no value."""
    explanations: tuple[str, ...] | None = None
    is_near: tuple[bool, ...] | None = None
    """Of a hybrid search's hits by words: whether they lie within its largest vector distance."""


@dataclass(frozen=True, slots=True)
class PartHits:
    """A shard's part of a search: one leg, or of a hybrid search those that it has, the one by
    vectors first. `rows` are of the only leg, and none of them is missing; None where they were not
    asked for, or are too large to come with the hits."""

    legs: tuple[PartLeg, ...]
    rows: PartRows | None = None
    searches: tuple[SearchAccount, ...] = ()


@dataclass(frozen=True, slots=True)
class PartAggregate:
    """What is asked of one shard for an aggregation. `query` has no search: what a search found is
    given by `ids` (ids that the shard has not are passed over), and has no `limit`."""

    query: Aggregate
    owned: TokenRanges | None = None
    ids: tuple[ObjectId, ...] | None = None


@dataclass(frozen=True, slots=True)
class AggregatedPart:
    """A shard's part of an aggregation: its objects, and how often each value occurs among them,
    as index/kernels/src/row_tally.h writes it (empty where no values were asked for)."""

    count: int
    tally: bytes = b""


@dataclass(frozen=True, slots=True)
class PartIds:
    """What is asked of one shard for the ids of what a filter matches: ascending, above `after`,
    at most `limit`."""

    filter: Filter
    limit: int
    after: ObjectId | None = None
    owned: TokenRanges | None = None


@dataclass(frozen=True, slots=True)
class FoundIds:
    """Ascending ids; `is_last` when nothing follows."""

    ids: tuple[ObjectId, ...]
    is_last: bool
