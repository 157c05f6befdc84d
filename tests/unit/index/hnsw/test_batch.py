"""Many queries in one native call: the answers of single searches, on any number of threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION
from weftdb.core.config import IndexConfig
from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import NO_DOC

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex

ROWS = np.random.default_rng(5).normal(size=(3000, 12)).astype(np.float32)


def filled(count: int = 3000) -> HnswIndex:
    hnsw = HnswSettings(ef_construction=EF_CONSTRUCTION)
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=hnsw)
    index = HnswIndex(config, IndexConfig())
    index.add(np.arange(count, dtype=np.uint32), ROWS[:count])
    assert index.wait_indexed(60)
    return index


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_answers_are_those_of_single_searches(threads: int) -> None:
    index = filled()
    found = index.search_many(ROWS[:100], 5, threads=threads)
    assert found.doc_ids.shape == found.distances.shape == (100, 5)
    assert found.doc_ids.flags.c_contiguous
    assert found.counts.tolist() == [5] * 100
    for at, together in enumerate(found):
        alone = index.search(ROWS[at], 5)
        assert together.doc_ids.tolist() == alone.doc_ids.tolist()
        np.testing.assert_allclose(together.distances, alone.distances, rtol=1e-5, atol=1e-5)
        assert together.explanation is not None
        assert together.explanation.plan in ("plain", "exact")
        assert together.explanation.distances > 0


def test_places_that_are_not_filled_are_marked() -> None:
    index = filled()
    allow = AllowList(BitMap([3, 2_999]))
    found = index.search_many(ROWS[:9], 4, allow=allow, threads=2)
    assert found.counts.tolist() == [2] * 9
    assert (found.doc_ids[:, 2:] == NO_DOC).all()
    assert np.isinf(found.distances[:, 2:]).all()
    assert sorted(found[8].doc_ids.tolist()) == [3, 2_999]
    assert len(index.search_many(ROWS[:2], 10**12).doc_ids[0]) == 3000


def test_nothing_to_ask_and_nothing_in_it() -> None:
    index = filled(10)
    assert index.search_many(ROWS[:0], 4).doc_ids.shape == (0, 4)
    assert index.search_many(ROWS[:3], 0).counts.tolist() == [0, 0, 0]
    with pytest.raises(IndexError):
        index.search_many(ROWS[:3], 1)[3]
    index.delete(np.arange(10, dtype=np.uint32))
    assert list(index.search_many(ROWS[:2], 4)[1].doc_ids) == []


def test_one_bad_query_fails_the_batch() -> None:
    index = filled()
    queries = ROWS[:200].copy()
    queries[150, 3] = np.nan
    for threads in (1, 3):
        with pytest.raises(InvalidRequest, match="not finite"):
            index.search_many(queries, 4, threads=threads)
        with pytest.raises(DimensionMismatch):
            index.search_many(np.ones((40, 5), dtype=np.float32), 4, threads=threads)
    with pytest.raises(InvalidRequest, match="at least one thread"):
        index.search_many(queries, 4, threads=0)
    index.close()
    with pytest.raises(Closed):
        index.search_many(ROWS[:2], 4)


def test_a_batch_runs_beside_writes() -> None:
    index = filled()
    more = np.random.default_rng(6).normal(size=(3000, 12)).astype(np.float32)

    def write() -> None:
        for first in range(0, 3000, 100):
            index.add(np.arange(3000 + first, 3100 + first, dtype=np.uint32), more[first:][:100])
            index.delete(np.arange(1000 + first // 3, 1033 + first // 3, dtype=np.uint32))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while writer.is_alive():
            found = index.search_many(ROWS[:64], 6, threads=2)
            assert found.counts.tolist() == [6] * 64
            assert found.doc_ids[:, 0].tolist() == list(range(64))
    finally:
        writer.join()
