"""Makes the vector index that a collection's settings ask for, empty."""

from __future__ import annotations

from weftdb.core.config import IndexConfig
from weftdb.core.schema import IndexKind, VectorConfig
from weftdb.index.flat import FlatIndex
from weftdb.index.hnswlib_index import KINDS as HNSWLIB_KINDS
from weftdb.index.hnswlib_index import HnswlibIndex, check_engine, load_package
from weftdb.index.kernels import load_kernels
from weftdb.index.kernels.abc import Kernels
from weftdb.index.multi_vector_scan import MultiVectorScan
from weftdb.index.ports import VectorIndex
from weftdb.index.skipped import SkippedIndex


def check_node(index: IndexConfig) -> None:
    """Raise Unsupported where the engine that the settings name cannot be had."""
    if index.engine == "hnswlib":
        load_package()


def check_vector(config: VectorConfig, index: IndexConfig) -> None:
    """Raise SchemaViolation where the chosen engine cannot serve a vector. For new definitions."""
    if index.engine == "hnswlib":
        check_engine(config)


def make_index(config: VectorConfig, index: IndexConfig, *, owner: int = 0) -> VectorIndex:
    """Make an empty index. hfresh is served by a graph (docs/guide/vector-indexes.md).

    `owner` (64 bits) names the vector space: files of another one are not taken over.
    Raises ImportError if `index.kernels` is `native` and the extension cannot be loaded;
    Unsupported and SchemaViolation as `check_node` and `check_vector` do.
    """
    if config.hnsw.skip:
        return SkippedIndex(config.name)
    kernels = load_kernels(index.kernels)
    if config.multi_vector:
        return _make_multi_vector(config, index, kernels, owner)
    if index.engine == "hnswlib" and config.index in HNSWLIB_KINDS:
        return HnswlibIndex(config, index, kernels, owner=owner)
    if kernels.name == "reference":
        return FlatIndex(config, kernels)
    # Imported here, because it needs the extension that the reference kernels do without.
    from weftdb.index.hnsw.dynamic import DynamicIndex
    from weftdb.index.hnsw.graph import NEVER_LINKED, HnswIndex

    if config.index is IndexKind.FLAT:
        return HnswIndex(config, index, owner=owner, link_min=NEVER_LINKED)
    if config.index is IndexKind.DYNAMIC:
        return DynamicIndex(config, index, owner=owner)
    return HnswIndex(config, index, owner=owner)


def make_scan(config: VectorConfig, index: IndexConfig) -> VectorIndex:
    """Make an empty exact index in plain memory, for what is searched once. Raises ImportError."""
    kernels = load_kernels(index.kernels)
    return MultiVectorScan(config, kernels) if config.multi_vector else FlatIndex(config, kernels)


def _make_multi_vector(
    config: VectorConfig, index: IndexConfig, kernels: Kernels, owner: int
) -> VectorIndex:
    if kernels.name == "reference":
        return MultiVectorScan(config, kernels)
    from weftdb.index.multi_vector import MultiVectorIndex

    return MultiVectorIndex(config, index, owner=owner)
