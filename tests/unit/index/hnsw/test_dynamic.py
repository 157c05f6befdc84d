"""DynamicIndex: exact below the threshold, a graph after it, every doc found all the while."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import sized
from weftdb.core.config import IndexConfig
from weftdb.core.schema import HnswSettings, IndexKind, Metric, VectorConfig
from weftdb.core.types import UNNAMED, DocIds, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.factory import make_index
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.dynamic import DynamicIndex

DIMENSIONS = 16
COUNT = sized(20_000, sanitized=6_000)


def make(threshold: int = 2_000) -> DynamicIndex:
    config = VectorConfig(
        UNNAMED,
        index=IndexKind.DYNAMIC,
        metric=Metric.L2_SQUARED,
        hnsw=HnswSettings(flat_search_cutoff=0),
        dynamic_threshold=threshold,
    )
    index = make_index(config, IndexConfig(kernels="native"))
    assert isinstance(index, DynamicIndex)
    return index


def rows(count: int, seed: int = 1) -> Rows:
    return np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)


def ids(start: int, stop: int) -> DocIds:
    return np.arange(start, stop, dtype=np.uint32)


def test_flat_until_the_threshold_is_passed() -> None:
    index, vectors = make(), rows(5_000)
    index.add(ids(0, 2_000), vectors[:2_000])
    assert not index.is_upgraded
    assert index.pending == 0, "a flat index has nothing to link"
    index.add(ids(2_000, 5_000), vectors[2_000:])
    assert index.is_upgraded
    assert index.wait_indexed(60)
    assert index.pending == 0


def test_deleted_vectors_do_not_count() -> None:
    index, vectors = make(), rows(4_000)
    for start in range(0, 3_500, 500):
        index.add(ids(start, start + 500), vectors[start : start + 500])
        index.delete(ids(start, start + 250))
    assert index.count == 1_750
    assert not index.is_upgraded


def test_it_stays_a_graph_when_its_vectors_go() -> None:
    index, vectors = make(), rows(4_000)
    index.add(ids(0, 3_000), vectors[:3_000])
    index.delete(ids(0, 3_000))
    assert index.count == 0
    index.add(ids(3_000, 4_000), vectors[3_000:])
    assert index.is_upgraded


def test_exact_while_it_is_flat() -> None:
    index, vectors = make(), rows(2_000)
    index.add(ids(0, 2_000), vectors)
    exact = FlatIndex(VectorConfig(UNNAMED, metric=Metric.L2_SQUARED), load_kernels("reference"))
    exact.add(ids(0, 2_000), vectors)
    for query in rows(20, seed=2):
        found, wanted = index.search(query, 10, ef=1), exact.search(query, 10)
        assert found.doc_ids.tolist() == wanted.doc_ids.tolist()


def test_no_query_misses_a_doc_during_the_switch() -> None:
    """Each query asks for a vector that is in the index; its own doc must come first, alone and
    under a filter, before, during and after the switch."""
    index, vectors = make(), rows(COUNT)
    index.add(ids(0, 2_000), vectors[:2_000])
    stop, wrong, asked = threading.Event(), [], [0, 0]

    def ask() -> None:
        random = np.random.default_rng(3)
        while not stop.is_set():
            doc = int(random.integers(0, index.count))
            found = index.search(vectors[doc], 1)
            few = AllowList(BitMap([doc, (doc + 7) % 2_000]))
            allowed = index.search(vectors[doc], 2, allow=few)
            if found.doc_ids.tolist() != [doc] or doc not in allowed.doc_ids.tolist():
                wrong.append(doc)
            if len(index.search(vectors[doc], 50).doc_ids) != 50:
                wrong.append(doc)
            asked[0] += 1
            asked[1] += int(index.is_upgraded and index.pending > 0)

    thread = threading.Thread(target=ask)
    thread.start()
    for start in range(2_000, COUNT, 1_000):
        index.add(ids(start, start + 1_000), vectors[start : start + 1_000])
    assert index.wait_indexed(120)
    stop.set()
    thread.join()
    assert index.is_upgraded
    assert asked[1] > 0, "some queries must fall into the switch"
    assert not wrong, f"{len(wrong)} of {asked[0]} queries"


def test_a_snapshot_with_links_is_a_graph_again(tmp_path: Path) -> None:
    index = make()
    index.add(ids(0, 3_000), rows(3_000))
    assert index.wait_indexed(60)
    index.save(tmp_path / "one.snapshot")
    again = make(threshold=1_000_000)
    assert again.load(tmp_path / "one.snapshot", AllowList(BitMap(range(3_000)))).size == 0
    assert again.is_upgraded


def test_a_flat_snapshot_stays_flat(tmp_path: Path) -> None:
    index = make()
    index.add(ids(0, 1_500), rows(1_500))
    index.save(tmp_path / "one.snapshot")
    again = make()
    assert again.load(tmp_path / "one.snapshot", AllowList(BitMap(range(1_500)))).size == 0
    assert not again.is_upgraded
    assert again.count == 1_500


def test_a_lower_threshold_switches_at_once_and_a_higher_one_never_back() -> None:
    index = make()
    index.add(ids(0, 1_500), rows(1_500))
    index.move_threshold(1_000)
    assert index.is_upgraded
    index.move_threshold(1_000_000)
    assert index.is_upgraded


def test_upgrade_of_an_empty_index() -> None:
    index = make()
    index.upgrade()
    index.upgrade()
    assert index.is_upgraded
    index.add(ids(0, 10), rows(10))
    assert index.search(rows(1)[0], 1).doc_ids.tolist() == [0]
