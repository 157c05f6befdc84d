"""Golden bytes of a graph's snapshot (version 2), commit log and code file (version 1): they open
forever.

Little-endian machines only: the files are in the byte order of the machine.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="bytes of another machine")

SNAPSHOT = bytes.fromhex(
    "57454654484e5357020000000403020102000000020000000400000004000000080000000100000001000000"
    "0800000008000000020000000000000000000000f521dbfd43583d904471130ec1e5d5c20000000003000000"
    "06000000090000000c0000000f0000001200000015000000a1a196483714abe500010100000000000b4668c4"
    "f882f04d000000000100000002000000000000000000000000000000000000000000000081131dbb4b2f8c4f"
    "03000000000000000200000000000000931f91d41966436a0200000000000000000000000000000001000000"
    "0300000000000000000000000200000004000000000000000000000003000000050000000000000000000000"
    "0400000006000000000000000000000005000000070000000000000000000000060000000800000000000000"
    "00000000070000000000000000000000000000004d527bbe227171cf00000000000000000000000000000000"
    "0000803f0000803f000000000000000000000040000080400000000000000000000040400000104100000000"
    "00000000000080400000804100000000000000000000a0400000c84100000000000000000000c04000001042"
    "00000000000000000000e0400000444200000000000000001c636b64436b0a4d"
)
"""Docs 0, 3, .. 21 at (x, x * x) for x = 0 .. 7."""
LOG = bytes.fromhex(
    "57454654484c4f470100000004030201f521dbfd43583d900200000004000000c7277a837dc02a9318000000"
    "0100000008000000010000001e000000010000000000004100008042497ba2c8566a8a0e6800000002000000"
    "0100000002000000020000000100000003000000010000000300000002000000020000000200000002000000"
    "0400000002000000020000000900000007000000010000000200000007000000090000000800000002000000"
    "01000000080000000100000003000000064ca629cbb87460040000000300000001000000a0040a34e1e49cda"
    "100000000400000009000000090000000100000001000000a219398b62032b45"
)
"""Doc 30 at (8, 64) is added, doc 3 deleted."""
CODES = bytes.fromhex(
    "57454654434f4445010000000403020102000000020000000100000008000000000000000001000000000000"
    "0100000008000000000000000800000000000000080000000000000002000000000000007f11f91cd5fee438"
    "00000000c5c4443ec0d13f6cfedd9ce00000000008000000a1a196483714abe500000000c5c4443e00000000"
    "000000000000000000000000000000000000000000000000cdcc4c3e00002041000000400505000000000000"
    "00000000000000000000000050ec443e0000f8410000a0410a15000000000000000000000000000000000000"
    "35ab433e00007c420000b442102f000000000000000000000000000000000000ff41453e0000d04200008843"
    "15530000000000000000000000000000000000004eec443e00001c43008022441a8200000000000000000000"
    "00000000000000008529453e00005a430080a6441fbb000000000000000000000000000000000000a0d0443e"
    "008091430020194524ff000000000000000000000000000015014e0427aa42bf080000000100000001cfe8bf"
    "76ba27f0000000000bc17f3e00809443000082452aff0000000000000000000000000000f794fe5b5a6c92b8"
)
"""SQ of the same docs, learned from the first eight; the last one appended."""
CODES_BEFORE = 384
ROWS = np.array([[x, x * x] for x in range(9)], dtype=np.float32)
DOCS = np.array([0, 3, 6, 9, 12, 15, 18, 21, 30], dtype=np.uint32)
GENERATION = slice(64, 72)


def make() -> _native.VectorIndex:
    return _native.make_vector_index("l2-squared", 4, 8, 0, 2)


def words(docs: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array([sum(1 << doc for doc in docs)], dtype=np.uint64)


def test_golden_files_open(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(SNAPSHOT)
    (tmp_path / "s.log").write_bytes(LOG)
    index = make()
    live = [doc for doc in DOCS.tolist() if doc != 3]
    assert index.load(str(tmp_path / "s"), words(live)).tolist() == []
    assert (index.count, index.deleted, index.pending, index.log_fault) == (8, 1, 0, "")
    bounds = _native.SearchBounds(None, "")
    docs, distances, _ = index.search(ROWS[8], 2, 10, None, bounds, float("inf"))
    assert docs.tolist() == [30, 21]
    assert distances.tolist() == [0.0, 1.0 + 15.0**2]


def test_the_same_bytes_are_written_today(tmp_path: Path) -> None:
    index, path = make(), tmp_path / "s"
    index.add(DOCS[:8], ROWS[:8])
    assert index.wait_indexed(30)
    index.save(str(path))
    written = bytearray(path.read_bytes())
    generation = bytes(written[GENERATION])
    written[GENERATION] = SNAPSHOT[GENERATION]
    written[72:80] = struct.pack("=Q", _native.checksum(bytes(written[:72])))
    assert written[:80] == SNAPSHOT[:80]
    # Which links are made depends on the order in which threads came; the rest does not.
    assert written[-80:] == SNAPSHOT[-80:]
    index.add(DOCS[8:], ROWS[8:])
    assert index.wait_indexed(30)
    index.erase(np.array([3], dtype=np.uint32))
    index.save(str(path))
    log = (tmp_path / "s.log").read_bytes()
    assert log[:16] == LOG[:16]
    assert log[16:24] == generation
    assert log[24:32] == LOG[24:32]
    nodes = slice(40, 40 + 8 + 8 + 4 + 4 + 8 + 8)
    assert log[nodes] == LOG[nodes]
    end = slice(-(8 + 16 + 8), None)
    assert log[end] == LOG[end]


def coded() -> _native.VectorIndex:
    index = make()
    settings = {"bits": 8, "segments": 0, "centroids": 256, "tile": False, "log_normal": True}
    _native.set_codes(
        index, _native.CodeSettings("sq", training_limit=8, rescore_limit=20, **settings)
    )
    return index


def test_golden_codes_open(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(SNAPSHOT)
    (tmp_path / "s.log").write_bytes(LOG)
    (tmp_path / "s.codes").write_bytes(CODES)
    index = coded()
    index.load(str(tmp_path / "s"), words([doc for doc in DOCS.tolist() if doc != 3]))
    assert _native.code_file_fault_of(index) == ""
    assert _native.code_bytes_of(index) == 32
    bounds = _native.SearchBounds(None, "")
    docs, distances, _ = index.search(ROWS[8], 2, 10, None, bounds, float("inf"))
    assert docs.tolist() == [30, 21]
    assert distances.tolist() == [0.0, 1.0 + 15.0**2]
    assert _native.unsaved_codes_of(index) == 0


def test_the_same_codes_are_written_today(tmp_path: Path) -> None:
    index, path = coded(), tmp_path / "s"
    index.add(DOCS[:8], ROWS[:8])
    assert index.wait_indexed(30)
    index.save(str(path))
    assert (tmp_path / "s.codes").read_bytes() == CODES[:CODES_BEFORE]
    index.add(DOCS[8:], ROWS[8:])
    assert index.wait_indexed(30)
    index.save(str(path))
    assert (tmp_path / "s.codes").read_bytes() == CODES
