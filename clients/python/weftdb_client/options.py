"""Options of a query: metadata, sort, moves, fusion, keyword operator."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class MetadataQuery:
    """Which metadata a query gives back; the id always comes."""

    creation_time: bool = False
    last_update_time: bool = False
    distance: bool = False
    certainty: bool = False
    score: bool = False
    explain_score: bool = False

    @classmethod
    def full(cls) -> MetadataQuery:
        """All of it."""
        return cls(**{item.name: True for item in fields(cls)})


@dataclass(frozen=True)
class SortKey:
    """One key of a sort."""

    name: str
    ascending: bool


class Sort:
    """Where sorting begins: `Sort.by_property("year", ascending=False)`."""

    @staticmethod
    def by_property(name: str, ascending: bool = True) -> SortKey:  # noqa: FBT001, FBT002  # As in v4.
        """Sort by a property."""
        return SortKey(name, ascending)

    @staticmethod
    def by_id(ascending: bool = True) -> SortKey:  # noqa: FBT001, FBT002  # As in v4.
        """Sort by the object's id."""
        return SortKey("_id", ascending)

    @staticmethod
    def by_creation_time(ascending: bool = True) -> SortKey:  # noqa: FBT001, FBT002  # As in v4.
        """Sort by the time of creation."""
        return SortKey("_creationTimeUnix", ascending)

    @staticmethod
    def by_update_time(ascending: bool = True) -> SortKey:  # noqa: FBT001, FBT002  # As in v4.
        """Sort by the time of the last update."""
        return SortKey("_lastUpdateTimeUnix", ascending)


@dataclass(frozen=True, kw_only=True)
class Move:
    """Moves a near_text query towards (or away from) concepts and objects."""

    force: float
    concepts: str | Sequence[str] = ()
    objects: uuid.UUID | str | Sequence[uuid.UUID | str] = ()


class HybridFusion(StrEnum):
    """How hybrid joins keyword and vector hits."""

    RANKED = "rankedFusion"
    RELATIVE_SCORE = "relativeScoreFusion"


@dataclass(frozen=True)
class KeywordOperator:
    """Which terms of a keyword query must be there."""

    name: str
    minimum_match: int = 1


class BM25Operator:
    """`operator=` of bm25 and hybrid."""

    @staticmethod
    def or_(minimum_match: int = 1) -> KeywordOperator:
        """At least `minimum_match` terms."""
        return KeywordOperator("Or", minimum_match)

    @staticmethod
    def and_() -> KeywordOperator:
        """Every term."""
        return KeywordOperator("And")
