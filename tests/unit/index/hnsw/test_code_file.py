"""The code file: a start neither learns nor encodes again; damage costs time, never a crash."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import Compression, HnswSettings, Metric, Quantizer, VectorConfig
from weftdb.core.types import UNNAMED, DocIds
from weftdb.index.allow_list import AllowList

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex  # noqa: E402

COUNT = 3_000
LIVE = AllowList(BitMap(range(COUNT)))
ROWS = np.random.default_rng(3).normal(size=(COUNT, 32)).astype(np.float32)
MOVED = ROWS + 5
"""Vectors from which other ranges and centroids are learned."""
SQ = Quantizer(Compression.SCALAR, rescore_limit=20, training_limit=1_000)
PQ = Quantizer(Compression.PRODUCT, training_limit=1_000, centroids=16)
RQ = Quantizer(Compression.ROTATIONAL, rescore_limit=20)
KINDS = {"sq": SQ, "pq": PQ, "rq": RQ, "bq": Quantizer(Compression.BINARY)}
HEADER_BYTES = 88
BLOCK_HEAD_BYTES = 16
SUM_BYTES = 8
WAIT_S = 60
Floats = NDArray[np.float32]


def ids(start: int, stop: int) -> DocIds:
    return np.arange(start, stop, dtype=np.uint32)


def make(quantizer: Quantizer | None) -> HnswIndex:
    hnsw = HnswSettings(ef=100, ef_construction=32)
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=hnsw, quantizer=quantizer)
    return HnswIndex(config, IndexConfig(kernels="native"))


def codes_of(path: Path) -> Path:
    return path.with_name(path.name + ".codes")


def saved(path: Path, quantizer: Quantizer, *steps: int) -> HnswIndex:
    """An index that was saved after each step."""
    index, begin = make(quantizer), 0
    for end in (*steps, COUNT):
        index.add(ids(begin, end), ROWS[begin:end])
        assert index.wait_indexed(WAIT_S)
        index.save(path)
        begin = end
    assert index.code_bytes > 0, index.quantizer_fault
    return index


def opened(path: Path, quantizer: Quantizer, live: AllowList = LIVE) -> HnswIndex:
    index = make(quantizer)
    assert len(index.load(path, live)) == 0
    return index


def check_answers(index: HnswIndex) -> None:
    for doc in (0, 1_234, COUNT - 1):
        found = index.search(ROWS[doc], 3)
        assert found.doc_ids[0] == doc
        truth = np.sum((ROWS[found.doc_ids] - ROWS[doc]) ** 2, axis=1)
        np.testing.assert_allclose(found.distances, truth, rtol=1e-4, atol=1e-4)


def head_of(path: Path) -> int:
    """Where the blocks begin."""
    (learned,) = struct.unpack_from("=Q", path.read_bytes(), HEADER_BYTES - 16)
    return HEADER_BYTES + 4 * learned + SUM_BYTES


@pytest.mark.parametrize("name", KINDS)
def test_codes_serve_at_once_after_a_restart(name: str, tmp_path: Path) -> None:
    path, quantizer = tmp_path / "graph", KINDS[name]
    saved(path, quantizer, 2_000, 2_500).close()
    before = codes_of(path).read_bytes()
    index = opened(path, quantizer)
    assert index.code_bytes > 0
    assert index.code_file_fault == ""
    check_answers(index)
    assert index.wait_indexed(WAIT_S)
    index.save(path)
    assert codes_of(path).read_bytes() == before
    assert index.unsaved_codes == 0
    index.close()


def test_new_codes_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    index = saved(path, SQ)
    before = codes_of(path).read_bytes()
    index.add(ids(COUNT, COUNT + 5), MOVED[:5])
    assert index.wait_indexed(WAIT_S)
    index.save(path)
    after = codes_of(path).read_bytes()
    assert after[: len(before)] == before
    size = BLOCK_HEAD_BYTES + 5 * index.code_bytes + SUM_BYTES
    assert len(after) == len(before) + size
    index.close()


def test_what_no_save_has_seen_is_encoded(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    saved(path, PQ, 2_000).close()
    whole = codes_of(path).read_bytes()
    codes_of(path).write_bytes(whole[: head_of(codes_of(path))])
    index = opened(path, PQ)
    assert index.code_bytes > 0
    check_answers(index)
    index.save(path)
    again = codes_of(path).read_bytes()
    start = head_of(codes_of(path))
    assert again[:start] == whole[:start]
    index.close()


def test_a_lost_snapshot_leaves_what_was_learned(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    saved(path, SQ).close()
    path.write_bytes(b"")
    index = make(SQ)
    with pytest.raises(CorruptData):
        index.load(path, LIVE)
    index.add(ids(0, COUNT), MOVED)
    assert index.wait_indexed(WAIT_S)
    old = codes_of(path).read_bytes()
    index.save(path)
    new = codes_of(path).read_bytes()
    learned = slice(HEADER_BYTES, head_of(codes_of(path)))
    assert new[learned] == old[learned]  # Not learned from vectors that lie elsewhere.
    index.close()


def test_a_log_that_was_cut_takes_its_codes_along(tmp_path: Path) -> None:
    """The slots that the log had are given to other docs; old codes must not stand for them."""
    path = tmp_path / "graph"
    saved(path, SQ, 2_950).close()
    path.with_name("graph.log").unlink()
    index = make(SQ)
    assert len(index.load(path, LIVE)) == 50
    index.add(ids(COUNT, COUNT + 50), MOVED[:50])
    assert index.wait_indexed(WAIT_S)
    index.save(path)
    index.close()
    live = AllowList(BitMap([*range(2_950), *range(COUNT, COUNT + 50)]))
    again = opened(path, SQ, live)
    assert again.code_file_fault == ""
    for row in (0, 49):
        assert again.search(MOVED[row], 1).doc_ids.tolist() == [COUNT + row]
    again.close()


def test_codes_of_other_vectors_are_not_taken(tmp_path: Path) -> None:
    saved(tmp_path / "one", SQ).close()
    other = make(SQ)
    other.add(ids(COUNT, 2 * COUNT), MOVED)
    assert other.wait_indexed(WAIT_S)
    other.save(tmp_path / "two")
    other.close()
    codes_of(tmp_path / "one").write_bytes(codes_of(tmp_path / "two").read_bytes())
    index = opened(tmp_path / "one", SQ)
    assert index.code_file_fault == "from slot 0 on it is of other vectors"
    assert index.wait_indexed(WAIT_S)
    check_answers(index)
    index.close()


@pytest.mark.parametrize(
    "quantizer", [replace(SQ, training_limit=2_000), RQ, replace(PQ, centroids=8)]
)
def test_a_file_for_other_settings_is_not_used(quantizer: Quantizer, tmp_path: Path) -> None:
    path = tmp_path / "graph"
    saved(path, SQ).close()
    index = opened(path, quantizer)
    assert index.wait_indexed(WAIT_S)
    assert index.code_bytes > 0
    check_answers(index)
    assert index.unsaved_codes == COUNT
    index.save(path)
    assert index.unsaved_codes == 0
    index.close()
    index = opened(path, quantizer)
    assert (index.code_bytes > 0, index.code_file_fault) == (True, "")
    index.close()


def test_a_file_goes_when_the_quantizer_does(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    index = saved(path, RQ)
    index.quantize(VectorConfig(UNNAMED, metric=Metric.L2_SQUARED))
    assert index.wait_indexed(WAIT_S)
    index.save(path)
    assert not codes_of(path).exists()
    index.close()


def test_a_file_goes_with_the_last_vector(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    index = saved(path, RQ)
    index.delete(ids(0, COUNT))
    index.save(path)
    assert list(tmp_path.iterdir()) == []
    index.close()


def test_a_compacted_graph_writes_its_codes_anew(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    index = saved(path, SQ)
    index.delete(ids(0, 2_000))
    assert index.wait_indexed(WAIT_S)
    index.save(path)
    index.close()
    again = opened(path, SQ, AllowList(BitMap(range(2_000, COUNT))))
    assert again.code_file_fault == ""
    assert again.code_bytes > 0
    assert again.search(ROWS[2_500], 1).doc_ids.tolist() == [2_500]
    again.close()


def forged(content: bytes) -> bytes:
    """A file whose first block has its checksum again."""
    (learned,) = struct.unpack_from("=Q", content, HEADER_BYTES - 16)
    (words,) = struct.unpack_from("=I", content, 48)
    start = HEADER_BYTES + 4 * learned + SUM_BYTES
    (count,) = struct.unpack_from("=I", content, start + 4)
    end = start + BLOCK_HEAD_BYTES + 4 * words * count
    sum_ = struct.pack("=Q", _native.checksum(content[start:end]))
    return content[:end] + sum_ + content[end + SUM_BYTES :]


def test_codes_that_cannot_be_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    saved(path, PQ).close()
    content = bytearray(codes_of(path).read_bytes())
    content[head_of(codes_of(path)) + BLOCK_HEAD_BYTES] = 16  # There are 16 centroids, from 0.
    codes_of(path).write_bytes(forged(bytes(content)))
    index = opened(path, PQ)
    assert index.code_file_fault == "the code of slot 0 is none"
    assert index.wait_indexed(WAIT_S)
    assert index.code_bytes > 0
    check_answers(index)
    index.close()


@pytest.mark.parametrize(
    ("at", "value", "fault"),
    [
        (0, b"X", "not a code file"),
        (8, b"\x09", "another version"),
        (12, b"\x09", "another byte order"),
        (20, b"\x09", "header fails its checksum"),
        (HEADER_BYTES, b"\x55", "learned fails its checksum"),
        (-1, b"\x55\x55", "fails its checksum"),
    ],
)
def test_damage_is_told_and_mended(at: int, value: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "graph"
    saved(path, SQ, 2_000).close()
    whole = codes_of(path).read_bytes()
    content = bytearray(whole)
    at = at % len(content)
    content[at : at + 1] = bytes([content[at] ^ value[0]])
    codes_of(path).write_bytes(bytes(content))
    index = opened(path, SQ)
    assert fault in index.code_file_fault
    assert index.wait_indexed(WAIT_S)
    assert index.code_bytes > 0
    check_answers(index)
    index.save(path)
    index.close()
    index = opened(path, SQ)
    assert index.code_file_fault == ""
    index.close()


def test_no_file_crashes_the_process(tmp_path: Path) -> None:
    """Cut at random, filled with noise, flipped, with and without good checksums."""
    path = tmp_path / "graph"
    saved(path, PQ, 2_000).close()
    whole = codes_of(path).read_bytes()
    random = np.random.default_rng(11)
    for round_ in range(60):
        content = bytearray(whole)
        kind = round_ % 4
        if kind == 0:
            del content[int(random.integers(0, len(content))) :]
        elif kind == 1:
            for at in random.integers(0, len(content), 8):
                content[at] ^= int(random.integers(1, 256))
        elif kind == 2:
            at = int(random.integers(0, HEADER_BYTES))
            content[at] = int(random.integers(0, 256))
            sum_ = _native.checksum(bytes(content[: HEADER_BYTES - 8]))
            content[HEADER_BYTES - 8 : HEADER_BYTES] = struct.pack("=Q", sum_)
        else:
            start = head_of(path_with(tmp_path, whole))
            for at in random.integers(start + BLOCK_HEAD_BYTES, len(content) - 8, 8):
                content[at] = int(random.integers(0, 256))
            content = bytearray(forged(bytes(content)))
        codes_of(path).write_bytes(bytes(content))
        index = opened(path, PQ)
        assert index.search(ROWS[7], 1).doc_ids.tolist() == [7]
        index.close()


def path_with(folder: Path, content: bytes) -> Path:
    """A file of that content."""
    (folder / "whole").write_bytes(content)
    return folder / "whole"
