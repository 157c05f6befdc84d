"""Engines: ours and the peers behind one Protocol, in-process, with the same degree and beam.

`max_connections` 32 of ours is M 16 of theirs: 32 links on layer 0, 16 above. efConstruction is 128
for all. Every engine gets the same unit rows (cosine) or raw rows (l2) and searches in batches.
Peers are imported when they are made, so a worker holds one library only.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .datasets import Floats, Ints, K

M = 16
LINKS = 2 * M
EF_CONSTRUCTION = 128
OURS = "weftdb"
OURS_RQ8 = "weftdb RQ8"
"""Ours with codes of 8 bits a dimension; what the walk finds is measured again exactly."""
OWN = (OURS, OURS_RQ8)
REFINED_FACTOR = 10
"""Candidates of a refined product quantizer for each result, which are compared exactly."""
BUILD_TIMEOUT_S = 3600.0
BATCH = 1000


class Engine(Protocol):
    """One index of one library over one dataset."""

    def build(self, rows: Floats, threads: int) -> None:
        """Index the rows under their numbers; returns when every one is searchable by the graph."""
        ...

    def search(self, queries: Floats, knob: int, threads: int) -> Ints:
        """Ids of the `K` nearest by the engine, int64[queries, K], -1 where it has none."""
        ...

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        ...

    def load(self, path: Path, count: int, dimensions: int) -> None:
        """Take the index from a file."""
        ...


class Weftdb:
    """Our native index, as the engine of the database holds it, with or without codes."""

    def __init__(self, metric: str, *, has_codes: bool = False) -> None:
        self._metric = metric
        self._has_codes = has_codes
        self._index: Any = None
        self._threads = 2

    def _make(self, threads: int) -> Any:
        from weftdb.core.config import IndexConfig
        from weftdb.core.schema import Compression, HnswSettings, Metric, Quantizer, VectorConfig
        from weftdb.index.hnsw.graph import HnswIndex
        from weftdb.index.kernels import _native

        _native.set_link_niceness(0)
        settings = HnswSettings(ef_construction=EF_CONSTRUCTION, max_connections=LINKS)
        metric = Metric.COSINE if self._metric == "cosine" else Metric.L2_SQUARED
        # The config of the index has no vectorizer and no name to look at.
        quantizer = Quantizer(Compression.ROTATIONAL, bits=8) if self._has_codes else None
        config = VectorConfig(name="", metric=metric, hnsw=settings, quantizer=quantizer)
        return HnswIndex(config, IndexConfig(threads=threads))

    def build(self, rows: Floats, threads: int) -> None:
        """Add in batches as an import does, and wait for the links."""
        self._index = self._make(threads)
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            self._index.add(np.arange(start, start + len(part), dtype=np.uint32), part)
        if not self._index.wait_indexed(BUILD_TIMEOUT_S):
            raise TimeoutError(f"not linked after {BUILD_TIMEOUT_S} s")

    def search(self, queries: Floats, knob: int, threads: int) -> Ints:
        """One call, with its own threads."""
        from weftdb.index.ports import NO_DOC

        found = self._index.search_many(queries, K, ef=knob, threads=threads)
        ids = found.doc_ids.astype(np.int64)
        ids[ids == NO_DOC] = -1
        return ids

    def save(self, path: Path) -> None:
        """Write our snapshot."""
        self._index.save(path)

    def load(self, path: Path, count: int, dimensions: int) -> None:
        """Open our snapshot, all docs live."""
        from pyroaring import BitMap

        from weftdb.index.allow_list import AllowList

        self._index = self._make(2)
        missing = self._index.load(path, AllowList(BitMap(range(count))))
        assert len(missing) == 0, f"{len(missing)} docs are not in the snapshot"
        assert self._index.wait_indexed(BUILD_TIMEOUT_S), "the snapshot holds vectors without links"


class Hnswlib:
    """hnswlib; unit rows go into its inner-product space, as its `cosine` does after scaling."""

    def __init__(self, metric: str) -> None:
        self._space = "ip" if metric == "cosine" else "l2"
        self._index: Any = None

    def build(self, rows: Floats, threads: int) -> None:
        """One call for all rows."""
        import hnswlib

        count, dimensions = rows.shape
        self._index = hnswlib.Index(space=self._space, dim=dimensions)
        self._index.init_index(count, M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        self._index.add_items(rows, np.arange(count), num_threads=threads)

    def search(self, queries: Floats, knob: int, threads: int) -> Ints:
        """One call, with its own threads."""
        self._index.set_ef(max(knob, K))
        ids, _ = self._index.knn_query(queries, k=K, num_threads=threads)
        return np.asarray(ids).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write its file."""
        self._index.save_index(str(path))

    def load(self, path: Path, count: int, dimensions: int) -> None:
        """Read its file."""
        import hnswlib

        self._index = hnswlib.Index(space=self._space, dim=dimensions)
        self._index.load_index(str(path), max_elements=count)


class Usearch:
    """usearch with float32 vectors."""

    def __init__(self, metric: str) -> None:
        self._metric = "ip" if metric == "cosine" else "l2sq"
        self._index: Any = None

    def _make(self, dimensions: int) -> Any:
        from usearch.index import Index

        return Index(ndim=dimensions, metric=self._metric, dtype="f32", connectivity=M,
                     expansion_add=EF_CONSTRUCTION, enable_key_lookups=False)  # fmt: skip

    def build(self, rows: Floats, threads: int) -> None:
        """One call for all rows."""
        self._index = self._make(rows.shape[1])
        self._index.add(np.arange(len(rows)), rows, threads=threads)

    def search(self, queries: Floats, knob: int, threads: int) -> Ints:
        """One call, with its own threads."""
        self._index.expansion_search = max(knob, K)
        return np.asarray(self._index.search(queries, K, threads=threads).keys).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write its file."""
        self._index.save(str(path))

    def load(self, path: Path, count: int, dimensions: int) -> None:
        """Read its file into memory."""
        self._index = self._make(dimensions)
        self._index.load(str(path))


class Faiss:
    """One kind of faiss index; the knob is efSearch or nprobe."""

    def __init__(self, metric: str, make: Callable[[Any, int, int, int], Any]) -> None:
        self._metric = metric
        self._make = make
        self._index: Any = None

    def build(self, rows: Floats, threads: int) -> None:
        """Train where the kind asks for it, then add all rows in one call."""
        import faiss

        faiss.omp_set_num_threads(threads)
        count, dimensions = rows.shape
        metric = faiss.METRIC_INNER_PRODUCT if self._metric == "cosine" else faiss.METRIC_L2
        index = self._make(faiss, dimensions, count, metric)
        if not index.is_trained:
            random = np.random.default_rng(1)
            sample = random.permutation(count)[: min(count, 100_000)]
            index.train(np.ascontiguousarray(rows[np.sort(sample)]))
        index.add(rows)
        self._index = index

    def search(self, queries: Floats, knob: int, threads: int) -> Ints:
        """One call, with its own threads."""
        import faiss

        faiss.omp_set_num_threads(threads)
        index = self._index
        if isinstance(index, faiss.IndexRefine):
            index.k_factor = REFINED_FACTOR
            index = faiss.downcast_index(index.base_index)
        if hasattr(index, "hnsw"):
            index.hnsw.efSearch = max(knob, K)
        else:
            index.nprobe = knob
        _, ids = self._index.search(queries, K)
        return np.asarray(ids, dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write its file."""
        import faiss

        faiss.write_index(self._index, str(path))

    def load(self, path: Path, count: int, dimensions: int) -> None:
        """Read its file."""
        import faiss

        self._index = faiss.read_index(str(path))


def _with_beam(index: Any) -> Any:
    index.hnsw.efConstruction = EF_CONSTRUCTION
    return index


def _lists(count: int) -> int:
    return int(2 ** round(math.log2(4 * math.sqrt(count))))


def _hnsw_flat(faiss: Any, dimensions: int, count: int, metric: int) -> Any:
    return _with_beam(faiss.IndexHNSWFlat(dimensions, M, metric))


def _hnsw_sq(faiss: Any, dimensions: int, count: int, metric: int) -> Any:
    kind = faiss.ScalarQuantizer.QT_8bit
    return _with_beam(faiss.IndexHNSWSQ(dimensions, kind, M, metric))


def _hnsw_pq(faiss: Any, dimensions: int, count: int, metric: int) -> Any:
    return _with_beam(faiss.index_factory(dimensions, f"HNSW{M}_PQ{dimensions // 2}", metric))


def _ivf_pq(faiss: Any, dimensions: int, count: int, metric: int) -> Any:
    name = f"IVF{_lists(count)},PQ{dimensions // 4}x8"
    return faiss.index_factory(dimensions, name, metric)


def _ivf_pq_refined(faiss: Any, dimensions: int, count: int, metric: int) -> Any:
    name = f"IVF{_lists(count)},PQ{dimensions // 4}x4fs,RFlat"
    return faiss.index_factory(dimensions, name, metric)


FAISS_KINDS: dict[str, Callable[[Any, int, int, int], Any]] = {
    "faiss HNSWFlat": _hnsw_flat,
    "faiss HNSWSQ": _hnsw_sq,
    "faiss HNSWPQ": _hnsw_pq,
    "faiss IVFPQ": _ivf_pq,
    "faiss IVFPQ refined": _ivf_pq_refined,
}
PEERS = ("hnswlib", "faiss HNSWSQ", "faiss HNSWFlat", "usearch", "faiss IVFPQ", "faiss HNSWPQ",
         "faiss IVFPQ refined")  # fmt: skip
TRAINED = frozenset({"faiss HNSWPQ", "faiss IVFPQ", "faiss IVFPQ refined"})
TRAINING_ROWS_MIN = 20_000
"""Fewer rows do not make a codebook of 256 centroids (faiss asks for 39 rows each)."""
UNLISTED = frozenset({"faiss IVFPQ refined"})
"""Measured and shown, but not one of those that the promises name: it keeps codes and originals."""
GRAPHS = frozenset({*OWN, "hnswlib", "usearch", "faiss HNSWFlat", "faiss HNSWSQ", "faiss HNSWPQ"})


def import_library(name: str) -> None:
    """Load what an engine is made of, so that its first build is not timed with it."""
    modules = {"hnswlib": "hnswlib", "usearch": "usearch.index"} | dict.fromkeys(
        OWN, "weftdb.index.hnsw.graph"
    )
    importlib.import_module(modules.get(name, "faiss"))


def make_engine(name: str, metric: str) -> Engine:
    """An empty engine by name. Raises KeyError for one that there is not."""
    if name in OWN:
        return Weftdb(metric, has_codes=name == OURS_RQ8)
    if name == "hnswlib":
        return Hnswlib(metric)
    if name == "usearch":
        return Usearch(metric)
    return Faiss(metric, FAISS_KINDS[name])


def knobs(name: str, *, limit: int) -> tuple[int, ...]:
    """The sweep of an engine's knob, ascending."""
    ladder = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
    probes = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    return tuple(item for item in (ladder if name in GRAPHS else probes) if item <= limit)
