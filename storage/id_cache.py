"""IdCache: the object ids of docs, in memory, so that equal scores can be ordered without rows.

A table of slots by the last bits of the doc id: as long as it has a slot for every doc it is a
plain column. It doubles as docs come, up to a bound; beyond that docs share slots and the latest
stays. Ids of docs that are written come in with the write, others from their rows when they are
asked for. A doc never changes its object, so nothing has to be taken out.

Concurrency: any thread.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from weftdb.core.types import DocId, ObjectId
from weftdb.storage.object_codec import stored_id

_ID_BYTES = 16
_SLOTS_MIN = 1024
_NO_DOC = 2**32 - 1
SLOT_BYTES = _ID_BYTES + 4

Load = Callable[[list[DocId]], list[bytes | None]]


class IdCache:
    """The object ids of one shard."""

    def __init__(self, load: Load, bytes_max: int) -> None:
        """`load` reads stored objects, None where there is none. Below `bytes_max` and its least
        size (20 KiB), the table has a power of two of slots."""
        self._load = load
        self._slots_max = max(_SLOTS_MIN, 1 << (max(bytes_max // SLOT_BYTES, 1).bit_length() - 1))
        self._lock = Lock()
        self._docs, self._ids = _empty(_SLOTS_MIN)

    @property
    def memory_bytes(self) -> int:
        """Resident bytes."""
        return SLOT_BYTES * len(self._docs)

    def put(self, doc_ids: Sequence[DocId], ids: Sequence[ObjectId]) -> None:
        """Take in the objects of docs. Of docs that share a slot any may stay."""
        if not doc_ids:
            return
        docs = np.array(doc_ids, dtype=np.uint32)
        rows = np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(docs), _ID_BYTES)
        with self._lock:
            self._grow(int(docs.max()))
            self._place(docs, rows)

    def get_many(self, doc_ids: list[DocId]) -> list[ObjectId]:
        """The objects of docs; all zero for a doc that has gone and is not known any more."""
        # Few docs are asked for at a time, as a rule: numpy would cost more than it saves.
        with self._lock:
            docs, ids, mask = self._docs, self._ids, len(self._docs) - 1
            found = [
                ObjectId(bytes(ids[(at := _ID_BYTES * (doc & mask)) : at + _ID_BYTES]))
                if docs[doc & mask] == doc
                else None
                for doc in doc_ids
            ]
        return self._filled(doc_ids, found)

    def _filled(self, doc_ids: list[DocId], ids: list[ObjectId | None]) -> list[ObjectId]:
        if None not in ids:
            return cast(list[ObjectId], ids)
        missing = [doc for doc, known in zip(doc_ids, ids, strict=True) if known is None]
        rows = dict(zip(missing, self._load(missing), strict=True))
        found = {doc: stored_id(row) for doc, row in rows.items() if row is not None}
        self.put(list(found), list(found.values()))
        gone = ObjectId(bytes(_ID_BYTES))
        return [
            found.get(doc, gone) if known is None else known
            for doc, known in zip(doc_ids, ids, strict=True)
        ]

    def _place(self, docs: NDArray[np.uint32], rows: NDArray[np.uint8]) -> None:
        at = docs & np.uint32(len(self._docs) - 1)
        # Of docs in one slot numpy keeps the last, in both columns alike.
        np.frombuffer(self._docs, dtype=np.uint32)[at] = docs
        np.frombuffer(self._ids, dtype=np.uint8).reshape(-1, _ID_BYTES)[at] = rows

    def _grow(self, doc_id: int) -> None:
        slots = len(self._docs)
        while slots <= doc_id and slots < self._slots_max:
            slots *= 2
        if slots == len(self._docs):
            return
        docs = np.frombuffer(self._docs, dtype=np.uint32)
        rows = np.frombuffer(self._ids, dtype=np.uint8).reshape(-1, _ID_BYTES)
        self._docs, self._ids = _empty(slots)
        is_used = docs != _NO_DOC
        self._place(docs[is_used], rows[is_used])


def _empty(slots: int) -> tuple[array[int], bytearray]:
    return array("I", [_NO_DOC]) * slots, bytearray(slots * _ID_BYTES)
