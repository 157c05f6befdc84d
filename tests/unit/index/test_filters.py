"""What filters refuse, and what is not among the recordings."""

from __future__ import annotations

import math

import pytest

from weftdb.core.definition import parse_collection
from weftdb.core.errors import (
    InvalidRequest,
    LimitExceeded,
    RequestError,
    SchemaViolation,
    Unsupported,
)
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
from weftdb.core.schema import Collection
from weftdb.index.filter_plan import OneOf, Present
from weftdb.index.filters import compile_filter
from weftdb.index.stopwords import ENGLISH, property_stopwords, stopwords_of

COLLECTION = parse_collection(
    {
        "class": "Flat",
        "properties": [
            {"name": "title", "dataType": ["text"]},
            {"name": "rooms", "dataType": ["int"]},
            {"name": "size", "dataType": ["number"]},
            {"name": "lift", "dataType": ["boolean"]},
            {"name": "built", "dataType": ["date"]},
            {"name": "place", "dataType": ["geoCoordinates"]},
            {"name": "photo", "dataType": ["blob"]},
            {"name": "by", "dataType": ["Author"]},
            {
                "name": "engine",
                "dataType": ["object"],
                "nestedProperties": [{"name": "power", "dataType": ["int"]}],
            },
        ],
    }
)


def where(
    name: str,
    value: FilterValue,
    kind: ValueKind = ValueKind.TEXT,
    operator: Operator = Operator.EQUAL,
    aspect: Aspect = Aspect.VALUE,
) -> Comparison:
    return Comparison(operator, tuple(name.split("/")), value, kind, aspect)


HERE = GeoRange(0.0, 0.0, 1.0)
GEO = Operator.WITHIN_GEO_RANGE


@pytest.mark.parametrize(
    ("condition", "error", "words"),
    [
        (where("nothing", "x"), SchemaViolation, "no such prop with name 'nothing'"),
        (where("rooms", "five"), InvalidRequest, 'cannot use "valueText" on type "int"'),
        (where("rooms", 3.5, ValueKind.NUMBER), InvalidRequest, "integer"),
        (where("rooms", 2**63, ValueKind.INT), InvalidRequest, "64-bit"),
        (where("rooms", True, ValueKind.BOOLEAN), InvalidRequest, "valueBoolean"),
        (where("size", math.nan, ValueKind.NUMBER), InvalidRequest, "NaN"),
        (where("title", 5, ValueKind.INT), InvalidRequest, 'use "valueText" instead'),
        (where("title", "the"), InvalidRequest, "only stopwords"),
        (where("lift", 1, ValueKind.INT), InvalidRequest, "valueInt"),
        (where("built", "1931"), InvalidRequest, "RFC3339"),
        (where("built", "*", operator=Operator.LIKE), InvalidRequest, "text property"),
        (where("title", ("a",)), InvalidRequest, "single value"),
        (where("title", "a", operator=Operator.CONTAINS_ANY), InvalidRequest, "list"),
        (where("title", (), operator=Operator.CONTAINS_ALL), InvalidRequest, "empty list"),
        (where("title", HERE, ValueKind.GEO), InvalidRequest, "geo range"),
        (where("title", HERE, ValueKind.GEO, GEO), InvalidRequest, "geoCoordinates"),
        (where("place", "here"), InvalidRequest, "WithinGeoRange"),
        (where("place", GeoRange(91, 0, 1), ValueKind.GEO, GEO), InvalidRequest, "not a place"),
        (where("place", GeoRange(0, 0, -1), ValueKind.GEO, GEO), InvalidRequest, "0 m or more"),
        (where("place", GeoRange(0, 0, math.nan), ValueKind.GEO, GEO), InvalidRequest, "0 m"),
        (where("photo", "x"), SchemaViolation, "blob"),
        (where("engine", "x"), SchemaViolation, "nested"),
        (where("engine.power", 1, ValueKind.INT), SchemaViolation, "nested"),
        (where("title/Author/name", "x"), SchemaViolation, "no reference"),
        (where("by/Author/name", "x"), Unsupported, "references"),
        (where("by", 1, ValueKind.INT, aspect=Aspect.COUNT), Unsupported, "reference"),
        (where("by/Author", "x"), InvalidRequest, "uneven"),
        (where("title", 3, ValueKind.INT, aspect=Aspect.LENGTH), SchemaViolation, "length"),
        (where("title", True, ValueKind.BOOLEAN, Operator.IS_NULL), SchemaViolation, "Nullstate"),
        (where("_creationTimeUnix", "x"), SchemaViolation, "Timestamps"),
        (where("_id", 5, ValueKind.INT), InvalidRequest, "id is a text"),
        (where("_id", "abc", operator=Operator.GREATER_THAN), InvalidRequest, "UUID"),
        (where("_id", True, ValueKind.BOOLEAN, Operator.IS_NULL), InvalidRequest, "null"),
        (And(()), InvalidRequest, 'no children for operator "And"'),
        (Or(()), InvalidRequest, 'no children for operator "Or"'),
    ],
)
def test_wrong_filters_are_refused(
    condition: Filter, error: type[RequestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        compile_filter(condition, COLLECTION)


def test_deep_filters_are_refused_before_the_interpreter_is() -> None:
    condition: Filter = where("rooms", 3, ValueKind.INT)
    for _ in range(FILTER_DEPTH_MAX - 1):
        condition = Not(condition)
    compile_filter(condition, COLLECTION)
    with pytest.raises(LimitExceeded, match="nested deeper"):
        compile_filter(Not(condition), COLLECTION)


def test_numbers_may_come_as_text_or_as_each_other() -> None:
    plain = compile_filter(where("rooms", 3, ValueKind.INT), COLLECTION)
    assert compile_filter(where("rooms", "3"), COLLECTION) == plain
    assert compile_filter(where("rooms", 3.0, ValueKind.NUMBER), COLLECTION) == plain
    exact = compile_filter(where("rooms", str(2**62 + 1)), COLLECTION)
    assert exact == compile_filter(where("rooms", 2**62 + 1, ValueKind.INT), COLLECTION)


def test_patterns_without_wildcards_or_of_nothing_else_need_no_scan() -> None:
    like = Operator.LIKE
    assert isinstance(compile_filter(where("title", "Loft", operator=like), COLLECTION), OneOf)
    assert isinstance(compile_filter(where("title", "**", operator=like), COLLECTION), Present)


def collection(stopwords: dict[str, object], **analyzer: object) -> Collection:
    item = {"name": "t", "dataType": ["text"], **({"textAnalyzer": analyzer} if analyzer else {})}
    return parse_collection(
        {"class": "A", "invertedIndexConfig": {"stopwords": stopwords}, "properties": [item]}
    )


def test_stop_words_are_a_preset_with_additions_without_removals() -> None:
    made = collection({"preset": "en", "additions": ["Fox"], "removals": ["the"]})
    assert stopwords_of(made.inverted) == (ENGLISH | {"fox"}) - {"the"}
    assert property_stopwords(made, made.properties[0]) == stopwords_of(made.inverted)
    assert len(ENGLISH) == 33
    assert stopwords_of(collection({"preset": "none"}).inverted) == frozenset()


def test_a_property_may_have_its_own_preset() -> None:
    made = parse_collection(
        {
            "class": "A",
            "invertedIndexConfig": {"stopwordPresets": {"de": ["der", "die"]}},
            "properties": [
                {"name": "t", "dataType": ["text"], "textAnalyzer": {"stopwordPreset": "de"}},
                {"name": "f", "dataType": ["text"], "tokenization": "field"},
            ],
        }
    )
    assert property_stopwords(made, made.property_by_name["t"]) == {"der", "die"}
    assert property_stopwords(made, made.property_by_name["f"]) == frozenset()
