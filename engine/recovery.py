"""Fills the vector indexes of a shard when it opens: from a good snapshot, then from the store.

Vectors, graphs and caches in memory are derived. Whatever is missing, damaged or behind is taken
from the store; deleting the derived files costs time, never data.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from weftdb.core.errors import CorruptData
from weftdb.core.types import DocId, DocIds, VectorName
from weftdb.engine.shard import Shard
from weftdb.engine.upgrades import restore_upgrade
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import VectorIndex
from weftdb.storage.vector_codec import decode_rows

log = logging.getLogger("weftdb.recovery")

FETCH_SHARE_MAX = 0.2
"""Below this share of missing vectors they are fetched one by one instead of scanned."""
FETCH_DOCS = 4_096


def snapshot_path(shard: Shard, name: VectorName) -> Path:
    """Where the snapshot of a vector space lies; names are hex because they may differ in case."""
    return shard.directory / f"vector-{name.encode().hex() or 'unnamed'}.snapshot"


def load_vectors(shard: Shard) -> None:
    """Make every live vector of the shard searchable. Raises CorruptData of stored rows."""
    for name, index in shard.vectors.items():
        restore_upgrade(shard, name, index)
        _add_missing(shard, name, index, _load_snapshot(shard, name, index))


def _load_snapshot(shard: Shard, name: VectorName, index: VectorIndex) -> DocIds:
    """Load what there is and return the live docs that it lacks."""
    path, live = snapshot_path(shard, name), AllowList(shard.live)
    if not path.exists():
        return live.doc_ids()
    try:
        return index.load(path, live)
    except (CorruptData, OSError) as error:
        log.warning("snapshot %s is not used, the index is rebuilt: %s", path, error)
        return live.doc_ids()


def _add_missing(shard: Shard, name: VectorName, index: VectorIndex, missing: DocIds) -> None:
    if len(missing) == 0:
        return
    if len(missing) < FETCH_SHARE_MAX * shard.count:
        docs = [DocId(doc) for doc in missing.tolist()]
        for start in range(0, len(docs), FETCH_DOCS):
            _add_fetched(shard, name, index, docs[start : start + FETCH_DOCS])
        return
    wanted = np.zeros(shard.docs.next_doc_id, dtype=bool)
    wanted[missing] = True
    is_multi = shard.schema.vector_by_name[name].multi_vector
    scan = shard.objects.scan_matrices if is_multi else shard.objects.scan_vectors
    for doc_ids, rows in scan(name, DocId(int(missing[0]))):
        keep = wanted[doc_ids]
        if keep.any():
            index.add(doc_ids[keep], np.ascontiguousarray(rows[keep]))


def _add_fetched(shard: Shard, name: VectorName, index: VectorIndex, docs: list[DocId]) -> None:
    rows = shard.objects.raw_vectors(name, docs)
    present = [(doc, row) for doc, row in zip(docs, rows, strict=True) if row is not None]
    if not present:
        return
    if shard.schema.vector_by_name[name].multi_vector:
        known, values = zip(*present, strict=True)
        index.add(*shard.objects.matrix_rows(name, known, values))
    else:
        doc_ids = np.array([doc for doc, _ in present], dtype=np.uint32)
        index.add(doc_ids, decode_rows([row for _, row in present]))
