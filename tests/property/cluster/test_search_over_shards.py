"""Searches and aggregations over shards answer what one shard with all objects answers.

Random objects with texts (CJK among them), numbers, dates, lists and missing values; one shard and
several, updates and deletions, and a row of virtual shards on its way between two of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.cluster.search.fleet import Fleet
from weftdb.cluster.search.aggregating import aggregate_rounds
from weftdb.cluster.search.finding import find_rounds
from weftdb.cluster.sharding import VirtualMove
from weftdb.core.aggregation import Aggregate, PropertyStatistics
from weftdb.core.objects import ObjectState
from weftdb.core.query import (
    And,
    Combination,
    Comparison,
    Fusion,
    Hits,
    Hybrid,
    Keyword,
    Mmr,
    NearObject,
    NearVector,
    Not,
    Operator,
    Search,
    Sort,
    Target,
    TermOperator,
    Threshold,
    ValueKind,
)
from weftdb.core.types import ObjectId, VectorName, Version
from weftdb.modules.registry import Registry
from weftdb.storage.object_codec import stored_id, stored_properties, stored_version

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

DEFINITION: Mapping[str, Any] = {
    "class": "Doc",
    "properties": [
        {"name": "title", "dataType": ["text"], "tokenization": "word"},
        {"name": "body", "dataType": ["text"], "tokenization": "trigram"},
        {"name": "kind", "dataType": ["text"], "tokenization": "field"},
        {"name": "size", "dataType": ["int"]},
        {"name": "price", "dataType": ["number"]},
        {"name": "sold", "dataType": ["boolean"]},
        {"name": "made", "dataType": ["date"]},
        {"name": "tags", "dataType": ["text[]"]},
    ],
    "vectorConfig": {
        name: {
            "vectorIndexType": "hnsw",
            "vectorIndexConfig": {"distance": distance},
            "vectorizer": {"none": {}},
        }
        for name, distance in (("a", "cosine"), ("b", "l2-squared"))
    },
}
WORDS = ("red", "green", "apple", "car", "pie", "検索", "分散データベース", "벡터", "the", "Ärger")
KINDS = ("fruit", "thing", "文書")
A, B = VectorName("a"), VectorName("b")
ALL = 1_000


class Corpus:
    """Objects drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.version = 0

    def vector(self, dimensions: int = 4) -> np.ndarray[Any, Any]:
        return self.random.normal(size=dimensions).astype(np.float32)

    def words(self, most: int) -> str:
        return " ".join(self.random.choice(WORDS, size=self.random.integers(0, most + 1)))

    def state(self, object_id: ObjectId | None = None) -> ObjectState:
        """An object; every property may be missing."""
        self.version += 1
        day = int(self.random.integers(1, 28))
        properties: dict[str, Any] = {
            "title": self.words(5),
            "body": self.words(9),
            "kind": str(self.random.choice(KINDS)),
            "size": int(self.random.integers(-4, 5)),
            "price": float(np.round(self.random.normal(), 1)),
            "sold": bool(self.random.integers(0, 2)),
            "made": f"2024-02-{day:02}T10:00:00Z",
            "tags": [str(tag) for tag in self.random.choice(WORDS, size=2)],
        }
        kept = {name: value for name, value in properties.items() if self.random.random() < 0.85}
        vectors = {name: self.vector() for name in (A, B) if self.random.random() < 0.8}
        times = (1_000 + self.version % 5, 2_000 + self.version)
        chosen = object_id or ObjectId(self.random.bytes(16))
        return ObjectState(chosen, Version(self.version), False, *times, kept, vectors)

    def deletion(self, object_id: ObjectId) -> ObjectState:
        self.version += 1
        return ObjectState(object_id, Version(self.version), is_deleted=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleets")


def filled(
    folder: Path, seed: int, shards: int, count: int, *, kind: type[Fleet] = Fleet
) -> tuple[Fleet, Corpus]:
    """A fleet after inserts, updates and deletions."""
    corpus = Corpus(seed)
    path = folder / f"{len(list(folder.iterdir()))}"
    fleet = kind(path, DEFINITION, shards)
    states = [corpus.state() for _ in range(count)]
    fleet.apply(states)
    if count:
        fleet.apply([corpus.state(each.id) for each in states[::5]])
        fleet.apply([corpus.deletion(each.id) for each in states[3::7]])
    return fleet, corpus


def near(corpus: Corpus, *names: VectorName, **more: Any) -> NearVector:
    targets = tuple(Target(name, corpus.vector(), weight=0.3 + at) for at, name in enumerate(names))
    return NearVector(targets, **more)


SMALL = Comparison(Operator.LESS_THAN, ("size",), 2, ValueKind.INT)
FRUIT = Comparison(Operator.EQUAL, ("kind",), "fruit", ValueKind.TEXT)
RED = Comparison(Operator.LIKE, ("title",), "re*", ValueKind.TEXT)
FILTERS = (None, SMALL, And((SMALL, Not(FRUIT))), RED)


def searches(corpus: Corpus) -> Iterator[Search]:
    """Every kind of read, each with values of its own."""
    for condition in FILTERS:
        base = Search("Doc", filter=condition, limit=int(corpus.random.integers(1, 12)))
        yield replace(base, near=near(corpus, A))
        yield replace(base, near=near(corpus, A), offset=3, vectors=(A, B))
        yield replace(base, near=near(corpus, B, threshold=Threshold(distance=3.0)), autocut=1)
        yield replace(base, near=near(corpus, A, mmr=Mmr(3, 0.4)), limit=9, offset=1)
        for combination in Combination:
            yield replace(base, near=near(corpus, A, B, combination=combination))
        for operator in TermOperator:
            words = Keyword("green apple 検索", (("title", 2.0),), operator)
            yield replace(base, keyword=words, explain=True)
        yield replace(base, keyword=Keyword("red car 分散データ the pie", minimum_match=2))
        yield replace(base, keyword=Keyword("pie 벡터 car"), offset=2, autocut=2)
        for fusion in Fusion:
            hybrid = Hybrid("apple pie 検索", near(corpus, A), alpha=0.6, fusion=fusion)
            yield replace(base, hybrid=hybrid, explain=True)
            yield replace(base, hybrid=replace(hybrid, vector_distance_max=0.8), offset=1)
            yield replace(base, hybrid=replace(hybrid, alpha=0))
            yield replace(base, hybrid=replace(hybrid, alpha=1), autocut=1)
        both = near(corpus, A, B, combination=Combination.RELATIVE_SCORE)
        yield replace(base, hybrid=Hybrid("red", both))
        yield replace(base, sort=(Sort(("kind",)), Sort(("price",), ascending=False)))
        yield replace(base, sort=(Sort(("made",), ascending=False),), offset=4)
        yield replace(base, sort=(Sort(("tags",)), Sort(("_creationTimeUnix",))), limit=ALL)
        yield replace(base, sort=(Sort(("_id",), ascending=False),))
    yield Search("Doc", limit=5, offset=2)
    yield Search("Doc", limit=4, after=ObjectId(corpus.random.bytes(16)))


def aggregates(corpus: Corpus) -> Iterator[Aggregate]:
    """Every kind of aggregation."""
    names = ("title", "size", "price", "sold", "made", "tags", "kind")
    everything = tuple(PropertyStatistics(name, top=3) for name in names)
    for condition in FILTERS[:3]:
        base = Aggregate("Doc", filter=condition)
        yield base
        yield replace(base, properties=everything)
        yield replace(base, group_by="kind", properties=everything, limit=2)
        yield replace(base, group_by="size")
        yield replace(base, group_by="price", limit=4)
        yield replace(base, near=near(corpus, A), object_limit=5, properties=everything)
        yield replace(base, near=near(corpus, A, threshold=Threshold(certainty=0.6)))
        hybrid = Hybrid("apple 検索", near(corpus, A))
        yield replace(base, hybrid=hybrid, object_limit=4, group_by="tags")


def told(hits: Hits) -> list[Any]:
    """What a door tells of an answer, doc ids left out."""
    count = len(hits.stored)
    none = [None] * count
    return [
        (stored_id(row), stored_version(row), stored_properties(row), *values)
        for row, *values in zip(
            hits.stored,
            hits.distances or none,
            hits.scores or none,
            hits.explanations or none,
            *([told_vector(one) for one in column] for column in hits.vectors.values()),
            strict=True,
        )
    ]


def told_vector(vector: Any) -> list[float] | None:
    return None if vector is None else vector.tolist()


@given(seed=st.integers(0, 2**32), shards=st.integers(1, 4), count=st.integers(0, 60))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_searches_over_shards(folder: Path, seed: int, shards: int, count: int) -> None:
    """The same objects in the same order with the same values, to the last bit."""
    fleet, corpus = filled(folder, seed, shards, count)
    try:
        for query in searches(corpus):
            whole, found = fleet.whole.search(query), fleet.search(query)
            assert told(found) == told(whole), query
            assert found.has_certainty == whole.has_certainty
    finally:
        fleet.close()


@given(seed=st.integers(0, 2**32), shards=st.integers(1, 4), count=st.integers(0, 60))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_aggregations_over_shards(folder: Path, seed: int, shards: int, count: int) -> None:
    """Every statistic is that of one shard, to the last bit."""
    fleet, corpus = filled(folder, seed, shards, count)
    try:
        for query in aggregates(corpus):
            found = fleet.run(aggregate_rounds(fleet.rounds(), query, Registry()))
            assert found == fleet.whole.aggregate(query), query
        for condition in FILTERS[1:]:
            assert condition is not None
            matches = fleet.whole.delete_where(condition, dry_run=True)
            found_ids = fleet.run(find_rounds(fleet.rounds(), condition, page_ids=4))
            assert found_ids == sorted(matches.ids)
    finally:
        fleet.close()


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_filtered_lists_and_named_objects(folder: Path, seed: int, count: int) -> None:
    """Filtered lists go by id over shards (one shard: by writing), and have the same members; an
    object that is named is found wherever it lies."""
    fleet, _ = filled(folder, seed, 3, count)
    try:
        for condition in FILTERS[1:]:
            query = Search("Doc", filter=condition, limit=ALL)
            ids = sorted(map(stored_id, fleet.whole.search(query).stored))
            assert list(map(stored_id, fleet.search(query).stored)) == ids
            page = fleet.search(replace(query, limit=5, offset=2))
            assert list(map(stored_id, page.stored)) == ids[2:7]
        everything = fleet.whole.search(Search("Doc", limit=ALL, vectors=(A,)))
        for row, vector in zip(everything.stored, everything.vectors[A], strict=True):
            if vector is not None:
                query = Search("Doc", near=NearObject(stored_id(row), (Target(A),)), limit=3)
                assert told(fleet.search(query)) == told(fleet.whole.search(query))
                break
    finally:
        fleet.close()


@given(seed=st.integers(0, 2**32), first=st.integers(0, 127), length=st.integers(1, 128))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_while_a_row_moves(folder: Path, seed: int, first: int, length: int) -> None:
    """Objects that lie in two shards are found once, before and after the row has another owner.
    Mean lengths count them twice until the move is over, so scores are close, not equal."""
    fleet, corpus = filled(folder, seed, 2, 50)
    try:
        move = VirtualMove(first, min(length, 128 - first), 1)
        fleet.state = fleet.state.with_moving(move)
        copied = fleet.whole.replica.states(
            [stored_id(row) for row in fleet.whole.search(Search("Doc", limit=ALL)).stored]
        )
        fleet.apply([state for state in copied if state is not None])
        for state in (fleet.state, fleet.state.with_moved(move)):
            fleet.state = state
            fleet.apply([corpus.state() for _ in range(5)])
            for query in searches(corpus):
                whole, found = fleet.whole.search(query), fleet.search(query)
                if query.keyword is None and query.hybrid is None:
                    if query.filter is None or query.near is not None or query.sort:
                        assert told(found) == told(whole), query
                elif query.keyword is not None and query.autocut == 0:
                    assert len(found.stored) == len(whole.stored)
                    assert found.scores == pytest.approx(whole.scores, rel=0.3)
            for asked in aggregates(corpus):
                if asked.hybrid is None:
                    counted = fleet.run(aggregate_rounds(fleet.rounds(), asked, Registry()))
                    assert counted == fleet.whole.aggregate(asked), asked
    finally:
        fleet.close()
