"""MultiVectorIndex: one multi-vector space (ColBERT style) behind the `VectorIndex` Protocol.

A doc is a matrix of rows. `add` takes one doc id a row, the rows of a doc one after the other; a
query is a matrix, float32[rows, dim]. The distance is MaxSim over dot products whatever the
metric; with cosine, the rows of a query are scaled to length one first (those of docs are not: the
reference measures stored rows as they came). The work is native
(`index/kernels/src/multi_vector_index.h` says how).

A search measures all allowed docs, or candidates out of a graph where that is less work: a graph
over one encoding a doc with MUVERA, over the rows of all docs without. Candidates are measured
until what is left holds less than 1 - `RECALL` of the hits, by a forecast; where no `ef` is set the
walks become wider until then. An `ef` that is set is the beam, whatever the forecast says.
"""

from __future__ import annotations

import errno
import logging
import time
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.config import IndexConfig
from weftdb.core.errors import (
    Closed,
    CorruptData,
    DimensionMismatch,
    DiskFull,
    Fault,
    InvalidRequest,
    WeftError,
)
from weftdb.core.memory_estimate import CANDIDATE_DOCS_MIN, ENCODING_QUANTIZER
from weftdb.core.schema import HnswSettings, IndexKind, VectorConfig
from weftdb.core.types import DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import bounds_of
from weftdb.index.hnsw.quantizer import code_settings
from weftdb.index.kernels import _native
from weftdb.index.ports import Neighbours

log = logging.getLogger("weftdb.index")

LINKS_MIN = 4
EF_CONSTRUCTION_MIN = 4

RECALL = 0.98
"""What a search goes on for where the definition has no `targetRecall`."""

_INTERRUPTIBLE_S = 0.25
"""Longest stay in native code while waiting, so that Ctrl-C is heard."""


class Route(Enum):
    """How a search finds its docs."""

    CHEAPEST = "cheapest"
    EXACT = "exact"
    CANDIDATES = "candidates"


class MultiVectorIndex:
    """One multi-vector space of one shard, in native memory."""

    def __init__(
        self,
        config: VectorConfig,
        index: IndexConfig,
        *,
        owner: int = 0,
        candidate_docs_min: int = CANDIDATE_DOCS_MIN,
    ) -> None:
        """Start empty. Raises InvalidRequest for MUVERA settings that encode nothing.

        `owner` names the vector space: files of another one are taken for damage. `index.threads`
        sizes the linking pool, which all indexes of the process share.
        """
        _native.set_link_threads(index.threads)
        self._settings = config.hnsw
        self._bounds = bounds_of(config.hnsw)
        encoding = None
        if config.muvera is not None:
            muvera = config.muvera
            encoding = (muvera.ksim, muvera.dprojections, muvera.repetitions)
        try:
            self._native = _native.MultiVectorIndex(
                config.metric.value,
                max(config.hnsw.max_connections, LINKS_MIN),
                max(config.hnsw.ef_construction, EF_CONSTRUCTION_MIN),
                encoding,
                candidate_docs_min,
                owner,
            )
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        self.quantize(config)

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
        """Docs that wait to be linked; without MUVERA by the share of rows that wait."""
        return self._native.pending

    def configure(self, settings: HnswSettings) -> None:
        """Take over what may change while the index lives: ef, its bounds, flat_search_cutoff."""
        self._settings = settings
        self._bounds = bounds_of(settings)

    def quantize(self, config: VectorConfig) -> None:
        """Take the quantizer of a definition, or none; it is for what candidates are walked over.

        One that does not suit the vectors is logged and left out. Hits are measured by their rows
        whatever it is, so distances stay exact.
        """
        base = None if config.muvera is None else ENCODING_QUANTIZER
        quantizer = (config.index is IndexKind.HNSW and config.quantizer) or base
        try:
            self._native.set_codes(code_settings(quantizer) if quantizer else None)
        except ValueError as error:
            log.warning("the quantizer of a multi-vector is left out: %s", error)
            self._native.set_codes(code_settings(base) if base else None)
        except RuntimeError as error:
            raise _translated(error) from error

    def keep_rows_in(self, directory: Path) -> None:
        """Let what candidates are walked over leave memory, for a nameless file there, while codes
        stand for it. Matrices stay: every search measures some.

        Where the directory takes no file all stays in memory; the log says so.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("encodings with codes stay in memory: %s", error)
            return
        self._native.set_row_directory(str(directory))

    @property
    def quantizer_fault(self) -> str:
        """Why the codes that were asked for could not be made; empty where they could."""
        return self._native.codes_fault

    @property
    def code_bytes(self) -> int:
        """Bytes of the code that stands for an encoding or a row in walks; 0 without codes."""
        return self._native.code_bytes

    @property
    def code_file_fault(self) -> str:
        """What was wrong with the saved codes when they were loaded; empty where nothing was."""
        return self._native.code_file_fault

    @property
    def unsaved_codes(self) -> int:
        """Codes that were made since the last save because the quantizer or the graph changed."""
        return self._native.unsaved_codes

    @property
    def link_fault(self) -> str:
        """Why linking rests; empty where it does not. Searches measure every doc meanwhile."""
        return self._native.link_fault

    def retry_links(self) -> None:
        """Let linking go on after a fault."""
        self._native.retry_links()

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
        route: Route = Route.CHEAPEST,
    ) -> Neighbours:
        """The `k` closest allowed docs, min(k, matches) of them, always; `query` has rows.

        `ef` None takes the collection's setting. `distance_max` is inclusive. Raises
        DimensionMismatch, InvalidRequest, Closed.
        """
        try:
            doc_ids, distances, explanation = self._native.search(
                _matrix(query),
                k,
                ef or self._settings.ef_for(k),
                bool(ef) or self._settings.ef > 0,
                None if allow is None else allow.words(),
                self._bounds,
                np.inf if distance_max is None else distance_max,
                self._settings.target_recall or RECALL,
                route.value,
            )
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, query) from error
        return Neighbours(doc_ids, distances, explanation)

    def distances(self, query: Rows, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given docs, NaN where there is none."""
        try:
            return self._native.distances(_matrix(query), doc_ids)
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, query) from error

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until nothing is pending; False when the time is up. Raises Fault where linking
        rests after it failed."""
        until = time.monotonic() + timeout_s
        while True:
            left = until - time.monotonic()
            try:
                if self._native.wait_indexed(min(max(left, 0.0), _INTERRUPTIBLE_S)):
                    return True
            except RuntimeError as error:
                raise Fault(str(error)) from error
            if left <= 0:
                return False

    def save(self, path: Path) -> None:
        """Bring the files at `path` up to date: matrices, and beside them the graph of candidates.

        All of it is derived data. Raises DiskFull, OSError.
        """
        try:
            kept = self._native.save(str(path))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"no room for {path}: {error.strerror}") from error
            raise
        except RuntimeError as error:
            raise _translated(error) from error
        for old in path.parent.glob(f"{path.name}.*"):
            if not kept or not str(old).startswith(kept):
                old.unlink(missing_ok=True)  # A graph whose numbering of rows has been given up.

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take over saved matrices and their graph, without the docs that are not `live` any more.

        Returns the live docs that the files lack, ascending. Where the graph is damaged or missing
        it is linked again (`log_fault` tells). Requires: nothing was added. Raises CorruptData for
        a file that is damaged as a whole or was written for other settings, OSError.
        """
        try:
            return self._native.load(str(path), live.words())
        except _native.SnapshotError as error:
            raise CorruptData(f"{path}: {error}") from error
        except RuntimeError as error:
            raise _translated(error) from error

    @property
    def deleted(self) -> int:
        """Slots of deleted entries that the graph of the candidates still holds."""
        return self._native.deleted

    @property
    def compactions(self) -> int:
        """How often those were given back."""
        return self._native.compactions

    @property
    def docs_end(self) -> int:
        """One more than the largest doc id that the files it was loaded from know; 0 without."""
        return self._native.docs_end

    @property
    def log_bytes(self) -> int:
        """Length of the commit log of that graph."""
        return self._native.log_bytes

    @property
    def log_fault(self) -> str:
        """What of the files was not used when they were loaded, and why; empty where all was."""
        return self._native.load_fault

    def compact(self, share: float) -> None:
        """Begin to give deleted slots back if they are more than this share of all."""
        try:
            self._native.compact(share)
        except RuntimeError as error:
            raise _translated(error) from error

    def memory_bytes(self) -> int:
        """Resident bytes of rows, graph and bookkeeping."""
        return self._native.memory_bytes

    def close(self) -> None:
        """Stop background work and give the memory back."""
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
