"""The JSON filters of REST."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.core.errors import FormatViolation, InvalidRequest, Malformed
from weftdb.core.query import (
    And,
    Aspect,
    Comparison,
    GeoRange,
    Not,
    Operator,
    Or,
    ValueKind,
)
from weftdb.server.rest.where import echo_where, parse_where


def leaf(**more: Any) -> dict[str, Any]:
    return {"path": ["p"], "operator": "Equal", "valueInt": 1, **more}


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("valueInt", 5, ValueKind.INT),
        ("valueNumber", 5, ValueKind.NUMBER),
        ("valueNumber", 5.5, ValueKind.NUMBER),
        ("valueBoolean", True, ValueKind.BOOLEAN),
        ("valueText", "x", ValueKind.TEXT),
        ("valueString", "x", ValueKind.TEXT),
        ("valueDate", "2024-01-01T00:00:00Z", ValueKind.DATE),
    ],
)
def test_values(key: str, value: Any, kind: ValueKind) -> None:
    body = {"path": ["p"], "operator": "Equal", key: value}
    assert parse_where(body) == Comparison(Operator.EQUAL, ("p",), value, kind)
    listed = {"path": ["p"], "operator": "ContainsAny", f"{key}Array": [value]}
    assert parse_where(listed) == Comparison(Operator.CONTAINS_ANY, ("p",), (value,), kind)


def test_places() -> None:
    body = {
        "path": ["where"],
        "operator": "WithinGeoRange",
        "valueGeoRange": {
            "geoCoordinates": {"latitude": 1, "longitude": 2},
            "distance": {"max": 5},
        },
    }
    parsed = parse_where(body)
    assert isinstance(parsed, Comparison)
    assert parsed.value == GeoRange(1, 2, 5)
    del body["valueGeoRange"]["distance"]
    with pytest.raises(InvalidRequest, match="max is missing"):
        parse_where(body)


def test_paths() -> None:
    by_id = parse_where(leaf(path=["id"], valueInt=None, valueText="x"))
    assert isinstance(by_id, Comparison)
    assert by_id.path == ("_id",)
    length = parse_where(leaf(path=["len(title)"]))
    assert isinstance(length, Comparison)
    assert (length.path, length.aspect) == (("title",), Aspect.LENGTH)
    reference = parse_where(leaf(path=["by", "Author", "name"]))
    assert isinstance(reference, Comparison)
    assert reference.path == ("by", "Author", "name")


def test_groups_and_their_echo() -> None:
    body = {
        "operator": "And",
        "operands": [leaf(), {"operator": "Not", "operands": [leaf()]}],
    }
    one = Comparison(Operator.EQUAL, ("p",), 1, ValueKind.INT)
    assert parse_where(body) == And((one, Not(one)))
    assert parse_where({"operator": "Or", "operands": [leaf()]}) == Or((one,))
    echo = echo_where(body)
    assert echo["operands"][0] == {**leaf(), "operands": None}
    assert echo["operands"][1]["operands"][0]["operands"] is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (5, Malformed),
        ({}, FormatViolation),
        (leaf(operator="Near"), FormatViolation),
        (leaf(path=[]), InvalidRequest),
        (leaf(path="p"), Malformed),
        (leaf(valueText="x"), InvalidRequest),
        (leaf(valueInt=None), InvalidRequest),
        (leaf(valueInt="5"), Malformed),
        (leaf(valueInt=True), Malformed),
        (leaf(valueInt=[1, "a"]), Malformed),
        (leaf(valueInt=None, valueIntArray=5), Malformed),
        (leaf(valueInt=None, valueStrange=5), InvalidRequest),
        (leaf(operands=[leaf()]), InvalidRequest),
        ({"operator": "And"}, InvalidRequest),
        ({"operator": "And", "operands": []}, InvalidRequest),
        ({"operator": "Not", "operands": [leaf(), leaf()]}, InvalidRequest),
    ],
)
def test_bad_filters(body: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        parse_where(body)


def test_nesting_is_bounded() -> None:
    body = leaf()
    for _ in range(70):
        body = {"operator": "Not", "operands": [body]}
    with pytest.raises(InvalidRequest, match="deeper"):
        parse_where(body)
