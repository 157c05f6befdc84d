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

import logging
from copy import copy
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.config import IndexConfig
from weftdb.core.errors import DimensionMismatch, InvalidRequest
from weftdb.core.memory_estimate import CANDIDATE_DOCS_MIN, ENCODING_QUANTIZER
from weftdb.core.schema import HnswSettings, IndexKind, VectorConfig
from weftdb.core.types import DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.graph import bounds_of
from weftdb.index.hnsw.quantizer import code_settings
from weftdb.index.kernels import _native
from weftdb.index.native_index import EF_CONSTRUCTION_MIN, LINKS_MIN, NativeIndex, translated
from weftdb.index.ports import Neighbours

log = logging.getLogger("weftdb.index")

RECALL = 0.98
"""What a search goes on for where the definition has no `targetRecall`."""


class Route(Enum):
    """How a search finds its docs."""

    CHEAPEST = "cheapest"
    EXACT = "exact"
    CANDIDATES = "candidates"


class MultiVectorIndex(NativeIndex[_native.MultiVectorIndex]):
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
            native = _native.MultiVectorIndex(
                config.metric.value,
                max(config.hnsw.max_connections, LINKS_MIN),
                max(config.hnsw.ef_construction, EF_CONSTRUCTION_MIN),
                encoding,
                candidate_docs_min,
                owner,
            )
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        super().__init__(native)
        self.quantize(config)

    def reaching(self, recall: float) -> MultiVectorIndex:
        """The same index, for searches that go on for this recall whatever the settings say."""
        view = copy(self)
        view._settings = replace(self._settings, ef=-1, target_recall=recall)
        return view

    @property
    def row_count(self) -> int:
        """Rows of the live docs."""
        return self._native.row_count

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
            raise translated(error) from error

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
            raise translated(error) from error

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
            raise self._search_error(error, query.shape[-1]) from error
        return Neighbours(doc_ids, distances, explanation)

    def distances(self, query: Rows, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given docs, NaN where there is none."""
        try:
            return self._native.distances(_matrix(query), doc_ids)
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, query.shape[-1]) from error

    def save(self, path: Path) -> None:
        """Bring the files at `path` up to date: matrices, and beside them the graph of candidates.

        All of it is derived data. Raises DiskFull, OSError.
        """
        kept = self._save(path)
        for old in path.parent.glob(f"{path.name}.*"):
            if not kept or not str(old).startswith(kept):
                old.unlink(missing_ok=True)  # A graph whose numbering of rows has been given up.

    @property
    def log_fault(self) -> str:
        """What of the files was not used when they were loaded, and why; empty where all was. A
        graph of candidates that is damaged or missing is linked again."""
        return self._native.load_fault


def _matrix(query: Row | Rows) -> Rows:
    if query.ndim != 2:
        raise InvalidRequest("a multi-vector is searched with a matrix, one row a token")
    return np.ascontiguousarray(query, dtype=np.float32)
