"""What multi-vectors take of a process's memory, against the estimate and what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import weftdb

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")
if not Path("/proc/self/statm").exists():
    pytest.skip("needs /proc", allow_module_level=True)

MEASURE = """
import json, os, sys
from pathlib import Path
import numpy as np
from weftdb.core.config import IndexConfig
from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.vector_index import IndexDefaults, parse_index, parse_index_kind
from weftdb.core.schema import VectorConfig
from weftdb.core.types import VectorName
from weftdb.index.factory import make_index

count, rows, dim, settings = json.loads(sys.argv[1])
defaults = IndexDefaults()
kind = parse_index_kind("", defaults, async_indexing=True)
parsed, _ = parse_index(Fields(settings, ""), kind, defaults)
config = VectorConfig(
    VectorName("m"), parsed.kind, parsed.metric, parsed.hnsw, multi_vector=True,
    muvera=parsed.muvera, quantizer=parsed.quantizer,
)
random = np.random.default_rng(7)

def fill(count):
    index = make_index(config, IndexConfig(threads=2))
    index.keep_rows_in(Path(sys.argv[2]))
    for start in range(0, count, 500):
        ids = np.repeat(np.arange(start, start + 500, dtype=np.uint32), rows)
        index.add(ids, random.random((len(ids), dim), dtype=np.float32))
    assert index.wait_indexed(120.0)
    return index

def resident():
    with open("/proc/self/statm") as file:
        resident, mapped = map(int, file.read().split()[1:3])
    return (resident - mapped) * os.sysconf("SC_PAGESIZE")

fill(1500).close()  # Threads, scratch memory and libraries are there from here on.
before = resident()
index = fill(count)
print(json.dumps([resident() - before, index.memory_bytes()]))
"""

QUICK = {"efConstruction": 8, "maxConnections": 8}


def multi(**muvera: int) -> dict[str, Any]:
    encoding = {"enabled": bool(muvera), **muvera}
    return {**QUICK, "multivector": {"enabled": True, "muvera": encoding}}


@pytest.mark.skipif(
    bool(_native.SANITIZER), reason="a sanitizer keeps memory of its own: nothing to compare"
)
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
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps([count, rows, dim, settings]), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    measured, said = json.loads(run.stdout)
    estimate = weftdb.estimate_memory(count, dim, settings, rows=rows).total
    assert measured == pytest.approx(estimate, rel=0.2)
    assert said == pytest.approx(estimate, rel=0.2)
