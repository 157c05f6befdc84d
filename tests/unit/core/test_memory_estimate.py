"""The estimate as arithmetic; tests/unit/index/hnsw holds it against a real process."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import weftdb
from weftdb.core.errors import InvalidRequest, SchemaViolation
from weftdb.core.memory_estimate import code_bytes, link_bytes, row_bytes
from weftdb.core.schema import Compression, Quantizer


@pytest.mark.parametrize(("dim", "size"), [(1, 16), (4, 16), (64, 256), (65, 320), (100, 448)])
def test_rows_are_padded(dim: int, size: int) -> None:
    assert row_bytes(dim) == size


def test_links_of_all_layers() -> None:
    assert link_bytes(32) == pytest.approx(4 * (32 + 16 / 15))


@pytest.mark.parametrize(
    ("quantizer", "dim", "size"),
    [
        (Quantizer(Compression.BINARY), 100, 16),
        (Quantizer(Compression.SCALAR), 100, 112 + 16),
        (Quantizer(Compression.PRODUCT, segments=32), 128, 32),
        (Quantizer(Compression.PRODUCT, segments=25), 100, 32),
        (Quantizer(Compression.PRODUCT), 128, 32),
        (Quantizer(Compression.PRODUCT, encoder="tile"), 24, 32),
        (Quantizer(Compression.ROTATIONAL, bits=8), 100, 112 + 16),
        (Quantizer(Compression.ROTATIONAL, bits=4), 256, 128 + 16),
        (Quantizer(Compression.ROTATIONAL, bits=1), 256, 32 + 16),
    ],
)
def test_codes(quantizer: Quantizer, dim: int, size: int) -> None:
    assert code_bytes(quantizer, dim) == size


@pytest.mark.parametrize(
    ("settings", "kind", "linked", "coded"),
    [
        ({}, "hnsw", True, False),
        ({"rq": {"enabled": True}}, "hnsw", True, True),
        ({}, "flat", False, False),
        ({"bq": {"enabled": True}}, "flat", False, True),
        ({}, "dynamic", True, False),
        ({"threshold": 200_000}, "dynamic", False, False),
        ({"threshold": 200_000, "flat": {"bq": {"enabled": True}}}, "dynamic", False, True),
    ],
)
def test_kinds(settings: dict[str, Any], kind: str, linked: bool, coded: bool) -> None:
    estimate = weftdb.estimate_memory(100_000, 128, settings, kind=kind)
    assert (estimate.links > 0) == linked
    assert (estimate.codes > 0) == coded
    rows = 2_044 if coded else 100_000
    assert 0 <= estimate.vectors - rows * row_bytes(128) < 2**21
    parts = (estimate.vectors, estimate.codes, estimate.links, estimate.bookkeeping)
    assert estimate.total == sum(parts)


def test_nothing_for_no_index() -> None:
    assert weftdb.estimate_memory(1_000_000, 128, {"skip": True}).total == 0


def test_few_vectors_have_no_links() -> None:
    assert weftdb.estimate_memory(1_000, 128).links == 0


@pytest.mark.parametrize(("count", "dim"), [(-1, 8), (2**31, 8), (10, 0), (10, 65_536)])
def test_sizes_that_no_shard_has(count: int, dim: int) -> None:
    with pytest.raises(InvalidRequest, match="must be in"):
        weftdb.estimate_memory(count, dim)


def test_wrong_settings() -> None:
    with pytest.raises(SchemaViolation, match="maxConnections"):
        weftdb.estimate_memory(10, 8, {"maxConnections": 2})


MATRICES = {"multivector": {"enabled": True}}
ENCODED = {"multivector": {"enabled": True, "muvera": {"enabled": True}}}


def test_matrices_and_what_finds_them() -> None:
    near, one = partial(pytest.approx, rel=0.1, abs=2**21), 10_000 * 32
    few = weftdb.estimate_memory(1_000, 128, MATRICES, rows=32)
    assert (few.codes, few.links) == (0, 0)
    rows = weftdb.estimate_memory(10_000, 128, MATRICES, rows=32)
    assert rows.vectors == near(2 * one * 128 * 4)
    assert rows.links == near(one * link_bytes(32))
    coded = weftdb.estimate_memory(10_000, 128, {**MATRICES, "bq": {"enabled": True}}, rows=32)
    assert coded.vectors == near(one * 128 * 4)
    assert coded.codes == near(one * 16)
    encoded = weftdb.estimate_memory(10_000, 128, ENCODED, rows=32)
    assert encoded.vectors == near(one * 128 * 4)
    assert encoded.codes == near(10_000 * (16 + 2_560))
    assert encoded.links < rows.links / 10


def test_long_encodings_are_folded() -> None:
    muvera = {"enabled": True, "ksim": 10, "dprojections": 64, "repetitions": 20}
    settings = {"multivector": {"enabled": True, "muvera": muvera}}
    estimate = weftdb.estimate_memory(2_000, 128, settings, rows=1)
    assert estimate.codes == pytest.approx(2_000 * (16 + 65_536), rel=0.1)


@pytest.mark.parametrize(
    ("settings", "rows"), [(MATRICES, None), ({}, 3), (MATRICES, 0.5), (MATRICES, 1e7)]
)
def test_rows_belong_to_multi_vectors(settings: dict[str, Any], rows: float | None) -> None:
    with pytest.raises(InvalidRequest, match="rows"):
        weftdb.estimate_memory(10_000, 16, settings, rows=rows)
