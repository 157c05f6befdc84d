"""MultiVectorIndex: one multi-vector space (ColBERT style) behind the `VectorIndex` Protocol.

A doc is a matrix of rows. `add` takes one doc id a row, the rows of a doc one after the other; a
query is a matrix, float32[rows, dim]. The distance is MaxSim over dot products whatever the
metric; with cosine, the rows of a query are scaled to length one first (those of docs are not: the
reference measures stored rows as they came). The work is native
(`index/kernels/src/multi_vector_index.h` says how).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import Closed, DimensionMismatch, InvalidRequest, WeftError
from weftdb.core.schema import HnswSettings, VectorConfig
from weftdb.core.types import DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels import _native
from weftdb.index.ports import Neighbours


class MultiVectorIndex:
    """One multi-vector space of one shard, in native memory."""

    def __init__(self, config: VectorConfig) -> None:
        self._native = _native.MultiVectorIndex(config.metric.value)

    @property
    def dimensions(self) -> int | None:
        """Length of the rows; None while there are none."""
        return self._native.dimensions or None

    @property
    def count(self) -> int:
        """Live docs."""
        return self._native.count

    @property
    def row_count(self) -> int:
        """Rows of the live docs."""
        return self._native.row_count

    @property
    def pending(self) -> int:
        """Zero: a scan needs no preparation."""
        return 0

    def configure(self, settings: HnswSettings) -> None:
        """Do nothing: an exact scan has no such settings."""

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Make matrices searchable; `doc_ids` has one id a row: ascending, all new.

        Raises DimensionMismatch, or InvalidRequest for values that are not finite; nothing is
        added then.
        """
        try:
            self._native.add(doc_ids, np.ascontiguousarray(rows, dtype=np.float32))
        except _native.DimensionError:
            raise DimensionMismatch(
                f"new node has a multi vector with length {rows.shape[1]} at position 0. "
                f"Existing nodes have vectors with length {self.dimensions}"
            ) from None
        except (ValueError, RuntimeError) as error:
            raise _translated(error) from error

    def delete(self, doc_ids: DocIds) -> None:
        """Forget `doc_ids`; unknown ones are ignored."""
        try:
            self._native.erase(doc_ids)
        except RuntimeError as error:
            raise _translated(error) from error

    def search(
        self,
        query: Rows,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """The `k` closest allowed docs, min(k, matches) of them, always; `query` has rows.

        `distance_max` is inclusive. Raises DimensionMismatch, InvalidRequest, Closed.
        """
        try:
            doc_ids, distances = self._native.search(
                _matrix(query),
                k,
                None if allow is None else allow.words(),
                np.inf if distance_max is None else distance_max,
            )
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, query) from error
        return Neighbours(doc_ids, distances)

    def distances(self, query: Rows, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given docs, NaN where there is none."""
        try:
            return self._native.distances(_matrix(query), doc_ids)
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, query) from error

    def wait_indexed(self, timeout_s: float) -> bool:
        """True at once."""
        return True

    def save(self, path: Path) -> None:
        """Do nothing: the matrices are read back from the store."""

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take nothing over: every live doc comes from the store."""
        return live.doc_ids()

    def memory_bytes(self) -> int:
        """Resident bytes of rows and bookkeeping."""
        return self._native.memory_bytes

    def close(self) -> None:
        """Give the memory back."""
        self._native.close()

    def _search_error(self, error: Exception, query: Rows) -> WeftError:
        if isinstance(error, _native.DimensionError):
            given = query.shape[-1]
            return DimensionMismatch(f"vector lengths don't match: {self.dimensions} vs {given}")
        return _translated(error)


def _matrix(query: Row | Rows) -> Rows:
    if query.ndim != 2:
        raise InvalidRequest("a multi-vector is searched with a matrix, one row a token")
    return np.ascontiguousarray(query, dtype=np.float32)


def _translated(error: Exception) -> WeftError:
    if isinstance(error, _native.ClosedError):
        return Closed(str(error))
    assert isinstance(error, ValueError), f"a native error without a meaning: {error!r}"
    return InvalidRequest(str(error))
