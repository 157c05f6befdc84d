"""What is learnt of measured recall, as a table; then the measuring itself."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from tests.sizes import measures, sized
from weftdb.core.config import IndexConfig
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED, Rows
from weftdb.index.hnsw.recall_table import EFS, K_BOUNDS, QUERIES_MIN, RecallTable, row_of

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.hnsw.recall_tuner import QUERIES_PER_PROBE
from weftdb.index.kernels import _native

CURVE = [min(0.5 + 0.05 * at, 1.0) for at in range(len(EFS))]
"""0.50 with ef 16, 0.05 more with each column, 1.0 from ef 512 on."""


def table(recalls: list[float] = CURVE, *, k: int = 10, queries: int = 100) -> RecallTable:
    made = RecallTable()
    made.add(k, recalls, queries)
    return made


@pytest.mark.parametrize(
    ("k", "target", "ef"),
    [
        (10, 0.4, 16),
        (10, 0.95, 397),  # Aims at 0.955: a tenth of the way from 384 (0.95) to 512 (1.0).
        (10, 0.99, 489),
        (3, 0.4, 16),
        (11, 0.95, None),  # Another row, of which nothing is known.
    ],
)
def test_the_least_ef_that_reaches_a_recall(k: int, target: float, ef: int | None) -> None:
    found = table().ef_for(k, target)
    assert (found is None) == (ef is None)
    assert found == pytest.approx(ef, abs=1)


def test_too_few_queries_tell_nothing() -> None:
    made = table(queries=QUERIES_MIN - 1)
    assert made.ef_for(10, 0.9) is None
    assert made.recall_at(10, 64) is None
    made.add(10, CURVE, 1)
    assert made.ef_for(10, 0.9) is not None
    assert made.queries(10) == QUERIES_MIN


def test_what_no_ef_reaches_gets_the_largest() -> None:
    assert table([0.5] * len(EFS)).ef_for(10, 0.95) == EFS[-1]
    assert table([0.5] * len(EFS), k=5000).ef_for(5000, 0.95) == 5000


def test_chance_does_not_make_a_larger_ef_worse() -> None:
    bumpy = list(CURVE)
    bumpy[4] = 0.2
    made = table(bumpy)
    recalls = [made.recall_at(10, ef) or 0.0 for ef in range(10, 3000, 7)]
    assert all(low <= high for low, high in pairwise(recalls))


def test_a_graph_that_grows_is_followed() -> None:
    made = table([1.0] * len(EFS), queries=400)
    for _ in range(300):
        made.add(10, [0.5] * len(EFS), 8)
    assert made.recall_at(10, 100) == pytest.approx(0.5, abs=0.01)
    made.add(10, [1.0] * len(EFS), 0)
    assert made.recall_at(10, 100) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("k", "row"), [(1, 10), (10, 10), (11, 30), (10_000, 10_000)])
def test_rows(k: int, row: int) -> None:
    assert row_of(k) == row


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(0, 1), min_size=len(EFS), max_size=len(EFS)), min_size=1, max_size=5
    ),
    st.floats(0.01, 0.99),
    st.sampled_from(K_BOUNDS),
)
def test_more_recall_never_needs_less(measured: list[list[float]], target: float, k: int) -> None:
    made = RecallTable()
    for recalls in measured:
        made.add(k, recalls, QUERIES_MIN)
    ef, further = made.ef_for(k, target), made.ef_for(k, min(target + 0.005, 0.999))
    assert ef is not None
    assert further is not None
    assert k <= ef <= further
    reached = made.recall_at(k, ef)
    assert reached is not None
    assert reached >= target - 1e-9 or ef >= EFS[-1]


# The measuring.


def clustered(count: int, dim: int, seed: int) -> Rows:
    centres = np.random.default_rng(5).standard_normal((60, dim)).astype(np.float32)
    random = np.random.default_rng(seed)
    noise = random.standard_normal((count, dim)).astype(np.float32)
    rows: Rows = centres[random.integers(0, 60, count)] + 0.8 * noise
    return rows


def make(**given: float) -> HnswIndex:
    hnsw = HnswSettings(ef_construction=sized(40, sanitized=16), max_connections=8, **given)  # type: ignore[arg-type]
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=hnsw)
    return HnswIndex(config, IndexConfig(threads=2))


def tuned(index: HnswIndex, queries: Rows) -> None:
    """Search, and let the index measure until all queries are through."""
    for query in queries:
        index.search(query, 10)
    now_s, until = 0.0, time.monotonic() + sized(60, sanitized=600)
    while (report := index.recall(10)) is None or report.queries < len(queries):
        now_s += 1000.0
        index.tune(now_s)
        time.sleep(0.002)
        assert time.monotonic() < until


def recall_of(index: HnswIndex, rows: Rows, queries: Rows) -> float:
    found = 0
    for query in queries:
        truth = np.argsort(((rows - query) ** 2).sum(axis=1))[:10]
        found += len(set(truth.tolist()) & set(index.search(query, 10).doc_ids.tolist()))
    return found / (10 * len(queries))


@measures
@pytest.mark.parametrize("target", [0.80, 0.95])
def test_the_recall_asked_for_is_reached(target: float) -> None:
    rows = clustered(12_000, 24, seed=1)
    index = make(target_recall=target)
    index.add(np.arange(len(rows), dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    before = index.recall(10)
    assert before is not None
    assert (before.achieved, before.queries, before.ef) == (None, 0, HnswSettings().ef_for(10))
    tuned(index, clustered(160, 24, seed=2))
    others = clustered(150, 24, seed=3)
    reached, report = recall_of(index, rows, others), index.recall(10)
    assert report is not None
    assert report.achieved is not None
    assert target - 0.02 <= reached <= target + 0.08, "neither missed nor bought dearly"
    assert report.achieved == pytest.approx(reached, abs=0.04)
    index.close()


def test_who_sets_ef_gets_it() -> None:
    index = make(target_recall=0.95, ef=77)
    index.add(np.arange(2000, dtype=np.uint32), clustered(2000, 8, seed=1))
    query = clustered(1, 8, seed=2)[0]
    assert index.ef_for(query, 10, None) == 77
    assert index.recall(10) is None
    assert not index.tune(0.0)
    index.close()


def test_filtered_searches_are_not_measured() -> None:
    index = make(target_recall=0.9)
    index.add(np.arange(10, dtype=np.uint32), clustered(10, 8, seed=1))
    query = clustered(1, 8, seed=2)[0]
    index.ef_for(query, 10, AllowList(BitMap([1, 2])))
    assert not index.tune(0.0), "there is nothing to measure"
    index.ef_for(query, 10, None)
    assert index.tune(0.0)
    index.close()


def test_a_probe_counts_what_the_walk_misses_and_minds_its_share_of_time() -> None:
    rows = clustered(6_000, 24, seed=1)
    index = make(target_recall=0.95)
    index.add(np.arange(len(rows), dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    queries = clustered(QUERIES_PER_PROBE, 24, seed=4)
    probe = _native.start_recall_probe(index.native, queries, 10, [10, 6000])
    until = time.monotonic() + sized(30, sanitized=300)
    while (found := probe.result()) is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    recalls, measured, seconds, slices = found
    assert measured == QUERIES_PER_PROBE
    assert recalls[0] < recalls[1] == 1.0
    assert seconds > 0
    # A beginning, a part of the scan, two searches.
    assert slices == QUERIES_PER_PROBE * 4


def test_a_probe_takes_the_scan_in_parts_and_minds_deletions_in_between() -> None:
    # Rows of 16 KiB: a slice of the scan takes 192 of them.
    rows = clustered(1_000, 4_096, seed=1)
    index = make(target_recall=0.95)
    index.add(np.arange(len(rows), dtype=np.uint32), rows)
    probe = _native.start_recall_probe(index.native, rows[:4], 10, [10])
    for doc_id in range(4, 1_000):
        index.delete(np.array([doc_id], dtype=np.uint32))
    until = time.monotonic() + sized(30, sanitized=300)
    while (found := probe.result()) is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    recalls, measured, _, slices = found
    assert (measured, recalls[0]) == (4, 1.0), "what was deleted meanwhile is not missed"
    assert slices == 4 * (1 + 6 + 1)
    index.close()


def test_a_closed_or_empty_index_teaches_nothing() -> None:
    index = make(target_recall=0.95)
    queries = clustered(3, 24, seed=4)
    for _ in range(2):
        probe = _native.start_recall_probe(index.native, queries, 10, [10])
        until = time.monotonic() + sized(30, sanitized=300)
        while (found := probe.result()) is None:
            assert time.monotonic() < until
            time.sleep(0.002)
        assert found[1] == 0
        index.close()
    with pytest.raises(ValueError, match="k must be"):
        _native.start_recall_probe(index.native, queries, 0, [10])
