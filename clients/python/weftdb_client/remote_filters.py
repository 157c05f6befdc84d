"""Filters as wire messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._proto import arrays_pb2, filters_pb2
from .errors import RequestRefused
from .filters import Condition, Filters, GeoRange, Joined, Junction, Operator

_OPERATORS: Mapping[Operator | Junction, filters_pb2.Filters.Operator] = {
    Operator.EQUAL: filters_pb2.Filters.OPERATOR_EQUAL,
    Operator.NOT_EQUAL: filters_pb2.Filters.OPERATOR_NOT_EQUAL,
    Operator.GREATER_THAN: filters_pb2.Filters.OPERATOR_GREATER_THAN,
    Operator.GREATER_THAN_EQUAL: filters_pb2.Filters.OPERATOR_GREATER_THAN_EQUAL,
    Operator.LESS_THAN: filters_pb2.Filters.OPERATOR_LESS_THAN,
    Operator.LESS_THAN_EQUAL: filters_pb2.Filters.OPERATOR_LESS_THAN_EQUAL,
    Operator.LIKE: filters_pb2.Filters.OPERATOR_LIKE,
    Operator.IS_NULL: filters_pb2.Filters.OPERATOR_IS_NULL,
    Operator.CONTAINS_ANY: filters_pb2.Filters.OPERATOR_CONTAINS_ANY,
    Operator.CONTAINS_ALL: filters_pb2.Filters.OPERATOR_CONTAINS_ALL,
    Operator.CONTAINS_NONE: filters_pb2.Filters.OPERATOR_CONTAINS_NONE,
    Operator.WITHIN_GEO_RANGE: filters_pb2.Filters.OPERATOR_WITHIN_GEO_RANGE,
    Junction.AND: filters_pb2.Filters.OPERATOR_AND,
    Junction.OR: filters_pb2.Filters.OPERATOR_OR,
    Junction.NOT: filters_pb2.Filters.OPERATOR_NOT,
}


def wire_filter(filters: Filters) -> filters_pb2.Filters:
    """Translate. Raises RequestRefused for a list of mixed types."""
    if isinstance(filters, Joined):
        return filters_pb2.Filters(
            operator=_OPERATORS[filters.junction],
            filters=[wire_filter(item) for item in filters.operands],
        )
    assert isinstance(filters, Condition), filters
    name = f"len({filters.property_name})" if filters.of_length else filters.property_name
    return filters_pb2.Filters(
        operator=_OPERATORS[filters.operator],
        target=filters_pb2.FilterTarget(property=name),
        **_value(filters),
    )


def _value(condition: Condition) -> dict[str, Any]:
    value = condition.value
    if isinstance(value, GeoRange):
        circle = filters_pb2.GeoCoordinatesFilter(
            latitude=value.latitude, longitude=value.longitude, distance=value.distance
        )
        return {"value_geo": circle}
    if isinstance(value, tuple):
        return _values(value)
    if isinstance(value, bool):
        return {"value_boolean": value}
    if isinstance(value, int):
        return {"value_int": value}
    return {"value_number": value} if isinstance(value, float) else {"value_text": value}


def _values(values: Sequence[Any]) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return {"value_text_array": arrays_pb2.TextArray(values=values)}
    if kinds == {bool}:
        return {"value_boolean_array": arrays_pb2.BooleanArray(values=values)}
    if kinds == {int}:
        return {"value_int_array": arrays_pb2.IntArray(values=values)}
    if kinds <= {int, float}:
        return {"value_number_array": arrays_pb2.NumberArray(values=values)}
    raise RequestRefused(f"a filter's list mixes types: {values!r}")
