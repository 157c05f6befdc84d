"""Our engine in-process on the same vectors: no port, no wire; one and two threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weftdb.core.config import Config
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine.assembly import open_engine
from weftdb.engine.collection import LocalCollection

from .material import K, Vectors
from .server_client import collection_definition

BATCH = 1000
COLLECTION = "Bench"


@dataclass(frozen=True)
class LibraryResult:
    """Import and searches without a server."""

    import_per_s: float
    ef: int
    recall: float
    one_thread_per_s: float
    two_threads_per_s: float
    p50_ms: float


def fill(collection: LocalCollection, vectors: Vectors) -> float:
    """Put everything in batches and wait for the graph; objects per second."""
    began = time.perf_counter()
    for start in range(0, len(vectors.rows), BATCH):
        drafts = [
            ObjectDraft(
                ObjectId((start + offset + 1).to_bytes(16, "big")),
                {"name": f"object number {start + offset}", "number": start + offset},
                {UNNAMED: row},
            )
            for offset, row in enumerate(vectors.rows[start : start + BATCH])
        ]
        errors = [error for error in collection.put(drafts) if error is not None]
        assert not errors, errors[:1]
    assert collection.wait_indexed(1800.0), "the graph was not ready in time"
    return len(vectors.rows) / (time.perf_counter() - began)


def search_once(collection: LocalCollection, query: np.ndarray, ef: int) -> list[bytes]:
    """One search; the stored bytes of its hits."""
    near = NearVector((Target(UNNAMED, query),))
    return collection.search(Search(COLLECTION, near=near, limit=K, ef=ef)).stored


def measure_library(vectors: Vectors, path: Path, *, ef: int, seconds: float) -> LibraryResult:
    """Fill a fresh directory and search it at one ef."""
    from weftdb.storage.object_codec import stored_id

    engine = open_engine(path, Config())
    try:
        definition = collection_definition(COLLECTION, {"name": "text", "number": "int"})
        engine.catalogue.create(definition)
        collection = engine.catalogue.local(COLLECTION)
        import_per_s = fill(collection, vectors)
        found = [
            [int.from_bytes(stored_id(item), "big") - 1 for item in search_once(collection, q, ef)]
            for q in vectors.queries
        ]

        def worker(_: int) -> list[float]:
            latencies: list[float] = []
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                for query in vectors.queries[:200]:
                    at = time.perf_counter()
                    search_once(collection, query, ef)
                    latencies.append(time.perf_counter() - at)
            return latencies

        alone = worker(0)
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            pair = [len(item) for item in pool.map(worker, range(2))]
        two_per_s = sum(pair) / (time.perf_counter() - began)
    finally:
        engine.close()
    return LibraryResult(
        import_per_s, ef, vectors.recall(found), len(alone) / sum(alone), two_per_s,
        float(np.median(alone)) * 1e3,
    )  # fmt: skip
