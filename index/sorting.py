"""Sorting: the order of objects by the values of their properties.

Nulls (missing values and empty arrays) come first going up and last going down; texts compare
without regard to case, arrays element by element; equals keep the order they came in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from weftdb.core.codec import nanoseconds_of
from weftdb.core.errors import SchemaViolation, Unsupported
from weftdb.core.query import Sort
from weftdb.core.schema import Collection, DataType
from weftdb.index.fields import CREATED, OBJECT_ID, UPDATED

Comparable = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _place(value: Any) -> tuple[float, float]:
    longitude, latitude = portable(value)
    return float(longitude), float(latitude)


def portable(value: Any) -> Any:
    """A value to sort by as it is sent to another node: of a place, longitude and latitude."""
    return [value["longitude"], value["latitude"]] if isinstance(value, dict) else value


_COMPARABLES: dict[DataType, Comparable] = {
    DataType.TEXT: str.lower,
    DataType.INT: _same,
    DataType.NUMBER: _same,
    DataType.BOOLEAN: _same,
    DataType.DATE: nanoseconds_of,
    DataType.BLOB: _same,
    DataType.GEO: _place,
}


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key. `name` is a property or one of `_id`, `_creationTimeUnix`, `_lastUpdateTimeUnix`,
    whose values are the id's bytes and milliseconds."""

    name: str
    ascending: bool
    comparable: Comparable
    is_array: bool = False

    def of(self, value: Any) -> tuple[bool, Any]:
        """What stands for `value` in comparisons going up."""
        if value is None or (self.is_array and not value):
            return (False, 0)
        if self.is_array:
            return (True, tuple(self.comparable(item) for item in value))
        return (True, self.comparable(value))


def sort_keys(sorts: Sequence[Sort], collection: Collection) -> tuple[SortKey, ...]:
    """Check sort parameters. Raises SchemaViolation, Unsupported."""
    return tuple(_sort_key(sort, at, collection) for at, sort in enumerate(sorts))


def _sort_key(sort: Sort, at: int, collection: Collection) -> SortKey:
    where = f"invalid 'sort' parameter: sort parameter at position {at}"
    if len(sort.path) != 1:
        raise Unsupported(
            f"{where}: sorting by reference not supported, path must have exactly one component, "
            f"got {list(sort.path)}"
        )
    name = sort.path[0]
    if name in (OBJECT_ID, CREATED, UPDATED):
        return SortKey(name, sort.ascending, _same)
    item = collection.property_by_name.get(name)
    if item is None:
        raise SchemaViolation(
            f"{where}: no such prop with name '{name}' found in class '{collection.name}' in the "
            "schema. Check your schema files for which properties in this class are available"
        )
    comparable = _COMPARABLES.get(item.data_type)
    if comparable is None:
        raise Unsupported(
            f'{where}: prop "{name}" is of type {item.data_type.value}: '
            f"sorting by {item.data_type.value} is currently not supported"
        )
    return SortKey(name, sort.ascending, comparable, item.is_array)


def sort_positions(keys: Sequence[SortKey], columns: Sequence[Sequence[Any]]) -> list[int]:
    """Positions in sorted order; `columns[k][i]` is the value of row i under key k, None if null.

    Rows that are equal under every key keep their order, so they should come by object id.
    """
    assert len(keys) == len(columns), (len(keys), len(columns))
    order = list(range(len(columns[0]))) if columns else []
    for key, column in reversed(list(zip(keys, columns, strict=True))):
        comparables = [key.of(value) for value in column]
        order.sort(key=comparables.__getitem__, reverse=not key.ascending)
    return order
