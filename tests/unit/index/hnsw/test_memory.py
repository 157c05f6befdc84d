"""What a graph takes of a process's memory, against what was estimated and what it says itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weftdb
from tests.sizes import sized
from tests.unit.index.measured_index import measurable, measure
from weftdb.core.config import IndexConfig
from weftdb.core.memory_estimate import code_bytes
from weftdb.core.schema import Compression, HnswSettings, Metric, Quantizer, VectorConfig
from weftdb.core.types import UNNAMED

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.hnsw.quantizer import code_settings
from weftdb.index.kernels import _native

COMPACTED = sized(60_000, sanitized=20_000)
PQ = {"trainingLimit": 10_000, "centroids": 64}
SETTINGS = {"efConstruction": 16, "distance": "l2-squared"}


@measurable
@pytest.mark.parametrize(
    ("count", "dim", "settings", "kind"),
    [
        (40_000, 128, SETTINGS, "hnsw"),
        (40_000, 32, {**SETTINGS, "maxConnections": 64}, "hnsw"),
        (80_000, 100, {"distance": "l2-squared"}, "flat"),
        (120_000, 128, {"rq": {"enabled": True}}, "flat"),
        (200_000, 128, {"bq": {"enabled": True}}, "flat"),
        (50_000, 128, {**SETTINGS, "sq": {"enabled": True}}, "hnsw"),
        (50_000, 128, {**SETTINGS, "rq": {"enabled": True, "bits": 8}}, "hnsw"),
        (50_000, 128, {**SETTINGS, "rq": {"enabled": True, "bits": 4}}, "hnsw"),
        (50_000, 128, {**SETTINGS, "rq": {"enabled": True, "bits": 1}}, "hnsw"),
        (50_000, 128, {**SETTINGS, "bq": {"enabled": True}}, "hnsw"),
        (50_000, 128, {**SETTINGS, "pq": {**PQ, "enabled": True}}, "hnsw"),
        (50_000, 128, {"threshold": 200_000}, "dynamic"),
        (200_000, 128, {"threshold": 300_000, "flat": {"bq": {"enabled": True}}}, "dynamic"),
        (30_000, 128, {"threshold": 10_000, "hnsw": SETTINGS}, "dynamic"),
    ],
)
def test_estimate_is_near_the_measured(
    count: int, dim: int, settings: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    found = measure(tmp_path, count, dim, settings, kind=kind)
    estimate = weftdb.estimate_memory(count, dim, settings, kind=kind).total
    assert estimate == pytest.approx(found.grown, rel=0.2)
    assert found.reported == pytest.approx(found.grown, rel=0.2)


@pytest.mark.parametrize("dim", [8, 24, 100, 125, 128, 130, 7])
@pytest.mark.parametrize(
    "quantizer",
    [
        Quantizer(Compression.BINARY),
        Quantizer(Compression.SCALAR),
        Quantizer(Compression.PRODUCT, centroids=4),
        Quantizer(Compression.PRODUCT, centroids=4, segments=1),
        Quantizer(Compression.PRODUCT, centroids=4, encoder="tile"),
        Quantizer(Compression.ROTATIONAL, bits=8),
        Quantizer(Compression.ROTATIONAL, bits=4),
        Quantizer(Compression.ROTATIONAL, bits=1),
    ],
    ids=lambda item: f"{item.kind.value}-{item.bits}-{item.segments}-{item.encoder}",
)
def test_codes_are_as_long_as_estimated(quantizer: Quantizer, dim: int) -> None:
    rows = np.random.default_rng(1).random((64, dim), dtype=np.float32)
    codes = _native.make_codes(code_settings(quantizer), "l2-squared", rows, None)
    assert codes.code_bytes == code_bytes(quantizer, dim)


def test_a_compaction_tells_what_it_takes() -> None:
    config = VectorConfig(
        UNNAMED, metric=Metric.L2_SQUARED, hnsw=HnswSettings(max_connections=8, ef_construction=16)
    )
    index = HnswIndex(config, IndexConfig(threads=2))
    rows = np.random.default_rng(3).random((COMPACTED, 64), dtype=np.float32)
    index.add(np.arange(len(rows), dtype=np.uint32), rows)
    assert index.wait_indexed(120)
    assert index.compaction_bytes == (0, 0)
    full = index.memory_bytes()
    index.delete(np.arange(0, len(rows), 2, dtype=np.uint32))
    seen = []
    until = time.monotonic() + sized(60, sanitized=600)
    while index.compactions == 0:
        seen.append(index.compaction_bytes)
        assert time.monotonic() < until
    assert index.wait_indexed(60)
    told = [held + coming for held, coming in seen if held + coming]
    assert told, "it was looked at while it ran"
    assert full / 2 == pytest.approx(max(told), rel=0.25)
    assert index.compaction_bytes == (0, 0)
    index.close()
