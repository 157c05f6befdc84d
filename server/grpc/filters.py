"""Filters off the wire: `Filters` messages to `core.query` values.

Only the form is checked here (operators, children, one value, a path). What the schema says of a
filter is the business of `index/filters.py`, which sees the collection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weftdb.core.errors import InvalidRequest, LimitExceeded
from weftdb.core.limits import FILTER_DEPTH_MAX
from weftdb.core.query import (
    And,
    Aspect,
    Comparison,
    Filter,
    FilterValue,
    GeoRange,
    Not,
    Operator,
    Or,
    ValueKind,
)
from weftdb.core.schema import canonical_collection_name
from weftdb.proto.v1 import filters_pb2

_Wire = filters_pb2.Filters

_COMPARISONS = {
    _Wire.OPERATOR_EQUAL: Operator.EQUAL,
    _Wire.OPERATOR_NOT_EQUAL: Operator.NOT_EQUAL,
    _Wire.OPERATOR_GREATER_THAN: Operator.GREATER_THAN,
    _Wire.OPERATOR_GREATER_THAN_EQUAL: Operator.GREATER_THAN_EQUAL,
    _Wire.OPERATOR_LESS_THAN: Operator.LESS_THAN,
    _Wire.OPERATOR_LESS_THAN_EQUAL: Operator.LESS_THAN_EQUAL,
    _Wire.OPERATOR_WITHIN_GEO_RANGE: Operator.WITHIN_GEO_RANGE,
    _Wire.OPERATOR_LIKE: Operator.LIKE,
    _Wire.OPERATOR_IS_NULL: Operator.IS_NULL,
    _Wire.OPERATOR_CONTAINS_ANY: Operator.CONTAINS_ANY,
    _Wire.OPERATOR_CONTAINS_ALL: Operator.CONTAINS_ALL,
    _Wire.OPERATOR_CONTAINS_NONE: Operator.CONTAINS_NONE,
}

_LEN_OPEN, _LEN_CLOSE = "len(", ")"


def _list(value: Any) -> FilterValue:
    return tuple(value.values)


def _circle(value: Any) -> FilterValue:
    return GeoRange(value.latitude, value.longitude, value.distance)


def _plain(value: Any) -> FilterValue:
    scalar: FilterValue = value
    return scalar


_VALUES: dict[str, tuple[ValueKind, Callable[[Any], FilterValue]]] = {
    "value_text": (ValueKind.TEXT, _plain),
    "value_int": (ValueKind.INT, _plain),
    "value_number": (ValueKind.NUMBER, _plain),
    "value_boolean": (ValueKind.BOOLEAN, _plain),
    "value_text_array": (ValueKind.TEXT, _list),
    "value_int_array": (ValueKind.INT, _list),
    "value_number_array": (ValueKind.NUMBER, _list),
    "value_boolean_array": (ValueKind.BOOLEAN, _list),
    "value_geo": (ValueKind.GEO, _circle),
}


def parse_filter(wire: filters_pb2.Filters) -> Filter:
    """Read a filter. Raises InvalidRequest, LimitExceeded."""
    return _parse(wire, 1)


def _parse(wire: filters_pb2.Filters, depth: int) -> Filter:
    if depth > FILTER_DEPTH_MAX:
        raise LimitExceeded(f"filter is nested deeper than {FILTER_DEPTH_MAX} levels")
    kind = wire.operator
    operator = _COMPARISONS.get(kind)
    if operator is not None:
        return _comparison(operator, wire)
    if kind not in (_Wire.OPERATOR_AND, _Wire.OPERATOR_OR, _Wire.OPERATOR_NOT):
        raise InvalidRequest(f"unknown filter operator {_operator_name(kind)}")
    operands = tuple(_parse(child, depth + 1) for child in wire.filters)
    if not operands:
        raise InvalidRequest(f"filter operator {_operator_name(kind)} has no operands")
    if kind == _Wire.OPERATOR_AND:
        return And(operands)
    if kind == _Wire.OPERATOR_OR:
        return Or(operands)
    if len(operands) > 1:
        raise InvalidRequest(
            f"filter operator Not takes exactly one operand, {len(operands)} were given"
        )
    return Not(operands[0])


def _operator_name(kind: int) -> str:
    if kind in _Wire.Operator.values():
        return _Wire.Operator.Name(filters_pb2.Filters.Operator.ValueType(kind))
    return str(kind)


def _comparison(operator: Operator, wire: filters_pb2.Filters) -> Comparison:
    path, aspect = _path(wire)
    field = wire.WhichOneof("test_value")
    if field is None:
        raise InvalidRequest(f"filter on '{path[-1]}' has no value")
    kind, read = _VALUES[field]
    return Comparison(operator, path, read(getattr(wire, field)), kind, aspect)


def _path(wire: filters_pb2.Filters) -> tuple[tuple[str, ...], Aspect]:
    """The path of one leaf, from `target` or from the older list `on`."""
    if wire.HasField("target"):
        parts, aspect = _target_path(wire.target)
    else:
        parts, aspect = list(wire.on), Aspect.VALUE
        if len(parts) % 2 == 0 and parts:
            # A path that ends at a collection counts the references of the property before it.
            parts, aspect = parts[:-1], Aspect.COUNT
    if not parts or not all(parts[::2]):
        raise InvalidRequest(
            "paths needs to have a uneven number of components: "
            f"property, class, property, ...., got [{' '.join(parts)}]"
        )
    last = parts[-1]
    if last.startswith(_LEN_OPEN) and last.endswith(_LEN_CLOSE):
        parts[-1], aspect = last[len(_LEN_OPEN) : -len(_LEN_CLOSE)], Aspect.LENGTH
    return tuple(parts), aspect


def _target_path(target: filters_pb2.FilterTarget) -> tuple[list[str], Aspect]:
    """Walk references to the property. An unnamed target collection is the empty text: the schema
    knows the only one that the reference allows."""
    parts: list[str] = []
    for _ in range(FILTER_DEPTH_MAX):
        field = target.WhichOneof("target")
        if field == "property":
            return [*parts, target.property], Aspect.VALUE
        if field == "count":
            return [*parts, target.count.on], Aspect.COUNT
        if field == "single_target":
            parts += (target.single_target.on, "")
            target = target.single_target.target
        elif field == "multi_target":
            multi = target.multi_target
            parts += (multi.on, canonical_collection_name(multi.target_collection))
            target = multi.target
        else:
            return parts, Aspect.VALUE
    raise LimitExceeded(f"filter path is longer than {FILTER_DEPTH_MAX} references")
