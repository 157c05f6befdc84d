"""Walks over graphs with deleted nodes: as good as without, and a deleted doc is never found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.sizes import EF_CONSTRUCTION, recall_floor
from weftdb.core.config import IndexConfig
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED, DocIds, Rows

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex

COUNT = 7500
COUNT_MANY = 16_000
NEAR = 2_200
"""Less than a seventh, which would begin a compaction; more than the array of a beam holds."""
RANDOM = np.random.default_rng(8)
CENTRES = RANDOM.normal(size=(60, 16))
ROWS: Rows = (
    CENTRES[RANDOM.integers(0, 60, COUNT_MANY)] + 0.5 * RANDOM.normal(size=(COUNT_MANY, 16))
).astype(np.float32)
QUERIES: Rows = ROWS[RANDOM.permutation(COUNT)[:60]]


def filled(count: int) -> HnswIndex:
    hnsw = HnswSettings(ef_construction=EF_CONSTRUCTION)
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=hnsw)
    index = HnswIndex(config, IndexConfig())
    index.add(np.arange(count, dtype=np.uint32), ROWS[:count])
    assert index.wait_indexed(60)
    return index


def nearest(query: Rows, live: DocIds, k: int) -> DocIds:
    """The exact neighbours among the live docs."""
    distances = ((ROWS[live] - query) ** 2).sum(axis=1)
    return live[np.argsort(distances)[:k]]


def recall(index: HnswIndex, live: DocIds, k: int, ef: int) -> float:
    hits = 0
    for query, found in zip(QUERIES, index.search_many(QUERIES, k, ef=ef), strict=True):
        assert len(found.doc_ids) == k
        assert np.isin(found.doc_ids, live).all()
        assert (np.diff(found.distances) >= 0).all()
        hits += len(np.intersect1d(found.doc_ids, nearest(query, live, k)))
    return hits / (k * len(QUERIES))


@pytest.mark.parametrize("ef", [10, 64])
def test_scattered_deletions_cost_no_recall(ef: int) -> None:
    index = filled(COUNT)
    everything = np.arange(COUNT, dtype=np.uint32)
    before = recall(index, everything, 10, ef)
    gone = np.sort(np.random.default_rng(9).permutation(COUNT)[:1000]).astype(np.uint32)
    index.delete(gone)
    assert index.deleted == 1000
    live = np.setdiff1d(everything, gone)
    assert recall(index, live, 10, ef) >= recall_floor(before - 0.02)
    explanation = index.search(QUERIES[0], 10, ef=ef).explanation
    assert explanation is not None
    assert explanation.plan == "plain"
    assert not explanation.gave_up


def test_everything_near_the_query_is_deleted() -> None:
    index = filled(COUNT_MANY)
    everything = np.arange(COUNT_MANY, dtype=np.uint32)
    gone = np.sort(nearest(QUERIES[0], everything, NEAR))
    index.delete(gone)
    assert index.deleted == NEAR
    live = np.setdiff1d(everything, gone)
    wanted = nearest(QUERIES[0], live, 10)
    for ef in (10, 40, 300):
        found = index.search(QUERIES[0], 10, ef=ef)
        assert np.isin(found.doc_ids, live).all()
        assert len(np.intersect1d(found.doc_ids, wanted)) >= 10 * recall_floor(0.8)
        assert found.explanation is not None
        # More than an array holds stood between the query and what is live.
        assert found.explanation.visited > NEAR or found.explanation.plan == "exact"
