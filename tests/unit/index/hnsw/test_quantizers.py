"""Quantizers of an index: recall, exact distances, and switching while it is used."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from tests.sizes import recall_floor, sized
from weftdb.core.config import IndexConfig
from weftdb.core.schema import Compression, HnswSettings, IndexKind, Metric, Quantizer, VectorConfig
from weftdb.core.types import UNNAMED, DocId
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import NEVER_LINKED, HnswIndex

DIMENSIONS = sized(256, sanitized=64)
COUNT = 4_000
K = 10
Floats = NDArray[np.float32]

KINDS = {
    "rq8": Quantizer(Compression.ROTATIONAL, bits=8, rescore_limit=20),
    "rq4": Quantizer(Compression.ROTATIONAL, bits=4, rescore_limit=20),
    "rq1": Quantizer(Compression.ROTATIONAL, bits=1, rescore_limit=512),
    "sq": Quantizer(Compression.SCALAR, rescore_limit=20, training_limit=2_000),
    "bq": Quantizer(Compression.BINARY),
    "pq": Quantizer(Compression.PRODUCT, training_limit=2_000, centroids=64),
}
RECALL_MIN = {
    name: recall_floor(least)
    for name, least in {
        "rq8": 0.97, "sq": 0.97, "rq4": 0.95, "rq1": 0.95, "bq": 0.95, "pq": 0.95, "none": 0.98
    }.items()
}  # fmt: skip
BYTE_CODES = DIMENSIONS + 16
"""Bytes of a code of one byte a dimension."""


def vectors(count: int, seed: int = 1) -> Floats:
    """Clustered, with a spectrum that falls as that of embeddings does."""
    random = np.random.default_rng(seed)
    spectrum = (1 + np.arange(DIMENSIONS)) ** -0.4
    centres = np.random.default_rng(0).standard_normal((40, DIMENSIONS))
    noise = random.standard_normal((count, DIMENSIONS))
    rows = (0.7 * centres[random.integers(0, 40, count)] + noise) * spectrum
    return np.ascontiguousarray(
        rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32
    )


def make(
    quantizer: Quantizer | None, metric: Metric = Metric.COSINE, link_min: int = 1024
) -> HnswIndex:
    hnsw = HnswSettings(ef=200, ef_construction=sized(64, sanitized=16))
    config = VectorConfig(UNNAMED, metric=metric, hnsw=hnsw, quantizer=quantizer)
    return HnswIndex(config, IndexConfig(), link_min=link_min)


def config_of(quantizer: Quantizer | None) -> VectorConfig:
    return VectorConfig(UNNAMED, quantizer=quantizer)


def exact(rows: Floats, query: Floats, metric: Metric) -> Floats:
    if metric is Metric.L2_SQUARED:
        return np.asarray(np.sum((rows - query) ** 2, axis=1), dtype=np.float32)
    products = rows @ query
    return np.asarray(-products if metric is Metric.DOT else 1 - products, dtype=np.float32)


def recall(index: HnswIndex, rows: Floats, queries: Floats, metric: Metric) -> float:
    hits = 0
    for query in queries:
        truth = exact(rows, query, metric)
        found = index.search(query, K)
        assert len(found.doc_ids) == K
        # Whatever the walk was led by, the distances that come out are those of the vectors.
        np.testing.assert_allclose(found.distances, truth[found.doc_ids], rtol=1e-4, atol=1e-5)
        assert (np.diff(found.distances) >= 0).all()
        hits += len(set(found.doc_ids.tolist()) & set(np.argsort(truth)[:K].tolist()))
    return hits / (K * len(queries))


@pytest.fixture(scope="module")
def rows() -> Floats:
    return vectors(COUNT)


@pytest.fixture(scope="module")
def queries() -> Floats:
    return vectors(40, seed=2)


@pytest.mark.parametrize("name", KINDS)
def test_recall_when_quantized_from_the_start(name: str, rows: Floats, queries: Floats) -> None:
    index = make(KINDS[name])
    index.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    assert index.code_bytes > 0, index.quantizer_fault
    assert recall(index, rows, queries, Metric.COSINE) >= RECALL_MIN[name]
    index.close()


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2_SQUARED])
def test_recall_after_each_switch(metric: Metric, rows: Floats, queries: Floats) -> None:
    index = make(None, metric)
    index.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    for name, quantizer in KINDS.items():
        index.quantize(config_of(quantizer))
        assert index.wait_indexed(60)
        assert index.code_bytes > 0, (name, index.quantizer_fault)
        assert recall(index, rows, queries, metric) >= RECALL_MIN[name], name
    index.quantize(config_of(None))
    assert index.wait_indexed(60)
    assert index.code_bytes == 0
    assert recall(index, rows, queries, metric) >= RECALL_MIN["none"]
    index.close()


@pytest.mark.parametrize("name", ["rq8", "bq"])
def test_a_flat_index_scans_codes(name: str, rows: Floats, queries: Floats) -> None:
    index = make(KINDS[name], link_min=NEVER_LINKED)
    index.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    assert recall(index, rows, queries, Metric.COSINE) >= RECALL_MIN["rq8"]
    index.close()


@pytest.mark.parametrize("allowed", [0, 1, 7, 60, 1_000])
def test_filters_and_limits_hold_with_codes(allowed: int, rows: Floats, queries: Floats) -> None:
    index = make(KINDS["rq8"])
    index.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    docs = np.random.default_rng(3).choice(COUNT, allowed, replace=False)
    allow = AllowList(BitMap(docs.tolist()))
    for query in queries[:5]:
        found = index.search(query, K, allow=allow)
        assert len(found.doc_ids) == min(K, allowed)
        assert set(found.doc_ids.tolist()) <= set(docs.tolist())
    truth = np.sort(exact(rows, queries[0], Metric.COSINE))
    near = index.search(queries[0], 100, distance_max=float(truth[4]) + 1e-6)
    assert len(near.doc_ids) == 5
    index.close()


def test_deleted_vectors_stay_away_and_a_rebuild_keeps_the_codes(rows: Floats) -> None:
    index = make(KINDS["rq8"])
    index.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    index.delete(np.arange(0, 3_000, dtype=np.uint32))
    assert index.wait_indexed(60)
    assert index.code_bytes == BYTE_CODES
    found = index.search(rows[10], K)
    assert (found.doc_ids >= 3_000).all()
    assert index.search(rows[3_500], 1).doc_ids.tolist() == [3_500]
    index.close()


def test_codes_that_learn_wait_for_enough_vectors(rows: Floats) -> None:
    index = make(replace(KINDS["sq"], training_limit=3_000))
    index.add(np.arange(1_000, dtype=np.uint32), rows[:1_000])
    assert index.wait_indexed(60)
    assert index.code_bytes == 0
    assert index.search(rows[7], 1).doc_ids.tolist() == [7]
    index.add(np.arange(1_000, COUNT, dtype=np.uint32), rows[1_000:])
    assert index.wait_indexed(60)
    assert index.code_bytes == BYTE_CODES
    index.close()


def test_segments_that_do_not_divide_leave_it_uncompressed(
    rows: Floats, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Quantizer(Compression.PRODUCT, segments=7, training_limit=2_000, centroids=16)
    before = make(odd)  # The dimensions are not known yet.
    before.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert before.wait_indexed(60)
    assert (before.code_bytes, f"do not divide {DIMENSIONS}" in before.quantizer_fault) == (0, True)
    before.quantize(config_of(odd))
    assert f"do not divide {DIMENSIONS}" in caplog.text
    assert before.search(rows[7], 1).doc_ids.tolist() == [7]
    before.close()


def test_hfresh_keeps_vectors() -> None:
    config = VectorConfig(UNNAMED, index=IndexKind.HFRESH, quantizer=KINDS["rq1"])
    index = HnswIndex(config, IndexConfig())
    index.add(np.arange(5, dtype=np.uint32), vectors(5))
    assert index.code_bytes == 0
    index.close()


def test_codes_come_back_after_a_restart(rows: Floats, tmp_path: Path, queries: Floats) -> None:
    index = make(KINDS["rq8"])
    index.add(np.arange(COUNT, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    index.save(tmp_path / "graph")
    index.close()
    again = make(KINDS["rq8"])
    missing = again.load(tmp_path / "graph", AllowList(BitMap(range(COUNT))))
    assert len(missing) == 0
    assert again.wait_indexed(60)
    assert again.code_bytes == BYTE_CODES
    assert recall(again, rows, queries, Metric.COSINE) >= RECALL_MIN["rq8"]
    again.close()


def test_switching_while_it_is_searched_and_written() -> None:
    """No search fails, misses what was added before it, or returns what was deleted before it.

    Each switch begins beside writes; every other one is overtaken by the next."""
    switches = ("rq8", "sq", "none", "pq", "rq1", "bq", "rq4", "none", "rq8")
    batch, turns_each = 50, 6
    rows = vectors(1_500 + len(switches) * turns_each * batch, seed=5)
    index = make(None)
    index.add(np.arange(1_500, dtype=np.uint32), rows[:1_500])
    stop, turns = threading.Event(), threading.Semaphore(0)

    def search(seed: int) -> int:
        random = np.random.default_rng(seed)
        searches = 0
        while not stop.is_set():
            doc = int(random.integers(500, 1_500))
            found = index.search(rows[doc], 5)
            assert found.doc_ids[0] == doc
            assert found.distances[0] < 1e-5
            searches += 1
        return searches

    def write() -> None:
        for number, start in enumerate(range(1_500, len(rows), batch)):
            if not turns.acquire(timeout=60):
                return
            index.add(np.arange(start, start + batch, dtype=np.uint32), rows[start : start + batch])
            gone = np.arange(8 * number, 8 * number + 8, dtype=np.uint32)
            index.delete(gone[gone < 500])

    small = {
        "sq": replace(KINDS["sq"], training_limit=1_000),
        "pq": replace(KINDS["pq"], training_limit=1_000, centroids=16),
    }
    with ThreadPoolExecutor(3) as threads:
        searchers = [threads.submit(search, seed) for seed in range(2)]
        writer = threads.submit(write)
        try:
            for number, name in enumerate(switches):
                turns.release(turns_each)
                quantizer = None if name == "none" else small.get(name, KINDS[name])
                index.quantize(config_of(quantizer))
                if number % 2 == 0:
                    assert index.wait_indexed(60)
            writer.result(60)
            assert index.wait_indexed(60)
        finally:
            stop.set()
        assert all(searcher.result(60) > 0 for searcher in searchers)
    assert index.code_bytes == BYTE_CODES
    assert index.count == len(rows) - 432
    last = len(rows) - 1
    assert index.search(rows[last], 1).doc_ids.tolist() == [last]
    index.close()


def test_vectors_leave_memory_while_codes_stand_for_them(tmp_path: Path, queries: Floats) -> None:
    rows = vectors(9_000)
    hnsw = HnswSettings(ef=200, ef_construction=32)
    index = HnswIndex(VectorConfig(UNNAMED, hnsw=hnsw), IndexConfig())
    index.keep_rows_in(tmp_path)
    index.add(np.arange(6_000, dtype=np.uint32), rows[:6_000])
    assert index.wait_indexed(60)
    full = index.memory_bytes()
    index.quantize(config_of(KINDS["rq8"]))
    assert index.wait_indexed(60)
    # Chunks below a mebibyte stay; of the floats of 6,000 vectors most are gone. The codes' last
    # chunk counts up to the end of its huge page.
    gone = sized(8, sanitized=5) / 10 * rows[:6_000].nbytes
    assert index.memory_bytes() < full - gone + 6_000 * BYTE_CODES + (2 << 20)
    assert list(tmp_path.iterdir()) == []  # The file has no name.
    index.add(np.arange(6_000, 9_000, dtype=np.uint32), rows[6_000:])
    assert index.wait_indexed(60)
    assert recall(index, rows, queries, Metric.COSINE) >= RECALL_MIN["rq8"]
    vector = index.vector(DocId(8_999))
    assert vector is not None
    np.testing.assert_allclose(vector, rows[8_999], atol=1e-6)
    index.delete(np.arange(0, 6_000, dtype=np.uint32))
    assert index.wait_indexed(60)
    assert index.memory_bytes() < 3_000 * (BYTE_CODES + 400) + (2 << 20)
    index.quantize(config_of(None))
    assert index.wait_indexed(60)
    assert index.memory_bytes() > rows[6_000:].nbytes
    assert index.search(rows[7_777], 1).doc_ids.tolist() == [7_777]
    index.close()


def test_vectors_stay_in_memory_where_the_disk_takes_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    count = sized(3_000, sanitized=6_000)  # More than a mebibyte: less would stay anyway.
    rows = vectors(count)
    index = HnswIndex(config_of(KINDS["rq8"]), IndexConfig())
    (tmp_path / "file").write_bytes(b"")
    index.keep_rows_in(tmp_path / "file")
    assert "stay in memory" in caplog.text
    index.keep_rows_in(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    index.add(np.arange(count, dtype=np.uint32), rows)
    assert index.wait_indexed(60)
    assert index.code_bytes == BYTE_CODES
    assert "stay in memory" in index.quantizer_fault
    assert index.memory_bytes() > rows.nbytes
    assert index.search(rows[7], 1).doc_ids.tolist() == [7]
    index.close()
