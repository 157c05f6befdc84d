"""Saved multi-vectors: matrices and the graph of candidates come back; damage is built again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION, recall_floor, sized
from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import HnswSettings, Metric, Muvera, VectorConfig
from weftdb.core.types import Rows, VectorName
from weftdb.index.allow_list import AllowList

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.multi_vector import MultiVectorIndex, Route

DIM = 8
DOCS = sized(2_000, sanitized=1_200)
ENCODING = Muvera(ksim=2, dprojections=4, repetitions=4)
ways = pytest.mark.parametrize("muvera", [None, ENCODING], ids=["rows", "muvera"])


def make(muvera: Muvera | None) -> MultiVectorIndex:
    config = VectorConfig(
        VectorName("m"),
        metric=Metric.DOT,
        multi_vector=True,
        muvera=muvera,
        hnsw=HnswSettings(ef_construction=EF_CONSTRUCTION),
    )
    return MultiVectorIndex(config, IndexConfig(), candidate_docs_min=200)


def matrices(count: int, seed: int = 1) -> list[Rows]:
    random = np.random.default_rng(seed)
    return [
        random.normal(size=(int(random.integers(1, 5)), DIM)).astype(np.float32)
        for _ in range(count)
    ]


def add(index: MultiVectorIndex, first: int, docs: list[Rows]) -> None:
    ids = np.arange(first, first + len(docs), dtype=np.uint32)
    index.add(np.repeat(ids, [len(rows) for rows in docs]), np.concatenate(docs))


def live(*parts: range) -> AllowList:
    return AllowList(BitMap([doc for part in parts for doc in part]))


def gone(*docs: int) -> np.ndarray:
    return np.array(docs, dtype=np.uint32)


def saved(path: Path, muvera: Muvera | None) -> tuple[MultiVectorIndex, list[Rows]]:
    index, docs = make(muvera), matrices(DOCS)
    add(index, 0, docs)
    assert index.wait_indexed(60)
    index.save(path)
    return index, docs


def graph_of(path: Path) -> Path:
    (found,) = [
        one for one in path.parent.glob(f"{path.name}.*") if one.suffix not in (".log", ".codes")
    ]
    return found


def check_alike(left: MultiVectorIndex, right: MultiVectorIndex, seed: int = 9) -> None:
    """Equal matrices, and candidates that find what the scan finds."""
    assert left.count == right.count
    found = hits = 0
    for query in matrices(20, seed):
        exact = right.search(query, 10, route=Route.EXACT)
        other = left.search(query, 10, route=Route.EXACT)
        assert other.doc_ids.tolist() == exact.doc_ids.tolist()
        assert other.distances.tolist() == exact.distances.tolist()
        near = left.search(query, 10, ef=200, route=Route.CANDIDATES)
        found += len(set(near.doc_ids.tolist()) & set(exact.doc_ids.tolist()))
        hits += len(exact.doc_ids)
    assert found >= recall_floor(0.9) * hits


@ways
def test_nothing_is_linked_again(tmp_path: Path, muvera: Muvera | None) -> None:
    path = tmp_path / "v"
    before, _ = saved(path, muvera)
    index = make(muvera)
    assert index.load(path, live(range(DOCS))).tolist() == []
    assert (index.pending, index.log_fault, index.count) == (0, "", DOCS)
    check_alike(index, before)


@ways
def test_what_changed_is_appended(tmp_path: Path, muvera: Muvera | None) -> None:
    path = tmp_path / "v"
    index, _ = saved(path, muvera)
    size, graph_time = path.stat().st_size, graph_of(path).stat().st_mtime_ns
    add(index, DOCS, matrices(100, seed=3))
    index.delete(np.arange(0, 50, dtype=np.uint32))
    assert index.wait_indexed(60)
    index.save(path)
    assert size < path.stat().st_size < 1.1 * size
    assert graph_of(path).stat().st_mtime_ns == graph_time
    assert index.log_bytes > 0
    again = make(muvera)
    assert again.load(path, live(range(50, DOCS + 100))).tolist() == []
    assert again.pending == 0
    check_alike(again, index)
    # What was never saved is named, what died since is dropped, and both keep working.
    third = make(muvera)
    missing = third.load(path, live(range(60, DOCS + 120)))
    assert missing.tolist() == list(range(DOCS + 100, DOCS + 120))
    late = matrices(20, seed=4)
    for target in (index, third):
        add(target, DOCS + 100, late)
    index.delete(np.arange(50, 60, dtype=np.uint32))
    check_alike(third, index)
    third.save(path)
    fourth = make(muvera)
    assert fourth.load(path, live(range(60, DOCS + 120))).tolist() == []
    check_alike(fourth, index)


@ways
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "empty", "log"])
def test_a_damaged_graph_is_linked_again(
    tmp_path: Path, muvera: Muvera | None, damage: str
) -> None:
    path = tmp_path / "v"
    before, _ = saved(path, muvera)
    graph = graph_of(path)
    if damage == "log":
        add(before, DOCS, matrices(100, seed=3))
        assert before.wait_indexed(60)
        before.save(path)
        graph = graph.with_name(graph.name + ".log")
    whole = graph.read_bytes()
    match damage:
        case "missing":
            graph.unlink()
        case "empty":
            graph.write_bytes(b"")
        case "flipped":
            graph.write_bytes(whole[:5_000] + bytes([whole[5_000] ^ 1]) + whole[5_001:])
        case _:
            graph.write_bytes(whole[:-100])
    index = make(muvera)
    assert index.load(path, live(range(before.count))).tolist() == []
    assert index.log_fault
    assert index.wait_indexed(60)
    check_alike(index, before)
    index.save(path)
    again = make(muvera)
    again.load(path, live(range(before.count)))
    assert (again.log_fault, again.pending) == ("", 0)


@ways
def test_matrices_that_are_cut_off_are_missing(tmp_path: Path, muvera: Muvera | None) -> None:
    path = tmp_path / "v"
    before, _ = saved(path, muvera)
    late = matrices(100, seed=3)
    add(before, DOCS, late)
    assert before.wait_indexed(60)
    before.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    index = make(muvera)
    missing = index.load(path, live(range(DOCS + 100)))
    assert missing.tolist() == list(range(DOCS, DOCS + 100))
    assert "cut off" in index.log_fault
    add(index, DOCS, late)
    check_alike(index, before)
    # The graph on disk still has the rows of those docs, under numbers that are not used again.
    index.save(path)
    again = make(muvera)
    assert again.load(path, live(range(DOCS + 100))).tolist() == []
    check_alike(again, before)


@ways
def test_numbers_of_rows_are_not_used_twice(tmp_path: Path, muvera: Muvera | None) -> None:
    """A graph that knows more than the matrices: its rows stand for nothing, ever."""
    path = tmp_path / "v"
    index, _ = saved(path, muvera)
    old = path.read_bytes()
    add(index, DOCS, matrices(300, seed=3))
    assert index.wait_indexed(60)
    index.save(path)
    path.write_bytes(old)  # A crash between the two files.
    second = make(muvera)
    assert second.load(path, live(range(DOCS))).tolist() == []
    add(second, DOCS + 300, matrices(300, seed=5))
    second.save(path)
    third = make(muvera)
    assert third.load(path, live(range(DOCS), range(DOCS + 300, DOCS + 600))).tolist() == []
    check_alike(third, second)
    assert third.wait_indexed(60)
    check_alike(third, second)


@pytest.mark.parametrize("spot", [0, 9, 17, 30, 45])
def test_a_damaged_header_is_refused(tmp_path: Path, spot: int) -> None:
    path = tmp_path / "v"
    saved(path, None)
    whole = bytearray(path.read_bytes())
    whole[spot] ^= 4
    path.write_bytes(whole)
    with pytest.raises(CorruptData):
        make(None).load(path, live(range(DOCS)))


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "v"
    index = make(None)
    for first in range(0, 60, 3):
        add(index, first, matrices(3, seed=first))
        index.save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(3)
    for spot in random.integers(0, len(whole), size=200).tolist():
        damaged = bytearray(whole)
        damaged[spot] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(damaged)
        other = make(None)
        try:
            missing = other.load(path, live(range(60)))
        except CorruptData:
            continue
        assert other.log_fault
        assert len(missing) == 60 - other.count > 0
        for query in matrices(2, seed=1):
            found = other.search(query, 60)
            assert np.allclose(index.distances(query, found.doc_ids), found.distances)


def test_another_encoding_does_not_take_the_files(tmp_path: Path) -> None:
    saved(tmp_path / "v", ENCODING)
    for other in (None, Muvera(ksim=3, dprojections=2, repetitions=4)):
        with pytest.raises(CorruptData, match="another encoding"):
            make(other).load(tmp_path / "v", live(range(DOCS)))


@ways
def test_an_index_that_was_emptied_leaves_no_files(tmp_path: Path, muvera: Muvera | None) -> None:
    path = tmp_path / "v"
    index, docs = saved(path, muvera)
    index.delete(np.arange(DOCS, dtype=np.uint32))
    index.save(path)
    assert list(tmp_path.iterdir()) == []
    # And another numbering begins, under another name.
    add(index, DOCS, docs)
    assert index.wait_indexed(60)
    index.save(path)
    again = make(muvera)
    assert again.load(path, live(range(DOCS, 2 * DOCS))).tolist() == []
    check_alike(again, index)


@ways
def test_a_file_that_is_mostly_dead_is_written_anew(tmp_path: Path, muvera: Muvera | None) -> None:
    path = tmp_path / "v"
    index, _ = saved(path, muvera)
    add(index, DOCS, matrices(40_000, seed=6))
    index.save(path)
    size = path.stat().st_size
    index.delete(np.arange(0, DOCS + 39_000, dtype=np.uint32))
    assert index.wait_indexed(60)
    index.save(path)
    assert path.stat().st_size < size / 10
    again = make(muvera)
    assert again.load(path, live(range(DOCS + 39_000, DOCS + 40_000))).tolist() == []
    check_alike(again, index)
