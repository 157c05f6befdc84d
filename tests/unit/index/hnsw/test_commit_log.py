"""The commit log: changes come back without linking again; damage is cut off, never a crash."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION, sized
from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED, DocIds
from weftdb.index.allow_list import AllowList

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex  # noqa: E402

HNSW = HnswSettings(ef_construction=EF_CONSTRUCTION)
CONFIG = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=HNSW)
HEADER_BYTES = 40
FIRST = sized(4000, sanitized=2000)
STEP = sized(100, sanitized=50)
STEPS = (FIRST + STEP, FIRST + 2 * STEP, FIRST + 3 * STEP)
LAST = STEPS[-1]
ALL = FIRST + 2000
ROWS = np.random.default_rng(3).normal(size=(ALL, 8)).astype(np.float32)


def ids(start: int, stop: int) -> DocIds:
    return np.arange(start, stop, dtype=np.uint32)


def live(docs: range) -> AllowList:
    return AllowList(BitMap(docs))


def make() -> HnswIndex:
    return HnswIndex(CONFIG, IndexConfig(kernels="native"))


def log_of(path: Path) -> Path:
    return path.with_name(path.name + ".log")


def filled(path: Path, steps: tuple[int, ...] = STEPS) -> HnswIndex:
    """An index of a snapshot and a commit a step."""
    index = make()
    begin = 0
    for end in (FIRST, *steps):
        index.add(ids(begin, end), ROWS[begin:end])
        assert index.wait_indexed(60)
        index.save(path)
        begin = end
    return index


def reopened(path: Path, docs: range) -> tuple[HnswIndex, list[int]]:
    index = make()
    return index, index.load(path, live(docs)).tolist()


def nearest(index: HnswIndex, count: int = 60, k: int = 5) -> list[list[int]]:
    return [index.search(row, k).doc_ids.tolist() for row in ROWS[-count:]]


def test_commits_come_back_without_linking(tmp_path: Path) -> None:
    path = tmp_path / "s"
    index = filled(path)
    snapshot = path.read_bytes()
    index.delete(ids(50, 60))
    index.add(ids(LAST, LAST + 10), ROWS[LAST : LAST + 10])
    assert index.wait_indexed(60)
    index.save(path)
    assert path.read_bytes() == snapshot, "small changes go to the log"
    assert index.log_bytes == log_of(path).stat().st_size > HEADER_BYTES
    back, missing = reopened(path, range(LAST + 10))
    assert missing == list(range(50, 60)), "the store decides what is live"
    assert (back.pending, back.count, back.log_fault) == (0, LAST, "")
    assert nearest(back) == nearest(index)
    index.close()
    back.close()


def test_the_log_goes_on_after_a_reopening(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path, (FIRST + 50,)).close()
    for end in (FIRST + 60, FIRST + 70, FIRST + 80):
        index, missing = reopened(path, range(end))
        assert missing == list(range(end - 10, end))
        index.add(ids(end - 10, end), ROWS[end - 10 : end])
        assert index.wait_indexed(60)
        before = index.log_bytes
        index.save(path)
        assert index.log_bytes > before
        index.close()
    assert reopened(path, range(FIRST + 80))[1] == []


def test_a_long_log_is_condensed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    index = filled(path)
    snapshot = path.stat().st_size
    for begin in range(LAST, ALL, STEP):
        index.add(ids(begin, begin + STEP), ROWS[begin : begin + STEP])
        assert index.wait_indexed(60)
        index.save(path)
        assert index.log_bytes <= path.stat().st_size / 2
    assert path.stat().st_size > snapshot
    back, missing = reopened(path, range(ALL))
    assert missing == []
    assert nearest(back) == nearest(index)


def test_compaction_begins_new_files(tmp_path: Path) -> None:
    path = tmp_path / "s"
    index = filled(path)
    gone = sized(1500, sanitized=1100)  # A compaction gives 1,024 slots back, or more.
    index.delete(ids(0, gone))
    assert index.wait_indexed(60)
    index.save(path)
    assert not log_of(path).exists()
    back, missing = reopened(path, range(gone, LAST))
    assert missing == []
    assert (back.count, back.deleted) == (LAST - gone, 0)


def test_a_cut_log_loses_what_is_behind_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path).close()
    snapshot, whole = path.read_bytes(), log_of(path).read_bytes()
    random = np.random.default_rng(2)
    lengths = [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, len(whole) - 1]
    for length in [*lengths, *random.integers(0, len(whole), 30).tolist()]:
        log_of(path).write_bytes(whole[:length])
        index, missing = reopened(path, range(LAST))
        assert missing in ([*range(begin, LAST)] for begin in (FIRST, *STEPS[:2]))
        assert index.count == LAST - len(missing)
        if missing:
            docs = np.array(missing, dtype=np.uint32)
            index.add(docs, ROWS[docs])
        assert index.wait_indexed(60)
        assert [found[0] for found in nearest(index)] == _exact(LAST)
        index.save(path)
        index.close()
        assert reopened(path, range(LAST))[1] == []
        path.write_bytes(snapshot)


def _exact(count: int, queries: int = 60) -> list[int]:
    gaps = ((ROWS[-queries:, None, :] - ROWS[None, :count, :]) ** 2).sum(axis=2)
    return [int(best) for best in gaps.argmin(axis=1)]


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path).close()
    whole = log_of(path).read_bytes()
    random = np.random.default_rng(1)
    for spot in [*range(HEADER_BYTES), *random.integers(HEADER_BYTES, len(whole), 60).tolist()]:
        damaged = bytearray(whole)
        damaged[spot] ^= 1 << int(random.integers(0, 8))
        log_of(path).write_bytes(damaged)
        index, missing = reopened(path, range(LAST))
        assert index.log_fault
        assert missing, spot
        assert missing in ([*range(begin, LAST)] for begin in (FIRST, *STEPS[:2]))
        index.close()


def test_a_log_of_another_snapshot_is_left_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "s", tmp_path / "t"
    filled(path).close()
    filled(other).close()
    log_of(path).write_bytes(log_of(other).read_bytes())
    index, missing = reopened(path, range(LAST))
    assert missing == list(range(FIRST, LAST))
    assert index.log_fault == ""
    index.add(ids(FIRST, FIRST + 10), ROWS[FIRST : FIRST + 10])
    assert index.wait_indexed(60)
    index.save(path)
    index.close()
    assert reopened(path, range(FIRST + 10))[1] == []


def records(log: bytes) -> list[tuple[int, int]]:
    """Where each record begins and how long its payload is."""
    found, at = [], HEADER_BYTES
    while at < len(log):
        (length,) = struct.unpack_from("=I", log, at)
        found.append((at, length))
        at += 8 + length + 8
    return found


def resealed(log: bytearray, begin: int, length: int) -> bytearray:
    """The log with a checksum that fits what a record has become."""
    end = begin + 8 + length
    log[end : end + 8] = struct.pack("=Q", _native.checksum(bytes(log[begin:end])))
    return log


def test_forged_records_do_not_crash(tmp_path: Path) -> None:
    path = tmp_path / "s"
    filled(path, (FIRST + 50, FIRST + 80)).close()
    whole = log_of(path).read_bytes()
    random = np.random.default_rng(4)
    values = [0, 1, 2, 3, 4, 31, 33, FIRST + 49, FIRST + 81, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
    for _ in range(150):
        begin, length = records(whole)[int(random.integers(0, len(records(whole))))]
        spot = begin + 4 + 4 * int(random.integers(0, 1 + min(length // 4, 60)))
        forged = bytearray(whole)
        forged[spot : spot + 4] = struct.pack("=I", int(random.choice(values)))
        log_of(path).write_bytes(resealed(forged, begin, length))
        index, _ = reopened(path, range(FIRST + 80))
        assert len(index.search(ROWS[0], 10).doc_ids) == 10
        index.close()


@pytest.mark.parametrize("seed", range(3))
def test_mutated_files_do_not_crash(tmp_path: Path, seed: int) -> None:
    """Fuzzing: any change of any length anywhere in either file."""
    path = tmp_path / "s"
    filled(path, (FIRST + 50, FIRST + 80)).close()
    files = {name: name.read_bytes() for name in (path, log_of(path))}
    random = np.random.default_rng(seed)
    for _ in range(40):
        for name, content in files.items():
            name.write_bytes(content)
        target = [path, log_of(path)][int(random.integers(0, 2))]
        target.write_bytes(_mutated(files[target], random))
        index = make()
        try:
            index.load(path, live(range(FIRST + 80)))
        except CorruptData:
            assert target == path
        else:
            assert len(index.search(ROWS[0], 10).doc_ids) == 10
        index.close()


def _mutated(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        begin = int(random.integers(0, len(changed) + 1))
        length = int(random.integers(1, 200))
        verb = random.choice(["overwrite", "cut", "insert", "repeat", "end", "zero"])
        if verb == "overwrite":
            changed[begin : begin + length] = random.bytes(length)
        elif verb == "cut":
            del changed[begin : begin + length]
        elif verb == "insert":
            changed[begin:begin] = random.bytes(length)
        elif verb == "repeat":
            changed[begin:begin] = changed[begin : begin + length]
        elif verb == "zero":
            changed[begin : begin + length] = bytes(min(length, len(changed) - begin))
        else:
            del changed[begin:]
    return bytes(changed)


def test_commits_beside_writers_and_searches(tmp_path: Path) -> None:
    path = tmp_path / "s"
    index = make()
    index.add(ids(0, 2000), ROWS[:2000])
    stop = threading.Event()
    failures: list[Exception] = []

    def repeat(work: object) -> None:
        assert callable(work)
        try:
            while not stop.is_set():
                work()
        except Exception as error:  # the thread's failure is the test's
            failures.append(error)
            raise

    jobs = [lambda: index.save(path), lambda: index.search(ROWS[7], 10)]
    threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for begin in range(2000, ALL, 50):
        index.add(ids(begin, begin + 50), ROWS[begin : begin + 50])
        index.delete(ids(begin - 2000, begin - 1990))
    assert index.wait_indexed(60)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert failures == []
    index.save(path)
    docs = [doc for doc in range(ALL) if doc >= ALL - 2000 or doc % 50 >= 10]
    back = make()
    assert back.load(path, AllowList(BitMap(docs))).tolist() == []
    assert back.pending == 0
    same = sum(a == b for a, b in zip(nearest(back), nearest(index), strict=True))
    assert same >= 57, "links are those that were made, but for commits in the midst of them"
