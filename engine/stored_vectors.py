"""StoredVectors: the vectors of one space as the store holds them, which is the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from weftdb.core.types import DocId, DocIds, Rows, VectorName
from weftdb.storage.objects import ObjectStore
from weftdb.storage.vector_codec import decode_rows


class StoredVectors:
    """Reads one space. Satisfies `index.ports.VectorSource`; multi-vectors give the doc id of every
    row."""

    def __init__(self, objects: ObjectStore, name: VectorName, *, is_multi: bool) -> None:
        self._objects = objects
        self._name = name
        self._is_multi = is_multi

    def scan(self, first: DocId) -> Iterator[tuple[DocIds, Rows]]:
        """All from doc `first` on, in chunks by ascending doc id. Raises CorruptData."""
        scan = self._objects.scan_matrices if self._is_multi else self._objects.scan_vectors
        return scan(self._name, first)

    def fetch(self, doc_ids: Sequence[DocId]) -> tuple[DocIds, Rows]:
        """Those of `doc_ids` (ascending) that there are. Raises CorruptData."""
        values = self._objects.raw_vectors(self._name, doc_ids)
        present = [(doc, value) for doc, value in zip(doc_ids, values, strict=True) if value]
        known = [doc for doc, _ in present]
        found = [value for _, value in present]
        if self._is_multi and present:
            return self._objects.matrix_rows(self._name, known, found)
        return np.array(known, dtype=np.uint32), decode_rows(found)
