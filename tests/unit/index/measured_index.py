"""MeasuredIndex: what an index takes of the memory of a process that holds nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sizes import SANITIZER

PROGRAM = """
import json, os, sys
from pathlib import Path
import numpy as np
from weftdb.core.config import IndexConfig
from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.vector_index import IndexDefaults, parse_index, parse_index_kind
from weftdb.core.schema import VectorConfig
from weftdb.core.types import VectorName
from weftdb.index.factory import make_index

count, dim, settings, kind, rows = json.loads(sys.argv[1])
defaults = IndexDefaults()
kind = parse_index_kind(kind, defaults, async_indexing=True)
parsed, _ = parse_index(Fields(settings, ""), kind, defaults)
config = VectorConfig(
    VectorName("measured"), parsed.kind, parsed.metric, parsed.hnsw, multi_vector=bool(rows),
    muvera=parsed.muvera, quantizer=parsed.quantizer, flat_quantizer=parsed.flat_quantizer,
    dynamic_threshold=parsed.threshold,
)
random = np.random.default_rng(7)
step = 500 if rows else 1000

def fill(count):
    index = make_index(config, IndexConfig(threads=2))
    if rows or parsed.quantizer or parsed.flat_quantizer:
        index.keep_rows_in(Path(sys.argv[2]))
    for start in range(0, count, step):
        ids = np.repeat(np.arange(start, start + step, dtype=np.uint32), rows or 1)
        index.add(ids, random.random((len(ids), dim), dtype=np.float32))
    assert index.wait_indexed(120.0)
    return index

def resident():
    with open("/proc/self/statm") as file:
        resident, mapped = map(int, file.read().split()[1:3])
    return (resident - mapped) * os.sysconf("SC_PAGESIZE")

fill(3 * step).close()  # Threads, scratch memory and libraries are there from here on.
before = resident()
index = fill(count)
print(json.dumps([resident() - before, index.memory_bytes()]))
"""
TIMEOUT_S = 240

measurable = pytest.mark.skipif(
    bool(SANITIZER) or not Path("/proc/self/statm").exists(),
    reason="needs /proc, and a sanitizer keeps memory of its own",
)
"""Goes on tests that measure."""


@dataclass(frozen=True)
class MeasuredIndex:
    """Bytes by which a process grew with an index, and bytes that the index says it takes."""

    grown: int
    reported: int


def measure(
    directory: Path,
    count: int,
    dim: int,
    settings: dict[str, Any],
    *,
    kind: str = "",
    rows: int = 0,
) -> MeasuredIndex:
    """Fill an index of so many random docs, with `rows` vectors each where it is for multi-vectors
    (0: it is not). What may leave memory goes to `directory`."""
    case = json.dumps([count, dim, settings, kind, rows])
    command = [sys.executable, "-c", PROGRAM, case, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return MeasuredIndex(*json.loads(done.stdout))
