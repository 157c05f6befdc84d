"""Linking that fails for want of memory: nothing is lost, it goes on when it is told to.

The memory is taken away for real, in a process of its own. A sanitizer would die of that: under
one a library (tests/sanitize/scarce.cpp) refuses big blocks.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sizes import SANITIZER, sized

TIMEOUT_S = sized(120, sanitized=600)

PROGRAM = """
import ctypes, os, resource, time
import numpy as np
from weftdb.core.config import IndexConfig
from weftdb.core.errors import Fault
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.kernels import _native

SCARCE = os.environ.get("WEFTDB_SCARCE", "")
PATIENCE = 1
if SCARCE:
    from tests.sanitize.patience import TIMES as PATIENCE, be_patient

    be_patient()
COUNT = 6_000
rows = np.random.default_rng(1).standard_normal((COUNT, 16)).astype(np.float32)
docs = np.arange(COUNT, dtype=np.uint32)


def make(links, flat_until):
    settings = HnswSettings(max_connections=links, ef_construction=32)
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=settings)
    return HnswIndex(config, IndexConfig(threads=2), flat_until=flat_until)


def end_memory():
    if SCARCE:
        ctypes.CDLL(SCARCE).weft_memory_ends(1)
        return
    with open("/proc/self/statm") as statm:
        held = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held, resource.RLIM_INFINITY))


def give_memory():
    if SCARCE:
        ctypes.CDLL(SCARCE).weft_memory_ends(0)
    else:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def check(index):
    for doc in (0, COUNT // 2, COUNT - 1):
        assert index.search(rows[doc], 3).doc_ids[0] == doc


assert _native.SANITIZER == os.environ.get("WEFTDB_SANITIZER", "")
warm = make(16, 0)  # Threads and their memory are there before memory goes short.
warm.add(docs, rows)
assert warm.wait_indexed(60)
index = make(4096, COUNT)  # Links of 16 KiB a vector: a hundred megabytes to come.
index.add(docs, rows)
check(index)
end_memory()
index.native.set_flat_until(1)
index.add(np.array([COUNT], dtype=np.uint32), rows[:1] + 100)
until = time.monotonic() + 30 * PATIENCE
while not index.link_fault and time.monotonic() < until:
    time.sleep(0.01)
fault = index.link_fault
give_memory()
assert fault == "out of memory", fault
assert 0 < index.pending <= COUNT + 1
check(index)
try:
    index.wait_indexed(5)
    raise SystemExit("it must say that linking rests")
except Fault as error:
    assert "out of memory" in str(error), error
more = np.random.default_rng(2).standard_normal((500, 16)).astype(np.float32)
index.add(np.arange(COUNT + 1, COUNT + 501, dtype=np.uint32), more)
assert index.search(more[7], 1).doc_ids[0] == COUNT + 8
index.retry_links()
index.retry_links()
assert index.wait_indexed(60)
assert (index.pending, index.link_fault) == (0, "")
check(index)
index.close()
print("recovered")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="takes memory away with RLIMIT_AS")
def test_linking_goes_on_after_it_ran_out_of_memory() -> None:
    if SANITIZER and not os.environ.get("WEFTDB_SCARCE"):
        pytest.fail("`python -m tests.sanitize` says where the library is that refuses memory")
    # Under a sanitizer the copy of the package comes first, as it does here (-S, -P).
    command = [sys.executable, *(("-S", "-P") if SANITIZER else ()), "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "recovered\n"
