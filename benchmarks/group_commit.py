"""`python -m benchmarks.group_commit`: what group commit, batches and scans of the store reach.

Three questions: how many single-object writes a second do n threads get, each waiting for its own
sync, beside one thread alone (promised: at least 5 times at 64 threads); does a batch of a thousand
objects cost one sync; how fast does a node read its vectors, and its log after a SIGKILL. Rounds
alternate between the numbers of threads, and the ratio is taken of the medians, because machines
are shared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from weftdb.core.config import StorageConfig
from weftdb.core.env import SystemClock
from weftdb.core.types import UNNAMED, DocId, ShardId
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.objects import ObjectStore
from weftdb.storage.rocks import RocksStore

OBJECT_BYTES = 300
THREADS = (1, 16, 64, 256)
FACTOR_MIN = 5.0
DIMENSIONS = 128
BATCH = 1_000
WRITER = "from benchmarks.group_commit import *; fill_and_die(Path({path!r}), {rows})"


def open_store(path: Path) -> RocksStore:
    """Open a store with the default budgets."""
    return RocksStore(path, StorageConfig(), SystemClock())


def single_writes(store: RocksStore, threads: int, writes: int) -> float:
    """Writes a second of `threads` writers that each wait for their own writes."""
    value = os.urandom(OBJECT_BYTES)
    start = threading.Barrier(threads + 1)

    def work(writer: int) -> None:
        start.wait()
        for number in range(writes // threads):
            batch = WriteBatch()
            # Not os.urandom: it lets go of the interpreter, which would then be measured too.
            batch.put(Family.OBJECTS, b"%08d%08d" % (number, writer), value)
            store.wait_durable(store.write(batch))

    workers = [threading.Thread(target=work, args=(writer,)) for writer in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    return writes / (time.perf_counter() - begun)


def measure_writers(path: Path, rounds: int) -> float:
    """Print the rates, and return how much 64 threads gain over one."""
    store = open_store(path)
    rates: dict[int, list[float]] = {threads: [] for threads in THREADS}
    syncs: dict[int, float] = {}
    for _ in range(rounds):
        for threads in THREADS:
            writes = 2_000 if threads == 1 else 12_800
            before = store.metrics()["syncs"]
            rates[threads].append(single_writes(store, threads, writes))
            syncs[threads] = writes / (store.metrics()["syncs"] - before)
    store.close()
    alone = statistics.median(rates[1])
    for threads, measured in rates.items():
        rate = statistics.median(measured)
        print(
            f"{threads:4} writers: {rate:8,.0f} writes/s, {syncs[threads]:6.1f} a sync, "
            f"{rate / alone:4.1f} x one writer"
        )
    return statistics.median(rates[64]) / alone


def fill(store: RocksStore, rows: int) -> int:
    """Store `rows` vectors in batches; return the syncs that it took."""
    objects = ObjectStore(store, ShardId(1))
    vectors = np.random.default_rng(1).random((BATCH, DIMENSIONS), dtype=np.float32)
    before = store.metrics()["syncs"]
    for first in range(0, rows, BATCH):
        batch = WriteBatch()
        for row in range(BATCH):
            objects.put_vector(batch, UNNAMED, DocId(first + row), vectors[row])
        store.wait_durable(store.write(batch))
    return store.metrics()["syncs"] - before


def fill_and_die(path: Path, rows: int) -> None:
    """Fill a store and end without closing it; runs in a process of its own."""
    fill(open_store(path), rows)
    os.kill(os.getpid(), 9)


def measure_scan(path: Path, rows: int) -> None:
    """Print how a batch is synced, how long the log takes to replay, and the rate of a scan."""
    code = WRITER.format(path=str(path), rows=rows)
    subprocess.run([sys.executable, "-c", code], check=False, timeout=300)
    begun = time.perf_counter()
    store = open_store(path)
    print(f"opened {rows:,} vectors after SIGKILL in {time.perf_counter() - begun:.2f} s")
    syncs = fill(store, 10 * BATCH)
    print(f"10 batches of {BATCH:,} vectors took {syncs} syncs")
    objects = ObjectStore(store, ShardId(1))
    measured, found = [], 0
    for _ in range(3):
        begun = time.perf_counter()
        found = sum(len(ids) for ids, _ in objects.scan_vectors(UNNAMED, DocId(0)))
        measured.append(found / (time.perf_counter() - begun))
    assert found == rows, f"{rows} vectors were acknowledged, {found} are there"
    print(f"scan and decode: {max(measured):,.0f} vectors/s of {DIMENSIONS} dimensions")
    store.close()


def main() -> int:
    """Measure, print, and fail when the promised factor is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.group_commit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=300_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        factor = measure_writers(Path(folder) / "writers", arguments.rounds)
        measure_scan(Path(folder) / "scan", arguments.rows)
    verdict = "PASS" if factor >= FACTOR_MIN else "MISS"
    print(f"64 writers reach {factor:.1f} x one writer, promised {FACTOR_MIN:.0f} x: {verdict}")
    return 0 if factor >= FACTOR_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
