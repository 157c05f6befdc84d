"""Which objects fit their collection, and what is said of those that do not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weftdb.core.definition import parse_collection
from weftdb.core.errors import (
    InvalidRequest,
    LimitExceeded,
    Malformed,
    RequestError,
    SchemaViolation,
    Unsupported,
)
from weftdb.core.types import UNNAMED, new_object_id
from weftdb.core.validation import ObjectValidator

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).parents[4] / "shared"))
OBJECTS = SHARED / "conformance" / "scenarios" / "objects.jsonl"
ACCEPTED_BY_AUTO_SCHEMA = {"an unknown field inside an object"}


def made(*properties: tuple[str, str], **more: Any) -> ObjectValidator:
    body = {
        "class": "Book",
        "properties": [{"name": name, "dataType": [kind]} for name, kind in properties],
        **more,
    }
    return ObjectValidator(parse_collection(body))


@pytest.mark.skipif(not OBJECTS.exists(), reason=f"no recordings at {OBJECTS}: WEFTDB_SHARED")
def test_recorded_values() -> None:
    validator: ObjectValidator | None = None
    compared = 0
    is_inside = False
    for line in OBJECTS.read_text().splitlines():
        step = json.loads(line)
        if "scenario" in step:
            is_inside = step["scenario"] == "objects/wrong-values"
            continue
        if not is_inside or step["request"]["method"] != "POST":
            continue
        body, answer = step["request"]["body"], step["response"]
        if step["request"]["path"] == "/schema":
            validator = ObjectValidator(parse_collection(body))
            continue
        if step["intent"] in ACCEPTED_BY_AUTO_SCHEMA:
            continue
        assert validator is not None
        compared += 1
        if answer["status"] == 200:
            draft = validator.draft(new_object_id(), body)
            assert draft.properties == answer["body"]["properties"], step["intent"]
            continue
        with pytest.raises(SchemaViolation) as caught:
            validator.draft(new_object_id(), body)
        recorded = answer["body"]["error"][0]["message"].removeprefix("invalid object: ")
        if step["intent"] != "texts for numbers":  # "invalid integer array value" for numbers
            assert str(caught.value) == recorded, step["intent"]
    assert compared > 35


def test_names_are_lowered_and_unknown_ones_refused() -> None:
    validator = made(("title", "text"))
    assert validator.properties({"Title": "x"}) == {"title": "x"}
    with pytest.raises(SchemaViolation, match="no such prop with name 'other'"):
        validator.properties({"other": 1})
    with pytest.raises(SchemaViolation, match="could not recognize"):
        validator.properties([])
    assert validator.properties(None) == {}
    assert validator.properties({"other": None, "title": None}) == {}


def test_nulls_stay_in_a_merge() -> None:
    validator = made(("title", "text"))
    assert validator.changes({"Title": None, "other": None}) == {"title": None}


def test_doubles_are_ints_where_they_are_typed() -> None:
    validator = made(("n", "int"), ("ns", "int[]"))
    assert validator.typed_properties({"n": 5.0, "ns": [1.0, 2]}) == {"n": 5, "ns": [1, 2]}
    assert isinstance(validator.typed_properties({"n": 5.0})["n"], int)
    with pytest.raises(SchemaViolation):
        validator.typed_properties({"n": 5.5})
    with pytest.raises(SchemaViolation):
        validator.properties({"n": 5.0})


@pytest.mark.parametrize("value", [2**63, -(2**70), float("inf"), float("nan"), True])
def test_ints_that_are_none(value: Any) -> None:
    validator = made(("n", "int"))
    for check in (validator.properties, validator.typed_properties):
        with pytest.raises(SchemaViolation):
            check({"n": value})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, True, None])
def test_numbers_that_are_none(value: Any) -> None:
    validator = made(("x", "number"), ("xs", "number[]"))
    with pytest.raises(SchemaViolation):
        validator.properties({"xs": [value]})
    if value is not None:
        with pytest.raises(SchemaViolation):
            validator.properties({"x": value})


@pytest.mark.parametrize(
    "value",
    [
        "2024-02-30T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00+24:00",
        "２024-01-01T00:00:00Z",
        "20240101T000000Z",
    ],
)
def test_dates_that_are_none(value: str) -> None:
    with pytest.raises(SchemaViolation, match="RFC3339"):
        made(("d", "date")).properties({"d": value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"latitude": 91, "longitude": 0}, "latitude 91"),
        ({"latitude": 0, "longitude": -181}, "longitude"),
        ({"latitude": float("nan"), "longitude": 0}, "latitude"),
        ({"latitude": "1", "longitude": 0}, "must be a number"),
        ({"latitude": True, "longitude": 0}, "must be a number"),
    ],
)
def test_places_that_are_none(value: Any, message: str) -> None:
    with pytest.raises(SchemaViolation, match=message):
        made(("g", "geoCoordinates")).properties({"g": value})


@pytest.mark.parametrize(
    "value", [{"input": 5}, {"input": "020 1234567", "defaultCountry": 31}, {"input": "hello"}]
)
def test_phone_numbers_that_are_none(value: Any) -> None:
    with pytest.raises(SchemaViolation, match="phoneNumber property 'p'"):
        made(("p", "phoneNumber")).properties({"p": value})


def test_objects_inside_objects() -> None:
    nested = [{"name": "n", "dataType": ["int"]}]
    validator = made(
        properties=[
            {"name": "o", "dataType": ["object"], "nestedProperties": nested},
            {"name": "os", "dataType": ["object[]"], "nestedProperties": nested},
        ]
    )
    assert validator.properties({"o": {"n": None}, "os": [{"n": 1}, {}]}) == {
        "o": {},
        "os": [{"n": 1}, {}],
    }
    for values in ({"o": {"m": 1}}, {"os": [{"m": 1}]}, {"os": [5]}, {"os": [{"n": "x"}]}):
        with pytest.raises(SchemaViolation, match=r"invalid object"):
            validator.properties(values)


def test_references_are_refused_by_name() -> None:
    validator = made(("title", "text"), ("sequel", "Book"))
    with pytest.raises(Unsupported, match=r"cross references.*'sequel'"):
        validator.properties({"sequel": [{"beacon": "weaviate://localhost/Book/x"}]})


class TestVectors:
    def test_places(self) -> None:
        legacy = made()
        assert list(legacy.json_vectors({"vector": [1, 2]})) == [UNNAMED]
        assert list(legacy.json_vectors({"vectors": {"default": [1, 2]}})) == [UNNAMED]
        assert legacy.json_vectors({"vector": [], "vectors": None}) == {}
        solo = made(vectorConfig={"only": {"vectorizer": {"none": {}}}})
        assert list(solo.json_vectors({"vector": [1.5]})) == ["only"]
        assert solo.json_vectors({"vectors": {"only": []}}) == {}

    def test_no_place(self) -> None:
        two = made(vectorConfig={name: {"vectorizer": {"none": {}}} for name in "ab"})
        with pytest.raises(SchemaViolation, match="single vector index"):
            two.json_vectors({"vector": [1]})
        for name in ("c", "default", ""):
            with pytest.raises(SchemaViolation, match="configuration for vector"):
                two.json_vectors({"vectors": {name: [1]}})
        with pytest.raises(SchemaViolation, match="configuration for vector"):
            made().json_vectors({"vectors": {"": [1]}})

    def test_matrices(self) -> None:
        index = {"multivector": {"enabled": True}}
        multi = made(
            vectorConfig={
                "m": {"vectorizer": {"none": {}}, "vectorIndexConfig": index},
                "s": {"vectorizer": {"none": {}}},
            }
        )
        assert multi.json_vectors({"vectors": {"m": [[1, 2], [3, 4]]}})["m"].shape == (2, 2)
        for vectors in ({"m": [1, 2]}, {"s": [[1, 2]]}):
            with pytest.raises(SchemaViolation, match="multi-vector"):
                multi.json_vectors({"vectors": vectors})

    @pytest.mark.parametrize(
        "value",
        ["abc", {}, 5, [1, "a"], ["1"], [None], [True], [[1], [2, 3]], [[[1]]], [1, [2]], [{}]],
    )
    def test_no_list_of_numbers(self, value: Any) -> None:
        with pytest.raises(Malformed):
            made().json_vectors({"vector": value})

    @pytest.mark.parametrize("value", [1e300, -1e39])
    def test_beyond_float32(self, value: float) -> None:
        with pytest.raises(InvalidRequest, match="float32"):
            made().json_vectors({"vector": [1.0, value]})

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, value: float) -> None:
        with pytest.raises(InvalidRequest, match="finite"):
            made().vectors(np.array([1, value, 2], np.float32), {})

    def test_too_long(self) -> None:
        with pytest.raises(LimitExceeded, match="dimensions"):
            made().vectors(np.zeros(70_000, np.float32), {})

    def test_vectors_that_are_no_object(self) -> None:
        with pytest.raises(RequestError):
            made().json_vectors({"vectors": [1]})
