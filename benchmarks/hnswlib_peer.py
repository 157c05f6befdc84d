"""hnswlib in-process on the same vectors: the build with two threads, the searches with one."""

from __future__ import annotations

import time
from dataclasses import dataclass

import hnswlib
import numpy as np

from .material import K, Vectors

M = 16
EF_CONSTRUCTION = 128
BUILD_THREADS = 2
EF_SWEEP = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Point:
    """One setting of ef: searches per second (batched, one thread), p50 of single calls."""

    ef: int
    recall: float
    searches_per_s: float
    p50_ms: float


@dataclass(frozen=True)
class HnswlibResult:
    """What hnswlib reaches on one set of vectors."""

    build_per_s: float
    points: tuple[Point, ...]

    def at_recall(self, recall: float) -> Point:
        """The curve at a recall, interpolated between measured points; its ends beyond them."""
        points = sorted(self.points, key=lambda item: item.recall)
        recalls = [item.recall for item in points]
        rate = float(np.exp(np.interp(recall, recalls, np.log([p.searches_per_s for p in points]))))
        p50 = float(np.interp(recall, recalls, [item.p50_ms for item in points]))
        ef = int(np.interp(recall, recalls, [item.ef for item in points]))
        return Point(ef, recall, rate, p50)


def build(vectors: Vectors) -> tuple[hnswlib.Index, float]:
    """Build with two threads; the index and vectors per second."""
    count, dimensions = vectors.rows.shape
    index = hnswlib.Index(space="ip", dim=dimensions)
    index.init_index(max_elements=count, M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
    began = time.perf_counter()
    index.add_items(vectors.rows, np.arange(count), num_threads=BUILD_THREADS)
    return index, count / (time.perf_counter() - began)


def measure_point(index: hnswlib.Index, vectors: Vectors, ef: int, seconds: float) -> Point:
    """Search everything once for recall, then for about `seconds` for the rate."""
    index.set_ef(ef)
    index.set_num_threads(1)
    labels, _ = index.knn_query(vectors.queries, k=K, num_threads=1)
    searched = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        index.knn_query(vectors.queries, k=K, num_threads=1)
        searched += len(vectors.queries)
    rate = searched / (time.perf_counter() - began)
    latencies = []
    for query in vectors.queries[:500]:
        at = time.perf_counter()
        index.knn_query(query, k=K, num_threads=1)
        latencies.append(time.perf_counter() - at)
    recall = vectors.recall(labels.astype(np.int64).tolist())
    return Point(ef, recall, rate, float(np.median(latencies)) * 1e3)


def measure_hnswlib(vectors: Vectors, *, seconds: float) -> HnswlibResult:
    """Build and sweep ef until recall is past what anyone asks for here."""
    index, build_per_s = build(vectors)
    points: list[Point] = []
    for ef in EF_SWEEP:
        points.append(measure_point(index, vectors, ef, seconds))
        if points[-1].recall > 0.985:
            break
    return HnswlibResult(build_per_s, tuple(points))
