"""Occurrences: the distinct values of one property among some objects, and how often each is there.

They come from the inverted index, where it has every value of the property once a doc (one value an
object, of a type of fixed length), or from a native tally over stored rows. Both give values as
bytes of one length; here they become columns in ascending order.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.core.codec import NANOSECONDS, format_instant
from weftdb.core.schema import DataType, Property
from weftdb.index.fields import has_values

_SIGN = np.uint64(1 << 63)
_INSTANT = np.dtype([("seconds", ">u8"), ("fraction", ">u4")])
_INT64_SAFE = 2.0**62
_SUMMED_AT_ONCE = 20_000
"""Values whose sum is rounded once. `fsum` holds the interpreter's lock, for a millisecond."""


def is_in_index(item: Property) -> bool:
    """Whether the inverted index tells how many objects have each value of a property."""
    return not item.is_array and item.data_type in _FROM_INDEX and has_values(item)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """`values` ascend and differ; `counts[i]` tells how often `values[i]` occurs, at least once.

    Values are i64, f64, u8 (booleans), or of dates the pair of seconds and nanoseconds.
    """

    item: Property
    values: NDArray[Any]
    counts: NDArray[np.int64]

    @classmethod
    def of_index(cls, item: Property, joined: bytes, counts: NDArray[np.uint64]) -> Occurrences:
        """Read what `InvertedSide.counts` gives. Requires: `is_in_index(item)`."""
        return cls(item, _FROM_INDEX[item.data_type](joined), counts.astype(np.int64))

    @classmethod
    def of_rows(cls, item: Property, joined: bytes, counts: NDArray[np.uint64]) -> Occurrences:
        """Read what `RowTally.counts` gives, in any order."""
        values = np.frombuffer(joined, dtype=_OF_ROWS[item.data_type])
        order = np.argsort(values, kind="stable")
        return cls(item, values[order], counts[order].astype(np.int64))

    @property
    def row_values(self) -> bytes:
        """The values as `RowTally` has them, side by side."""
        width = _OF_ROWS[self.item.data_type]
        if self.item.data_type is DataType.NUMBER:
            return (self.values + 0.0).astype(width).tobytes()  # -0 and 0 are one number.
        return self.values.astype(width).tobytes()

    @property
    def total(self) -> int:
        """Values, equal ones too."""
        return int(self.counts.sum())

    def value(self, at: int) -> Any:
        """One value as Python has it; of a date its nanoseconds since 1970."""
        if self.item.data_type is DataType.DATE:
            seconds, fraction = self.values[at].item()
            return (int(seconds) - (1 << 63)) * NANOSECONDS + int(fraction)
        return self.values[at].item()

    def mode(self) -> Any:
        """The most frequent value, of several the smallest. Requires: there is one."""
        return self.value(int(np.argmax(self.counts)))

    def median(self) -> Any:
        """The middle value, or half of the sum of the two in the middle (of dates rounded down)."""
        ends, total = np.cumsum(self.counts), self.total
        middle = np.searchsorted(ends, ((total - 1) // 2, total // 2), side="right")
        lower, upper = (self.value(int(at)) for at in middle)
        if lower == upper:
            return lower
        return (lower + upper) // 2 if self.item.data_type is DataType.DATE else (lower + upper) / 2

    def sum(self) -> int | float:
        """The sum of numbers; of whole ones exact."""
        if self.item.data_type is DataType.INT:
            largest = max(abs(int(self.values[0])), abs(int(self.values[-1])))
            if largest * self.total < _INT64_SAFE:
                return int((self.values * self.counts).sum())
            pairs = zip(self.values.tolist(), self.counts.tolist(), strict=True)
            return sum(int(value) * int(count) for value, count in pairs)
        parts = self.values * self.counts
        starts = range(0, len(parts), _SUMMED_AT_ONCE)
        return math.fsum(math.fsum(parts[at : at + _SUMMED_AT_ONCE].tolist()) for at in starts)

    def count_of(self, value: Any) -> int:
        """How often a value that is no date occurs."""
        return int(self.counts[self.values == value].sum())

    def groups(self) -> Mapping[str | float | bool, int]:
        """Objects by value, as groups are named (numbers as floats, dates in UTC)."""
        read = GROUP_NAMES[self.item.data_type]
        found: dict[str | float | bool, int] = {}
        for at, count in enumerate(self.counts.tolist()):
            name = read(self.value(at))
            found[name] = found.get(name, 0) + count
        return found


GROUP_NAMES: dict[DataType, Callable[[Any], str | float | bool]] = {
    DataType.INT: float,
    DataType.NUMBER: float,
    DataType.BOOLEAN: bool,
    DataType.DATE: format_instant,
}
"""How a value of a type names its group."""


def _ints(joined: bytes) -> NDArray[Any]:
    return (np.frombuffer(joined, dtype=">u8").astype(np.uint64) ^ _SIGN).view(np.int64)


def _numbers(joined: bytes) -> NDArray[Any]:
    bits = np.frombuffer(joined, dtype=">u8").astype(np.uint64)
    return np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float64)


_FROM_INDEX: dict[DataType, Callable[[bytes], NDArray[Any]]] = {
    DataType.INT: _ints,
    DataType.NUMBER: _numbers,
    DataType.BOOLEAN: lambda joined: np.frombuffer(joined, dtype=np.uint8),
    DataType.DATE: lambda joined: np.frombuffer(joined, dtype=_INSTANT),
}
_MACHINE = "<" if sys.byteorder == "little" else ">"
_OF_ROWS: dict[DataType, Any] = {
    DataType.INT: np.dtype(f"{_MACHINE}i8"),
    DataType.NUMBER: np.dtype(f"{_MACHINE}f8"),
    DataType.BOOLEAN: np.dtype(np.uint8),
    DataType.DATE: _INSTANT,
}
