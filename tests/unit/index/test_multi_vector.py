"""The two multi-vector indexes, native and NumPy, answer alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION
from weftdb.core.config import IndexConfig
from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import Rows, VectorName
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels.reference import ReferenceKernels
from weftdb.index.multi_vector_scan import MultiVectorScan
from weftdb.index.ports import VectorIndex

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

DIM = 6


def make(kind: str, metric: Metric = Metric.COSINE) -> VectorIndex:
    from weftdb.index.multi_vector import MultiVectorIndex

    hnsw = HnswSettings(ef_construction=EF_CONSTRUCTION)
    config = VectorConfig(VectorName("m"), metric=metric, multi_vector=True, hnsw=hnsw)
    if kind == "native":
        return MultiVectorIndex(config, IndexConfig(), candidate_docs_min=200)
    return MultiVectorScan(config, ReferenceKernels())


def matrices(count: int, seed: int = 1) -> list[Rows]:
    random = np.random.default_rng(seed)
    return [
        random.normal(size=(int(random.integers(1, 9)), DIM)).astype(np.float32)
        for _ in range(count)
    ]


def add(index: VectorIndex, first: int, docs: Sequence[Rows]) -> None:
    ids = np.arange(first, first + len(docs), dtype=np.uint32)
    index.add(np.repeat(ids, [len(rows) for rows in docs]), np.concatenate(docs))


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.uint32)


both = pytest.mark.parametrize("kind", ["native", "scan"])


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2_SQUARED])
@pytest.mark.parametrize("limit", [None, 0.5])
def test_native_and_scan_agree(metric: Metric, limit: float | None) -> None:
    native, scan = make("native", metric), make("scan", metric)
    docs = matrices(300)
    for index in (native, scan):
        add(index, 5, docs)
        index.delete(np.arange(5, 305, 3, dtype=np.uint32))
    allow = AllowList(BitMap(range(0, 400, 2)))
    for query in matrices(5, seed=2):
        for allowed in (None, allow):
            left = native.search(query, 20, allow=allowed, distance_max=limit)
            right = scan.search(query, 20, allow=allowed, distance_max=limit)
            assert left.doc_ids.tolist() == right.doc_ids.tolist()
            assert np.allclose(left.distances, right.distances, atol=1e-5)
    wanted = ids(5, 6, 7, 8, 1_000)
    left, right = (index.distances(docs[0], wanted) for index in (native, scan))
    assert np.isnan(left).tolist() == np.isnan(right).tolist() == [True, False, False, True, True]
    assert np.allclose(left[1:3], right[1:3], atol=1e-5)
    assert native.count == scan.count == 200


@both
def test_distance_of_the_search_is_that_of_the_lookup(kind: str) -> None:
    index, docs = make(kind), matrices(50)
    add(index, 0, docs)
    found = index.search(docs[7], 50)
    assert index.distances(docs[7], found.doc_ids).tolist() == found.distances.tolist()


@both
def test_deletions_give_the_memory_back_and_free_the_dimensions(kind: str) -> None:
    index, docs = make(kind), matrices(4_000)
    add(index, 0, docs)
    assert index.wait_indexed(60)
    full = index.memory_bytes()
    index.delete(np.arange(0, 3_000, dtype=np.uint32))
    assert index.wait_indexed(60)
    assert index.memory_bytes() < full / 2
    assert index.count == 1_000
    left = index.search(docs[3_500], 1_000)
    assert sorted(left.doc_ids.tolist()) == list(range(3_000, 4_000))
    assert np.isnan(index.distances(docs[0], ids(0))).all()
    index.delete(np.arange(0, 4_000, dtype=np.uint32))
    assert index.dimensions is None
    assert len(index.search(docs[0], 3).doc_ids) == 0
    index.add(ids(4_001, 4_001), np.ones((2, DIM + 1), np.float32))
    assert index.dimensions == DIM + 1


@both
@pytest.mark.parametrize(
    ("doc_ids", "rows", "error", "message"),
    [
        (ids(9), np.ones((1, DIM + 1)), DimensionMismatch, "multi vector with length 7"),
        (ids(9, 9), np.full((2, DIM), np.nan), InvalidRequest, "not finite"),
        (ids(9, 8), np.ones((2, DIM)), InvalidRequest, "ascending"),
        (ids(2, 9), np.ones((2, DIM)), InvalidRequest, "."),
    ],
)
def test_bad_rows_are_refused_as_a_whole(
    kind: str, doc_ids: np.ndarray, rows: np.ndarray, error: type[Exception], message: str
) -> None:
    index = make(kind)
    add(index, 0, matrices(3))
    with pytest.raises(error, match=message):
        index.add(doc_ids, rows.astype(np.float32))
    assert index.count == 3


@both
def test_bad_queries(kind: str) -> None:
    index = make(kind)
    add(index, 0, matrices(3))
    with pytest.raises(DimensionMismatch, match="vector lengths don't match: 6 vs 5"):
        index.search(np.ones((2, 5), np.float32), 3)
    with pytest.raises(InvalidRequest, match="not finite"):
        index.search(np.full((1, DIM), np.inf, np.float32), 3)
    with pytest.raises(InvalidRequest, match="matrix"):
        index.search(np.ones(DIM, np.float32), 3)
    index.close()
    with pytest.raises(Closed):
        index.search(np.ones((1, DIM), np.float32), 3)


@both
def test_long_and_short_docs_keep_their_rows_together(kind: str) -> None:
    """Rows of a doc never straddle two chunks of native memory, which grow by doubling."""
    random = np.random.default_rng(4)
    index = make(kind, Metric.DOT)
    docs = [
        random.normal(size=(int(size), DIM)).astype(np.float32)
        for size in (1, 700, 3, 90, 2, 1, 33, 2_000, 5)
    ]
    for doc, rows in enumerate(docs):
        add(index, doc, [rows])
    query = random.normal(size=(4, DIM)).astype(np.float32)
    expected = [-(query @ rows.T).max(axis=1).sum() for rows in docs]
    assert np.allclose(index.distances(query, np.arange(9, dtype=np.uint32)), expected, atol=1e-4)
