"""Aggregations as values: what is asked over the objects of a collection, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from weftdb.core.query import Filter, Hybrid, Near
from weftdb.core.schema import DataType

TOP_OCCURRENCES_DEFAULT = 5

GroupValue: TypeAlias = str | float | bool


@dataclass(frozen=True, slots=True)
class PropertyStatistics:
    """Statistics of one property; of texts the `top` most frequent ones."""

    name: str
    top: int = TOP_OCCURRENCES_DEFAULT


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregation: over all objects, those that pass `filter`, or what a search finds.

    A search takes its `object_limit` best (each leg of a hybrid one), or all within its threshold.
    With `group_by` the answer is by value of that property, at most `limit` groups.
    """

    collection: str
    tenant: str = ""
    filter: Filter | None = None
    near: Near | None = None
    hybrid: Hybrid | None = None
    object_limit: int | None = None
    properties: tuple[PropertyStatistics, ...] = ()
    group_by: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of the values of one property (elements, of an array). None: there is no such
    thing, for the type or because there is no value. Dates are RFC3339 texts."""

    name: str
    data_type: DataType
    type: str
    count: int
    sum: float | None = None
    mean: float | None = None
    median: float | str | None = None
    mode: float | str | None = None
    maximum: float | str | None = None
    minimum: float | str | None = None
    total_true: int | None = None
    total_false: int | None = None
    percentage_true: float | None = None
    percentage_false: float | None = None
    top_occurences: tuple[tuple[str, int], ...] = ()
    """Spelt as on the wire. Most frequent first, equal ones in the order of the texts."""
    pointing_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The objects that have `value` (None: all of them), counted and summed up."""

    value: GroupValue | None
    count: int
    summaries: tuple[Summary, ...] = ()


@dataclass(frozen=True, slots=True)
class Aggregated:
    """`total` without grouping, else the groups, largest first. Neither: the property to group by
    does not exist, which the public API answers with an empty reply."""

    total: Group | None = None
    groups: tuple[Group, ...] | None = None
