"""MultiVectorScan: MaxSim over every doc, in NumPy; what `MultiVectorIndex` must agree with.

It is the oracle of the native index's tests and the whole index where the kernels are the reference
ones (`WEFTDB_KERNELS=reference`).
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import DocIds, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels.abc import Kernels
from weftdb.index.ports import Neighbours


class MultiVectorScan:
    """Matrices by doc id. See `VectorIndex` for the contract; nothing is ever pending."""

    def __init__(self, config: VectorConfig, kernels: Kernels) -> None:
        self._is_scaled = config.metric is Metric.COSINE
        self._kernels = kernels
        self._writer = threading.Lock()
        self._matrices: dict[int, Rows] = {}
        """By doc id, ascending. Replaced as a whole, so that searches need no lock."""
        self._closed = False

    @property
    def dimensions(self) -> int | None:
        """Length of the rows; None while there are none."""
        return next((rows.shape[1] for rows in self._matrices.values()), None)

    @property
    def count(self) -> int:
        """Live docs."""
        return len(self._matrices)

    @property
    def row_count(self) -> int:
        """Rows of the live docs."""
        return sum(map(len, self._matrices.values()))

    @property
    def pending(self) -> int:
        """Zero: a scan needs no preparation."""
        return 0

    def configure(self, settings: HnswSettings) -> None:
        """Do nothing: an exact scan has no such settings."""

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Make matrices searchable; `doc_ids` has one id a row: ascending, all new."""
        with self._writer:
            self._check_open()
            if len(doc_ids) == 0:
                return
            if self.dimensions not in (None, rows.shape[1]):
                raise DimensionMismatch(
                    f"new node has a multi vector with length {rows.shape[1]} at position 0. "
                    f"Existing nodes have vectors with length {self.dimensions}"
                )
            if not np.isfinite(rows).all():
                raise InvalidRequest("a row holds a value that is not finite")
            docs, firsts = np.unique(doc_ids, return_index=True)
            if (np.diff(doc_ids.astype(np.int64)) < 0).any() or any(
                int(doc) in self._matrices for doc in docs
            ):
                raise InvalidRequest("doc ids are not ascending and new")
            parts = np.split(np.array(rows, dtype=np.float32), firsts[1:])
            new = dict(zip(docs.tolist(), parts, strict=True))
            self._matrices = self._matrices | new

    def delete(self, doc_ids: DocIds) -> None:
        """Forget `doc_ids`; unknown ones are ignored."""
        with self._writer:
            self._check_open()
            gone = set(doc_ids.tolist())
            self._matrices = {doc: rows for doc, rows in self._matrices.items() if doc not in gone}

    def search(
        self,
        query: Rows,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """The `k` closest allowed docs, exactly; `ef` plays no part."""
        self._check_open()
        matrices = self._matrices
        docs = [doc for doc in matrices if allow is None or doc in allow.bitmap]
        doc_ids = np.array(docs, dtype=np.uint32)
        distances = self._measured(query, [matrices[doc] for doc in docs])
        if distance_max is not None:
            near = distances <= distance_max
            doc_ids, distances = doc_ids[near], distances[near]
        order = np.lexsort((doc_ids, distances))[:k]
        return Neighbours(doc_ids[order], distances[order])

    def distances(self, query: Rows, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given docs, NaN where there is none."""
        self._check_open()
        matrices = self._matrices
        out = np.full(len(doc_ids), np.nan, dtype=np.float32)
        known = [at for at, doc in enumerate(doc_ids.tolist()) if doc in matrices]
        out[known] = self._measured(query, [matrices[int(doc_ids[at])] for at in known])
        return out

    def wait_indexed(self, timeout_s: float) -> bool:
        """True at once."""
        return True

    def save(self, path: Path) -> None:
        """Do nothing: the matrices are read back from the store."""

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take nothing over: every live doc comes from the store."""
        return live.doc_ids()

    def memory_bytes(self) -> int:
        """Bytes of the matrices."""
        return sum(rows.nbytes for rows in self._matrices.values())

    def close(self) -> None:
        """Give the memory back."""
        with self._writer:
            self._closed = True
            self._matrices = {}

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the vector index is closed")

    def _prepared(self, query: Rows) -> Rows:
        contiguous = np.ascontiguousarray(query, dtype=np.float32)
        return self._kernels.normalised(contiguous) if self._is_scaled else contiguous

    def _measured(self, query: Rows, matrices: list[Rows]) -> NDArray[np.float32]:
        if query.ndim != 2:
            raise InvalidRequest("a multi-vector is searched with a matrix, one row a token")
        if not np.isfinite(query).all():
            raise InvalidRequest("the query vector holds a value that is not finite")
        if not matrices:
            return np.zeros(0, dtype=np.float32)
        if query.shape[1] != matrices[0].shape[1]:
            raise DimensionMismatch(
                f"vector lengths don't match: {matrices[0].shape[1]} vs {query.shape[1]}"
            )
        counts = np.array([len(rows) for rows in matrices], dtype=np.uint32)
        return self._kernels.max_sim(self._prepared(query), np.concatenate(matrices), counts)
