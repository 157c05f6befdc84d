"""The server benchmark without a server: filters, their truth, promises."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.loadgen import Load
from benchmarks.server_run import Import
from benchmarks.vector_contest import datasets
from benchmarks.vector_contest.curve import Point
from benchmarks.vector_contest.filtered import filters_of
from benchmarks.vector_contest.outcome import FilteredPoint, Outcome, ServedPoint
from benchmarks.vector_contest.sentences import Sentence
from benchmarks.vector_contest.server import as_ids
from benchmarks.vector_contest.server_verdict import server_floors
from benchmarks.vector_contest.worker import Build
from weftdb.proto.v1 import search_pb2

SENTENCES = [
    Sentence(f"text {number}", "games" if number % 100 == 0 else "perl",
             "scripting" if number % 5 == 0 else "other", 2010 + number % 17,
             number if 0 < number <= 30 else 0)
    for number in range(1000)
]  # fmt: skip


def load(per_s: float, p99_ms: float = 2.0) -> Load:
    """A run without errors."""
    return Load(100, 0, per_s, 1.0, p99_ms, "")


def test_filters_allow_what_they_ask_for() -> None:
    filters = filters_of(SENTENCES)
    assert [item.name for item in filters] == [
        "year >= 2024", "source = scripting", "year = 2019", "rank present", "section = games",
        "rank <= 500",
    ]  # fmt: skip
    assert filters[1].share == 0.2
    assert filters[3].allowed.sum() == filters[5].allowed.sum() == 30
    request = search_pb2.SearchRequest.FromString(filters[4].applied(search_pb2.SearchRequest()))
    assert request.filters.target.property == "section"
    assert request.filters.value_text == "games"


def test_truth_under_a_filter_is_among_the_allowed() -> None:
    made = datasets.clustered(1000, 8, query_count=5)
    limit = datasets.limits("cosine", made.rows, made.queries, made.truth)
    data = datasets.Dataset("d", "cosine", made.rows, made.queries, made.truth, limit)
    for item in filters_of(SENTENCES):
        narrowed = item.narrowed(data)
        assert item.allowed[narrowed.truth].all()
        assert narrowed.recall(narrowed.truth) == 1.0


def test_replies_become_ids_with_gaps_marked() -> None:
    assert np.array_equal(as_ids([None]), np.full((1, 10), -1))


def test_promises_name_what_was_reached() -> None:
    build = Build(400_000, 2, 80.0, 160.0, 1)
    curve = [Point(64, 0.95, 4000.0), Point(256, 0.99, 1000.0)]
    served = [ServedPoint(64, 0.95, load(3200)), ServedPoint(256, 0.99, load(1000, 9.0))]
    filtered = [
        FilteredPoint(item.name, item.share, 64, 0.98, number != 0, load(4000))
        for number, item in enumerate(filters_of(SENTENCES))
    ]
    outcome = Outcome(400_000, build, curve, Import(400_000, 9000, 4000), served, filtered)
    outcome.resident_bytes = 900_000_000
    floors = server_floors(outcome)
    verdicts = {floor.name: floor.verdict for floor in floors}
    assert verdicts["searches/s, 8 in flight, recall 0.95, beside hnswlib's one thread"] == "PASS"
    assert verdicts["searches/s, 8 in flight, recall 0.99, beside hnswlib's one thread"] == "MISS"
    assert verdicts["p99 over p50, 8 in flight, ef 256"] == "MISS"
    assert verdicts["import until searchable, beside hnswlib's two threads"] == "PASS"
    assert verdicts["memory, beside the reference"] == "PASS"
    # A wrong number of results is a miss whatever the recall.
    assert [floor.verdict for floor in floors if floor.name.endswith(", recall")][:2] == [
        "MISS",
        "PASS",
    ]


def test_nothing_is_promised_about_what_was_not_measured() -> None:
    floors = server_floors(Outcome(1000, Build(1000, 2, 1.0, 1.0, 1)))
    assert all(math.isnan(floor.value) for floor in floors)
