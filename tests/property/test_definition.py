"""Properties of definitions: canonical JSON is a fixed point, and no JSON crashes the readers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.core.auto_schema import infer_collection, widen
from weftdb.core.config import SchemaConfig
from weftdb.core.definition import load_collection, parse_collection, update_collection
from weftdb.core.errors import WeftError
from weftdb.core.types import new_object_id
from weftdb.core.validation import ObjectValidator
from weftdb.server.rest.where import parse_where

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(lambda name: name != "id")
SCALARS = ["text", "int", "number", "boolean", "date", "uuid"]
TYPES = st.sampled_from([*SCALARS, *(f"{name}[]" for name in SCALARS), "blob", "geoCoordinates"])
FLAGS = st.sampled_from([{}, {"indexFilterable": False}, {"description": "d"}])


@st.composite
def properties(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(NAMES, unique_by=str.lower, max_size=5))
    out = [{"name": name, "dataType": [draw(TYPES)], **draw(FLAGS)} for name in names]
    if draw(st.booleans()):
        nested = [{"name": "n", "dataType": [draw(st.sampled_from(SCALARS))]}]
        out.append({"name": "zz_o", "dataType": ["object"], "nestedProperties": nested})
    return out


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    index = {
        "distance": draw(st.sampled_from(["cosine", "dot", "l2-squared"])),
        "ef": draw(st.integers(-1, 500)),
        **draw(st.sampled_from([{}, {"bq": {"enabled": True}}, {"rq": {"enabled": True}}])),
    }
    kind = draw(st.sampled_from(["hnsw", "flat", "hfresh"]))
    if kind == "hfresh":
        index = {}
    body: dict[str, Any] = {"class": "Thing", "properties": draw(properties())}
    if draw(st.booleans()):
        body |= {"vectorIndexType": kind, "vectorIndexConfig": index}
    else:
        vector = {
            "vectorizer": {"none": {}},
            "vectorIndexType": kind,
            "vectorIndexConfig": index,
        }
        body["vectorConfig"] = dict.fromkeys(draw(st.sets(NAMES, min_size=1)), vector)
    if draw(st.booleans()):
        body["invertedIndexConfig"] = {"indexNullState": True, "bm25": {"k1": 1, "b": 0.5}}
    if draw(st.booleans()):
        body["multiTenancyConfig"] = {"enabled": True}
    return body


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_canonical_json_is_a_fixed_point(body: dict[str, Any]) -> None:
    collection = parse_collection(body)
    again = load_collection(json.loads(json.dumps(collection.definition)))
    assert again == collection
    assert again.definition == collection.definition
    assert update_collection(collection, collection.definition) == collection


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "class",
        "properties",
        "vectorConfig",
        "vectorIndexConfig",
        "vectorIndexType",
        "invertedIndexConfig",
        "multiTenancyConfig",
        "shardingConfig",
        "replicationConfig",
        "objectTtlConfig",
        "moduleConfig",
        "vectorizer",
    ]
)
INNER = st.sampled_from(
    [
        "name",
        "dataType",
        "tokenization",
        "nestedProperties",
        "textAnalyzer",
        "distance",
        "ef",
        "pq",
        "rq",
        "bits",
        "enabled",
        "stopwords",
        "bm25",
        "multivector",
        "desiredCount",
        "deleteOn",
        "vectorizer",
    ]
)
SHAPED = st.dictionaries(
    KEYS, JSON | st.dictionaries(INNER, JSON) | st.lists(st.dictionaries(INNER, JSON), max_size=2)
)


@settings(max_examples=300, deadline=None)
@given(SHAPED)
def test_no_definition_crashes_the_reader(body: dict[str, Any]) -> None:
    try:
        collection = parse_collection({"class": "Thing", **body})
    except WeftError:
        return
    assert load_collection(json.loads(json.dumps(collection.definition))) == collection


@settings(max_examples=200, deadline=None)
@given(definitions(), st.dictionaries(NAMES | st.just("zz_o"), JSON, max_size=4), JSON, JSON)
def test_no_object_crashes_the_validator(
    body: dict[str, Any], values: dict[str, Any], vector: Any, vectors: Any
) -> None:
    validator = ObjectValidator(parse_collection(body))
    sent = {"properties": values, "vector": vector, "vectors": vectors}
    try:
        draft = validator.draft(new_object_id(), sent)
    except WeftError:
        return
    assert validator.properties(draft.properties) == draft.properties
    assert validator.typed_properties(draft.properties) == draft.properties


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=3))
def test_widening_covers_what_it_saw(objects: list[dict[str, Any]]) -> None:
    config = SchemaConfig()
    fresh = parse_collection(infer_collection("Thing", config, "note"))
    try:
        wide = widen(fresh, objects, config, "note")
    except WeftError:
        return
    assert load_collection(wide.definition) == wide
    assert widen(wide, objects, config, "note") == wide


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["operator", "operands", "path", "valueInt", "valueText", "valueGeoRange"]),
        JSON | st.sampled_from(["And", "Not", "Equal", ["p"], 5]),
    )
)
def test_no_filter_crashes_the_reader(body: dict[str, Any]) -> None:
    try:
        parse_where(body)
    except WeftError:
        return
