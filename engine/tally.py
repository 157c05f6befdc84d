"""Tally: collects the values of one property and sums them up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from weftdb.core.aggregation import GroupValue, Summary
from weftdb.core.codec import format_instant, nanoseconds_of
from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.schema import DataType, Property

_NUMBERS = (DataType.INT, DataType.NUMBER)
_COUNTED = (*_NUMBERS, DataType.TEXT, DataType.BOOLEAN, DataType.DATE)
_GROUPED = (*_COUNTED, DataType.UUID)


class Tally:
    """The values of one property. Memory grows with the different ones."""

    def __init__(self, item: Property, top: int) -> None:
        """Raises InvalidRequest for a type that has no statistics."""
        if item.data_type not in (*_COUNTED, DataType.REFERENCE):
            raise InvalidRequest(
                f"property {item.name}: there are no statistics of type {item.data_type.value}"
            )
        self._item = item
        self._top = top
        self._occurrences: Counter[Any] = Counter()

    @property
    def name(self) -> str:
        """The property."""
        return self._item.name

    def add(self, value: Any) -> None:
        """Count what one object has: a value, the elements of an array, or None."""
        if value is None or self._item.data_type is DataType.REFERENCE:
            return
        values = value if self._item.is_array else (value,)
        if self._item.data_type is DataType.DATE:
            values = map(nanoseconds_of, values)
        self._occurrences.update(values)

    def summary(self) -> Summary:
        """All statistics that the type has."""
        item = self._item
        count = self._occurrences.total()
        kind = f"{item.data_type.value}{'[]' if item.is_array else ''}"
        made = Summary(item.name, item.data_type, kind, count)
        if item.data_type is DataType.REFERENCE:
            return Summary(item.name, item.data_type, kind, 0, pointing_to=item.targets)
        if count == 0:
            return made
        if item.data_type is DataType.TEXT:
            ordered = sorted(self._occurrences.items(), key=lambda pair: (-pair[1], pair[0]))
            return Summary(
                item.name, item.data_type, kind, count, top_occurences=tuple(ordered[: self._top])
            )
        if item.data_type is DataType.BOOLEAN:
            return self._of_booleans(made)
        return self._of_ordered(made)

    def _of_booleans(self, made: Summary) -> Summary:
        true, count = self._occurrences[True], made.count
        return Summary(
            made.name,
            made.data_type,
            made.type,
            count,
            total_true=true,
            total_false=count - true,
            percentage_true=true / count,
            percentage_false=(count - true) / count,
        )

    def _of_ordered(self, made: Summary) -> Summary:
        """Numbers and dates."""
        values = sorted(self._occurrences)
        mode = min(values, key=lambda value: (-self._occurrences[value], value))
        median = self._median(values, made.count)
        if made.data_type is DataType.DATE:
            return Summary(
                made.name,
                made.data_type,
                made.type,
                made.count,
                median=format_instant(round(median)),
                mode=format_instant(mode),
                maximum=format_instant(values[-1]),
                minimum=format_instant(values[0]),
            )
        total = self._sum(values, is_whole=made.data_type is DataType.INT)
        return Summary(
            made.name,
            made.data_type,
            made.type,
            made.count,
            sum=total,
            mean=total / made.count,
            median=float(median),
            mode=mode,
            maximum=values[-1],
            minimum=values[0],
        )

    def _sum(self, values: Sequence[Any], *, is_whole: bool) -> float:
        parts = [value * self._occurrences[value] for value in values]
        return sum(parts) if is_whole else math.fsum(parts)

    def _median(self, values: Sequence[Any], count: int) -> Any:
        """The middle value, or half of the sum of the two in the middle."""
        ends = list(accumulate(self._occurrences[value] for value in values))
        lower = next(v for v, end in zip(values, ends, strict=True) if end > (count - 1) // 2)
        upper = next(v for v, end in zip(values, ends, strict=True) if end > count // 2)
        if lower == upper:
            return lower
        return (
            (lower + upper) // 2 if self._item.data_type is DataType.DATE else (lower + upper) / 2
        )


def check_grouping(item: Property) -> None:
    """Raise InvalidRequest for a type by which objects cannot be grouped, Unsupported."""
    if item.data_type is DataType.REFERENCE:
        raise Unsupported(f"group by {item.name}: references are not part of this build yet")
    if item.data_type not in _GROUPED:
        raise InvalidRequest(
            f"group by {item.name}: objects cannot be grouped by type {item.data_type.value}"
        )


def group_values(item: Property, value: Any) -> set[GroupValue]:
    """The groups that an object belongs to by its value, one an element of an array."""
    if value is None:
        return set()
    values = value if item.is_array else (value,)
    if item.data_type in _NUMBERS:
        return {float(number) for number in values}
    if item.data_type is DataType.DATE:
        return {format_instant(nanoseconds_of(text)) for text in values}
    return set(values)
