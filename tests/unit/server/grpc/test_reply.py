"""Replies put together from stored bytes are what the protobuf library reads as meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftdb.core.config import SchemaConfig
from weftdb.core.definition import parse_collection
from weftdb.core.errors import CorruptData, InvalidRequest, SchemaViolation, Unsupported
from weftdb.core.query import Group, Hits
from weftdb.core.schema import Collection
from weftdb.core.types import UNNAMED, DocId, ObjectId, VectorName, Version, format_object_id
from weftdb.proto.v1 import search_pb2, values_pb2
from weftdb.server.grpc.reply import assemble_reply
from weftdb.server.grpc.reply_shape import ShapeCache, parse_shape
from weftdb.server.grpc.selection import Selection, parse_selection
from weftdb.storage.object_codec import encode_object

ID = ObjectId(bytes(range(16)))


def collection(**more: Any) -> Collection:
    nested = [
        {"name": "name", "dataType": ["text"]},
        {"name": "size", "dataType": ["number"]},
        {"name": "deep", "dataType": ["object"], "nestedProperties": [
            {"name": "a", "dataType": ["int"]}, {"name": "b", "dataType": ["int"]}]},
    ]  # fmt: skip
    return parse_collection(
        {
            "class": "Thing",
            "properties": [
                {"name": "title", "dataType": ["text"]},
                {"name": "count", "dataType": ["int"]},
                {"name": "picture", "dataType": ["blob"]},
                {"name": "box", "dataType": ["object"], "nestedProperties": nested},
                {"name": "boxes", "dataType": ["object[]"], "nestedProperties": nested},
            ],
            **more,
        },
        SchemaConfig(),
        None,
    )


def message(**fields: values_pb2.Value) -> values_pb2.Properties:
    return values_pb2.Properties(fields=fields)


def text(value: str) -> values_pb2.Value:
    return values_pb2.Value(text_value=value)


def number(value: int) -> values_pb2.Value:
    return values_pb2.Value(int_value=value)


def box(name: str) -> values_pb2.Properties:
    deep = values_pb2.Value(object_value=message(a=number(1), b=number(-2)))
    return message(name=text(name), size=values_pb2.Value(number_value=1.5), deep=deep)


FULL = message(
    title=text("a line"),
    count=number(7),
    picture=values_pb2.Value(blob_value="aGVsbG8="),
    box=values_pb2.Value(object_value=box("one")),
    boxes=values_pb2.Value(
        list_value=values_pb2.ListValue(
            object_values=values_pb2.ObjectValues(values=[box("two"), box("three")])
        )
    ),
)


def stored(properties: values_pb2.Properties) -> bytes:
    return encode_object(
        doc_id=DocId(3),
        object_id=ID,
        created_ms=1_700_000_000_123,
        updated_ms=1_700_000_000_456,
        version=Version(1_700_000_000_456),
        properties=properties.SerializeToString(),
    )


def request(text_format: dict[str, Any]) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(collection="Thing", **text_format)


def reply(hits: Hits, asked: search_pb2.SearchRequest, **more: Any) -> search_pb2.SearchReply:
    shape = parse_shape(asked, collection(**more))
    return search_pb2.SearchReply.FromString(assemble_reply(hits, shape, 0.25))


def test_everything_that_can_be_asked_of_a_hit() -> None:
    asked = request(
        {
            "metadata": search_pb2.MetadataRequest(
                uuid=True,
                vector=True,
                creation_time_unix=True,
                last_update_time_unix=True,
                distance=True,
                certainty=True,
                score=True,
                explain_score=True,
            )
        }
    )
    hits = Hits(
        [stored(FULL)],
        distances=[0.5],
        scores=[2.5],
        explanations=["because"],
        vectors={UNNAMED: [np.array([1, 2, 3], dtype=np.float32)]},
        has_certainty=True,
    )
    answer = reply(hits, asked)
    assert answer.took == 0.25
    (result,) = answer.results
    assert result.properties.target_collection == "Thing"
    assert set(result.properties.non_ref_props.fields) == {"title", "count", "box", "boxes"}
    for name, value in result.properties.non_ref_props.fields.items():
        assert value == FULL.fields[name]
    metadata = result.metadata
    assert metadata.id == format_object_id(ID)
    assert metadata.id_as_bytes == ID
    assert metadata.creation_time_unix == 1_700_000_000_123
    assert metadata.last_update_time_unix == 1_700_000_000_456
    assert metadata.creation_time_unix_present
    assert metadata.last_update_time_unix_present
    assert (metadata.distance, metadata.distance_present) == (0.5, True)
    assert (metadata.certainty, metadata.certainty_present) == (0.75, True)
    assert (metadata.score, metadata.score_present) == (2.5, True)
    assert (metadata.explain_score, metadata.explain_score_present) == ("because", True)
    assert np.frombuffer(metadata.vector_bytes, dtype="<f4").tolist() == [1, 2, 3]
    assert not metadata.vectors


def test_nothing_is_given_that_was_not_asked_for() -> None:
    asked = request({"properties": search_pb2.PropertiesRequest()})
    (result,) = reply(Hits([stored(FULL)], distances=[0.5]), asked).results
    assert not result.properties.HasField("non_ref_props")
    assert result.metadata == search_pb2.MetadataResult()


def test_a_list_has_no_distance_but_a_score_of_zero_when_asked() -> None:
    asked = request(
        {"metadata": search_pb2.MetadataRequest(distance=True, certainty=True, score=True)}
    )
    (result,) = reply(Hits([stored(FULL)]), asked).results
    assert result.metadata == search_pb2.MetadataResult(score_present=True)


def test_agreement_is_told_where_replicas_were_compared() -> None:
    asked = request({"metadata": search_pb2.MetadataRequest(is_consistent=True)})
    hits = Hits([stored(FULL), stored(FULL)], is_consistent=[True, False])
    told = [result.metadata for result in reply(hits, asked).results]
    assert [(one.is_consistent, one.is_consistent_present) for one in told] == [
        (True, True),
        (False, True),
    ]
    assert all(one.HasField("is_consistent") for one in told)
    (alone,) = reply(Hits([stored(FULL)]), asked).results
    assert alone.metadata == search_pb2.MetadataResult()


def test_missing_properties_are_null_and_blobs_come_only_by_name() -> None:
    asked = request({"properties": search_pb2.PropertiesRequest(return_all_nonref_properties=True)})
    (result,) = reply(Hits([stored(message(count=number(-1)))]), asked).results
    fields = result.properties.non_ref_props.fields
    assert set(fields) == {"title", "count", "box", "boxes"}
    assert fields["count"].int_value == -1
    assert {fields[name].WhichOneof("kind") for name in ("title", "box", "boxes")} == {"null_value"}
    named = request({"properties": search_pb2.PropertiesRequest(non_ref_properties=["Picture"])})
    (result,) = reply(Hits([stored(FULL)]), named).results
    assert dict(result.properties.non_ref_props.fields) == {"picture": FULL.fields["picture"]}


def test_objects_inside_objects_are_narrowed() -> None:
    inner = search_pb2.ObjectPropertiesRequest(prop_name="deep", primitive_properties=["b"])
    wanted = [
        search_pb2.ObjectPropertiesRequest(
            prop_name=name, primitive_properties=["name"], object_properties=[inner]
        )
        for name in ("box", "boxes")
    ]
    asked = request({"properties": search_pb2.PropertiesRequest(object_properties=wanted)})
    (result,) = reply(Hits([stored(FULL)]), asked).results
    fields = result.properties.non_ref_props.fields

    def narrowed(name: str) -> values_pb2.Properties:
        deep = values_pb2.Value(object_value=message(b=number(-2)))
        return message(name=text(name), deep=deep)

    assert set(fields) == {"box", "boxes"}
    assert fields["box"].object_value == narrowed("one")
    assert list(fields["boxes"].list_value.object_values.values) == [
        narrowed("two"),
        narrowed("three"),
    ]


def test_named_vectors_and_matrices_travel_with_name_and_type() -> None:
    config = {"vectorizer": {"none": {}}, "vectorIndexConfig": {"multivector": {"enabled": True}}}
    vectors = {"plain": {"vectorizer": {"none": {}}}, "tokens": config}
    asked = request(
        {
            "metadata": search_pb2.MetadataRequest(vector=True),
            "properties": search_pb2.PropertiesRequest(),
        }
    )
    hits = Hits(
        [stored(FULL), stored(FULL)],
        vectors={
            VectorName("plain"): [np.array([1, 2], dtype=np.float32), None],
            VectorName("tokens"): [np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32), None],
        },
    )
    answer = reply(hits, asked, vectorConfig=vectors)
    plain, tokens = answer.results[0].metadata.vectors
    assert (plain.name, plain.type) == ("plain", plain.VECTOR_TYPE_SINGLE_FP32)
    assert np.frombuffer(plain.vector_bytes, dtype="<f4").tolist() == [1, 2]
    assert (tokens.name, tokens.type) == ("tokens", tokens.VECTOR_TYPE_MULTI_FP32)
    assert tokens.vector_bytes[:2] == b"\x03\x00"
    assert np.frombuffer(tokens.vector_bytes, dtype="<f4", offset=2).tolist() == [1, 2, 3, 4, 5, 6]
    assert not answer.results[1].metadata.vectors


def test_groups_hold_their_objects_and_the_property_they_go_by() -> None:
    asked = request({"properties": search_pb2.PropertiesRequest(non_ref_properties=["count"])})
    hits = Hits(
        [stored(FULL), stored(FULL)],
        distances=[0.25, 0.5],
        groups=[Group("a line", (0, 1)), Group("", (1,))],
    )
    shape = parse_shape(asked, collection(), "title")
    answer = search_pb2.SearchReply.FromString(assemble_reply(hits, shape, 0.0))
    assert not answer.results
    first, second = answer.group_by_results
    assert (first.name, first.number_of_objects) == ("a line", 2)
    assert (first.min_distance, first.max_distance) == (0.25, 0.5)
    assert (second.name, second.min_distance, len(second.objects)) == ("", 0.5, 1)
    assert set(second.objects[0].properties.non_ref_props.fields) == {"count", "title"}


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"non_ref_properties": ["nothing"]}, SchemaViolation, "no such prop with name 'nothing'"),
        (
            {"ref_properties": [search_pb2.RefPropertiesRequest(reference_property="nope")]},
            SchemaViolation,
            "nope",
        ),
        (
            {"object_properties": [search_pb2.ObjectPropertiesRequest(prop_name="title")]},
            InvalidRequest,
            "no object",
        ),
        (
            {
                "object_properties": [
                    search_pb2.ObjectPropertiesRequest(
                        prop_name="box", primitive_properties=["nope"]
                    )
                ]
            },
            SchemaViolation,
            "nested property 'nope'",
        ),
    ],
)
def test_what_is_not_there_is_refused(
    wanted: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        parse_selection(search_pb2.PropertiesRequest(**wanted), collection())


def test_references_are_refused_by_name() -> None:
    schema = parse_collection(
        {"class": "Book", "properties": [{"name": "by", "dataType": ["Author"]}]},
        SchemaConfig(),
        None,
    )
    wanted = search_pb2.PropertiesRequest(
        ref_properties=[search_pb2.RefPropertiesRequest(reference_property="by")]
    )
    with pytest.raises(Unsupported, match="by"):
        parse_selection(wanted, schema)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_damaged_properties_are_an_error_and_no_garbage(cut: int) -> None:
    raw = message(title=text("a line of text"), count=number(300)).SerializeToString()
    selection = Selection.of({"title": None, "count": None}, with_nulls=False)
    if cut >= len(raw):
        pytest.skip("shorter than the cut")
    whole = {raw.index(b"\x0a", 1) if raw.count(b"\x0a") > 1 else 0}
    try:
        kept = selection.apply(raw[:cut])
    except CorruptData:
        return
    assert cut in whole or kept == raw[:cut]


def test_shapes_are_made_again_when_the_collection_changed() -> None:
    cache = ShapeCache(entries_max=2)
    asked = request({})
    old, new = collection(), collection(description="changed")
    assert cache.shape(asked, old) is cache.shape(asked, old)
    assert cache.shape(asked, old) is not cache.shape(asked, new)
    for name in ("title", "count", "box"):
        wanted = search_pb2.PropertiesRequest(non_ref_properties=[name])
        assert set(cache.shape(request({"properties": wanted}), old).selection.names) == {
            name.encode()
        }
