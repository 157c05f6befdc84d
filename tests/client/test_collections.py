"""Collections come and go; in-process embedding works through both transports."""

from __future__ import annotations

import pytest

from weftdb.client import (
    AlreadyExists,
    Configure,
    DataType,
    Move,
    Property,
    RequestRefused,
    WeftClient,
)


def test_create_find_and_delete(client: WeftClient, collection_name: str) -> None:
    made = client.collections.create(collection_name[:1].lower() + collection_name[1:])
    assert made.name == collection_name
    assert client.collections.exists(collection_name)
    assert collection_name in client.collections.list_all()
    with pytest.raises(AlreadyExists):
        client.collections.create(collection_name)
    made.config.add_property(Property(name="late", data_type=DataType.INT))
    assert made.config.get()["properties"][0]["name"] == "late"
    client.collections.delete(collection_name)
    client.collections.delete(collection_name)
    assert not client.collections.exists(collection_name)


def test_an_empty_collection_is_still_a_collection(
    client: WeftClient, collection_name: str
) -> None:
    made = client.collections.create(collection_name)
    assert len(made) == 0
    assert made
    assert collection_name in repr(made)


def test_bad_definitions_are_refused(client: WeftClient) -> None:
    with pytest.raises(RequestRefused):
        client.collections.create("not a name")
    unknown = Configure.Vectors.custom(module_name="text2vec-nope")
    with pytest.raises(RequestRefused, match="text2vec-nope"):
        client.collections.create("Unknown", vector_config=unknown)
    outside = Configure.Vectors.text2vec_model2vec(model_path="/etc")
    with pytest.raises(RequestRefused, match="modelPath"):
        client.collections.create("Outside", vector_config=outside)


def test_several_vectors(client: WeftClient, collection_name: str) -> None:
    made = client.collections.create(
        collection_name,
        vector_config=[
            Configure.Vectors.self_provided(name="a"),
            Configure.Vectors.self_provided(name="b"),
        ],
    )
    first = made.data.insert({}, vector={"a": [1.0, 0.0], "b": [1.0, 0.0, 0.0]})
    second = made.data.insert({}, vector={"a": [0.0, 1.0], "b": [1.0, 0.0, 0.1]})
    near = made.query.near_vector([0.0, 1.0], target_vector="a", limit=1).objects
    assert [item.uuid for item in near] == [second]
    near = made.query.near_vector({"b": [1.0, 0.0, 0.0]}, limit=1, include_vector=["b"]).objects
    assert [item.uuid for item in near] == [first]
    assert near[0].vector == {"b": [1.0, 0.0, 0.0]}
    everything = made.query.fetch_object_by_id(first, include_vector=True)
    assert everything is not None
    assert set(everything.vector) == {"a", "b"}
    with pytest.raises(RequestRefused, match="multiple vectors"):
        made.query.near_vector([0.0, 1.0])


def test_texts_are_embedded_in_process(client: WeftClient, collection_name: str) -> None:
    pytest.importorskip("wordllama")
    made = client.collections.create(
        collection_name,
        properties=[Property(name="text", data_type=DataType.TEXT)],
        vector_config=Configure.Vectors.text2vec_model2vec(),
    )
    texts = [
        "a fast car on the motorway",
        "boiling potatoes in salted water",
        "the stock market fell sharply",
        "a violin concerto in the opera house",
    ]
    assert not made.data.insert_many([{"text": text} for text in texts]).has_errors

    def first(*query: str, **options: object) -> str:
        found = made.query.near_text(list(query), limit=1, **options).objects
        return str(found[0].properties["text"])

    assert first("quick automobile") == texts[0]
    assert first("cooking vegetables") == texts[1]
    assert first("finance", "shares") == texts[2]
    moved = Move(force=1.0, concepts="classical music")
    assert first("quick automobile", move_to=moved, move_away=None) in (texts[0], texts[3])
    assert made.query.hybrid("orchestra", limit=1).objects[0].properties["text"] == texts[3]
    with pytest.raises(RequestRefused, match="force must be between 0 and 1"):
        first("a", move_to=Move(force=2.0, concepts="b"))


def test_meta_names_the_modules(client: WeftClient) -> None:
    assert client.is_ready()
    assert "text2vec-model2vec" in client.get_meta()["modules"]
