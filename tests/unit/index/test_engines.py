"""One contract for every index: our own of each kind, the hnswlib engine, the reference scan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import (
    Closed,
    CorruptData,
    DimensionMismatch,
    InvalidRequest,
    SchemaViolation,
    Unsupported,
)
from weftdb.core.schema import (
    Compression,
    HnswSettings,
    IndexKind,
    Metric,
    Quantizer,
    VectorConfig,
)
from weftdb.core.types import UNNAMED, DocIds, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.batches import search_many
from weftdb.index.factory import check_node, check_vector, make_index
from weftdb.index.flat import FlatIndex
from weftdb.index.hnswlib_index import HnswlibIndex
from weftdb.index.kernels import load_kernels
from weftdb.index.ports import VectorIndex

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

NODES = {
    "hnsw": IndexConfig(kernels="native"),
    "flat": IndexConfig(kernels="native"),
    "dynamic": IndexConfig(kernels="native"),
    "hnswlib": IndexConfig(kernels="native", engine="hnswlib"),
    "reference": IndexConfig(kernels="reference"),
}
HNSWLIB = NODES["hnswlib"]
COUNT, DIMENSIONS = 4_000, 12
ROWS = np.random.default_rng(1).normal(size=(COUNT, DIMENSIONS)).astype(np.float32)
QUERIES = np.random.default_rng(2).normal(size=(25, DIMENSIONS)).astype(np.float32)

needs_hnswlib = pytest.mark.skipif(find_spec("hnswlib") is None, reason="no package hnswlib")


def ids(start: int, stop: int, step: int = 1) -> DocIds:
    return np.arange(start, stop, step, dtype=np.uint32)


def config(engine: str, metric: Metric = Metric.L2_SQUARED, **settings: Any) -> VectorConfig:
    kinds = {"flat": IndexKind.FLAT, "dynamic": IndexKind.DYNAMIC}
    return VectorConfig(
        UNNAMED,
        index=kinds.get(engine, IndexKind.HNSW),
        metric=metric,
        hnsw=HnswSettings(**settings),
        dynamic_threshold=1_500,
    )


@pytest.fixture(
    params=["hnsw", "flat", "dynamic", pytest.param("hnswlib", marks=needs_hnswlib), "reference"]
)
def engine(request: pytest.FixtureRequest) -> str:
    """What serves."""
    return str(request.param)


@pytest.fixture
def make(engine: str) -> Callable[..., VectorIndex]:
    """Makes an empty index of the engine."""
    return lambda **settings: make_index(config(engine, **settings), NODES[engine])


def exact(metric: Metric = Metric.L2_SQUARED) -> FlatIndex:
    return FlatIndex(config("hnsw", metric), load_kernels("reference"))


def recall(index: VectorIndex, model: VectorIndex, queries: Rows, **search: Any) -> float:
    hits = 0
    for query in queries:
        wanted, found = model.search(query, 10, **search), index.search(query, 10, **search)
        assert len(found.doc_ids) == len(wanted.doc_ids)
        np.testing.assert_allclose(
            found.distances, model.distances(query, found.doc_ids), rtol=1e-4, atol=1e-5
        )
        hits += len(set(found.doc_ids.tolist()) & set(wanted.doc_ids.tolist()))
    return hits / (10 * len(queries))


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2_SQUARED])
def test_recall_and_exact_distances(make: Callable[..., VectorIndex], metric: Metric) -> None:
    index, model = make(metric=metric), exact(metric)
    for target in (index, model):
        for start in range(0, COUNT, 1_000):
            target.add(ids(start, start + 1_000), ROWS[start : start + 1_000])
    assert index.wait_indexed(60)
    assert recall(index, model, QUERIES) >= 0.95
    index.close()


@pytest.mark.parametrize("cutoff", [0, 40_000])
@pytest.mark.parametrize("share", [0.9, 0.4, 0.02])
def test_filters(make: Callable[..., VectorIndex], share: float, cutoff: int) -> None:
    index, model = make(flat_search_cutoff=cutoff), exact()
    for target in (index, model):
        target.add(ids(0, COUNT), ROWS)
    assert index.wait_indexed(60)
    chosen = np.flatnonzero(np.random.default_rng(3).random(COUNT) < share)
    allow = AllowList(BitMap(chosen))
    assert recall(index, model, QUERIES, allow=allow, ef=128) >= 0.95


def test_deletes_rebuild_and_come_back(make: Callable[..., VectorIndex]) -> None:
    index, model = make(), exact()
    for target in (index, model):
        target.add(ids(0, 3_000), ROWS[:3_000])
        target.delete(ids(0, 3_000, 3))
        target.delete(ids(0, 3_000, 3))
        target.delete(ids(0, 1_900))
        target.add(ids(3_000, COUNT), ROWS[3_000:])
    assert index.wait_indexed(60)
    assert index.count == model.count
    assert recall(index, model, QUERIES) >= 0.95
    index.delete(ids(0, COUNT))
    assert index.count == 0
    assert index.dimensions is None
    index.add(ids(5_000, 5_001), np.ones((1, 3), dtype=np.float32))
    assert index.search(np.ones(3, dtype=np.float32), 5).doc_ids.tolist() == [5_000]


def test_all_of_them_when_k_is_large(make: Callable[..., VectorIndex]) -> None:
    index = make()
    index.add(ids(0, 2_500), ROWS[:2_500])
    assert index.wait_indexed(60)
    assert sorted(index.search(QUERIES[0], 9_000).doc_ids.tolist()) == list(range(2_500))
    assert sorted(index.search(QUERIES[0], 2_400).doc_ids.tolist())[0] < 100
    allow = AllowList(BitMap([7, 2_499, 77_777]))
    assert sorted(index.search(QUERIES[0], 10, allow=allow).doc_ids.tolist()) == [7, 2_499]
    assert len(index.search(QUERIES[0], 10, allow=AllowList(BitMap())).doc_ids) == 0
    assert len(index.search(QUERIES[0], 0).doc_ids) == 0


def test_distance_max_is_inclusive(make: Callable[..., VectorIndex]) -> None:
    index = make()
    rows = np.arange(2_000, dtype=np.float32)[:, None] * np.ones((1, 4), dtype=np.float32)
    index.add(ids(0, 2_000), rows)
    assert index.wait_indexed(60)
    assert index.search(rows[0], 50, distance_max=100.0).doc_ids.tolist() == [0, 1, 2, 3, 4, 5]


def test_many_queries_answer_as_one_by_one(make: Callable[..., VectorIndex]) -> None:
    index = make()
    index.add(ids(0, COUNT), ROWS)
    assert index.wait_indexed(60)
    allow = AllowList(BitMap(range(0, COUNT, 2)))
    for options in ({}, {"allow": allow}, {"ef": 200, "distance_max": 12.0}):
        together = search_many(index, QUERIES, 7, **options)
        assert len(together) == len(QUERIES)
        for query, found in zip(QUERIES, together, strict=True):
            alone = index.search(query, 7, **options)
            assert found.doc_ids.tolist() == alone.doc_ids.tolist()
            np.testing.assert_allclose(found.distances, alone.distances, rtol=1e-5)
    assert list(search_many(index, QUERIES[:0], 7)) == []


def test_nothing_in_it(make: Callable[..., VectorIndex]) -> None:
    index = make()
    assert len(index.search(np.ones(3, dtype=np.float32), 5).doc_ids) == 0
    assert np.isnan(index.distances(np.ones(3, dtype=np.float32), ids(0, 2))).all()
    index.delete(ids(0, 3))
    assert index.dimensions is None
    assert index.pending == 0


def test_bad_input_changes_nothing(make: Callable[..., VectorIndex]) -> None:
    index = make()
    index.add(ids(0, 2), np.ones((2, 3), dtype=np.float32))
    bad = np.array([[1, np.nan, 2]], dtype=np.float32)
    with pytest.raises(DimensionMismatch):
        index.add(ids(2, 3), np.ones((1, 4), dtype=np.float32))
    with pytest.raises(InvalidRequest):
        index.add(ids(2, 3), bad)
    with pytest.raises(InvalidRequest):
        index.add(ids(1, 2), np.ones((1, 3), dtype=np.float32))
    with pytest.raises(DimensionMismatch):
        index.search(np.ones(4, dtype=np.float32), 1)
    with pytest.raises(InvalidRequest):
        index.search(bad[0], 1)
    assert index.count == 2
    index.close()
    with pytest.raises(Closed):
        index.search(np.ones(3, dtype=np.float32), 1)


def test_saved_and_loaded(make: Callable[..., VectorIndex], tmp_path: Path, engine: str) -> None:
    path = tmp_path / "one.snapshot"
    index, model = make(), exact()
    for target in (index, model):
        target.add(ids(0, COUNT), ROWS)
        target.delete(ids(0, 100))
    index.save(path)
    for target in (index, model):
        target.delete(ids(100, 200))
    live = AllowList(BitMap(range(200, COUNT + 5)))
    again = make()
    missing = again.load(path, live) if path.exists() else live.doc_ids()
    if engine == "reference":
        assert len(missing) == live.count, "nothing is kept, all comes from the store"
        return
    assert missing.tolist() == list(range(COUNT, COUNT + 5))
    assert again.wait_indexed(60)
    assert again.count == COUNT - 200
    assert recall(again, model, QUERIES) >= 0.95


def test_searches_beside_a_writer(make: Callable[..., VectorIndex]) -> None:
    index, wrong, stop = make(), [], threading.Event()
    index.add(ids(0, 500), ROWS[:500])

    def look() -> None:
        random = np.random.default_rng(4)
        while not stop.is_set():
            at = int(random.integers(0, 500))
            if index.search(ROWS[at], 1).doc_ids.tolist() != [at]:
                wrong.append(at)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in range(500, COUNT, 500):
        index.add(ids(start, start + 500), ROWS[start : start + 500])
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not wrong


@needs_hnswlib
def test_the_setting_chooses() -> None:
    assert isinstance(make_index(config("hnsw"), HNSWLIB), HnswlibIndex)
    assert not isinstance(make_index(config("flat"), HNSWLIB), HnswlibIndex)
    assert not isinstance(make_index(config("hnsw"), NODES["hnsw"]), HnswlibIndex)
    with pytest.raises(SchemaViolation, match="manhattan"):
        check_vector(config("hnsw", Metric.MANHATTAN), HNSWLIB)
    packed = VectorConfig(UNNAMED, quantizer=Quantizer(Compression.BINARY))
    with pytest.raises(SchemaViolation, match="no quantizers"):
        check_vector(packed, HNSWLIB)
    check_vector(packed, NODES["hnsw"])


@needs_hnswlib
@pytest.mark.parametrize("harm", ["cut", "flipped", "missing", "about", "other"])
def test_a_damaged_snapshot_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "one.snapshot"
    index = make_index(config("hnsw"), HNSWLIB)
    index.add(ids(0, 50), ROWS[:50])
    index.save(path)
    graph = Path(f"{path}.hnswlib")
    whole = graph.read_bytes()
    match harm:
        case "cut":
            graph.write_bytes(whole[:-9])
        case "flipped":
            graph.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
        case "missing":
            graph.unlink()
        case "about":
            path.write_bytes(b"\x00\xff not json")
        case _:
            pass
    wanted = config("hnsw", **({"max_connections": 8} if harm == "other" else {}))
    with pytest.raises(CorruptData):
        make_index(wanted, HNSWLIB).load(path, AllowList(BitMap(range(50))))


@needs_hnswlib
def test_an_empty_index_leaves_no_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "one.snapshot"
    index = make_index(config("hnsw"), HNSWLIB)
    index.add(ids(0, 50), ROWS[:50])
    index.save(path)
    index.delete(ids(0, 50))
    index.save(path)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *rest: Any) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(Unsupported, match=r"pip install 'weftdb\[hnswlib\]'"):
        check_node(HNSWLIB)
    check_node(NODES["hnsw"])
