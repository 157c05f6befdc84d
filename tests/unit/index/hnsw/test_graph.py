"""HnswIndex against the exact scan: recall, deletes, filters, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION, recall_floor, sized
from weftdb.core.config import IndexConfig
from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest, SchemaViolation
from weftdb.core.schema import HnswSettings, IndexKind, Metric, VectorConfig
from weftdb.core.types import UNNAMED, DocIds, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.factory import make_index
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels
from weftdb.index.ports import Neighbours, VectorIndex

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

NATIVE = IndexConfig(kernels="native")
COUNT = sized(6000, sanitized=2600)


def ids(start: int, stop: int, step: int = 1) -> DocIds:
    return np.arange(start, stop, step, dtype=np.uint32)


def clustered(count: int, dimensions: int, seed: int = 1) -> Rows:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(200, dimensions))
    spread = random.normal(size=(count, dimensions))
    return (centres[random.integers(0, 200, count)] + 0.7 * spread).astype(np.float32)


def make(metric: Metric = Metric.L2_SQUARED, **settings: int) -> VectorIndex:
    hnsw = HnswSettings(**{"ef_construction": EF_CONSTRUCTION, **settings})
    return make_index(VectorConfig(UNNAMED, metric=metric, hnsw=hnsw), NATIVE)


def oracle(metric: Metric = Metric.L2_SQUARED) -> FlatIndex:
    return FlatIndex(VectorConfig(UNNAMED, metric=metric), load_kernels("reference"))


def recall(index: VectorIndex, exact: VectorIndex, queries: Rows, **search: object) -> float:
    shares = []
    for query in queries:
        wanted = exact.search(query, 10, **search)
        found = index.search(query, 10, **search)
        assert len(found.doc_ids) == len(wanted.doc_ids)
        assert (np.diff(found.distances) >= 0).all()
        shares.append(len(set(found.doc_ids.tolist()) & set(wanted.doc_ids.tolist())))
    return sum(shares) / (10 * len(queries))


@pytest.mark.parametrize("metric", list(Metric))
def test_recall_on_every_metric(metric: Metric) -> None:
    rows = clustered(COUNT, 32)
    if metric is Metric.HAMMING:
        rows = np.round(rows)
    index, exact = make(metric), oracle(metric)
    for target in (index, exact):
        target.add(ids(0, COUNT), rows)
    assert index.wait_indexed(60)
    queries = clustered(50, 32, seed=2)
    if metric is Metric.HAMMING:
        # Small whole distances tie all the time: compare distances, not ids.
        pairs = [(index.search(query, 10), exact.search(query, 10)) for query in np.round(queries)]
        found, wanted = (
            np.mean([each.distances for each in side]) for side in zip(*pairs, strict=True)
        )
        assert found <= wanted + 0.05
        return
    assert recall(index, exact, queries) >= recall_floor(0.95)


def test_vectors_are_found_before_they_are_linked() -> None:
    index = make()
    rows = clustered(COUNT, 16)
    for first in range(0, COUNT, 200):
        index.add(ids(first, first + 200), rows[first : first + 200])
        for at in (first, first + 199):
            found = index.search(rows[at], 1)
            assert found.doc_ids.tolist() == [at]
    assert index.wait_indexed(60)
    assert index.pending == 0
    assert index.count == COUNT


def test_deleted_vectors_are_never_returned() -> None:
    count = sized(5000, sanitized=3300)  # A third of it is worth a compaction beside searches.
    rows = clustered(count, 16)
    index, exact = make(), oracle()
    for target in (index, exact):
        target.add(ids(0, count), rows)
    assert index.wait_indexed(60)
    gone = ids(0, count, 3)
    for target in (index, exact):
        target.delete(gone)
        target.delete(gone)
        target.delete(np.array([4_000_000_000], dtype=np.uint32))
    assert index.count == exact.count == count - len(gone)
    for query in clustered(30, 16, seed=3):
        assert not set(index.search(query, 20).doc_ids.tolist()) & set(gone.tolist())
    assert recall(index, exact, clustered(50, 16, seed=4)) >= recall_floor(0.95)


def test_graph_is_compacted_when_much_of_it_is_deleted() -> None:
    rows = clustered(COUNT, 16)
    left = COUNT - sized(3500, sanitized=1500)
    index, exact = make(), oracle()
    for target in (index, exact):
        target.add(ids(0, COUNT), rows)
    assert index.wait_indexed(60)
    for target in (index, exact):
        target.delete(ids(0, COUNT - left))
    assert index.wait_indexed(60)
    assert index.deleted == 0
    assert index.count == left
    for target in (index, exact):
        target.add(ids(7000, 7500), rows[:500])
    assert index.wait_indexed(60)
    assert recall(index, exact, clustered(50, 16, seed=4)) >= recall_floor(0.95)
    index.delete(ids(0, 8000))
    assert index.count == 0
    assert index.dimensions is None
    index.add(ids(9000, 9001), np.ones((1, 5), dtype=np.float32))
    assert index.search(np.ones(5, dtype=np.float32), 3).doc_ids.tolist() == [9000]


@pytest.mark.parametrize(("share", "steps"), [(0.15, 1), (0.5, 1), (0.8, 1), (0.8, 4)])
def test_compacted_graph_is_as_good_as_a_fresh_one(share: float, steps: int) -> None:
    # A compaction gives 1,024 slots back, or more.
    count = 8000 if share < 0.5 else sized(8000, sanitized=2600)
    rows = clustered(count, 24)
    index, fresh, exact = make(), make(), oracle()
    index.add(ids(0, count), rows)
    assert index.wait_indexed(60)
    gone = np.random.default_rng(3).permutation(count)[: int(count * share)].astype(np.uint32)
    for part in np.array_split(gone, steps):
        index.delete(np.sort(part))
        assert index.wait_indexed(60)
    assert index.native.compactions >= 1
    left = np.setdiff1d(ids(0, count), gone)
    for target in (fresh, exact):
        target.add(left, rows[left])
    assert fresh.wait_indexed(60)
    queries = clustered(100, 24, seed=4)
    wanted = recall(fresh, exact, queries, ef=40) - 0.01
    assert recall(index, exact, queries, ef=40) >= recall_floor(wanted)
    missed = [doc for doc in left.tolist() if index.search(rows[doc], 1).distances[0] != 0]
    assert len(missed) <= sized(5, sanitized=len(left))


@pytest.mark.parametrize("cutoff", [0, 40_000])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.01])
def test_filtered_search(share: float, cutoff: int) -> None:
    rows = clustered(COUNT, 16)
    index, exact = make(flat_search_cutoff=cutoff), oracle()
    for target in (index, exact):
        target.add(ids(0, COUNT), rows)
    assert index.wait_indexed(60)
    random = np.random.default_rng(7)
    allow = AllowList(BitMap(np.flatnonzero(random.random(COUNT) < share)))
    assert recall(index, exact, clustered(40, 16, seed=5), allow=allow, ef=64) >= recall_floor(0.95)


def test_filter_far_from_the_query_still_gives_k() -> None:
    rows = clustered(COUNT, 16)
    index, exact = make(flat_search_cutoff=0), oracle()
    for target in (index, exact):
        target.add(ids(0, COUNT), rows)
    assert index.wait_indexed(60)
    hits = 0
    for query in clustered(10, 16, seed=6):
        ranked = exact.search(query, COUNT).doc_ids
        allow = AllowList(BitMap(ranked[COUNT // 2 :]))
        found = index.search(query, 10, allow=allow, ef=16)
        assert len(found.doc_ids) == 10
        assert set(found.doc_ids.tolist()) <= set(allow.bitmap)
        hits += len(
            set(found.doc_ids.tolist()) & set(ranked[COUNT // 2 : COUNT // 2 + 10].tolist())
        )
    assert hits >= sized(80, sanitized=40)


def test_every_match_comes_back_when_k_is_large() -> None:
    rows = clustered(3000, 8)
    index = make()
    index.add(ids(0, 3000), rows)
    assert index.wait_indexed(60)
    found = index.search(rows[0], 5000)
    assert sorted(found.doc_ids.tolist()) == list(range(3000))
    allow = AllowList(BitMap([5, 17, 2999, 100_000]))
    assert sorted(index.search(rows[0], 10, allow=allow).doc_ids.tolist()) == [5, 17, 2999]
    assert len(index.search(rows[0], 10, allow=AllowList(BitMap())).doc_ids) == 0


def test_equal_vectors_are_all_found() -> None:
    index = make()
    index.add(ids(0, 3000), np.ones((3000, 8), dtype=np.float32))
    assert index.wait_indexed(60)
    found = index.search(np.ones(8, dtype=np.float32), 2000)
    assert len(set(found.doc_ids.tolist())) == 2000


def test_distance_max_is_inclusive() -> None:
    index = make()
    rows = np.arange(3000, dtype=np.float32)[:, None] * np.ones((1, 4), dtype=np.float32)
    index.add(ids(0, 3000), rows)
    assert index.wait_indexed(60)
    found = index.search(rows[0], 100, distance_max=4.0 * 25)
    assert found.doc_ids.tolist() == [0, 1, 2, 3, 4, 5]
    allow = AllowList(BitMap([1, 3, 5, 7]))
    assert index.search(rows[0], 9, distance_max=36.0, allow=allow).doc_ids.tolist() == [1, 3]


def test_nothing_in_the_index() -> None:
    index = make()
    empty: Neighbours = index.search(np.ones(3, dtype=np.float32), 5)
    assert len(empty.doc_ids) == len(empty.distances) == 0
    assert index.dimensions is None
    assert index.wait_indexed(0)
    assert np.isnan(index.distances(np.ones(3, dtype=np.float32), ids(0, 2))).all()
    index.delete(ids(0, 3))


@pytest.mark.parametrize("kind", ["hnsw", "flat", "reference"])
def test_bad_input_is_refused_and_changes_nothing(kind: str) -> None:
    index: VectorIndex = oracle()
    if kind != "reference":
        index = make_index(
            VectorConfig(UNNAMED, index=IndexKind(kind), metric=Metric.L2_SQUARED), NATIVE
        )
    index.add(ids(0, 2), np.ones((2, 3), dtype=np.float32))
    with pytest.raises(DimensionMismatch, match="length 4"):
        index.add(ids(2, 3), np.ones((1, 4), dtype=np.float32))
    with pytest.raises(DimensionMismatch, match="3 vs 4"):
        index.search(np.ones(4, dtype=np.float32), 1)
    with pytest.raises(DimensionMismatch):
        index.distances(np.ones(4, dtype=np.float32), ids(0, 1))
    for bad in (np.nan, np.inf, -np.inf):
        rows = np.ones((2, 3), dtype=np.float32)
        rows[1, 2] = bad
        with pytest.raises(InvalidRequest, match="finite"):
            index.add(ids(2, 4), rows)
        with pytest.raises(InvalidRequest, match="finite"):
            index.search(rows[1], 1)
    with pytest.raises(InvalidRequest, match="ascending"):
        index.add(np.array([7, 6], dtype=np.uint32), np.ones((2, 3), dtype=np.float32))
    assert index.count == 2
    index.close()
    with pytest.raises(Closed):
        index.search(np.ones(3, dtype=np.float32), 1)
    with pytest.raises(Closed):
        index.add(ids(9, 10), np.ones((1, 3), dtype=np.float32))


@pytest.mark.parametrize(
    "asked",
    [
        "count", "pending", "dimensions", "deleted", "code_bytes", "unsaved_codes", "compact",
        "memory_bytes", "delete",
    ],
)  # fmt: skip
def test_whatever_a_closed_index_is_asked_it_says_that_it_is(asked: str) -> None:
    index = make()
    index.add(ids(0, 2), np.ones((2, 3), dtype=np.float32))
    index.close()
    given = {"compact": (0.1,), "delete": (ids(0, 1),)}
    with pytest.raises(Closed, match="index is closed"):
        _ask(index, asked, given.get(asked, ()))


def _ask(index: VectorIndex, asked: str, given: tuple[object, ...]) -> None:
    found = getattr(index, asked)
    if callable(found):
        found(*given)


def test_distances_and_vector() -> None:
    index = make(Metric.COSINE)
    rows = clustered(50, 6)
    index.add(ids(10, 60), rows)
    found = index.distances(rows[0], np.array([10, 11, 999], dtype=np.uint32))
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert np.isnan(found[2])
    unit = index.vector(10)
    np.testing.assert_allclose(unit, rows[0] / np.linalg.norm(rows[0]), rtol=1e-5)
    assert index.vector(9) is None


def test_skipped_index_refuses_to_search() -> None:
    index = make_index(VectorConfig(UNNAMED, hnsw=HnswSettings(skip=True)), NATIVE)
    index.add(ids(0, 1), np.ones((1, 3), dtype=np.float32))
    with pytest.raises(SchemaViolation, match="not indexed"):
        index.search(np.ones(3, dtype=np.float32), 1)


def test_reference_kernels_need_no_extension() -> None:
    assert isinstance(
        make_index(VectorConfig(UNNAMED), IndexConfig(kernels="reference")), FlatIndex
    )
