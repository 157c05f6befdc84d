"""What may change in a definition, beyond what the recordings show."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.core.config import SchemaConfig
from weftdb.core.definition import (
    Surroundings,
    add_property,
    drop_property_index,
    drop_vector_index,
    load_collection,
    parse_collection,
    replace_property,
    update_collection,
)
from weftdb.core.errors import FormatViolation, Malformed, SchemaViolation, Unsupported
from weftdb.core.schema import Compression, IndexKind

TEXT = {"name": "title", "dataType": ["text"]}
MULTI = {"vectorIndexConfig": {"multivector": {"enabled": True}}}


def made(**more: Any) -> Any:
    return parse_collection({"class": "Book", "properties": [TEXT], **more})


def test_a_read_definition_can_be_put_back() -> None:
    for body in (
        {},
        {"vectorConfig": {"a": {"vectorizer": {"none": {}}, "vectorIndexType": "flat"}}},
        {"multiTenancyConfig": {"enabled": True, "autoTenantCreation": True}},
        {"vectorIndexType": "flat", "vectorIndexConfig": {"distance": "dot"}},
    ):
        old = made(**body)
        assert update_collection(old, old.definition) == old


def test_an_index_is_dropped_and_stays_dropped() -> None:
    dropped = drop_property_index(made(), "title", "searchable")
    assert not dropped.property_by_name["title"].searchable
    assert dropped.property_by_name["title"].filterable
    assert load_collection(dropped.definition) == dropped


def test_an_index_of_another_name_is_refused() -> None:
    with pytest.raises(FormatViolation, match="indexName") as caught:
        drop_property_index(made(), "title", "magic")
    assert caught.value.code == 606
    with pytest.raises(SchemaViolation, match="nothing"):
        drop_property_index(made(), "nothing", "searchable")


def test_adding_a_property_leaves_the_old_collection_alone() -> None:
    old = made()
    new = add_property(old, {"name": "pages", "dataType": ["int"]})
    assert [item.name for item in old.properties] == ["title"]
    assert [item.name for item in new.properties] == ["title", "pages"]
    assert len(old.definition["properties"]) == 1


def test_a_nested_field_more() -> None:
    old = made(properties=[{"name": "o", "dataType": ["object"], "nestedProperties": [TEXT]}])
    body = {
        "name": "o",
        "dataType": ["object"],
        "nestedProperties": [TEXT, {"name": "n", "dataType": ["number"]}],
    }
    new = replace_property(old, body)
    assert [item.name for item in new.property_by_name["o"].nested] == ["title", "n"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectorConfig": {"a": {"vectorizer": {"none": {}}}}}, "named vectors"),
        ({"multiTenancyConfig": {"enabled": True}}, "enabling multi-tenancy"),
        ({"invertedIndexConfig": {"indexPropertyLength": True}}, "indexPropertyLength"),
        ({"vectorIndexConfig": {"multivector": {"enabled": True}}}, "multi vector"),
    ],
)
def test_refused_changes(change: dict[str, Any], message: str) -> None:
    old = made()
    body = {key: value for key, value in old.definition.items() if key not in change}
    if "vectorConfig" in change:
        for key in ("vectorizer", "vectorIndexType", "vectorIndexConfig"):
            del body[key]
    with pytest.raises((SchemaViolation, Unsupported), match=message):
        update_collection(old, {**body, **change})


def test_the_number_of_shards_where_none_is_asked_for() -> None:
    def count(default: int, **body: Any) -> int:
        around = Surroundings(node_count=3)
        defaults = SchemaConfig(default_sharding_count=default)
        made = parse_collection({"class": "A", **body}, defaults, around)
        assert made.definition["shardingConfig"]["desiredCount"] in (made.shard_count, 0)
        return made.shard_count

    assert count(0) == 3, "as many as there are nodes"
    assert count(5) == 5
    assert count(5, shardingConfig={"desiredCount": 2}) == 2
    assert count(5, shardingConfig={"virtualPerPhysical": 64}) == 5
    assert count(5, multiTenancyConfig={"enabled": True}) == 1


def test_the_number_of_replicas_where_none_is_asked_for() -> None:
    around = Surroundings(node_count=3, factor_default=2)
    made = parse_collection({"class": "A"}, None, around)
    assert made.definition["replicationConfig"]["factor"] == made.replication_factor == 2
    asked = {"class": "A", "replicationConfig": {"factor": 3}}
    made = parse_collection(asked, None, around)
    assert made.replication_factor == 3
    for body in ({}, {"replicationConfig": {"deletionStrategy": "DeleteOnConflict"}}):
        kept = update_collection(made, {"class": "A", **body}, None, around)
        assert kept.replication_factor == 3, "a change that does not name it leaves it alone"
    assert kept.definition["replicationConfig"]["deletionStrategy"] == "DeleteOnConflict"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"class": 5},
        {"class": "A", "properties": {}},
        {"class": "A", "properties": [5]},
        {"class": "A", "properties": [{"name": "p", "dataType": "text"}]},
        {"class": "A", "invertedIndexConfig": {"bm25": {"k1": "x"}}},
        {"class": "A", "invertedIndexConfig": {"stopwords": {"additions": [1]}}},
        {"class": "A", "multiTenancyConfig": {"enabled": "yes"}},
        {"class": "A", "shardingConfig": {"desiredCount": 1.5}},
    ],
)
def test_another_json_type(body: Any) -> None:
    with pytest.raises(Malformed, match="cannot unmarshal"):
        parse_collection(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"vectorIndexConfig": {"ef": "many"}}, "ef"),
        ({"vectorIndexConfig": {"pq": {"enabled": True, "centroids": 0}}}, "centroids"),
        ({"vectorIndexConfig": {"pq": {"segments": -1}}}, "segments"),
        ({"shardingConfig": {"desiredCount": 100_000}}, "desiredCount"),
        (
            {"shardingConfig": {"desiredCount": 1_000, "virtualPerPhysical": 10_000}},
            "over 1048576 virtual shards",
        ),
        ({"shardingConfig": {"virtualPerPhysical": 0}}, "virtualPerPhysical"),
        ({"invertedIndexConfig": {"stopwordPresets": {" ": ["a"]}}}, "needs a name"),
        ({"vectorIndexType": "hfresh", "vectorIndexConfig": {"replicas": 11}}, "replicas"),
        ({"properties": [{**TEXT, "textAnalyzer": {"asciiFoldIgnore": ["é"]}}]}, "asciiFold"),
        ({"properties": [{"name": "s", "dataType": ["string"], "tokenization": "trigram"}]}, "str"),
        ({"vectorConfig": {"a": {"vectorizer": {"none": {"properties": "x"}}}}}, "list of"),
        ({"vectorConfig": {"a": {"vectorizer": {"none": 5}}}}, "object"),
        ({"vectorConfig": {"a": {"vectorizer": {"text2vec-x": {}}, **MULTI}}}, "support multi vec"),
    ],
)
def test_refused_settings(body: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaViolation, match=message):
        parse_collection({"class": "A", **body})


def test_nesting_is_bounded() -> None:
    item: dict[str, Any] = TEXT
    for _ in range(40):
        item = {"name": "o", "dataType": ["object"], "nestedProperties": [item]}
    with pytest.raises(SchemaViolation, match="nested deeper"):
        parse_collection({"class": "A", "properties": [item]})


def test_defaults_of_the_node() -> None:
    defaults = SchemaConfig(
        default_distance="dot", default_quantization="rq-1", default_tokenization="field"
    )
    collection = parse_collection({"class": "A", "properties": [TEXT]}, defaults)
    quantizer = collection.vectors[0].quantizer
    assert quantizer is not None
    assert (quantizer.kind, quantizer.bits, quantizer.rescore_limit) == (
        Compression.ROTATIONAL,
        1,
        512,
    )
    assert collection.vectors[0].metric.value == "dot"
    assert collection.definition["properties"][0]["tokenization"] == "field"
    skipped = parse_collection(
        {"class": "A", "vectorIndexConfig": {"skipDefaultQuantization": True}}, defaults
    )
    assert skipped.vectors[0].quantizer is None
    assert load_collection(collection.definition) == collection


def test_a_wrong_default_of_the_node() -> None:
    with pytest.raises(SchemaViolation, match="DEFAULT_QUANTIZATION"):
        parse_collection({"class": "A"}, SchemaConfig(default_quantization="zip"))


def test_expiry_needs_an_index() -> None:
    until = {"name": "until", "dataType": ["date"], "indexFilterable": False}
    ttl = {"enabled": True, "deleteOn": "until"}
    with pytest.raises(SchemaViolation, match="needs the filterable"):
        parse_collection({"class": "A", "properties": [until], "objectTtlConfig": ttl})
    ranged = {**until, "indexRangeFilters": True}
    collection = parse_collection({"class": "A", "properties": [ranged], "objectTtlConfig": ttl})
    assert collection.ttl is not None


def test_dynamic_index_where_it_is_allowed() -> None:
    around = Surroundings(async_indexing=True)
    body = {
        "class": "A",
        "vectorIndexType": "dynamic",
        "vectorIndexConfig": {"threshold": 5, "flat": {"bq": {"enabled": True}}},
    }
    vector = parse_collection(body, None, around).vectors[0]
    assert (vector.index, vector.dynamic_threshold) == (IndexKind.DYNAMIC, 5)
    assert vector.flat_quantizer is not None
    assert vector.flat_quantizer.kind is Compression.BINARY


def test_settings_of_a_vectorizer_are_kept() -> None:
    around = Surroundings(vectorizers=frozenset({"text2vec-x"}))
    body = {
        "class": "A",
        "vectorConfig": {"v": {"vectorizer": {"text2vec-x": {"properties": ["t"], "dim": 5}}}},
    }
    collection = parse_collection(body, None, around)
    vector = collection.vectors[0]
    assert (vector.vectorizer, vector.source_properties) == ("text2vec-x", ("t",))
    assert vector.vectorizer_settings["dim"] == 5
    changed = {**collection.definition, "vectorConfig": {"v": {"vectorizer": {"text2vec-x": {}}}}}
    with pytest.raises(SchemaViolation, match="immutable"):
        update_collection(collection, changed, None, around)


@pytest.mark.parametrize("kind", ["hnsw", "dynamic"])
def test_a_vector_index_is_dropped_and_stays_dropped(kind: str) -> None:
    around = Surroundings(async_indexing=True)
    vectors = {name: {"vectorizer": {"none": {}}, "vectorIndexType": kind} for name in ("a", "b")}
    old = parse_collection({"class": "Book", "vectorConfig": vectors}, surroundings=around)
    dropped = drop_vector_index(old, "a")
    assert [item.hnsw.skip for item in dropped.vectors] == [True, False]
    assert not old.vectors[0].hnsw.skip
    assert load_collection(dropped.definition) == dropped
    assert drop_vector_index(dropped, "a") is dropped


def test_a_vector_index_that_cannot_be_dropped_is_refused() -> None:
    old = made(vectorConfig={"a": {"vectorizer": {"none": {}}, "vectorIndexType": "flat"}})
    with pytest.raises(SchemaViolation, match="type flat cannot be deleted"):
        drop_vector_index(old, "a")
    with pytest.raises(SchemaViolation, match='vector "b": not found in class Book'):
        drop_vector_index(old, "b")
