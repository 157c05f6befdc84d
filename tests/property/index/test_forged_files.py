"""Forged files: every checksum holds, the numbers are nonsense. No such file ends the process.

Damage is kept out by checksums (tests/property/index/test_index_life.py); what is written here was
changed by somebody, or written by a build with a fault. It is refused, or taken as if it were true.
"""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import Compression, HnswSettings, Metric, Quantizer, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex  # noqa: E402

CONFIG = VectorConfig(
    UNNAMED,
    metric=Metric.L2_SQUARED,
    hnsw=HnswSettings(flat_search_cutoff=0, max_connections=8, ef_construction=16),
    quantizer=Quantizer(Compression.SCALAR, training_limit=500),
)
COUNT, MORE, DIMENSIONS = 1_100, 60, 4
HEADER_BYTES, LOG_HEADER_BYTES = 80, 40
WORDS = st.one_of(
    st.integers(0, 64),
    st.sampled_from([COUNT - 1, COUNT, COUNT + 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]),
    st.integers(0, 2**32 - 1),
)


def make() -> HnswIndex:
    return HnswIndex(CONFIG, IndexConfig(threads=2))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A snapshot, its log and its codes, by the end of their names."""
    path = tmp_path_factory.mktemp("forged") / "s"
    rows = np.random.default_rng(4).normal(size=(COUNT + MORE, DIMENSIONS)).astype(np.float32)
    index = make()
    for start, stop in ((0, COUNT), (COUNT, COUNT + MORE)):
        index.add(np.arange(start, stop, dtype=np.uint32), rows[start:stop])
        assert index.wait_indexed(60)
        index.save(path)
    index.close()
    return {file.name.removeprefix("s"): file.read_bytes() for file in path.parent.iterdir()}


def sections(snapshot: bytes) -> list[tuple[int, int]]:
    """Begin and length of what each checksum of a small snapshot covers; the header is first."""
    words = struct.unpack_from("=11I", snapshot, 8)
    _, _, _, _, stride, links, _, _, _, slots, linked = words
    (upper_lists,) = struct.unpack_from("=I", snapshot, 52)
    contents = [
        4 * slots, slots, 4 * slots, 4 * upper_lists * max(2, links // 2),
        4 * linked * links, 4 * slots * stride,
    ]  # fmt: skip
    found, at = [(0, HEADER_BYTES - 8)], HEADER_BYTES
    for content in contents:
        if content:
            found.append((at, content))
            at += content + 8
    assert at == len(snapshot), "the grammar of snapshot.h has changed"
    return found


def records(log: bytes) -> list[tuple[int, int]]:
    """The same of a log."""
    found, at = [(0, LOG_HEADER_BYTES - 8)], LOG_HEADER_BYTES
    while at < len(log):
        (length,) = struct.unpack_from("=I", log, at)
        found.append((at, 8 + length))
        at += 8 + length + 8
    return found


def forged(
    content: bytes, spans: list[tuple[int, int]], changes: list[tuple[int, int, int]]
) -> bytes:
    """Words changed, in spans chosen by number, and the checksums after them made to fit."""
    out = bytearray(content)
    for which, where, word in changes:
        begin, length = spans[which % len(spans)]
        if length >= 4:
            struct.pack_into("=I", out, begin + where % (length // 4) * 4, word)
    for begin, length in spans:
        end = begin + length
        struct.pack_into("=Q", out, end, _native.checksum(bytes(out[begin:end])))
    return bytes(out)


@settings(max_examples=150, deadline=None)
@given(
    which=st.sampled_from(["", ".log"]),
    changes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20_000), WORDS), max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_file_ends_the_process(
    files: dict[str, bytes], which: str, changes: list[tuple[int, int, int]], seed: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        for name, content in files.items():
            changed = content
            if name == which:
                spans = sections(content) if name == "" else records(content)
                changed = forged(content, spans, changes)
            path.with_name(f"s{name}").write_bytes(changed)
        index = make()
        live = AllowList(BitMap(range(COUNT + MORE)))
        try:
            missing = index.load(path, live)
        except CorruptData:
            index.close()
            return
        use(index, missing, path, np.random.default_rng(seed))


def use(
    index: HnswIndex, missing: np.ndarray[tuple[int], np.dtype[np.uint32]], path: Path,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Everything that an index does. What it finds may be anything, as long as it is an answer."""
    if len(missing) and index.dimensions in (None, DIMENSIONS):
        rows = random.normal(size=(len(missing), DIMENSIONS)).astype(np.float32)
        index.add(missing, rows)
    assert index.wait_indexed(60)
    query = random.normal(size=index.dimensions or DIMENSIONS).astype(np.float32)
    some = AllowList(BitMap(range(0, COUNT, 7)))
    for allow in (None, some):
        found = index.search(query, 10, allow=allow)
        assert len(found.doc_ids) <= 10
    index.delete(np.arange(0, COUNT, 2, dtype=np.uint32))
    index.compact(0.0)
    assert index.wait_indexed(60)
    index.search(query, 10)
    index.save(path)
    index.close()
