"""Searching and listing, in both transports alike."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from weftdb.client import (
    BM25Operator,
    Collection,
    DataObject,
    Filter,
    HybridFusion,
    MetadataQuery,
    NotFound,
    RequestRefused,
    Sort,
    WeftClient,
)
from weftdb.client.results import Object

TITLES = ("red apple", "green apple pie", "red wine", "blue sea", "old red brick wall")
IDS = [uuid.UUID(int=number) for number in range(1, 6)]


@pytest.fixture
def fruits(notes: Collection) -> Collection:
    """Five objects whose vectors turn away from (1, 0) step by step."""
    result = notes.data.insert_many(
        [
            DataObject(
                {"title": title, "year": 2000 + number, "tags": title.split()},
                uuid=IDS[number],
                vector=[1.0 - number / 5, number / 5],
            )
            for number, title in enumerate(TITLES)
        ]
    )
    assert not result.has_errors, result.errors
    return notes


def positions(objects: Sequence[Object]) -> list[int]:
    return [IDS.index(item.uuid) for item in objects]


def test_lists_in_the_order_of_ids_or_sorted(fruits: Collection) -> None:
    query = fruits.query
    assert positions(query.fetch_objects().objects) == [0, 1, 2, 3, 4]
    assert positions(query.fetch_objects(limit=2, offset=1).objects) == [1, 2]
    assert positions(query.fetch_objects(after=IDS[2], limit=9).objects) == [3, 4]
    by_year = Sort.by_property("year", ascending=False)
    assert positions(query.fetch_objects(sort=by_year).objects) == [4, 3, 2, 1, 0]
    by_both = [Sort.by_creation_time(), Sort.by_id(ascending=False)]
    assert positions(query.fetch_objects(sort=by_both, limit=3).objects) == [4, 3, 2]


def test_iterates_over_everything(fruits: Collection) -> None:
    for size in (1, 2, 5, 100):
        assert positions(list(fruits.iterator(cache_size=size))) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="cache_size"):
        next(fruits.iterator(cache_size=0))


def test_near_vector(fruits: Collection) -> None:
    found = fruits.query.near_vector(
        [1.0, 0.0], limit=3, return_metadata=MetadataQuery(distance=True, certainty=True)
    ).objects
    assert positions(found) == [0, 1, 2]
    distances = [item.metadata.distance for item in found]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances == sorted(distances)
    assert found[0].metadata.certainty == pytest.approx(1)
    assert found[0].metadata.score is None
    close = fruits.query.near_vector([1.0, 0.0], distance=0.05).objects
    assert positions(close) == [0, 1]
    assert positions(fruits.query.near_vector({"default": [1.0, 0.0]}, limit=1).objects) == [0]


def test_near_object_starts_with_the_object(fruits: Collection) -> None:
    assert positions(fruits.query.near_object(IDS[4], limit=2).objects) == [4, 3]
    with pytest.raises(RequestRefused):
        fruits.query.near_object(uuid.uuid4())


def test_keywords(fruits: Collection) -> None:
    bm25 = fruits.query.bm25
    scored = MetadataQuery(score=True)
    found = bm25("red", query_properties=["title"], return_metadata=scored).objects
    assert set(positions(found)) == {0, 2, 4}
    scores = [item.metadata.score for item in found]
    assert scores == sorted(scores, reverse=True)
    both = bm25("red apple", query_properties=["title"], operator=BM25Operator.and_()).objects
    assert positions(both) == [0]
    two = bm25("red apple pie", query_properties=["title^2"], operator=BM25Operator.or_(2)).objects
    assert set(positions(two)) == {0, 1}
    with pytest.raises(RequestRefused):
        bm25("red", query_properties=["title^much"])


def test_hybrid(fruits: Collection) -> None:
    hybrid = fruits.query.hybrid
    vector = [0.0, 1.0]
    assert positions(hybrid("apple", alpha=1, vector=vector, limit=1).objects) == [4]
    keyword = hybrid("apple", alpha=0, vector=vector, query_properties=["title"]).objects
    assert set(positions(keyword)) == {0, 1}
    for fusion in HybridFusion:
        found = hybrid("red", alpha=0.5, vector=vector, fusion_type=fusion, limit=3).objects
        assert 4 in positions(found)
    with pytest.raises(RequestRefused, match="alpha"):
        hybrid("red", alpha=1.5, vector=vector)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filter.by_property("year").equal(2001), [1]),
        (Filter.by_property("year").not_equal(2001), [0, 2, 3, 4]),
        (Filter.by_property("year").greater_than(2002), [3, 4]),
        (Filter.by_property("year").greater_or_equal(2002), [2, 3, 4]),
        (Filter.by_property("year").less_than(2001), [0]),
        (Filter.by_property("year").less_or_equal(2001), [0, 1]),
        (Filter.by_property("title").like("*appl*"), [0, 1]),
        (Filter.by_property("tags").contains_any(["pie", "sea"]), [1, 3]),
        (Filter.by_property("tags").contains_all(["red", "wine"]), [2]),
        (Filter.by_property("tags").contains_none(["red"]), [1, 3]),
        (Filter.by_property("price").is_none(True), [0, 1, 2, 3, 4]),
        (Filter.by_property("tags", length=True).equal(3), [1]),
        (Filter.by_id().equal(IDS[3]), [3]),
        (Filter.by_id().contains_any([IDS[0], IDS[4]]), [0, 4]),
        (Filter.by_creation_time().greater_than(datetime(2000, 1, 1, tzinfo=UTC)), [0, 1, 2, 3, 4]),
        (Filter.by_update_time().less_than(datetime(2000, 1, 1, tzinfo=UTC)), []),
        (
            Filter.by_property("year").less_than(2004) & ~Filter.by_property("tags").equal("red"),
            [1, 3],
        ),
        (Filter.by_property("year").equal(2000) | Filter.by_property("year").equal(2004), [0, 4]),
    ],
)
def test_filters(fruits: Collection, filters: Any, expected: list[int]) -> None:
    assert positions(fruits.query.fetch_objects(filters=filters).objects) == expected
    assert fruits.aggregate.over_all(filters=filters).total_count == len(expected)
    near = fruits.query.near_vector([1.0, 0.0], filters=filters).objects
    assert sorted(positions(near)) == expected


def test_wrong_questions_are_refused(fruits: Collection) -> None:
    query = fruits.query
    for ask in (
        lambda: query.fetch_objects(filters=Filter.by_property("nothing").equal(1)),
        lambda: query.fetch_objects(return_properties=["nothing"]),
        lambda: query.fetch_objects(limit=-1),
        lambda: query.fetch_objects(offset=-1),
        lambda: query.near_vector([1.0, 2.0, 3.0]),
        lambda: query.near_vector([1.0, 0.0], target_vector="other"),
        lambda: query.near_vector([1.0, 0.0], distance=1, certainty=0.5),
        lambda: query.near_text("no vectorizer here"),
        lambda: query.near_vector(["a"]),
    ):
        with pytest.raises(RequestRefused):
            ask()


def test_times_are_those_of_the_write(fruits: Collection) -> None:
    found = fruits.query.fetch_object_by_id(IDS[0])
    assert found is not None
    created, updated = found.metadata.creation_time, found.metadata.last_update_time
    assert created is not None
    assert abs((datetime.now(UTC) - created).total_seconds()) < 600
    assert created == updated
    assert found.collection == fruits.name


def test_a_collection_that_is_not_there(client: WeftClient) -> None:
    absent = client.collections.get("Absent")
    assert not absent.exists()
    for ask in (
        lambda: absent.query.fetch_objects(),
        lambda: absent.config.get(),
        lambda: len(absent),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_search_may_ask_for_recall(fruits: Collection) -> None:
    query = fruits.query
    asked = [
        query.near_vector([1.0, 0.0], limit=2, target_recall=0.9),
        query.near_object(IDS[0], limit=2, target_recall=0.9),
        query.hybrid("apple", vector=[1.0, 0.0], alpha=1, limit=2, target_recall=0.9),
    ]
    assert [positions(found.objects) for found in asked] == [[0, 1]] * 3
    for wrong in (0.0, 1.0, -0.5, 95):
        with pytest.raises(RequestRefused, match="no recall between 0 and 1"):
            query.near_vector([1.0, 0.0], target_recall=wrong)
