"""HnswlibIndex: the second engine, the hnswlib package behind the `VectorIndex` Protocol.

Chosen for a whole node with the setting `index.engine: hnswlib`, to compare with or to fall back
on. What it does not do as our own engine does:

- It cannot search beside inserts, and the width of a search is a property of the index: every
  method takes the one lock, so a search waits for the write or search before it. `add` links before
  it returns; nothing is ever pending.
- It knows cosine, dot and l2-squared, and no quantizers (`check_engine`).
- A filter is asked once a candidate, in Python. Few allowed docs are scanned.

Snapshot, derived data as the native one is:

    path            := JSON {"format": 1, "metric", "dimensions", "links", "ef_construction",
                             "bytes", "crc32", "live": base64 of a roaring bitmap}
    path ".hnswlib" := what `hnswlib.Index.save_index` writes

The graph goes first, then the description of it; a crash in between leaves a description that does
not fit. hnswlib crashes on damaged input, so the checksum is compared before it sees a byte.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import os
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import (
    Closed,
    CorruptData,
    DimensionMismatch,
    InvalidRequest,
    SchemaViolation,
    Unsupported,
)
from weftdb.core.schema import HnswSettings, IndexKind, Metric, VectorConfig
from weftdb.core.types import DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels.abc import Kernels
from weftdb.index.ports import Neighbours

SPACES = {Metric.COSINE: "cosine", Metric.DOT: "ip", Metric.L2_SQUARED: "l2"}
KINDS = (IndexKind.HNSW, IndexKind.HFRESH)
"""Kinds that this engine serves; flat, dynamic and multi-vectors stay with the native one."""

_FORMAT = 1
_CAPACITY_MIN = 1024
_SCAN_MAX = 1024
"""So few are scanned."""
_REBUILD_MIN = 1024
"""Fewer deleted slots are not worth a rebuild."""


def load_package() -> Any:
    """The hnswlib module. Raises Unsupported where the package is not installed."""
    try:
        return importlib.import_module("hnswlib")
    except ImportError as error:
        raise Unsupported(
            "index.engine is hnswlib, but the package is not installed: "
            f"pip install 'weftdb[hnswlib]' ({error})"
        ) from error


def check_engine(config: VectorConfig) -> None:
    """Raise SchemaViolation for settings that this engine does not have."""
    if config.index not in KINDS or config.hnsw.skip or config.multi_vector:
        return
    vector = f'vector "{config.name}": ' if config.name else ""
    if config.metric not in SPACES:
        raise SchemaViolation(
            f"{vector}the hnswlib engine has no {config.metric.value} distance, "
            f"only {', '.join(metric.value for metric in SPACES)}"
        )
    if config.quantizer is not None and config.index is IndexKind.HNSW:
        raise SchemaViolation(f"{vector}the hnswlib engine has no quantizers")


class HnswlibIndex:
    """One vector space of one shard, in an `hnswlib.Index`."""

    def __init__(
        self, config: VectorConfig, index: IndexConfig, kernels: Kernels, *, owner: int = 0
    ) -> None:
        """Start empty; `owner` as for `make_index`. Raises Unsupported, SchemaViolation."""
        check_engine(config)
        self._package = load_package()
        self._metric = config.metric
        self._settings = config.hnsw
        self._owner = owner
        self._docs_end = 0
        self._threads = index.threads
        self._kernels = kernels
        self._lock = threading.Lock()
        self._graph: Any = None
        self._slots = 0
        """Docs that the graph holds, deleted ones too."""
        self._dimensions = 0
        self._live = BitMap()
        self._closed = False

    @property
    def dimensions(self) -> int | None:
        """Length of the stored vectors; None while there are none."""
        return self._dimensions or None

    @property
    def count(self) -> int:
        """Live vectors."""
        return len(self._live)

    @property
    def pending(self) -> int:
        """Zero: `add` links."""
        return 0

    @property
    def docs_end(self) -> int:
        """One more than the largest doc id that the files it was loaded from know; 0 without."""
        return self._docs_end

    @property
    def deleted(self) -> int:
        """Slots of deleted vectors that the graph still holds."""
        return self._slots - len(self._live)

    def configure(self, settings: HnswSettings) -> None:
        """Take over what may change while the index lives: ef, its bounds, flat_search_cutoff."""
        self._settings = settings

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Link `rows` under `doc_ids` (ascending, all new).

        Raises DimensionMismatch, or InvalidRequest for values that are not finite; nothing is
        added then.
        """
        with self._lock:
            self._check_open()
            if len(doc_ids) == 0:
                return
            self._check_new(doc_ids, rows)
            self._insert(doc_ids, rows)

    def delete(self, doc_ids: DocIds) -> None:
        """Forget `doc_ids`; unknown ones are ignored. Once more than half of the graph is deleted
        it is built anew, before this returns."""
        with self._lock:
            self._check_open()
            gone = BitMap(doc_ids.tolist()) & self._live
            for doc in gone:
                self._graph.mark_deleted(doc)
            self._live -= gone
            if not self._live:
                self._graph, self._slots, self._dimensions = None, 0, 0
            elif self.deleted >= _REBUILD_MIN and self.deleted > len(self._live):
                self._rebuild()

    def search(
        self,
        query: Row,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """The `k` closest allowed vectors; min(k, matches) of them, always.

        `ef` None takes the collection's setting. `distance_max` is inclusive.
        """
        with self._lock:
            self._check_open()
            eligible = self._live if allow is None else self._live & allow.bitmap
            if not eligible or k <= 0:
                return _NOTHING
            self._check_query(query)
            width = ef or self._settings.ef_for(k)
            cutoff = 0 if allow is None else self._settings.flat_search_cutoff
            found = None
            if len(eligible) > max(_SCAN_MAX, k, cutoff):
                found = self._walk(query, k, max(width, k), None if allow is None else eligible)
            if found is None:
                found = np.asarray(eligible.to_array(), dtype=np.uint32)
            distances = self._distances_to(query, found)
        if distance_max is not None:
            near = distances <= distance_max
            found, distances = found[near], distances[near]
        order = np.lexsort((found, distances))[:k]
        return Neighbours(found[order], distances[order])

    def distances(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given vectors, NaN where there is none."""
        out = np.full(len(doc_ids), np.nan, dtype=np.float32)
        with self._lock:
            self._check_open()
            known = np.array([doc in self._live for doc in doc_ids.tolist()], dtype=np.bool_)
            if known.any():
                self._check_query(query)
                out[known] = self._distances_to(query, doc_ids[known])
        return out

    def wait_indexed(self, timeout_s: float) -> bool:
        """True at once."""
        return True

    def save(self, path: Path) -> None:
        """Write a snapshot; an empty index removes it instead. Raises OSError."""
        graph_path, beside = _graph_path(path), Path(f"{path}.tmp")
        with self._lock:
            self._check_open()
            if self._graph is None:
                path.unlink(missing_ok=True)
                graph_path.unlink(missing_ok=True)
                return
            with beside.open("wb"):
                pass  # hnswlib does not say where it cannot write.
            self._graph.save_index(str(beside))
            live = self._live.serialize()
        size, checksum = _sync_and_sum(beside)
        about = {
            **self._identity(),
            "dimensions": self._dimensions,
            "bytes": size,
            "crc32": checksum,
            "live": base64.b64encode(live).decode(),
        }
        beside.replace(graph_path)
        beside.write_text(json.dumps(about))
        _sync_and_sum(beside)
        beside.replace(path)

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take over a snapshot, without the docs that are not `live` any more.

        Returns the live docs that it lacks, ascending. Requires: nothing was added. Raises
        CorruptData for a file that is damaged or was written for other settings, OSError.
        """
        about = _read_about(path)
        if {key: about.get(key) for key in self._identity()} != self._identity():
            raise CorruptData(f"{path}: the snapshot was written for other settings")
        graph_path = _graph_path(path)
        try:
            saved = BitMap.deserialize(base64.b64decode(about["live"], validate=True))
            is_intact = (about["bytes"], about["crc32"]) == _sync_and_sum(graph_path)
            dimensions = int(about["dimensions"])
        except FileNotFoundError as error:
            raise CorruptData(f"{graph_path} is missing") from error
        except (KeyError, ValueError, TypeError, binascii.Error) as error:
            raise CorruptData(f"{path}: {error!r}") from error
        if not is_intact:
            raise CorruptData(f"{graph_path} fails its checksum")
        with self._lock:
            self._check_open()
            assert self._graph is None, "the index is not empty"
            self._docs_end = saved.max() + 1 if saved else 0
            kept = saved & live.bitmap
            if kept:
                graph = self._package.Index(space=SPACES[self._metric], dim=dimensions)
                graph.load_index(str(graph_path))
                for doc in saved - kept:
                    graph.mark_deleted(doc)
                self._graph, self._dimensions, self._live = graph, dimensions, kept
                self._slots = graph.get_current_count()
        return np.asarray((live.bitmap - kept).to_array(), dtype=np.uint32)

    def memory_bytes(self) -> int:
        """What hnswlib says that the graph would take in a file."""
        graph = self._graph
        return 0 if graph is None else int(graph.index_file_size())

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._closed = True
            self._graph, self._slots, self._dimensions, self._live = None, 0, 0, BitMap()

    def _identity(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "metric": self._metric.value,
            "links": self._settings.max_connections,
            "ef_construction": self._settings.ef_construction,
            "owner": self._owner,
        }

    def _insert(self, doc_ids: DocIds, rows: Rows) -> None:
        if self._graph is None:
            self._dimensions = rows.shape[1]
            self._graph = self._package.Index(space=SPACES[self._metric], dim=rows.shape[1])
            self._graph.init_index(
                max_elements=max(_CAPACITY_MIN, len(doc_ids)),
                M=max(self._settings.max_connections // 2, 2),  # Theirs is half of layer 0.
                ef_construction=self._settings.ef_construction,
            )
        needed = self._slots + len(doc_ids)
        if needed > self._graph.get_max_elements():
            self._graph.resize_index(max(needed, 2 * self._graph.get_max_elements()))
        labels = doc_ids.astype(np.uint64)
        self._graph.add_items(
            np.ascontiguousarray(rows, dtype=np.float32), labels, num_threads=self._threads
        )
        self._slots = needed
        self._live |= BitMap(doc_ids.tolist())

    def _rebuild(self) -> None:
        doc_ids = np.asarray(self._live.to_array(), dtype=np.uint32)
        rows = self._rows(doc_ids)
        self._graph, self._slots = None, 0
        self._insert(doc_ids, rows)

    def _walk(self, query: Row, k: int, width: int, eligible: BitMap | None) -> DocIds | None:
        """The docs that the graph finds; None where it finds fewer than `k`."""
        self._graph.set_ef(width)
        accept = None if eligible is None else eligible.__contains__
        try:
            labels, _ = self._graph.knn_query(query, k, num_threads=1, filter=accept)
        except RuntimeError:  # Fewer than k were reached.
            return None
        return np.asarray(labels[0], dtype=np.uint32)

    def _rows(self, doc_ids: DocIds) -> Rows:
        return np.asarray(self._graph.get_items(doc_ids.astype(np.uint64)), dtype=np.float32)

    def _distances_to(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        prepared = np.ascontiguousarray(query[None], dtype=np.float32)
        rows = self._rows(doc_ids)
        if self._metric is Metric.COSINE:
            prepared, rows = self._kernels.normalised(prepared), self._kernels.normalised(rows)
        return self._kernels.distance_matrix(prepared, rows, self._metric).reshape(len(doc_ids))

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the vector index is closed")

    def _check_query(self, query: Row) -> None:
        if len(query) != self._dimensions:
            raise DimensionMismatch(
                f"vector lengths don't match: {self._dimensions} vs {len(query)}"
            )
        if not np.isfinite(query).all():
            raise InvalidRequest("the query vector holds a value that is not finite")

    def _check_new(self, doc_ids: DocIds, rows: Rows) -> None:
        if self._dimensions and rows.shape[1] != self._dimensions:
            raise DimensionMismatch(
                f"new node has a vector with length {rows.shape[1]}. Existing nodes have vectors "
                f"with length {self._dimensions}: vector dimensions do not match the index "
                "dimensions"
            )
        if not np.isfinite(rows).all():
            raise InvalidRequest("a vector holds a value that is not finite")
        if (np.diff(doc_ids.astype(np.int64)) <= 0).any():
            raise InvalidRequest("doc ids are not ascending")
        if self._live & BitMap(doc_ids.tolist()):
            raise InvalidRequest("a doc is in the index")


_NOTHING = Neighbours(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32))


def _graph_path(path: Path) -> Path:
    return Path(f"{path}.hnswlib")


def _sync_and_sum(path: Path) -> tuple[int, int]:
    """Sync a file; its size and CRC-32. Raises OSError."""
    checksum = size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
            size += len(block)
        os.fsync(file.fileno())
    return size, checksum


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptData(f"{path}: not a snapshot of hnswlib: {error}") from error
    if not isinstance(about, dict):
        raise CorruptData(f"{path}: not a snapshot of hnswlib")
    return about
