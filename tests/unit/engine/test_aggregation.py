"""Aggregations over a shard: every type, groups, searches, and objects that move meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.engine.samples import uid
from weftdb.core.aggregation import Aggregate, Group, PropertyStatistics, Summary
from weftdb.core.definition import parse_collection
from weftdb.core.errors import (
    CorruptData,
    InvalidRequest,
    LimitExceeded,
    RequestError,
    Unsupported,
)
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
from weftdb.engine import aggregation
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.text_side import TextSide
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


@pytest.mark.parametrize(
    ("name", "changed", "sums", "scanned_share"),
    [
        ("pieces", 100, (17 - 8 + 100, 17 - 8 - 1 + 200), 0.5),  # from the inverted index
        ("sizes", [100], (7 - 2 + 100, 7 - 2 + 200), 2.0),  # from rows that are fetched
        ("sizes", [100], (7 + 100, 7 - 2 + 200), 0.5),  # from rows that are passed over
    ],
)
def test_objects_that_move_meanwhile_are_read_again(
    sales: LocalCollection,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    changed: object,
    sums: tuple[int, int],
    scanned_share: float,
) -> None:
    moves = [uid(1), uid(2)]

    def after_a_move(read: Callable[..., Any]) -> Callable[..., Any]:
        def move_then_read(*arguments: Any) -> Any:
            if moves:
                sales.put([ObjectDraft(moves.pop(), {name: changed}, {})])
            return read(*arguments)

        return move_then_read

    monkeypatch.setattr(aggregation, "SCANNED_SHARE", scanned_share)
    for reader in ("get_many", "scan_rows"):
        monkeypatch.setattr(ObjectStore, reader, after_a_move(getattr(ObjectStore, reader)))
    monkeypatch.setattr(TextSide, "counts", after_a_move(TextSide.counts))
    found = ask(sales, name).total
    assert found.count == 6
    assert found.summaries[0].sum in sums


@pytest.mark.parametrize("kind", ["int", "number", "boolean", "date", "text", "uuid"])
def test_index_and_rows_tell_the_same(
    database: Database, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, list[Any]] = {
        "int": [-(2**63), -5, 0, 7, 7, 2**53 + 1, 2**63 - 1],
        "number": [-1.5, -0.0, 0.0, 3, 1e300, -1e-300, 0.1, 0.2],
        "boolean": [True, False, True],
        "date": ["1969-12-31T23:59:59.5Z", "2024-03-01T00:00:00Z", "2024-03-01T01:00:00+01:00",
                 "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
                 "2024-02-29T12:00:00.123456789012-05:30"],
        "text": ["b", "a", "a", "ä", ""],
        "uuid": ["00000000-0000-0000-0000-000000000001"],
    }  # fmt: skip
    body = {"class": "Mixed", "properties": [{"name": "one", "dataType": [kind]}]}
    local = database.create_collection(parse_collection(body))
    # Twice, the second time over the first: the index keeps what is dead for a while.
    drafts = [ObjectDraft(uid(n + 1), {"one": one}) for n, one in enumerate(values[kind])]
    for _ in range(2):
        assert local.put(drafts) == [None] * len(drafts)
    statistics = () if kind == "uuid" else (PropertyStatistics("one"),)
    asked = [
        Aggregate("Mixed", group_by="one"),
        *([Aggregate("Mixed", properties=statistics)] if statistics else []),
    ]
    told = [local.aggregate(one) for one in asked]
    monkeypatch.setattr(aggregation, "is_in_index", lambda _: False)
    assert [local.aggregate(one) for one in asked] == told
    assert told[0].groups is not None
    assert sum(group.count for group in told[0].groups) == len(drafts)


def test_a_damaged_row_is_told(sales: LocalCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows_of(row: bytes) -> None:
        monkeypatch.setattr(
            ObjectStore, "scan_rows", lambda *_: [(np.arange(6, dtype=np.uint32), [row] * 6)]
        )

    rows_of(b"\x00" * 70)
    assert ask(sales, "shop").total.summaries[0].count == 0, "there are no properties to count"
    rows_of(b"\xff" * 70)
    with pytest.raises(CorruptData, match="an object of Sale"):
        ask(sales, "shop")
