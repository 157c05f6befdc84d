"""MemoryEstimate: what a vector index of a given size will take of memory. Pure arithmetic.

What is counted, for `count` vectors of `dim` dimensions (index/kernels/src/graph.h has the tables):

    vectors      float32 rows, padded to 64 bytes (16 bytes up to 64 dimensions); with a quantizer
                 they lie in a file, but for the first megabyte
    codes        one code a vector where a quantizer is on, and what decodes them
    links        layer 0: `maxConnections` words a vector; layers above: half of that for one vector
                 in maxConnections / 2 on average. None below `LINK_MIN` vectors and in a flat index
    bookkeeping  doc id, level, flags, and the way from doc id to place; for filters a sketch of
                 three bits a dimension and one scale, to half lines, its first bits and scale once
                 more and a word, where there are links and no codes

Of multi-vectors, for `count` matrices of `rows` rows: the rows; and, from 1,024 matrices on, a
graph over one encoding a matrix (MUVERA; eight-bit codes where no quantizer is set) or over all
rows again.

A process takes more: the interpreter and its libraries, RocksDB's memtables and caches, which have
budgets of their own (docs/operations/memory.md). Deleted vectors count until they are cleaned up.
The end of each table is rounded to huge pages: it is what small indexes are measured to take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.vector_index import (
    IndexDefaults,
    IndexSettings,
    parse_index,
    parse_index_kind,
)
from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import VECTOR_DIMENSIONS_MAX
from weftdb.core.schema import Compression, IndexKind, Metric, Quantizer

LINK_MIN = 1024
"""An index of fewer vectors is scanned and has no links (index/hnsw/graph.py)."""
SKETCHED_MIN = 8192
SKETCH_DIMENSIONS_MIN = 64
SKETCH_DIMENSIONS_MAX = 8192
"""An index of fewer vectors, of shorter or of longer ones, has no sketches."""
SKETCHED_METRICS = frozenset({Metric.COSINE, Metric.DOT, Metric.L2_SQUARED})
COUNT_MAX = 2**31 - 1
"""Vectors that one shard can hold."""

CANDIDATE_DOCS_MIN = 1_024
"""Fewer matrices are all measured; no graph is kept of them (index/multi_vector.py)."""
ROWS_MAX = 2**32 - 1
"""Rows of matrices that one shard can hold."""
ENCODING_QUANTIZER = Quantizer(Compression.ROTATIONAL, rescore_limit=0)
"""Of encodings, where the definition names none. They are approximations: eight bits a value lose
nothing of their recall, and walks and linking take half the time (docs/decisions)."""

_FLOAT_BYTES = 4
_WORD_BYTES = 4
_NODE_BYTES = 12
_MATRIX_BYTES = 28
"""First row, doc, rows, first token, whether it is deleted; and the way from the doc there."""
_CODE_HEAD_BYTES = 16
"""Of a scalar or rotated code: offset, scale, sum and square, a float each."""
_CHUNK_ROWS_FIRST = 4
_CHUNK_MOVED_BYTES_MIN = 2**20
_HUGE_PAGE_BYTES = 2**21
_CODE_UNITS = {8: 16, 4: 32, 1: 64}
"""Dimensions are rounded up to these, by the bits of each."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes that one vector index takes, by what they are for."""

    vectors: int
    codes: int
    links: int
    bookkeeping: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.vectors + self.codes + self.links + self.bookkeeping


def estimate_memory(
    count: int,
    dim: int,
    settings: Mapping[str, Any] | None = None,
    *,
    kind: str = "",
    rows: float | None = None,
) -> MemoryEstimate:
    """Estimate the index of `count` vectors of `dim` dimensions.

    `settings` is a `vectorIndexConfig` as in a collection's definition, `kind` a `vectorIndexType`
    ("" is hnsw). Of a multi-vector `count` are the matrices, `rows` their rows on average; only
    there they are needed and allowed. Raises InvalidRequest for a size no shard can have,
    SchemaViolation and Malformed for wrong settings.
    """
    defaults = IndexDefaults()
    chosen = parse_index_kind(kind, defaults, async_indexing=True)
    parsed, _ = parse_index(Fields(settings or {}, "vectorIndexConfig"), chosen, defaults)
    return estimate_index(count, dim, parsed, rows)


def estimate_index(
    count: int, dim: int, settings: IndexSettings, rows: float | None = None
) -> MemoryEstimate:
    """Estimate an index whose settings are read already. Raises InvalidRequest."""
    _check("count", count, 0, COUNT_MAX)
    _check("dim", dim, 1, VECTOR_DIMENSIONS_MAX)
    if settings.multi_vector != (rows is not None):
        raise InvalidRequest(
            "rows (of a matrix, on average) must be given for multi-vectors, and only for them"
        )
    if settings.hnsw.skip:
        return MemoryEstimate(0, 0, 0, 0)
    if rows is not None:
        return _estimate_matrices(count, dim, settings, rows)
    return _estimate_vectors(count, dim, settings)


def _estimate_vectors(count: int, dim: int, settings: IndexSettings) -> MemoryEstimate:
    is_flat = settings.kind is IndexKind.FLAT or (
        settings.kind is IndexKind.DYNAMIC and count <= settings.threshold
    )
    quantizer = settings.quantizer
    if settings.kind is IndexKind.DYNAMIC and is_flat:
        quantizer = settings.flat_quantizer
    is_linked = not is_flat and count > LINK_MIN
    sketch = sketch_bytes(count, dim, settings.metric) if quantizer is None else 0
    return MemoryEstimate(
        vectors=_table_bytes(_staying(count, dim) if quantizer else count, row_bytes(dim)),
        codes=_codes_bytes(count, dim, quantizer) if quantizer else 0,
        links=_links_bytes(count, settings.hnsw.max_connections) if is_linked else 0,
        bookkeeping=count * (_NODE_BYTES + _WORD_BYTES + (sketch if is_linked else 0)),
    )


def _estimate_matrices(
    count: int, dim: int, settings: IndexSettings, rows: float
) -> MemoryEstimate:
    if not rows >= 1 or count * rows > ROWS_MAX:
        raise InvalidRequest(f"rows must be at least 1 and in all at most {ROWS_MAX}, got {rows}")
    all_rows = int(count * rows)
    held = _table_bytes(all_rows, dim * _FLOAT_BYTES)
    table = MemoryEstimate(held, 0, 0, count * _MATRIX_BYTES)
    if count < CANDIDATE_DOCS_MIN:
        return table
    quantizer, entries, length = settings.quantizer, all_rows, dim
    if settings.muvera is not None:
        quantizer = quantizer or ENCODING_QUANTIZER
        entries, length = count, settings.muvera.length(dim)
    of_graph = _estimate_vectors(entries, length, replace(settings, quantizer=quantizer))
    owners = 0 if settings.muvera is not None else all_rows * _WORD_BYTES
    return MemoryEstimate(
        table.vectors + of_graph.vectors,
        of_graph.codes,
        of_graph.links,
        table.bookkeeping + of_graph.bookkeeping + owners,
    )


def row_bytes(dim: int) -> int:
    """Bytes of one float32 vector in memory."""
    unit = 16 if dim > 64 else 4
    return _rounded(dim, unit) * _FLOAT_BYTES


def _staying(count: int, dim: int) -> int:
    """Vectors that stay in memory beside codes: those of the first chunks, which are too small for
    a place in a file (index/kernels/src/chunks.h). About a megabyte of them."""
    rows = _CHUNK_ROWS_FIRST
    while rows * row_bytes(dim) < _CHUNK_MOVED_BYTES_MIN:
        rows *= 2
    return min(count, rows - _CHUNK_ROWS_FIRST)


def link_bytes(max_connections: int) -> float:
    """Bytes of the links of one vector, all layers, on average."""
    upper = max(2, max_connections // 2)
    layers_above = 1 / (upper - 1)
    return _WORD_BYTES * (max_connections + upper * layers_above)


def sketch_bytes(count: int, dim: int, metric: Metric) -> int:
    """Bytes of the sketch of one vector (index/kernels/src/sketches.h); 0 where there are none."""
    is_sketched = count >= SKETCHED_MIN and metric in SKETCHED_METRICS
    if not is_sketched or not SKETCH_DIMENSIONS_MIN <= dim <= SKETCH_DIMENSIONS_MAX:
        return 0
    words = _rounded(dim, 64) // 64
    by_run = 8 * words + 2 * _WORD_BYTES
    by_slot = 8 * _rounded(3 * words + 1, 4)
    return by_run + by_slot + _WORD_BYTES


def code_bytes(quantizer: Quantizer, dim: int) -> int:
    """Bytes of the code of one vector (index/kernels/src/codes_affine.cpp, codes_product.cpp)."""
    if quantizer.kind is Compression.PRODUCT:
        return _rounded(product_segments(quantizer, dim), 16)
    if quantizer.kind is Compression.BINARY:
        return _rounded(dim, 64) // 8
    bits = quantizer.bits if quantizer.kind is Compression.ROTATIONAL else 8
    return _CODE_HEAD_BYTES + _rounded(dim, _CODE_UNITS[bits]) * bits // 8


def product_segments(quantizer: Quantizer, dim: int) -> int:
    """Segments of a product code: as set; by tiles one a dimension; else what divides the dimension
    into pieces of about four."""
    if quantizer.segments or quantizer.encoder == "tile":
        return quantizer.segments or dim
    return next(dim // width for width in (4, 3, 2, 5, 1) if dim % width == 0)


def _rounded(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _links_bytes(count: int, max_connections: int) -> int:
    lowest = max_connections * _WORD_BYTES
    upper = int(count * (link_bytes(max_connections) - lowest))
    return _table_bytes(count, lowest) + upper


def _table_bytes(count: int, row: int) -> int:
    """Bytes of a table of chunks, each twice as big as the one before: the end of the last one lies
    on huge pages, which are there or not as a whole."""
    if count == 0:
        return 0
    chunk_rows = 1 << ((count - 1 + _CHUNK_ROWS_FIRST).bit_length() - 1)
    before = chunk_rows - _CHUNK_ROWS_FIRST
    used, whole = (count - before) * row, chunk_rows * row
    if whole >= _CHUNK_MOVED_BYTES_MIN:
        used = min(_rounded(used, _HUGE_PAGE_BYTES), whole)
    return before * row + used


def _codes_bytes(count: int, dim: int, quantizer: Quantizer) -> int:
    book = 0
    if quantizer.kind is Compression.PRODUCT:
        book = 2 * quantizer.centroids * dim * _FLOAT_BYTES  # by centroid, and by axis
    return _table_bytes(count, code_bytes(quantizer, dim)) + book


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidRequest(f"{name} must be in {low}..{high}, got {value}")
