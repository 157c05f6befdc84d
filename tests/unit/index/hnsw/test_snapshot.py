"""Snapshots: they come back whole, meet the live docs, and damage is refused, never a crash."""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION
from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import HnswSettings, IndexKind, Metric, VectorConfig
from weftdb.core.types import UNNAMED, DocIds
from weftdb.index.allow_list import AllowList
from weftdb.index.factory import make_index
from weftdb.index.ports import VectorIndex

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

NATIVE = IndexConfig(kernels="native")
HNSW = HnswSettings(ef_construction=EF_CONSTRUCTION)
CONFIG = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=HNSW)
ROWS = np.random.default_rng(3).normal(size=(3000, 9)).astype(np.float32)
HEADER_BYTES = 80
BLOCK_BYTES = 1 << 22


def ids(start: int, stop: int) -> DocIds:
    return np.arange(start, stop, dtype=np.uint32)


def allow(docs: range) -> AllowList:
    return AllowList(BitMap(docs))


def filled(count: int = 3000) -> VectorIndex:
    index = make_index(CONFIG, NATIVE)
    index.add(ids(0, count), ROWS[:count])
    assert index.wait_indexed(60)
    return index


class Opened(NamedTuple):
    index: VectorIndex
    missing: DocIds


def reopen(path: Path, live: AllowList, config: VectorConfig = CONFIG) -> Opened:
    """What recovery does with a snapshot that is there."""
    index = make_index(config, NATIVE)
    return Opened(index, index.load(path, live))


def test_checksum_is_xxh64() -> None:
    # From the specification of xxHash and its reference program.
    assert _native.checksum(b"") == 0xEF46DB3751D8E999
    assert _native.checksum(b"a") == 0xD24EC4F1A98C6E5B
    assert _native.checksum(b"abc") == 0x44BC2CF5AD770999
    assert _native.checksum(b"Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1


def test_round_trip_gives_the_same_answers(tmp_path: Path) -> None:
    index = filled()
    index.delete(ids(10, 20))
    path = tmp_path / "vectors.snapshot"
    index.save(path)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    opened = reopen(path, allow(range(3000)))
    assert opened.missing.tolist() == list(range(10, 20))
    assert opened.index.count == 2990
    assert opened.index.pending == 0
    for query in ROWS[:100]:
        before, after = index.search(query, 10), opened.index.search(query, 10)
        assert before.doc_ids.tolist() == after.doc_ids.tolist()
        assert before.distances.tolist() == after.distances.tolist()
    # It lives on: the missing docs, and new ones.
    opened.index.add(ids(10, 20), ROWS[10:20])
    opened.index.add(ids(5000, 5001), ROWS[:1] + 50)
    assert opened.index.wait_indexed(60)
    assert opened.index.search(ROWS[15], 1).doc_ids.tolist() == [15]
    assert opened.index.search(ROWS[0] + 50, 1).doc_ids.tolist() == [5000]


@pytest.mark.parametrize("count", [1, 7, 500])
def test_small_and_flat_indexes_round_trip(tmp_path: Path, count: int) -> None:
    for kind in (IndexKind.HNSW, IndexKind.FLAT):
        config = VectorConfig(UNNAMED, index=kind, metric=Metric.COSINE)
        index = make_index(config, NATIVE)
        index.add(ids(0, count), ROWS[:count])
        path = tmp_path / kind.value
        index.save(path)
        opened = reopen(path, allow(range(count)), config)
        assert opened.missing.tolist() == []
        assert opened.index.search(ROWS[0], 1).doc_ids.tolist() == [0]


def test_live_docs_decide(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled().save(path)
    opened = reopen(path, allow(range(1000, 3500)))
    assert opened.index.count == 2000
    assert opened.missing.tolist() == list(range(3000, 3500))
    assert min(opened.index.search(ROWS[0], 2000).doc_ids.tolist()) == 1000
    nothing = reopen(path, allow(range(7000, 7001)))
    assert nothing.index.count == 0
    assert nothing.missing.tolist() == [7000]


def test_mostly_dead_snapshot_is_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled().save(path)
    opened = reopen(path, allow(range(2000, 3000)))
    assert opened.index.wait_indexed(60)
    assert opened.index.deleted == 0
    assert opened.index.search(ROWS[2500], 1).doc_ids.tolist() == [2500]


def test_empty_index_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "s"
    index = filled()
    index.save(path)
    index.delete(ids(0, 3000))
    index.save(path)
    assert not path.exists()


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(1500).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    spots = [*range(HEADER_BYTES), *random.integers(0, len(whole), 150).tolist(), len(whole) - 1]
    for spot in spots:
        damaged = bytearray(whole)
        damaged[spot] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(damaged)
        with pytest.raises(CorruptData):
            reopen(path, allow(range(10)))


def test_cut_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(1500).save(path)
    whole = path.read_bytes()
    for length in (0, 1, 8, HEADER_BYTES - 1, HEADER_BYTES, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptData):
            reopen(path, allow(range(10)))
    path.write_bytes(whole + b"\0")
    with pytest.raises(CorruptData, match="bytes instead of"):
        reopen(path, allow(range(10)))


def _forge_header(whole: bytes, offset: int, value: int) -> bytes:
    header = bytearray(whole[:HEADER_BYTES])
    header[offset : offset + 4] = struct.pack("=I", value)
    header[-8:] = struct.pack("=Q", _native.checksum(bytes(header[:-8])))
    return bytes(header) + whole[HEADER_BYTES:]


def test_forged_headers_do_not_crash(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(1500).save(path)
    whole = path.read_bytes()
    for offset in range(8, HEADER_BYTES - 8, 4):
        for value in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1499, 1501):
            path.write_bytes(_forge_header(whole, offset, value))
            try:
                opened = reopen(path, allow(range(1500)))
            except CorruptData:
                continue
            # Only fields that do not change what is read may pass: ef_construction, seed, entry.
            assert len(opened.index.search(ROWS[0], 10).doc_ids) == 10
            opened.index.close()


def test_forged_links_do_not_crash(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(1500).save(path)
    whole = path.read_bytes()
    # The sections of a file this small are one block each: docs, levels, uppers, lists, lists.
    slots, linked, lists = struct.unpack_from("=III", whole, 44)
    sizes = [4 * slots, slots, 4 * slots, 4 * 16 * lists, 4 * 32 * linked]
    random = np.random.default_rng(2)
    begin = HEADER_BYTES
    for size in sizes:
        for _ in range(20):
            block = bytearray(whole[begin : begin + size])
            spot = int(random.integers(0, size // 4)) * 4
            block[spot : spot + 4] = random.bytes(4)
            forged = struct.pack("=Q", _native.checksum(bytes(block)))
            path.write_bytes(whole[:begin] + block + forged + whole[begin + size + 8 :])
            try:
                opened = reopen(path, allow(range(1500)))
            except CorruptData:
                continue
            assert len(opened.index.search(ROWS[0], 10).doc_ids) == 10
            opened.index.close()
        begin += size + 8


def test_other_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled().save(path)
    for config in (
        VectorConfig(UNNAMED, metric=Metric.COSINE),
        VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=HnswSettings(max_connections=64)),
    ):
        with pytest.raises(CorruptData, match="other settings"):
            reopen(path, allow(range(10)), config)


def test_unwritable_place_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        filled().save(tmp_path / "absent" / "s")


def test_save_beside_writers(tmp_path: Path) -> None:
    index = make_index(CONFIG, NATIVE)
    rows = np.random.default_rng(8).normal(size=(6000, 9)).astype(np.float32)
    index.add(ids(0, 2000), rows[:2000])

    def write() -> None:
        for first in range(2000, 6000, 100):
            index.add(ids(first, first + 100), rows[first : first + 100])
            index.delete(ids(first - 50, first - 45))

    writer = threading.Thread(target=write)
    writer.start()
    path = tmp_path / "s"
    for _ in range(5):
        index.save(path)
        opened = reopen(path, allow(range(2000)))
        assert opened.index.search(rows[3], 1).doc_ids.tolist() == [3]
        opened.index.close()
    writer.join()
    assert index.wait_indexed(120)
    index.save(path)
    live = allow(range(6000))
    opened = reopen(path, live)
    assert opened.index.count == index.count
    assert opened.index.search(rows[5999], 1).doc_ids.tolist() == [5999]
