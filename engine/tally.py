"""Tallies: what aggregations make of the values of a property, and of groups of objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from weftdb.core.aggregation import GroupValue, Summary
from weftdb.core.codec import format_instant
from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.schema import DataType, Property
from weftdb.engine.occurrences import GROUP_NAMES, Occurrences
from weftdb.index.kernels import _native

_NUMBERS = (DataType.INT, DataType.NUMBER)
_COUNTED = (*_NUMBERS, DataType.TEXT, DataType.BOOLEAN, DataType.DATE)
_GROUPED = (*_COUNTED, DataType.UUID)
_ONCE = np.ones(1, dtype=np.uint64)


def check_statistics(item: Property) -> None:
    """Raise InvalidRequest for a type that has no statistics."""
    if item.data_type not in (*_COUNTED, DataType.REFERENCE):
        raise InvalidRequest(
            f"property {item.name}: there are no statistics of type {item.data_type.value}"
        )


def check_grouping(item: Property) -> None:
    """Raise InvalidRequest for a type by which objects cannot be grouped, Unsupported."""
    if item.data_type is DataType.REFERENCE:
        raise Unsupported(f"group by {item.name}: references are not part of this build yet")
    if item.data_type not in _GROUPED:
        raise InvalidRequest(
            f"group by {item.name}: objects cannot be grouped by type {item.data_type.value}"
        )


def group_value(item: Property, value: bytes) -> GroupValue:
    """The name of a group by its value in a `RowTally`."""
    if item.data_type in GROUP_NAMES:
        one = Occurrences.of_rows(item, value, _ONCE)
        return GROUP_NAMES[item.data_type](one.value(0))
    return value.decode()


def summary_of_rows(
    item: Property, top: int, tally: _native.RowTally, group: bytes, number: int
) -> Summary:
    """Sum up the property at place `number` of a tally, in one of its groups."""
    if item.data_type is DataType.TEXT:
        count = tally.total(group, number)
        found = tuple((text.decode(), n) for text, n in tally.top(group, number, top))
        return Summary(item.name, item.data_type, _type_name(item), count, top_occurences=found)
    if item.data_type is DataType.REFERENCE:
        return Summary(item.name, item.data_type, _type_name(item), 0, pointing_to=item.targets)
    return summary(Occurrences.of_rows(item, *tally.counts(group, number)))


def summary(found: Occurrences) -> Summary:
    """Sum up numbers, booleans or dates: all statistics that the type has."""
    item, count = found.item, found.total
    if count == 0:
        return Summary(item.name, item.data_type, _type_name(item), 0)
    if item.data_type is DataType.BOOLEAN:
        true = found.count_of(1)
        return Summary(
            item.name,
            item.data_type,
            _type_name(item),
            count,
            total_true=true,
            total_false=count - true,
            percentage_true=true / count,
            percentage_false=(count - true) / count,
        )
    return Summary(item.name, item.data_type, _type_name(item), count, **_ordered(found))


def _ordered(found: Occurrences) -> dict[str, Any]:
    """The statistics of numbers and dates."""
    least, most = found.value(0), found.value(len(found.values) - 1)
    if found.item.data_type is DataType.DATE:
        return {
            "median": format_instant(found.median()),
            "mode": format_instant(found.mode()),
            "maximum": format_instant(most),
            "minimum": format_instant(least),
        }
    total = found.sum()
    return {
        "sum": total,
        "mean": total / found.total,
        "median": float(found.median()),
        "mode": found.mode(),
        "maximum": most,
        "minimum": least,
    }


def _type_name(item: Property) -> str:
    return f"{item.data_type.value}{'[]' if item.is_array else ''}"
