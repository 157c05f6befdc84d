"""Makes the vector index that a collection's settings ask for, empty or from its snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import IndexKind, VectorConfig
from weftdb.core.types import DocIds
from weftdb.index.allow_list import AllowList
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels
from weftdb.index.ports import VectorIndex
from weftdb.index.skipped import SkippedIndex


@dataclass(frozen=True, slots=True)
class OpenedIndex:
    """An index as far as its snapshot goes, and the live docs it lacks (ascending). Some of them
    may have no vector; the others are to be added from the store."""

    index: VectorIndex
    missing: DocIds


def make_index(config: VectorConfig, index: IndexConfig) -> VectorIndex:
    """Make an empty index. Dynamic and hfresh are graphs from the start, for now.

    Raises ImportError if `index.kernels` is `native` and the extension cannot be loaded.
    """
    if config.hnsw.skip:
        return SkippedIndex(config.name)
    kernels = load_kernels(index.kernels)
    if kernels.name == "reference":
        return FlatIndex(config, kernels)
    # Imported here, because it needs the extension that the reference kernels do without.
    from weftdb.index.hnsw.graph import HnswIndex

    return HnswIndex(config, index, exact=config.index is IndexKind.FLAT)


def open_index(
    config: VectorConfig, index: IndexConfig, path: Path, live: AllowList
) -> OpenedIndex:
    """Open the index that `VectorIndex.save` wrote to `path`, for the docs that are `live` now.

    Without a file, or for an index that has none, everything live is missing. Raises CorruptData
    for a damaged file: delete it and call again, it is derived data.
    """
    made = make_index(config, index)
    if isinstance(made, FlatIndex | SkippedIndex) or not path.exists():
        return OpenedIndex(made, live.doc_ids())
    try:
        return OpenedIndex(made, made.load(path, live))
    except (CorruptData, OSError):
        made.close()
        raise
