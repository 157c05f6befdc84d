"""Describing collections, filters, values and objects: pure parts of the client."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.client import Configure, DataType, Filter, Property, Tokenization, VectorDistances
from weftdb.client.filters import Condition, Joined, Junction, Operator
from weftdb.client.ids import generate_uuid5, id_text
from weftdb.client.new_objects import DataObject, new_object
from weftdb.client.schema import collection_json
from weftdb.client.values import date_of_text, date_text, to_json


def define(**options: Any) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "description": None,
        "properties": (),
        "vector_config": None,
        "inverted_index_config": None,
    }
    return collection_json("Note", **{**chosen, **options})


def test_without_vectors_the_caller_brings_them() -> None:
    assert define() == {
        "class": "Note",
        "properties": [],
        "vectorConfig": {"default": {"vectorizer": {"none": {}}}},
    }


def test_a_definition_says_only_what_was_chosen() -> None:
    definition = define(
        properties=[
            Property(name="title", data_type=DataType.TEXT, tokenization=Tokenization.FIELD),
            Property(
                name="author",
                data_type=DataType.OBJECT,
                nested_properties=[Property(name="name", data_type=DataType.TEXT)],
                skip_vectorization=True,
            ),
        ],
        vector_config=[
            Configure.Vectors.text2vec_model2vec(name="a", source_properties=["title"]),
            Configure.Vectors.self_provided(
                name="b",
                vector_index_config=Configure.VectorIndex.hnsw(
                    distance_metric=VectorDistances.DOT, ef=64
                ),
            ),
        ],
        inverted_index_config=Configure.inverted_index(bm25_b=0.5, bm25_k1=1.0),
    )
    module = {"text2vec-model2vec": {"skip": False, "vectorizePropertyName": False}}
    skipped = {"text2vec-model2vec": {"skip": True, "vectorizePropertyName": False}}
    assert definition["properties"] == [
        {"name": "title", "dataType": ["text"], "tokenization": "field", "moduleConfig": module},
        {
            "name": "author",
            "dataType": ["object"],
            "nestedProperties": [{"name": "name", "dataType": ["text"]}],
            "moduleConfig": skipped,
        },
    ]
    model = {"vectorizeClassName": False, "properties": ["title"]}
    assert definition["vectorConfig"] == {
        "a": {"vectorizer": {"text2vec-model2vec": model}},
        "b": {
            "vectorizer": {"none": {}},
            "vectorIndexType": "hnsw",
            "vectorIndexConfig": {"distance": "dot", "ef": 64},
        },
    }
    assert definition["invertedIndexConfig"] == {"bm25": {"b": 0.5, "k1": 1.0}}


def test_two_vectors_of_one_name_are_refused() -> None:
    twice = [Configure.Vectors.self_provided(name="a"), Configure.Vectors.self_provided(name="a")]
    with pytest.raises(ValueError, match="two vectors are called 'a'"):
        define(vector_config=twice)
    with pytest.raises(ValueError, match="given together"):
        Configure.inverted_index(bm25_b=0.5)


def test_filters_join_and_flatten() -> None:
    a, b, c = (Filter.by_property(name).equal(1) for name in "abc")
    joined = a & b & c
    assert joined == Joined(Junction.AND, (a, b, c))
    assert (a | b) & c == Joined(Junction.AND, (Joined(Junction.OR, (a, b)), c))
    assert ~a == Filter.not_(a) == Joined(Junction.NOT, (a,))
    assert Filter.all_of([a, b]) == a & b
    assert Filter.any_of([a, b]) == a | b
    assert Filter.any_of([a]) is a


def test_filters_refuse_what_cannot_be_joined_or_compared() -> None:
    condition = Filter.by_property("a").equal(1)
    with pytest.raises(TypeError, match="joined with a filter"):
        condition & "b"
    with pytest.raises(ValueError, match="nothing to join"):
        Filter.all_of([])
    with pytest.raises(TypeError, match="cannot compare"):
        Filter.by_property("a").contains_any([object()])


def test_conditions_hold_plain_values() -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    one = uuid.uuid4()
    assert Filter.by_creation_time().greater_than(moment) == Condition(
        Operator.GREATER_THAN, "_creationTimeUnix", "2024-01-02T03:04:05+00:00"
    )
    assert Filter.by_id().contains_any([one]) == Condition(
        Operator.CONTAINS_ANY, "_id", (str(one),)
    )
    assert Filter.by_property("t", length=True).less_or_equal(3).of_length
    assert Filter.by_update_time().less_than(moment).property_name == "_lastUpdateTimeUnix"
    assert Filter.by_property("t").contains_none([]).value == ()


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)
    )
)
@settings(max_examples=50)
def test_dates_survive_their_text(moment: datetime) -> None:
    assert date_of_text(date_text(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-02T03:04:05Z", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2020-01-02T03:04:05.123456789Z", datetime(2020, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2020-01-02T03:04:05.5z", datetime(2020, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        (
            "2020-01-02T03:04:05+02:00",
            datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_dates_of_servers_are_read(text: str, moment: datetime) -> None:
    assert date_of_text(text) == moment


def test_values_become_json() -> None:
    one = uuid.uuid4()
    value = {"a": (1, np.float64(1.5), np.int64(2)), "b": one, "c": None, "d": True}
    assert to_json(value) == {"a": [1, 1.5, 2], "b": str(one), "c": None, "d": True}
    assert to_json(datetime(2020, 1, 1)) == "2020-01-01T00:00:00+00:00"
    with pytest.raises(TypeError, match="a set cannot be stored"):
        to_json({1})


def test_objects_get_an_id_and_lose_nulls() -> None:
    item = new_object({"a": 1, "b": None}, None, [1.0, 2.0])
    assert uuid.UUID(item.object_id).version == 4
    assert item.properties == {"a": 1}
    assert item.vectors == {"": [1.0, 2.0]}
    kept = new_object({"b": None}, item.object_id.upper(), {"v": [1.0]}, keep_null=True)
    assert (kept.object_id, kept.properties) == (item.object_id, {"b": None})
    assert kept.vectors == {"v": [1.0]}
    assert DataObject().properties is None
    with pytest.raises(TypeError, match="must be a mapping"):
        new_object([1], None, None)


def test_ids_are_checked_and_derived() -> None:
    with pytest.raises(ValueError, match="not a UUID: 'x'"):
        id_text("x")
    assert generate_uuid5("a") == generate_uuid5("a") != generate_uuid5("b")
