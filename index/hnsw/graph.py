"""HnswIndex: the native vector index behind the `VectorIndex` Protocol.

The graph itself lives in `index/kernels/src` (graph.h says how it works). This class turns a
collection's settings into the graph's, and native errors into ours.

Settings: `max_connections` is the number of links a node may have on layer 0, upper layers have
half of it. (Other libraries call that half `M`: their M 16 is our 32, the default.)
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weftdb.core.config import IndexConfig
from weftdb.core.errors import DimensionMismatch
from weftdb.core.schema import HnswSettings, IndexKind, Quantizer, VectorConfig
from weftdb.core.types import DocId, DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.hnsw.quantizer import code_settings
from weftdb.index.hnsw.recall_tuner import RecallTuner
from weftdb.index.kernels import _native
from weftdb.index.native_index import EF_CONSTRUCTION_MIN, LINKS_MIN, NativeIndex, translated
from weftdb.index.ports import Neighbours, NeighbourTable, RecallReport

log = logging.getLogger("weftdb.index")

LINKS_MAX = 4096

LINK_MIN = 1024
"""An index of fewer vectors is scanned; it has no links and does not pay for any."""
NEVER_LINKED = 2**32 - 1
"""As `link_min`: every search is a scan."""


class HnswIndex(NativeIndex[_native.VectorIndex]):
    """One vector space of one shard, in native memory. See `VectorIndex` for the contract."""

    def __init__(
        self,
        config: VectorConfig,
        index: IndexConfig,
        *,
        owner: int = 0,
        link_min: int = LINK_MIN,
        flat_until: int = 0,
    ) -> None:
        """Start empty. More than `link_min` vectors are linked; before more than `flat_until` are
        live (0: at once) none is.

        `owner` names the vector space: a snapshot of another one is taken for damage.
        `index.threads` sizes the linking pool, which all indexes of the process share.
        """
        self._settings = config.hnsw
        self._bounds = bounds_of(config.hnsw)
        self._metric = config.metric
        _native.set_link_threads(index.threads)
        super().__init__(
            _native.make_vector_index(
                config.metric.value,
                min(max(config.hnsw.max_connections, LINKS_MIN), LINKS_MAX),
                max(config.hnsw.ef_construction, EF_CONSTRUCTION_MIN),
                owner,
                link_min,
                flat_until,
            )
        )
        self._tuner = RecallTuner(self._native)
        self.quantize(config)

    @property
    def native(self) -> _native.VectorIndex:
        """The native index, for a `SearchPool`."""
        return self._native

    @property
    def settings(self) -> HnswSettings:
        """The settings that searches use."""
        return self._settings

    @property
    def bounds(self) -> _native.SearchBounds:
        """What the settings say about filtered searches."""
        return self._bounds

    def ef_for(self, query: Row, k: int, allow: AllowList | None) -> int:
        """The ef of a search that names none: set, tuned to the recall wanted, or by `k`.

        Without a filter the query is remembered for tuning.
        """
        settings = self._settings
        if not self._is_tuned:
            return settings.ef_for(k)
        tuned = self.ef_reaching(settings.target_recall, query, k, allow)
        return tuned or settings.ef_for(k)

    def ef_reaching(self, target: float, query: Row, k: int, allow: AllowList | None) -> int | None:
        """The ef by which one search reaches a recall; None before enough was measured."""
        if allow is None:
            self._tuner.note(query, k)
        return self._tuner.table.ef_for(k, target)

    @property
    def _is_tuned(self) -> bool:
        return self._settings.target_recall > 0 and self._settings.ef <= 0

    def tune(self, now_s: float) -> bool:
        """Measure recall for a while, if it is time; tell whether there was anything to do. Raises
        Closed."""
        try:
            return self._tuner.step(now_s)
        except _native.ClosedError as error:
            raise translated(error) from error

    def recall(self, k: int, target: float | None = None) -> RecallReport | None:
        """Where searches for `k` results stand; None where neither `target` nor the settings ask
        for a recall."""
        if target is None and self._is_tuned:
            target = self._settings.target_recall
        if target is None:
            return None
        table = self._tuner.table
        ef = table.ef_for(k, target) or self._settings.ef_for(k)
        return RecallReport(k, target, table.recall_at(k, ef), ef, table.queries(k))

    def configure(self, settings: HnswSettings) -> None:
        """Take over what may change while the index lives: ef, its bounds, flat_search_cutoff."""
        self._settings = settings
        self._bounds = bounds_of(settings)

    def quantize(self, config: VectorConfig) -> None:
        """Take the quantizer of a definition, or none; searches go on while codes are made.

        A quantizer that does not suit the vectors (PQ segments that do not divide their length) is
        logged and left out: the index stays uncompressed.
        """
        # The postings of hfresh are not built here, and neither are their codes.
        is_hfresh = config.index is IndexKind.HFRESH
        self._set_quantizer(None if is_hfresh else config.quantizer)

    def keep_rows_in(self, directory: Path) -> None:
        """Let vectors leave memory for a nameless file there while codes stand for them.

        Where the directory takes no file the vectors stay in memory; the log or `quantizer_fault`
        says so.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("vectors with codes stay in memory: %s", error)
            return
        _native.set_row_directory(self._native, str(directory))

    def _set_quantizer(self, quantizer: Quantizer | None) -> None:
        try:
            _native.set_codes(self._native, None if quantizer is None else code_settings(quantizer))
        except ValueError as error:
            log.warning("the index stays uncompressed: %s", error)
            _native.set_codes(self._native, None)
        except RuntimeError as error:
            raise translated(error) from error

    @property
    def code_bytes(self) -> int:
        """Bytes of the code that stands for a vector in searches; 0 while they use vectors."""
        return _native.code_bytes_of(self._native)

    @property
    def quantizer_fault(self) -> str:
        """Why the codes that were asked for could not be made; empty where they could."""
        return _native.codes_fault_of(self._native)

    @property
    def code_file_fault(self) -> str:
        """What was wrong with the saved codes when they were loaded; empty where nothing was."""
        return _native.code_file_fault_of(self._native)

    @property
    def unsaved_codes(self) -> int:
        """Codes that were made since the last save because the quantizer or the graph changed."""
        return _native.unsaved_codes_of(self._native)

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Make `rows` searchable under `doc_ids` (ascending, all new).

        Raises DimensionMismatch, or InvalidRequest for values that are not finite; nothing is
        added then.
        """
        try:
            self._native.add(doc_ids, np.ascontiguousarray(rows, dtype=np.float32))
        except _native.DimensionError:
            raise DimensionMismatch(
                f"new node has a vector with length {rows.shape[1]}. Existing nodes have vectors "
                f"with length {self.dimensions}: vector dimensions do not match the index "
                "dimensions"
            ) from None
        except (ValueError, RuntimeError) as error:
            raise translated(error) from error

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
        try:
            doc_ids, distances, explanation = self._native.search(
                query,
                k,
                ef or self.ef_for(query, k, allow),
                None if allow is None else allow.words(),
                self._bounds,
                np.inf if distance_max is None else distance_max,
            )
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, len(query)) from error
        return Neighbours(doc_ids, distances, explanation)

    def search_many(
        self,
        queries: Rows,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
        threads: int = 1,
    ) -> NeighbourTable:
        """Search for each row of `queries`, in one native call on so many threads."""
        try:
            found = self._native.search_many(
                queries,
                k,
                ef or self._ef_for_many(queries, k, allow),
                None if allow is None else allow.words(),
                self._bounds,
                np.inf if distance_max is None else distance_max,
                threads,
            )
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, queries.shape[1]) from error
        return NeighbourTable(*found)

    def _ef_for_many(self, queries: Rows, k: int, allow: AllowList | None) -> int:
        """One ef for all of them; the first one is remembered."""
        return self.ef_for(queries[0], k, allow) if len(queries) else self._settings.ef_for(k)

    def distances(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given vectors, NaN where there is none."""
        try:
            return self._native.distances(query, doc_ids)
        except (ValueError, RuntimeError) as error:
            raise self._search_error(error, len(query)) from error

    def vector(self, doc_id: DocId) -> Row | None:
        """A copy of a vector as the index holds it (cosine: of length one), or None."""
        return self._native.vector(doc_id)

    @property
    def log_fault(self) -> str:
        """Why the commit log was cut when it was loaded; empty where it was not."""
        return self._native.log_fault


def bounds_of(settings: HnswSettings) -> _native.SearchBounds:
    """What settings say about filtered searches: one that differs from the default binds the
    planner, a default leaves it free."""
    default = HnswSettings()
    cutoff, strategy = settings.flat_search_cutoff, settings.filter_strategy
    return _native.SearchBounds(
        None if cutoff == default.flat_search_cutoff else max(cutoff, 0),
        "" if strategy == default.filter_strategy else strategy,
    )
