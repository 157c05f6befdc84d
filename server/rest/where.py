"""Reads the JSON `where` filter of REST into core.query.Filter, and writes it back as echo.

where  := {operator: And|Or|Not, operands: [where+]}
        | {operator, path: [name+], value<Type>: ...}
name   := property | len(property) | id | _creationTimeUnix | _lastUpdateTimeUnix
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weftdb.core.definition.json_fields import FORMAT_CODE_ENUM, Fields
from weftdb.core.errors import FormatViolation, InvalidRequest, Malformed
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

OPERATORS = (
    "And",
    "Or",
    "Equal",
    "Like",
    "NotEqual",
    "GreaterThan",
    "GreaterThanEqual",
    "LessThan",
    "LessThanEqual",
    "WithinGeoRange",
    "IsNull",
    "ContainsAny",
    "ContainsAll",
    "ContainsNone",
    "Not",
)
_GROUPS = ("And", "Or", "Not")
_LENGTH = re.compile(r"len\((.+)\)")
_KINDS: Mapping[str, tuple[ValueKind, type | tuple[type, ...]]] = {
    "valueInt": (ValueKind.INT, int),
    "valueNumber": (ValueKind.NUMBER, (int, float)),
    "valueBoolean": (ValueKind.BOOLEAN, bool),
    "valueText": (ValueKind.TEXT, str),
    "valueString": (ValueKind.TEXT, str),
    "valueDate": (ValueKind.DATE, str),
}
_PSEUDO = {"id": "_id"}


def parse_where(body: Any, depth: int = 0) -> Filter:
    """Read a filter. Raises Malformed, FormatViolation (unknown operator), InvalidRequest."""
    if depth > FILTER_DEPTH_MAX:
        raise InvalidRequest(f"a filter may not be nested deeper than {FILTER_DEPTH_MAX}")
    fields = Fields(body, "match.where")
    name = fields.text("operator")
    if name not in OPERATORS:
        raise FormatViolation(
            f"match.where.operator in body should be one of [{' '.join(OPERATORS)}]",
            code=FORMAT_CODE_ENUM,
        )
    if name in _GROUPS:
        return _group(name, fields, depth)
    if fields.has("operands"):
        raise InvalidRequest(f"invalid where filter: operator '{name}' takes no operands")
    path = fields.texts("path") or []
    if not path:
        raise InvalidRequest("invalid where filter: field 'path' must have at least one element")
    kind, value = _value(fields)
    return _comparison(Operator(name), path, kind, value)


def echo_where(body: Mapping[str, Any]) -> dict[str, Any]:
    """The filter as replies repeat it: `operands` is there even when there are none."""
    operands = body.get("operands")
    out = {key: value for key, value in body.items() if value is not None}
    out["operands"] = [echo_where(item) for item in operands] if operands else None
    return out


def _group(name: str, fields: Fields, depth: int) -> Filter:
    operands = tuple(parse_where(item.body, depth + 1) for item in fields.children("operands"))
    if not operands:
        raise InvalidRequest(f"invalid where filter: operator '{name}' needs operands")
    if name == "Not":
        if len(operands) != 1:
            raise InvalidRequest("invalid where filter: operator 'Not' takes exactly one operand")
        return Not(operands[0])
    return And(operands) if name == "And" else Or(operands)


def _comparison(
    operator: Operator, path: list[str], kind: ValueKind, value: FilterValue
) -> Comparison:
    aspect = Aspect.VALUE
    last = path[-1]
    length = _LENGTH.fullmatch(last)
    if length:
        aspect, last = Aspect.LENGTH, length.group(1)
    names = (*path[:-1], _PSEUDO.get(last, last))
    return Comparison(operator, names, value, kind, aspect)


def _value(fields: Fields) -> tuple[ValueKind, FilterValue]:
    given = [key for key in fields.body if key.startswith("value") and fields.body[key] is not None]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise InvalidRequest(
            f"invalid where filter: exactly one value<Type> is needed, got {found}"
        )
    key = given[0]
    if key == "valueGeoRange":
        return ValueKind.GEO, _geo_range(fields.child(key))
    base = key.removesuffix("Array")
    if base not in _KINDS:
        raise InvalidRequest(f"invalid where filter: unknown value type '{key}'")
    kind, wanted = _KINDS[base]
    value = fields.body[key]
    if isinstance(value, list):
        for item in value:
            _check_type(key, item, wanted)
        return kind, tuple(value)
    if key != base:
        raise Malformed(f"field match.where.{key} must be a list")
    _check_type(key, value, wanted)
    return kind, value


def _check_type(key: str, value: Any, wanted: type | tuple[type, ...]) -> None:
    # A bool is an int to Python, but not on the wire.
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise Malformed(f"field match.where.{key} has a value of another type")


def _geo_range(fields: Fields) -> GeoRange:
    centre, distance = fields.child("geoCoordinates"), fields.child("distance")
    for part, key in ((centre, "latitude"), (centre, "longitude"), (distance, "max")):
        if not part.has(key):
            raise InvalidRequest(f"invalid where filter: {part.name_of(key)} is missing")
    return GeoRange(
        latitude=centre.number("latitude", 0.0),
        longitude=centre.number("longitude", 0.0),
        distance_m=distance.number("max", 0.0),
    )
