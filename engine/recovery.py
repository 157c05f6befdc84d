"""Fills the vector indexes of a shard when it opens: from a good snapshot, then from the store.

Vectors, graphs and caches in memory are derived. Whatever is missing, damaged or behind is taken
from the store; deleting the derived files costs time, never data.
"""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path

import numpy as np

from weftdb.core.errors import CorruptData
from weftdb.core.types import DocId, DocIds, VectorName
from weftdb.engine.shard import Shard
from weftdb.engine.stored_vectors import StoredVectors
from weftdb.engine.upgrades import restore_upgrade
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Compactable, Quantizable, Restorable, VectorIndex
from weftdb.index.skipped import SkippedIndex

log = logging.getLogger("weftdb.recovery")

FETCH_SHARE_MAX = 0.2
"""Below this share of missing vectors they are fetched one by one instead of scanned."""
FETCH_DOCS = 4_096


def snapshot_path(shard: Shard, name: VectorName) -> Path:
    """Where the snapshot of a vector space lies; names are hex because they may differ in case."""
    return shard.directory / f"vector-{name.encode().hex() or 'unnamed'}.snapshot"


def forget_snapshot(shard: Shard, name: VectorName) -> None:
    """Remove the files of a vector that has no index any more."""
    path = snapshot_path(shard, name)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink(missing_ok=True)


def load_vectors(shard: Shard) -> None:
    """Make every live vector of the shard searchable. Raises CorruptData of stored rows."""
    for name, index in list(shard.vectors.items()):
        restore_upgrade(shard, name, index)
        missing = _load_snapshot(shard, name, index)
        _add_missing(shard, name, shard.vectors[name], missing)


def _load_snapshot(shard: Shard, name: VectorName, index: VectorIndex) -> DocIds:
    """Load what there is and return the live docs that it lacks."""
    path, live = snapshot_path(shard, name), AllowList(shard.live)
    if not path.exists():
        return live.doc_ids()
    try:
        missing = index.load(path, live)
    except (CorruptData, OSError) as error:
        log.warning("snapshot %s is not used, the index is rebuilt: %s", path, error)
        _forget_unusable(shard, name)
        return live.doc_ids()
    if isinstance(index, Restorable) and index.docs_end > shard.docs.next_doc_id:
        log.warning(
            "snapshot %s is not used, the index is rebuilt: it knows doc ids up to %d, the store "
            "only up to %d (it was put back to an earlier state)",
            path, index.docs_end - 1, shard.docs.next_doc_id - 1,
        )  # fmt: skip
        _forget_unusable(shard, name)
        shard.empty_index(name)
        restore_upgrade(shard, name, shard.vectors[name])
        return live.doc_ids()
    if isinstance(index, Compactable) and index.log_fault:
        log.warning("the log of %s is cut: %s", path, index.log_fault)
    if isinstance(index, Quantizable) and index.code_file_fault:
        log.warning("the codes of %s are made again: %s", path, index.code_file_fault)
    return missing


def _forget_unusable(shard: Shard, name: VectorName) -> None:
    """Remove files that cannot be used, so that nothing takes them for a snapshot that is there:
    the next one is written as soon as if there had been none."""
    try:
        forget_snapshot(shard, name)
    except OSError as error:
        log.warning("snapshot %s stays: %s", snapshot_path(shard, name), error)


def _add_missing(shard: Shard, name: VectorName, index: VectorIndex, missing: DocIds) -> None:
    if len(missing) == 0:
        return
    is_multi = shard.schema.vector_by_name[name].multi_vector
    source = StoredVectors(shard.objects, name, is_multi=is_multi)
    if isinstance(index, SkippedIndex):
        for doc_ids, rows in islice(source.scan(DocId(int(missing[0]))), 1):
            index.add(doc_ids, rows)  # The length is all that it wants to know.
        return
    if len(missing) < FETCH_SHARE_MAX * shard.count:
        docs = [DocId(doc) for doc in missing.tolist()]
        for start in range(0, len(docs), FETCH_DOCS):
            doc_ids, rows = source.fetch(docs[start : start + FETCH_DOCS])
            if len(doc_ids):
                index.add(doc_ids, rows)
        return
    wanted = np.zeros(shard.docs.next_doc_id, dtype=bool)
    wanted[missing] = True
    for doc_ids, rows in source.scan(DocId(int(missing[0]))):
        keep = wanted[doc_ids]
        if keep.any():
            index.add(doc_ids[keep], np.ascontiguousarray(rows[keep]))
