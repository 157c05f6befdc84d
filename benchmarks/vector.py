"""Compares the vector index with hnswlib: build rate, searches per second and recall, memory.

    python benchmarks/vector.py [--count 100000] [--dimensions 128 256] [--threads 2] [--data x.npy]

Both libraries get the same rows in the same process, one after the other, and searches alternate
between them round by round, so that other load on the machine hits both. Each rate is the best of
the rounds; builds also give processor time, which other load disturbs less. Memory is the growth
of the process for ours and the saved size for hnswlib, which takes its memory from what the
process had. Needs hnswlib (extra `hnswlib`); without it only our numbers are printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weftdb.index.kernels import _native

K = 10
LINKS = 32  # max_connections; hnswlib's M is half of it
EF_CONSTRUCTION = 128
EFS = (16, 32, 64, 128, 256)
QUERIES = 1000
ROUNDS = 5

Rows = NDArray[np.float32]
Ids = NDArray[np.int64]
SearchAll = Callable[[int], Ids]


@dataclass(frozen=True)
class Subject:
    """A built index: its build rate (rows/s, wall clock), processor time (µs a row, all threads),
    bytes, and a function from ef to the ids found."""

    name: str
    build_rate: float
    row_cpu_us: float
    memory_bytes: int
    search_all: SearchAll


def clustered(count: int, dimensions: int, seed: int) -> Rows:
    """Rows around a thousand centres, with noise of falling variance, as embeddings have."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(1000, dimensions))
    scale = (1 + np.arange(dimensions)) ** -0.25
    rows = centres[random.integers(0, 1000, count)] * 0.25
    return (rows + random.normal(size=(count, dimensions)) * scale).astype(np.float32)


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def exact(rows: Rows, queries: Rows) -> Ids:
    """Ids of the true neighbours by cosine, int[queries, K]."""
    unit_rows, unit_queries = _native.normalised(rows), _native.normalised(queries)
    parts = [
        np.argpartition(-(unit_queries[at : at + 100] @ unit_rows.T), K, axis=1)[:, :K]
        for at in range(0, len(queries), 100)
    ]
    return np.concatenate(parts)


def build_weftdb(rows: Rows, queries: Rows, threads: int) -> Subject:
    """Build ours; the rate counts until the last vector is linked."""
    _native.set_link_niceness(0)
    _native.set_link_threads(threads)
    before = resident_bytes()
    index = _native.make_vector_index("cosine", LINKS, EF_CONSTRUCTION, 0, 1024)
    begin, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(rows), 1000):
        part = rows[at : at + 1000]
        index.add(np.arange(at, at + len(part), dtype=np.uint32), part)
    while not index.wait_indexed(0.5):
        pass
    rate = len(rows) / (time.perf_counter() - begin)
    cpu_us = (time.process_time() - cpu) / len(rows) * 1e6

    def search_all(ef: int) -> Ids:
        found = index.search_many(
            queries, K, ef, None, _native.SearchBounds(None, ""), float("inf")
        )
        return found[0].astype(np.int64)

    return Subject("weftdb", rate, cpu_us, resident_bytes() - before, search_all)


def build_hnswlib(rows: Rows, queries: Rows, threads: int) -> Subject:
    """Build the peer with the same parameters."""
    import hnswlib

    begin, cpu = time.perf_counter(), time.process_time()
    index = hnswlib.Index("cosine", rows.shape[1])
    index.init_index(len(rows), M=LINKS // 2, ef_construction=EF_CONSTRUCTION, random_seed=1)
    index.add_items(rows, num_threads=threads)
    rate = len(rows) / (time.perf_counter() - begin)
    cpu_us = (time.process_time() - cpu) / len(rows) * 1e6

    def search_all(ef: int) -> Ids:
        index.set_ef(ef)
        ids, _ = index.knn_query(queries, k=K, num_threads=1)
        return np.asarray(ids, dtype=np.int64)

    return Subject("hnswlib", rate, cpu_us, int(index.index_file_size()), search_all)


def recall(found: Ids, truth: Ids) -> float:
    """Share of the true neighbours that were found."""
    hits = sum(len(set(left) & set(right)) for left, right in zip(found, truth, strict=True))
    return hits / truth.size


def measure(subjects: list[Subject], ef: int, truth: Ids) -> dict[str, tuple[float, float]]:
    """(searches/s, recall) of each subject, one thread, best of the rounds."""
    best = dict.fromkeys((subject.name for subject in subjects), 0.0)
    recalls = {subject.name: recall(subject.search_all(ef), truth) for subject in subjects}
    for _ in range(ROUNDS):
        for subject in subjects:
            begin = time.perf_counter()
            subject.search_all(ef)
            rate = len(truth) / (time.perf_counter() - begin)
            best[subject.name] = max(best[subject.name], rate)
    return {name: (best[name], recalls[name]) for name in best}


def compare(rows: Rows, queries: Rows, threads: int, *, peers: bool) -> None:
    """Print the table of one data set."""
    print(f"\n{len(rows):,} x {rows.shape[1]}, cosine, k {K}, links {LINKS} (M {LINKS // 2})")
    truth = exact(rows, queries)
    subjects = [build_weftdb(rows, queries, threads)]
    if peers:
        subjects.append(build_hnswlib(rows, queries, threads))
    for subject in subjects:
        share = subject.memory_bytes / rows.nbytes
        print(
            f"  {subject.name:8} build {subject.build_rate:8,.0f}/s with {threads} threads, "
            f"{subject.row_cpu_us:,.0f} µs of processor a row, "
            f"{subject.memory_bytes / 1e6:6,.0f} MB = {share:.2f} x raw"
        )
    for ef in EFS:
        result = measure(subjects, ef, truth)
        cells = [f"{name} {rate:8,.0f}/s @ {share:.3f}" for name, (rate, share) in result.items()]
        if peers:
            cells.append(f"ratio {result['weftdb'][0] / result['hnswlib'][0]:.2f}")
        print(f"  ef {ef:4}  " + "   ".join(cells))


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", help="float32 rows in a .npy file, instead of random ones")
    options = parser.parse_args()
    peers = importlib.util.find_spec("hnswlib") is not None
    if not peers:
        print("hnswlib is not installed: pip install hnswlib")
    print(f"{platform.processor() or platform.machine()}, {_native.simd_names()[0]}")
    if options.data:
        rows = np.ascontiguousarray(np.load(options.data), dtype=np.float32)
        compare(rows[QUERIES:], rows[:QUERIES], options.threads, peers=peers)
        return
    for dimensions in options.dimensions:
        rows = clustered(options.count, dimensions, 1)
        compare(rows, clustered(QUERIES, dimensions, 2), options.threads, peers=peers)


if __name__ == "__main__":
    main()
