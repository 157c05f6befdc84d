"""plan_search as a table: which parts of a query go together, and how deep a read looks."""

from __future__ import annotations

import pytest

from tests.unit.engine.samples import uid
from weftdb.core.config import QueryConfig
from weftdb.core.errors import InvalidRequest, LimitExceeded
from weftdb.core.query import (
    Comparison,
    Hybrid,
    Keyword,
    Mmr,
    NearObject,
    Operator,
    Search,
    Sort,
    ValueKind,
)
from weftdb.engine.planner import Read, plan_search

CONFIG = QueryConfig(default_limit=7, maximum_results=100)
NEAR = NearObject(uid(1))
WORDS = Keyword("red")
FILTER = Comparison(Operator.EQUAL, ("title",), "x", ValueKind.TEXT)
SORT = (Sort(("title",)),)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        (Search("D"), Read.LIST),
        (Search("D", filter=FILTER), Read.LIST),
        (Search("D", sort=SORT), Read.SORTED),
        (Search("D", after=uid(1), limit=3), Read.CURSOR),
        (Search("D", near=NEAR), Read.VECTOR),
        (Search("D", keyword=WORDS), Read.KEYWORD),
        (Search("D", hybrid=Hybrid("red")), Read.HYBRID),
    ],
)
def test_kinds_of_reads(query: Search, read: Read) -> None:
    assert plan_search(query, CONFIG).read is read


def test_the_default_limit_and_the_depth() -> None:
    assert plan_search(Search("D"), CONFIG).limit == 7
    assert plan_search(Search("D", limit=5, offset=20), CONFIG).depth == 25
    assert plan_search(Search("D", limit=90, offset=10), CONFIG).depth == 100


@pytest.mark.parametrize(
    "query",
    [
        Search("D", limit=101),
        Search("D", limit=91, offset=10),
        Search("D", limit=-1),
        Search("D", offset=-1),
    ],
)
def test_windows_beyond_the_maximum_are_refused(query: Search) -> None:
    with pytest.raises(LimitExceeded, match="query maximum results exceeded"):
        plan_search(query, CONFIG)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Search("D", near=NEAR, keyword=WORDS), "at most one"),
        (Search("D", near=NEAR, sort=SORT), "sorting cannot be combined with search"),
        (Search("D", after=uid(1)), "limit parameter is not set"),
        (Search("D", after=uid(1), limit=1, offset=1), "offset cannot be set with after"),
        (Search("D", after=uid(1), limit=1, filter=FILTER), "where cannot be set with after"),
        (Search("D", after=uid(1), limit=1, sort=SORT), "sort cannot be set with after"),
        (Search("D", after=uid(1), limit=1, near=NEAR), "other params cannot be set with after"),
        (Search("D", near=NearObject(uid(1), mmr=Mmr(0, 0.5))), "MMR limit must be at least 1"),
        (Search("D", near=NearObject(uid(1), mmr=Mmr(9, 0.5))), "cannot be larger than the query"),
        (Search("D", near=NearObject(uid(1), mmr=Mmr(3, 1.5))), "between 0 and 1"),
        (Search("D", hybrid=Hybrid("x", mmr=Mmr(3, -1))), "between 0 and 1"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(query: Search, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        plan_search(query, CONFIG)
