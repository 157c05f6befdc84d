"""FlatIndex: every search is an exact scan, over either implementation of the kernels.

It is the oracle of the graph's tests and the whole index where the kernels are the reference ones
(`WEFTDB_KERNELS=reference`). With native kernels, index kind flat is an `HnswIndex` that never
links, which scans without Python.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels.abc import Kernels
from weftdb.index.ports import Neighbours


@dataclass(frozen=True, slots=True)
class _Table:
    """Vectors as a search sees them; the arrays may be longer than `count`."""

    doc_ids: DocIds
    rows: Rows
    live: NDArray[np.bool_]
    count: int

    def grown(self, extra: int) -> _Table:
        """The same table with room for `extra` more."""
        needed = self.count + extra
        if needed <= len(self.doc_ids):
            return self
        capacity = max(needed, 2 * len(self.doc_ids))
        doc_ids = np.zeros(capacity, dtype=np.uint32)
        rows = np.zeros((capacity, self.rows.shape[1]), dtype=np.float32)
        live = np.zeros(capacity, dtype=np.bool_)
        for new, old in ((doc_ids, self.doc_ids), (rows, self.rows), (live, self.live)):
            new[: self.count] = old[: self.count]
        return _Table(doc_ids, rows, live, self.count)

    def slots_of(self, doc_ids: DocIds) -> NDArray[np.intp]:
        """Slots of live docs, -1 where there is none. Doc ids ascend with slots."""
        held = self.doc_ids[: self.count]
        slots = np.searchsorted(held, doc_ids)
        found = slots < self.count
        found[found] = (held[slots[found]] == doc_ids[found]) & self.live[slots[found]]
        return np.where(found, slots, -1)


class FlatIndex:
    """Vectors in one array. See `VectorIndex` for the contract; nothing is ever pending."""

    def __init__(self, config: VectorConfig, kernels: Kernels) -> None:
        self._metric = config.metric
        self._kernels = kernels
        self._writer = threading.Lock()
        self._table: _Table | None = None
        self._closed = False

    def configure(self, settings: HnswSettings) -> None:
        """Do nothing: an exact scan has no such settings."""

    @property
    def dimensions(self) -> int | None:
        """Length of the stored vectors; None while there are none."""
        table = self._table
        return None if table is None else table.rows.shape[1]

    @property
    def count(self) -> int:
        """Live vectors."""
        table = self._table
        return 0 if table is None else int(np.count_nonzero(table.live[: table.count]))

    @property
    def pending(self) -> int:
        """Zero: a scan needs no preparation."""
        return 0

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Make `rows` searchable under `doc_ids` (ascending, all new). Raises DimensionMismatch."""
        with self._writer:
            self._check_open()
            if len(doc_ids) == 0:
                return
            table = self._table or _Table(
                np.zeros(0, dtype=np.uint32),
                np.zeros((0, rows.shape[1]), dtype=np.float32),
                np.zeros(0, dtype=np.bool_),
                0,
            )
            self._check_new(table, doc_ids, rows)
            table = table.grown(len(doc_ids))
            end = table.count + len(doc_ids)
            table.doc_ids[table.count : end] = doc_ids
            table.rows[table.count : end] = self._prepared(rows)
            table.live[table.count : end] = True
            self._table = _Table(table.doc_ids, table.rows, table.live, end)

    def delete(self, doc_ids: DocIds) -> None:
        """Forget `doc_ids`; unknown ones are ignored."""
        with self._writer:
            self._check_open()
            table = self._table
            if table is None:
                return
            slots = table.slots_of(np.asarray(doc_ids, dtype=np.uint32))
            table.live[slots[slots >= 0]] = False
            if not table.live[: table.count].any():
                self._table = None

    def search(
        self,
        query: Row,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """The `k` closest allowed vectors, exactly; `ef` plays no part."""
        self._check_open()
        table = self._table
        if table is None:
            return Neighbours(np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32))
        chosen = table.live[: table.count].copy()
        if allow is not None:
            chosen &= np.isin(table.doc_ids[: table.count], allow.doc_ids(), assume_unique=True)
        slots = np.flatnonzero(chosen)
        distances = self._distances_to(query, table.rows[slots])
        if distance_max is not None:
            near = distances <= distance_max
            slots, distances = slots[near], distances[near]
        order = np.lexsort((slots, distances))[:k]
        return Neighbours(table.doc_ids[slots[order]], distances[order])

    def distances(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given vectors, NaN where there is none."""
        self._check_open()
        out = np.full(len(doc_ids), np.nan, dtype=np.float32)
        table = self._table
        if table is not None:
            slots = table.slots_of(doc_ids)
            out[slots >= 0] = self._distances_to(query, table.rows[slots[slots >= 0]])
        return out

    def wait_indexed(self, timeout_s: float) -> bool:
        """True at once."""
        return True

    def save(self, path: Path) -> None:
        """Do nothing: a scan has no derived data, its vectors are read back from the store."""

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take nothing over: every live doc comes from the store."""
        return live.doc_ids()

    def memory_bytes(self) -> int:
        """Bytes of the arrays."""
        table = self._table
        return 0 if table is None else table.doc_ids.nbytes + table.rows.nbytes + table.live.nbytes

    def close(self) -> None:
        """Give the memory back."""
        with self._writer:
            self._closed = True
            self._table = None

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the vector index is closed")

    def _check_new(self, table: _Table, doc_ids: DocIds, rows: Rows) -> None:
        if rows.shape[1] != table.rows.shape[1]:
            raise DimensionMismatch(
                f"new node has a vector with length {rows.shape[1]}. Existing nodes have vectors "
                f"with length {table.rows.shape[1]}: vector dimensions do not match the index "
                "dimensions"
            )
        if not np.isfinite(rows).all():
            raise InvalidRequest("a vector holds a value that is not finite")
        after = table.count > 0 and int(doc_ids[0]) <= int(table.doc_ids[table.count - 1])
        if after or (np.diff(doc_ids.astype(np.int64)) <= 0).any():
            raise InvalidRequest("doc ids are not ascending")

    def _prepared(self, rows: Rows) -> Rows:
        contiguous = np.ascontiguousarray(rows, dtype=np.float32)
        return self._kernels.normalised(contiguous) if self._is_cosine else contiguous

    @property
    def _is_cosine(self) -> bool:
        return self._metric is Metric.COSINE

    def _distances_to(self, query: Row, rows: Rows) -> NDArray[np.float32]:
        if not np.isfinite(query).all():
            raise InvalidRequest("the query vector holds a value that is not finite")
        if len(query) != rows.shape[1]:
            raise DimensionMismatch(f"vector lengths don't match: {rows.shape[1]} vs {len(query)}")
        prepared = self._prepared(query[None])
        matrix = self._kernels.distance_matrix(prepared, np.ascontiguousarray(rows), self._metric)
        return matrix.reshape(len(rows))
