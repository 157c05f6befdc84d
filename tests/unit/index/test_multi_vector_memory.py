"""What multi-vectors take of a process's memory, against the estimate and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import weftdb
from tests.unit.index.measured_index import measurable, measure

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

QUICK = {"efConstruction": 8, "maxConnections": 8}


def multi(**muvera: int) -> dict[str, Any]:
    encoding = {"enabled": bool(muvera), **muvera}
    return {**QUICK, "multivector": {"enabled": True, "muvera": encoding}}


@measurable
@pytest.mark.parametrize(
    ("count", "rows", "dim", "settings"),
    [
        (4_000, 10, 128, multi()),
        (8_000, 16, 64, multi(ksim=3, dprojections=16, repetitions=10)),
        (20_000, 16, 64, multi(ksim=1, repetitions=1)),
    ],
)
def test_estimate_is_within_a_fifth(
    tmp_path: Path, count: int, rows: int, dim: int, settings: dict[str, Any]
) -> None:
    found = measure(tmp_path, count, dim, settings, rows=rows)
    estimate = weftdb.estimate_memory(count, dim, settings, rows=rows).total
    assert found.grown == pytest.approx(estimate, rel=0.2)
    assert found.reported == pytest.approx(estimate, rel=0.2)
