"""A read as data: what the query methods build and the transports carry out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .filters import Filters
from .options import HybridFusion, KeywordOperator, MetadataQuery, SortKey

Vector = Sequence[float] | Sequence[Sequence[float]]
"""Numbers, or the rows of a multi-vector."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """At most one of the two."""

    distance: float | None = None
    certainty: float | None = None


@dataclass(frozen=True, kw_only=True)
class NearVector:
    """Closest to a vector. An empty target means the only vector."""

    vector: Vector
    target: str = ""
    threshold: Threshold = field(default_factory=Threshold)


@dataclass(frozen=True, kw_only=True)
class NearObject:
    """Closest to a stored object."""

    object_id: str
    target: str = ""
    threshold: Threshold = field(default_factory=Threshold)


@dataclass(frozen=True, kw_only=True)
class MoveRequest:
    """A move with its lists spelt out."""

    force: float
    concepts: tuple[str, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NearText:
    """Closest to the embedding of texts."""

    concepts: tuple[str, ...]
    target: str = ""
    threshold: Threshold = field(default_factory=Threshold)
    move_to: MoveRequest | None = None
    move_away: MoveRequest | None = None


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """BM25; properties as `name` or `name^boost`."""

    query: str
    properties: tuple[str, ...] = ()
    operator: KeywordOperator | None = None


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """Keyword and vector search joined; without a vector the query is embedded."""

    query: str
    alpha: float | None = None
    vector: Vector | None = None
    target: str = ""
    properties: tuple[str, ...] = ()
    fusion: HybridFusion | None = None
    operator: KeywordOperator | None = None
    vector_distance_max: float | None = None


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """One read of one collection."""

    collection: str
    search: NearVector | NearObject | NearText | Keyword | Hybrid | None = None
    filters: Filters | None = None
    limit: int | None = None
    offset: int = 0
    after: str | None = None
    auto_limit: int = 0
    sort: tuple[SortKey, ...] = ()
    properties: tuple[str, ...] | None = None
    """None gives every property back but blobs."""
    metadata: MetadataQuery = field(default_factory=MetadataQuery)
    vectors: bool | tuple[str, ...] = False
    """True gives every vector back."""
    target_recall: float | None = None
    """Share of the true neighbours that a vector search is to find; None: as configured."""
