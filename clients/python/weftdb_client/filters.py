"""Filter: conditions on properties, joined by `&`, `|` and `~`.

    Filter.by_property("year").greater_than(1990) & ~Filter.by_property("tag").equal("old")

A condition is data; the transports turn it into what they speak.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from .values import date_text

Scalar: TypeAlias = str | int | float | bool | datetime | uuid.UUID


class Operator(StrEnum):
    """Comparison operators, by their name in the public API."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    GREATER_THAN = "GreaterThan"
    GREATER_THAN_EQUAL = "GreaterThanEqual"
    LESS_THAN = "LessThan"
    LESS_THAN_EQUAL = "LessThanEqual"
    LIKE = "Like"
    IS_NULL = "IsNull"
    CONTAINS_ANY = "ContainsAny"
    CONTAINS_ALL = "ContainsAll"
    CONTAINS_NONE = "ContainsNone"
    WITHIN_GEO_RANGE = "WithinGeoRange"


class Junction(StrEnum):
    """How filters are joined."""

    AND = "And"
    OR = "Or"
    NOT = "Not"


@dataclass(frozen=True)
class GeoRange:
    """A circle on the globe: centre in degrees, radius in metres."""

    latitude: float
    longitude: float
    distance: float


Plain: TypeAlias = str | int | float | bool
ConditionValue: TypeAlias = Plain | tuple[Plain, ...] | GeoRange


class Filters:
    """What `Filter` makes; joins with `&`, `|`, `~`."""

    def __and__(self, other: Filters) -> Joined:
        return Joined(Junction.AND, _operands(Junction.AND, self, other))

    def __or__(self, other: Filters) -> Joined:
        return Joined(Junction.OR, _operands(Junction.OR, self, other))

    def __invert__(self) -> Joined:
        return Joined(Junction.NOT, (self,))


@dataclass(frozen=True)
class Condition(Filters):
    """One comparison. Points in time are RFC 3339 text."""

    operator: Operator
    property_name: str
    value: ConditionValue
    of_length: bool = False


@dataclass(frozen=True)
class Joined(Filters):
    """Filters under one junction; NOT has exactly one operand."""

    junction: Junction
    operands: tuple[Filters, ...]


def _operands(junction: Junction, left: Filters, right: Filters) -> tuple[Filters, ...]:
    """Flatten chains of one junction, so that `a & b & c` is one list."""
    parts: list[Filters] = []
    for side in (left, right):
        if not isinstance(side, Filters):
            raise TypeError(f"a filter is joined with a filter, not with {side!r}")
        chained = isinstance(side, Joined) and side.junction is junction
        parts.extend(side.operands if chained and isinstance(side, Joined) else (side,))
    return tuple(parts)


class Subject:
    """What a condition looks at; its methods make the condition."""

    def __init__(self, property_name: str, *, of_length: bool = False) -> None:
        self._name = property_name
        self._of_length = of_length

    def equal(self, val: Scalar) -> Condition:
        """Equal to `val`; for tokenized text: holds every token of it."""
        return self._condition(Operator.EQUAL, val)

    def not_equal(self, val: Scalar) -> Condition:
        """Not equal to `val`."""
        return self._condition(Operator.NOT_EQUAL, val)

    def greater_than(self, val: Scalar) -> Condition:
        """Above `val`."""
        return self._condition(Operator.GREATER_THAN, val)

    def greater_or_equal(self, val: Scalar) -> Condition:
        """At or above `val`."""
        return self._condition(Operator.GREATER_THAN_EQUAL, val)

    def less_than(self, val: Scalar) -> Condition:
        """Below `val`."""
        return self._condition(Operator.LESS_THAN, val)

    def less_or_equal(self, val: Scalar) -> Condition:
        """At or below `val`."""
        return self._condition(Operator.LESS_THAN_EQUAL, val)

    def like(self, val: str) -> Condition:
        """Matches a pattern: `?` is one character, `*` any number."""
        return self._condition(Operator.LIKE, val)

    def is_none(self, val: bool) -> Condition:  # noqa: FBT001  # As in v4.
        """Whether the property has no value (needs `index_null_state`)."""
        return self._condition(Operator.IS_NULL, val)

    def contains_any(self, val: Sequence[Scalar]) -> Condition:
        """Holds at least one of the values."""
        return self._condition(Operator.CONTAINS_ANY, val)

    def contains_all(self, val: Sequence[Scalar]) -> Condition:
        """Holds all of the values."""
        return self._condition(Operator.CONTAINS_ALL, val)

    def contains_none(self, val: Sequence[Scalar]) -> Condition:
        """Holds none of the values."""
        return self._condition(Operator.CONTAINS_NONE, val)

    def within_geo_range(self, *, latitude: float, longitude: float, distance: float) -> Condition:
        """Lies at most `distance` metres from a point."""
        circle = GeoRange(latitude, longitude, distance)
        return Condition(Operator.WITHIN_GEO_RANGE, self._name, circle)

    def _condition(self, operator: Operator, value: Scalar | Sequence[Scalar]) -> Condition:
        if isinstance(value, str | int | float | bool | datetime | uuid.UUID):
            plain: Plain | tuple[Plain, ...] = _plain(value)
        else:
            plain = tuple(_plain(item) for item in value)
        return Condition(operator, self._name, plain, of_length=self._of_length)


def _plain(value: object) -> Plain:
    if isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a filter cannot compare with {value!r}")


class Filter:
    """Where filters begin."""

    @staticmethod
    def by_property(name: str, length: bool = False) -> Subject:  # noqa: FBT001, FBT002  # As in v4.
        """Look at a property, or at its length (needs `index_property_length`)."""
        return Subject(name, of_length=length)

    @staticmethod
    def by_id() -> Subject:
        """Look at the object's id."""
        return Subject("_id")

    @staticmethod
    def by_creation_time() -> Subject:
        """Look at the time of creation (needs `index_timestamps`)."""
        return Subject("_creationTimeUnix")

    @staticmethod
    def by_update_time() -> Subject:
        """Look at the time of the last update (needs `index_timestamps`)."""
        return Subject("_lastUpdateTimeUnix")

    @staticmethod
    def all_of(filters: Sequence[Filters]) -> Filters:
        """Join by and."""
        return _join(Junction.AND, filters)

    @staticmethod
    def any_of(filters: Sequence[Filters]) -> Filters:
        """Join by or."""
        return _join(Junction.OR, filters)

    @staticmethod
    def not_(filter_: Filters) -> Filters:
        """Turn around."""
        return ~filter_


def _join(junction: Junction, filters: Sequence[Filters]) -> Filters:
    if not filters:
        raise ValueError(f"nothing to join by {junction.value}")
    return filters[0] if len(filters) == 1 else Joined(junction, tuple(filters))
