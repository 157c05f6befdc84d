"""What auto schema makes of values."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.core.auto_schema import infer_collection, is_covered, widen
from weftdb.core.config import SchemaConfig
from weftdb.core.definition import load_collection, parse_collection
from weftdb.core.errors import SchemaViolation
from weftdb.core.schema import Collection
from weftdb.core.validation import ObjectValidator

CONFIG = SchemaConfig()
UUID = "00000000-0000-4000-8000-000000000007"


def fresh() -> Collection:
    return parse_collection(infer_collection("thing", CONFIG, "made by a test"))


def types_after(values: dict[str, Any]) -> dict[str, str]:
    wide = widen(fresh(), [values], CONFIG, "note")
    return {item["name"]: item["dataType"][0] for item in wide.definition["properties"] or []}


def test_a_new_collection() -> None:
    collection = fresh()
    assert collection.name == "Thing"
    assert [vector.name for vector in collection.vectors] == ["default"]
    assert collection.definition["description"] == "made by a test"


def test_types_of_values() -> None:
    values = {
        "text": "box",
        "n": 3,
        "flag": True,
        "made": "2024-05-06T07:08:09Z",
        "code": UUID,
        "tags": ["a"],
        "sizes": [1, 2.5],
        "flags": [True],
        "days": ["2024-05-06T07:08:09Z"],
        "codes": [UUID],
        "place": {"latitude": 1.5, "longitude": 2.5},
        "call": {"input": "+31 20 1234567"},
        "part": {"name": "lid"},
        "parts": [{"name": "x"}, {"size": 1}],
        "Upper": "case",
        "empty": [],
        "none": None,
    }
    assert types_after(values) == {
        "text": "text",
        "n": "number",
        "flag": "boolean",
        "made": "date",
        "code": "uuid",
        "tags": "text[]",
        "sizes": "number[]",
        "flags": "boolean[]",
        "days": "date[]",
        "codes": "uuid[]",
        "place": "geoCoordinates",
        "call": "phoneNumber",
        "part": "object",
        "parts": "object[]",
        "upper": "text",
        "empty": "text[]",
        "none": "text",
    }
    wide = widen(fresh(), [values], CONFIG, "note")
    assert [item.name for item in wide.property_by_name["parts"].nested] == ["name", "size"]
    assert is_covered(wide, values)
    assert widen(wide, [values], CONFIG, "note") is wide
    ObjectValidator(wide).properties(values)
    assert load_collection(wide.definition) == wide


def test_objects_grow_inside() -> None:
    first = widen(fresh(), [{"o": {"a": "x", "in": {"deep": 1}}}], CONFIG, "note")
    more = {"o": {"b": True, "in": {"deeper": "y"}}}
    assert not is_covered(first, more)
    second = widen(first, [more], CONFIG, "note")
    fields = {item.name: item for item in second.property_by_name["o"].nested}
    assert sorted(fields) == ["a", "b", "in"]
    assert sorted(item.name for item in fields["in"].nested) == ["deep", "deeper"]
    assert first.property_by_name["o"].nested != second.property_by_name["o"].nested


def test_several_objects_at_once() -> None:
    wide = widen(fresh(), [{"n": 1}, {"m": "x"}, {"n": 2}], CONFIG, "note")
    assert [item.name for item in wide.properties] == ["n", "m"]


def test_defaults_of_the_node() -> None:
    config = SchemaConfig(auto_schema_number="int", auto_schema_text="text")
    wide = widen(fresh(), [{"n": 1}], config, "note")
    assert wide.definition["properties"][0]["dataType"] == ["int"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixed": ["a", 1]}, "mismatched"),
        ({"bad name": "x"}, "not a valid property name"),
        ({"id": "x"}, "reserved"),
        ({"nulls": [None]}, "null"),
        ({"lists": [[1]]}, "list in a list"),
        ({"o": {"bad name": 1}}, "nested property name"),
    ],
)
def test_values_without_a_type(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaViolation, match=message):
        widen(fresh(), [values], CONFIG, "note")


def test_empty_objects_say_nothing() -> None:
    assert types_after({"o": {}, "p": {"q": {}}}) == {}
