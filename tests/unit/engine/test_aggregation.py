"""Aggregations over a shard: every type, groups, searches, and objects that move meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.engine.samples import uid
from weftdb.core.aggregation import Aggregate, Group, PropertyStatistics, Summary
from weftdb.core.definition import parse_collection
from weftdb.core.errors import InvalidRequest, LimitExceeded, RequestError, Unsupported
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import (
    Comparison,
    Hybrid,
    NearObject,
    NearVector,
    Operator,
    Target,
    Threshold,
    ValueKind,
)
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.storage.objects import ObjectStore

KINDS = {
    "shop": "text",
    "pieces": "int",
    "price": "number",
    "paid": "boolean",
    "day": "date",
    "tags": "text[]",
    "sizes": "int[]",
    "mark": "uuid",
    "place": "geoCoordinates",
}
SALES: list[dict[str, Any]] = [
    {"shop": "North", "pieces": 3, "price": 2.5, "paid": True, "day": "2024-03-01T00:00:00Z",
     "tags": ["hot", "drink"], "sizes": [1, 2, 2]},
    {"shop": "North", "pieces": 1, "price": 3.0, "paid": False, "day": "2024-03-02T00:00:00Z",
     "tags": ["hot"], "sizes": [2]},
    {"shop": "South", "pieces": 8, "price": 4.25, "paid": True, "day": "2024-03-02T00:00:00Z"},
    {"shop": "South", "pieces": 3, "price": 2.5, "paid": True, "day": "2024-03-05T12:00:00Z"},
    {"shop": "West", "pieces": 2},
    {"shop": "North"},
]  # fmt: skip
PAID = Comparison(Operator.EQUAL, ("paid",), value=True, kind=ValueKind.BOOLEAN)


@pytest.fixture
def sales(database: Database) -> LocalCollection:
    """Six sales, their vectors on a line."""
    local = database.create_collection(
        parse_collection(
            {
                "class": "Sale",
                "properties": [{"name": n, "dataType": [kind]} for n, kind in KINDS.items()],
            }
        )
    )
    drafts = [
        ObjectDraft(uid(n), properties, {UNNAMED: np.array([1, n / 10], dtype=np.float32)})
        for n, properties in enumerate(SALES)
    ]
    assert local.put(drafts) == [None] * len(SALES)
    return local


def ask(local: LocalCollection, *names: str, **more: Any) -> Any:
    statistics = tuple(PropertyStatistics(name) for name in names)
    return local.aggregate(Aggregate("Sale", properties=statistics, **more))


def summary(local: LocalCollection, name: str, **more: Any) -> Summary:
    (found,) = ask(local, name, **more).total.summaries
    return found


def near(**more: Any) -> NearVector:
    return NearVector((Target(UNNAMED, np.array([1, 0], dtype=np.float32)),), **more)


def test_numbers(sales: LocalCollection) -> None:
    found = summary(sales, "pieces")
    assert (found.type, found.count, found.sum, found.mean) == ("int", 5, 17, 3.4)
    assert (found.median, found.mode, found.maximum, found.minimum) == (3.0, 3, 8, 1)
    found = summary(sales, "price")
    assert (found.count, found.sum, found.mean, found.median) == (4, 12.25, 3.0625, 2.75)
    found = summary(sales, "sizes")  # Every element counts, equal ones, too.
    assert (found.type, found.count, found.sum, found.mode) == ("int[]", 4, 7, 2)


def test_other_types(sales: LocalCollection) -> None:
    found = summary(sales, "paid")
    assert (found.count, found.total_true, found.total_false) == (4, 3, 1)
    assert (found.percentage_true, found.percentage_false) == (0.75, 0.25)
    found = summary(sales, "day")
    assert (found.minimum, found.maximum) == ("2024-03-01T00:00:00Z", "2024-03-05T12:00:00Z")
    assert found.median == found.mode == "2024-03-02T00:00:00Z"
    found = summary(sales, "shop")
    assert found.count == 6
    assert found.top_occurences == (("North", 3), ("South", 2), ("West", 1))
    assert summary(sales, "tags").top_occurences == (("hot", 2), ("drink", 1))
    top = sales.aggregate(Aggregate("Sale", properties=(PropertyStatistics("shop", 1),)))
    assert top.total is not None
    assert top.total.summaries[0].top_occurences == (("North", 3),)


def test_nothing_has_only_a_count(sales: LocalCollection) -> None:
    none = Comparison(Operator.EQUAL, ("shop",), "East", ValueKind.TEXT)
    for name in ("pieces", "day", "paid", "shop"):
        found = summary(sales, name, filter=none)
        assert (found.count, found.sum, found.mode, found.total_true) == (0, None, None, None)
    assert ask(sales, filter=none).total == Group(None, 0)


def test_counts_and_filters(sales: LocalCollection) -> None:
    assert ask(sales).total == Group(None, 6)
    assert ask(sales, filter=PAID).total == Group(None, 3)
    assert summary(sales, "pieces", filter=PAID).sum == 14


def test_groups(sales: LocalCollection) -> None:
    assert [(g.value, g.count) for g in ask(sales, group_by="shop").groups] == [
        ("North", 3),
        ("South", 2),
        ("West", 1),
    ]
    assert [(g.value, g.count) for g in ask(sales, group_by="sizes").groups] == [(2.0, 2), (1.0, 1)]
    assert [(g.value, g.count) for g in ask(sales, group_by="paid", limit=1).groups] == [(True, 3)]
    days = ask(sales, group_by="day").groups
    assert days[0] == Group("2024-03-02T00:00:00Z", 2)
    summed = ask(sales, "pieces", group_by="shop", filter=PAID).groups
    assert [(g.value, g.count, g.summaries[0].sum) for g in summed] == [
        ("South", 2, 11),
        ("North", 1, 3),
    ]
    nothing = ask(sales, group_by="nothing")
    assert (nothing.total, nothing.groups) == (None, None)


def test_searches(sales: LocalCollection) -> None:
    assert ask(sales, "pieces", near=near(), object_limit=2).total.summaries[0].sum == 4
    assert ask(sales, near=NearObject(uid(5)), object_limit=3).total.count == 3
    assert ask(sales, near=near(threshold=Threshold(certainty=0.99))).total.count == 3
    close = near(threshold=Threshold(distance=0.02))
    assert ask(sales, near=close).total.count == 3
    assert ask(sales, near=close, object_limit=2).total.count == 2
    assert ask(sales, near=near(), object_limit=2, filter=PAID).total.count == 2
    words = Hybrid("south west", alpha=0.0)
    assert ask(sales, hybrid=words, object_limit=10).total.count == 3
    both = Hybrid("south west", near=near(), alpha=0.5)
    assert ask(sales, hybrid=both, object_limit=2).total.count == 4  # Two a leg, none in both.


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"near": near()}, InvalidRequest, "certainty or objectLimit"),
        ({"hybrid": Hybrid("x")}, InvalidRequest, "certainty or objectLimit"),
        ({"near": near(), "object_limit": 0}, InvalidRequest, "at least 1"),
        ({"near": near(), "object_limit": 10_001}, LimitExceeded, "QUERY_MAXIMUM_RESULTS"),
        ({"near": near(), "hybrid": Hybrid("x")}, InvalidRequest, "at most one"),
        ({"group_by": "place"}, InvalidRequest, "cannot be grouped"),
        ({"group_by": "shop", "limit": 0}, InvalidRequest, "limit"),
        ({"properties": (PropertyStatistics("place"),)}, InvalidRequest, "no statistics"),
        ({"properties": (PropertyStatistics("nothing"),)}, RequestError, "no such prop"),
        ({"tenant": "t"}, RequestError, "multi-tenancy"),
    ],
)
def test_what_makes_no_sense_is_refused(
    sales: LocalCollection, asked: dict[str, Any], error: type[RequestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        sales.aggregate(Aggregate("Sale", **asked))


def test_references_cannot_be_grouped_yet(database: Database) -> None:
    local = database.create_collection(
        parse_collection(
            {"class": "Sale", "properties": [{"name": "at", "dataType": ["Till"]}]}, None, None
        )
    )
    assert summary(local, "at").pointing_to == ("Till",)
    with pytest.raises(Unsupported, match="references"):
        ask(local, group_by="at")


def test_objects_that_move_meanwhile_are_read_again(
    sales: LocalCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, moves = ObjectStore.get_many, [uid(1), uid(2)]

    def move_then_read(store: ObjectStore, doc_ids: list[Any]) -> list[bytes | None]:
        if moves:
            sales.put([ObjectDraft(moves.pop(), {"pieces": 100}, {})])
        return read(store, doc_ids)

    monkeypatch.setattr(ObjectStore, "get_many", move_then_read)
    found = ask(sales, "pieces").total
    assert found.count == 6
    assert found.summaries[0].sum in (17 - 8 + 100, 17 - 8 - 1 + 200)
