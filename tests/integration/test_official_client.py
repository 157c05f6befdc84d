"""The official client, unmodified, against a real server: what an application does with it."""

from __future__ import annotations

import datetime
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server_process import ServerProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import weaviate
    import weaviate.classes as wvc
    from weaviate.exceptions import (
        UnexpectedStatusCodeError,
        WeaviateInsertManyAllFailedError,
        WeaviateQueryError,
    )

Filter = wvc.query.Filter
MetadataQuery = wvc.query.MetadataQuery

CITIES = [
    ("Amsterdam", "canals and bicycles", 921_000, [0.9, 0.1, 0.0]),
    ("Berlin", "parks and music", 3_677_000, [0.1, 0.9, 0.1]),
    ("Cairo", "a river and old music", 10_100_000, [0.2, 0.3, 0.8]),
    ("Delft", "canals and blue pottery", 106_000, [0.8, 0.3, 0.1]),
]


def city_id(number: int) -> uuid.UUID:
    return uuid.UUID(int=number + 1)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with ServerProcess(tmp_path_factory.mktemp("client") / "data") as served:
        connected = weaviate.connect_to_local(port=served.http_port, grpc_port=served.grpc_port)
        with connected:
            yield connected


@pytest.fixture
def cities(client: Any) -> Iterator[Any]:
    client.collections.delete("City")
    collection = client.collections.create(
        "City",
        vector_config=wvc.config.Configure.Vectors.self_provided(),
        inverted_index_config=wvc.config.Configure.inverted_index(index_null_state=True),
        properties=[
            wvc.config.Property(name="name", data_type=wvc.config.DataType.TEXT),
            wvc.config.Property(name="about", data_type=wvc.config.DataType.TEXT),
            wvc.config.Property(name="people", data_type=wvc.config.DataType.INT),
            wvc.config.Property(name="tags", data_type=wvc.config.DataType.TEXT_ARRAY),
            wvc.config.Property(name="seen", data_type=wvc.config.DataType.DATE),
        ],
    )
    result = collection.data.insert_many(
        [
            wvc.data.DataObject(
                uuid=city_id(number),
                properties={"name": name, "about": about, "people": people, "tags": [name[0], "x"]},
                vector=vector,
            )
            for number, (name, about, people, vector) in enumerate(CITIES)
        ]
    )
    assert not result.has_errors, result.errors
    yield collection
    client.collections.delete("City")


def names(response: Any) -> list[str]:
    return [item.properties["name"] for item in response.objects]


def test_the_server_is_known_and_ready(client: Any) -> None:
    assert client.is_live()
    assert client.is_ready()
    assert client.get_meta()["version"] == "1.39.0"


def test_definitions_come_back(client: Any, cities: Any) -> None:
    assert client.collections.exists("City")
    assert "City" in client.collections.list_all()
    config = cities.config.get()
    assert {item.name for item in config.properties} >= {"name", "people", "tags"}
    assert list(config.vector_config) == ["default"]
    cities.config.add_property(
        wvc.config.Property(name="river", data_type=wvc.config.DataType.TEXT)
    )
    assert "river" in {item.name for item in cities.config.get().properties}


def test_single_objects_live_and_die(cities: Any) -> None:
    seen = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    new = cities.data.insert({"name": "Essen", "seen": seen}, vector=[0.3, 0.8, 0.2])
    fetched = cities.query.fetch_object_by_id(new, include_vector=True)
    assert fetched.properties["name"] == "Essen"
    assert fetched.properties["seen"] == seen
    assert fetched.properties["people"] is None
    assert fetched.vector["default"] == pytest.approx([0.3, 0.8, 0.2])
    assert fetched.metadata.creation_time is not None
    cities.data.update(new, {"people": 579_000})
    assert cities.query.fetch_object_by_id(new).properties["people"] == 579_000
    cities.data.replace(new, {"name": "Florence"}, vector=[1, 0, 0])
    replaced = cities.query.fetch_object_by_id(new).properties
    assert (replaced["name"], replaced["people"]) == ("Florence", None)
    assert cities.data.exists(new)
    assert cities.data.delete_by_id(new)
    assert not cities.data.exists(new)
    assert cities.data.delete_by_id(new)  # As the reference: gone is gone.
    assert cities.query.fetch_object_by_id(new) is None


def test_what_is_wrong_with_an_object_is_said_of_that_object(client: Any, cities: Any) -> None:
    good, bad = {"name": "Ghent"}, {"name": "Hague", "people": "many"}
    result = cities.data.insert_many([good, bad])
    assert set(result.errors) == {1}
    assert "people" in result.errors[1].message
    assert set(result.uuids) == {0}
    with pytest.raises(WeaviateInsertManyAllFailedError, match="people"):
        cities.data.insert_many([bad])
    with pytest.raises(UnexpectedStatusCodeError, match="already exists"):
        cities.data.insert({"name": "again"}, uuid=city_id(0))
    with pytest.raises(WeaviateQueryError, match="could not find class Nothing"):
        client.collections.use("Nothing").query.fetch_objects()


def test_batches(cities: Any) -> None:
    with cities.batch.fixed_size(batch_size=40) as batch:
        for number in range(100):
            batch.add_object({"name": f"Town {number}", "people": number}, vector=[0, 0, number])
    assert not cities.batch.failed_objects
    with cities.batch.dynamic() as batch:
        for number in range(100, 130):
            batch.add_object({"name": f"Town {number}", "people": number}, vector=[0, 0, number])
    assert not cities.batch.failed_objects
    assert len(cities) == 134
    assert cities.aggregate.over_all(total_count=True).total_count == 134
    small = cities.aggregate.over_all(filters=Filter.by_property("people").less_than(10))
    assert small.total_count == 10


def test_aggregations(cities: Any) -> None:
    metrics = wvc.query.Metrics
    people = cities.aggregate.over_all(
        total_count=True,
        return_metrics=[metrics("people").integer(), metrics("name").text(count=True)],
    )
    assert people.total_count == 4
    found = people.properties["people"]
    assert (found.count, found.minimum, found.maximum) == (4, 106_000, 10_100_000)
    assert found.sum_ == 106_000 + 921_000 + 3_677_000 + 10_100_000
    assert found.median == (921_000 + 3_677_000) / 2
    assert people.properties["name"].count == 4
    near = cities.aggregate.near_vector(
        [0.9, 0.1, 0.0], object_limit=2, return_metrics=metrics("people").integer(maximum=True)
    )
    assert near.properties["people"].maximum == 921_000
    grouped = cities.aggregate.over_all(
        group_by=wvc.aggregate.GroupByAggregate(prop="name", limit=3),
        return_metrics=metrics("people").integer(sum_=True),
    )
    assert [(group.grouped_by.value, group.total_count) for group in grouped.groups] == [
        ("Amsterdam", 1),
        ("Berlin", 1),
        ("Cairo", 1),
    ]
    with pytest.raises(WeaviateQueryError, match="no such prop"):
        cities.aggregate.over_all(return_metrics=metrics("nothing").integer())


def test_streams(cities: Any) -> None:
    with cities.batch.stream() as batch:
        for number in range(300):
            batch.add_object({"name": f"Town {number}", "people": number}, vector=[0, 0, number])
        batch.add_object({"name": "Bad", "people": "many"})
    assert len(cities.batch.failed_objects) == 1
    assert "people" in cities.batch.failed_objects[0].message
    assert len(cities) == 304


def test_lists_pages_and_iteration(cities: Any) -> None:
    assert names(cities.query.fetch_objects(limit=2, offset=1)) == ["Berlin", "Cairo"]
    first = cities.query.fetch_objects(limit=2).objects[-1].uuid
    assert names(cities.query.fetch_objects(limit=2, after=first)) == ["Cairo", "Delft"]
    by_people = wvc.query.Sort.by_property("people", ascending=False)
    assert names(cities.query.fetch_objects(sort=by_people, limit=2)) == ["Cairo", "Berlin"]
    everything = list(cities.iterator(include_vector=True))
    assert [item.uuid for item in everything] == [city_id(number) for number in range(4)]
    assert everything[0].vector["default"] == pytest.approx(CITIES[0][3])
    only = cities.query.fetch_objects(return_properties=["people"], limit=1).objects[0]
    assert only.properties == {"people": 921_000}


def test_vector_searches(cities: Any) -> None:
    near = cities.query.near_vector(
        [0.9, 0.2, 0.0], limit=2, return_metadata=MetadataQuery(distance=True, certainty=True)
    )
    assert names(near) == ["Amsterdam", "Delft"]
    distance = near.objects[0].metadata.distance
    assert distance == pytest.approx(0.0061, abs=1e-3)
    assert near.objects[0].metadata.certainty == pytest.approx(1 - distance / 2)
    assert names(cities.query.near_object(city_id(0), limit=2)) == ["Amsterdam", "Delft"]
    close = cities.query.near_vector([0.9, 0.2, 0.0], distance=0.05)
    assert names(close) == ["Amsterdam", "Delft"]
    assert names(cities.query.near_vector([0.9, 0.2, 0.0], auto_limit=1)) == ["Amsterdam", "Delft"]
    big = Filter.by_property("people").greater_than(500_000)
    assert names(cities.query.near_vector([0.9, 0.2, 0.0], filters=big, limit=2)) == [
        "Amsterdam",
        "Berlin",
    ]
    with pytest.raises(WeaviateQueryError, match="vector lengths don't match"):
        cities.query.near_vector([1.0, 2.0])


def test_keyword_and_hybrid_searches(cities: Any) -> None:
    metadata = MetadataQuery(score=True, explain_score=True)
    found = cities.query.bm25("canals pottery", return_metadata=metadata)
    assert names(found) == ["Delft", "Amsterdam"]
    assert found.objects[0].metadata.score > found.objects[1].metadata.score > 0
    assert names(cities.query.bm25("music", query_properties=["about^2", "name"], limit=1)) in (
        ["Berlin"],
        ["Cairo"],
    )
    hybrid = cities.query.hybrid(
        "pottery", vector=[0.9, 0.2, 0.0], alpha=0.5, limit=2, return_metadata=metadata
    )
    assert names(hybrid) == ["Delft", "Amsterdam"]
    assert hybrid.objects[0].metadata.score > 0
    assert names(cities.query.hybrid("music", alpha=0, limit=4)).count("Amsterdam") == 0


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Filter.by_property("name").equal("berlin"), {"Berlin"}),
        (Filter.by_property("people").less_than(1_000_000), {"Amsterdam", "Delft"}),
        (Filter.by_property("about").like("can*"), {"Amsterdam", "Delft"}),
        (Filter.by_property("tags").contains_any(["c", "b"]), {"Berlin", "Cairo"}),
        (Filter.by_property("tags").contains_all(["x", "c"]), {"Cairo"}),
        (Filter.by_property("seen").is_none(True), {"Amsterdam", "Berlin", "Cairo", "Delft"}),
        (Filter.by_id().contains_any([city_id(1), city_id(3)]), {"Berlin", "Delft"}),
        (
            Filter.by_property("about").equal("music")
            & Filter.by_property("people").greater_than(5_000_000),
            {"Cairo"},
        ),
        (Filter.not_(Filter.by_property("about").equal("canals")), {"Berlin", "Cairo"}),
    ],
)
def test_filters(cities: Any, condition: Any, expected: set[str]) -> None:
    assert set(names(cities.query.fetch_objects(filters=condition))) == expected


def test_delete_many(cities: Any) -> None:
    canals = Filter.by_property("about").equal("canals")
    dry = cities.data.delete_many(where=canals, dry_run=True, verbose=True)
    assert (dry.matches, dry.successful, dry.failed) == (2, 2, 0)
    assert {item.uuid for item in dry.objects} == {city_id(0), city_id(3)}
    assert len(cities) == 4
    done = cities.data.delete_many(where=canals)
    assert (done.matches, done.successful, done.failed) == (2, 2, 0)
    assert len(cities) == 2


def test_named_vectors(client: Any) -> None:
    client.collections.delete("Art")
    vectors = wvc.config.Configure.Vectors
    art = client.collections.create(
        "Art",
        vector_config=[vectors.self_provided(name="image"), vectors.self_provided(name="title")],
    )
    art.data.insert({"n": 1}, vector={"image": [1.0, 0.0], "title": [0.0, 1.0, 0.0]})
    art.data.insert({"n": 2}, vector={"image": [0.0, 1.0]})
    near = art.query.near_vector([1.0, 0.1], target_vector="image", include_vector=True)
    assert [item.properties["n"] for item in near.objects] == [1, 2]
    assert set(near.objects[0].vector) == {"image", "title"}
    assert set(near.objects[1].vector) == {"image"}
    with pytest.raises(WeaviateQueryError, match="multiple vectors"):
        art.query.near_vector([1.0, 0.1])
    both = art.query.near_vector(
        {"image": [1.0, 0.1], "title": [0.0, 1.0, 0.0]},
        target_vector=wvc.query.TargetVectors.sum(["image", "title"]),
    )
    assert [item.properties["n"] for item in both.objects] == [1]
    client.collections.delete("Art")
