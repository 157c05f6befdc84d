"""ObjectStore: the objects and vectors of one shard, by doc id and by object id."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData, Overloaded
from weftdb.core.limits import MiB
from weftdb.core.types import DocId, DocIds, ObjectId, Rows, ShardId, VectorName, Version
from weftdb.storage import keys
from weftdb.storage.kv import Family, Reader, WriteBatch
from weftdb.storage.object_codec import is_intact, stored_version
from weftdb.storage.vector_codec import (
    decode_matrices,
    decode_rows,
    decode_vector,
    encode_vector,
)

_DOC_ID = struct.Struct(">I")
ROWS_PER_CHUNK = 1_000
VECTORS_PER_CHUNK = 4_096
VERSION_TRIES_MAX = 100
"""An object that is replaced this often while its version is read is told to come again."""
MATRIX_BYTES_PER_CHUNK = 16 * MiB
"""A chunk of multi-vectors ends with the one that passes this."""


class ObjectStore:
    """Reads through a `Reader`; writes go into the caller's `WriteBatch`."""

    def __init__(self, reader: Reader, shard: ShardId) -> None:
        self._reader = reader
        self._shard = shard
        self._end = keys.shard_range(shard)[1]

    def get(self, doc_id: DocId) -> bytes | None:
        """The stored object of a doc, encoded and verified. Raises CorruptData."""
        value = self._reader.get(Family.OBJECTS, keys.object_key(self._shard, doc_id))
        if value is not None and not is_intact(value):
            raise self._damaged(doc_id, value)
        return value

    def get_many(self, doc_ids: list[DocId]) -> list[bytes | None]:
        """The stored objects, encoded, in the order of `doc_ids`. Raises CorruptData.

        RocksDB has checked the blocks that they come from. Their own checksum is left to
        `decode_object`: 1.2 microseconds an object are much for the hits of a search.
        """
        return self._reader.get_many(Family.OBJECTS, keys.object_keys(self._shard, doc_ids))

    def doc_id_of(self, object_id: ObjectId) -> DocId | None:
        """The doc that holds the current state of an object."""
        value = self._reader.get(Family.IDS, keys.id_key(self._shard, object_id))
        return None if value is None else DocId(_DOC_ID.unpack(value)[0])

    def doc_ids_of(self, ids: Sequence[ObjectId]) -> list[DocId | None]:
        """The docs of many objects, None where there is none."""
        values = self._reader.get_many(Family.IDS, [keys.id_key(self._shard, i) for i in ids])
        return [None if value is None else DocId(_DOC_ID.unpack(value)[0]) for value in values]

    def versions_of(self, ids: Sequence[ObjectId]) -> list[Version | None]:
        """The versions of many objects, None where there is none. Raises Overloaded."""
        found: list[Version | None] = [None] * len(ids)
        missing = list(range(len(ids)))
        for _ in range(VERSION_TRIES_MAX):
            docs = self.doc_ids_of([ids[at] for at in missing])
            known = [(at, doc) for at, doc in zip(missing, docs, strict=True) if doc is not None]
            rows = self.get_many([doc for _, doc in known])
            missing = []
            for (at, _), row in zip(known, rows, strict=True):
                if row is None:  # Replaced or deleted since its doc was read.
                    missing.append(at)
                else:
                    found[at] = stored_version(row)
            if not missing:
                return found
        raise Overloaded(f"{len(missing)} objects are replaced again and again")

    def ids_after(
        self, cursor: ObjectId | None, *, skip: int, count: int
    ) -> list[tuple[ObjectId, DocId]]:
        """Objects by ascending id, strictly after `cursor`. O(skip + count)."""
        start = keys.id_key(self._shard, ObjectId(b"" if cursor is None else cursor + b"\x00"))
        pairs = self._reader.scan(Family.IDS, start, self._end)
        return [
            (ObjectId(key[4:]), DocId(_DOC_ID.unpack(value)[0]))
            for key, value in islice(pairs, skip, skip + count)
        ]

    def scan_ids(self, start: ObjectId) -> Iterator[tuple[ObjectId, DocId]]:
        """Live objects in the order of their ids, from `start` on."""
        pairs = self._reader.scan(Family.IDS, keys.id_key(self._shard, start), self._end)
        for key, value in pairs:
            yield ObjectId(key[4:]), DocId(_DOC_ID.unpack(value)[0])

    def scan(self) -> Iterator[tuple[DocId, bytes]]:
        """Every stored object by ascending doc id, verified. Raises CorruptData."""
        start, end = keys.shard_range(self._shard)
        for key, value in self._reader.scan(Family.OBJECTS, start, end):
            doc_id = keys.doc_id_of(key)
            if not is_intact(value):
                raise self._damaged(doc_id, value)
            yield doc_id, value

    def scan_rows(self, first: DocId, last: DocId) -> Iterator[tuple[DocIds, list[bytes]]]:
        """The stored objects of docs from `first` to `last`, in chunks by ascending doc id, as they
        are when the scan begins. Their checksums are left out, as in `get_many`."""
        end = keys.object_key(self._shard, last) + b"\x00"
        pairs = iter(self._reader.scan(Family.OBJECTS, keys.object_key(self._shard, first), end))
        while chunk := list(islice(pairs, ROWS_PER_CHUNK)):
            joined = b"".join([key[-4:] for key, _ in chunk])
            doc_ids = np.frombuffer(joined, dtype=">u4").astype(np.uint32)
            yield doc_ids, [value for _, value in chunk]

    def vector(self, name: VectorName, doc_id: DocId) -> NDArray[np.float32] | None:
        """One vector as it came in. Raises CorruptData."""
        key = keys.vector_key(keys.vector_prefix(self._shard, name), doc_id)
        value = self._reader.get(Family.VECTORS, key)
        return None if value is None else self._decoded(name, doc_id, value)

    def raw_vectors(self, name: VectorName, doc_ids: Sequence[DocId]) -> list[bytes | None]:
        """Many vectors of one space, encoded; None where a doc has none."""
        prefix = keys.vector_prefix(self._shard, name)
        wanted = [keys.vector_key(prefix, doc_id) for doc_id in doc_ids]
        return self._reader.get_many(Family.VECTORS, wanted)

    def vectors(
        self, name: VectorName, doc_ids: Sequence[DocId]
    ) -> list[NDArray[np.float32] | None]:
        """Many vectors of one space, None where a doc has none."""
        values = self.raw_vectors(name, doc_ids)
        return [
            None if value is None else self._decoded(name, doc_id, value)
            for doc_id, value in zip(doc_ids, values, strict=True)
        ]

    def scan_vectors(self, name: VectorName, first: DocId) -> Iterator[tuple[DocIds, Rows]]:
        """All single vectors of one space from doc `first` on, in chunks by ascending doc id."""
        pairs = self._scan_space(name, first)
        while chunk := list(islice(pairs, VECTORS_PER_CHUNK)):
            joined = b"".join([key[-4:] for key, _ in chunk])
            doc_ids = np.frombuffer(joined, dtype=">u4").astype(np.uint32)
            values = [value for _, value in chunk]
            try:
                rows = decode_rows(values)
            except CorruptData:
                for doc_id, value in zip(doc_ids.tolist(), values, strict=True):
                    self._decoded(name, DocId(doc_id), value)  # Raises for the row at fault.
                raise
            yield doc_ids, rows

    def scan_matrices(self, name: VectorName, first: DocId) -> Iterator[tuple[DocIds, Rows]]:
        """All multi-vectors of one space from doc `first` on, in chunks by ascending doc id: the
        doc id of every row, and the rows. Raises CorruptData."""
        pairs = self._scan_space(name, first)
        while True:
            doc_ids: list[DocId] = []
            values: list[bytes] = []
            size = 0
            for key, value in pairs:
                doc_ids.append(DocId(_DOC_ID.unpack(key[-4:])[0]))
                values.append(value)
                size += len(value)
                if size >= MATRIX_BYTES_PER_CHUNK:
                    break
            if not values:
                return
            yield self.matrix_rows(name, doc_ids, values)

    def matrix_rows(
        self, name: VectorName, doc_ids: Sequence[DocId], values: Sequence[bytes]
    ) -> tuple[DocIds, Rows]:
        """Decode multi-vectors: the doc id of every row, and the rows. Raises CorruptData."""
        try:
            rows, counts = decode_matrices(values)
        except CorruptData:
            for doc_id, value in zip(doc_ids, values, strict=True):
                self._decoded(name, doc_id, value)  # Raises for the doc at fault.
            raise
        return np.repeat(np.array(doc_ids, dtype=np.uint32), counts), rows

    def _scan_space(self, name: VectorName, first: DocId) -> Iterator[tuple[bytes, bytes]]:
        prefix = keys.vector_prefix(self._shard, name)
        end = keys.vector_key(prefix, DocId(2**32 - 1)) + b"\x00"
        return iter(self._reader.scan(Family.VECTORS, keys.vector_key(prefix, first), end))

    def _damaged(self, doc_id: DocId, value: bytes) -> CorruptData:
        return CorruptData(
            f"the object of doc {doc_id} in shard {self._shard} fails its checksum "
            f"({len(value)} bytes)"
        )

    def _decoded(self, name: VectorName, doc_id: DocId, value: bytes) -> NDArray[np.float32]:
        try:
            return decode_vector(value)
        except CorruptData as error:
            raise CorruptData(
                f"doc {doc_id} in shard {self._shard}, vector {name!r}: {error}"
            ) from error

    def put(self, batch: WriteBatch, doc_id: DocId, object_id: ObjectId, value: bytes) -> None:
        """Store an object as the current state of its id."""
        batch.put(Family.OBJECTS, keys.object_key(self._shard, doc_id), value)
        batch.put(Family.IDS, keys.id_key(self._shard, object_id), _DOC_ID.pack(doc_id))

    def put_vector(
        self, batch: WriteBatch, name: VectorName, doc_id: DocId, vector: NDArray[np.float32]
    ) -> None:
        """Store one vector of a doc."""
        key = keys.vector_key(keys.vector_prefix(self._shard, name), doc_id)
        batch.put(Family.VECTORS, key, encode_vector(vector))

    def remove_doc(self, batch: WriteBatch, doc_id: DocId, names: Sequence[VectorName]) -> None:
        """Remove the row and the vectors of a doc; its id row stays (an update overwrites it)."""
        batch.delete(Family.OBJECTS, keys.object_key(self._shard, doc_id))
        for name in names:
            prefix = keys.vector_prefix(self._shard, name)
            batch.delete(Family.VECTORS, keys.vector_key(prefix, doc_id))

    def remove_id(self, batch: WriteBatch, object_id: ObjectId) -> None:
        """Remove the id row: the object is gone."""
        batch.delete(Family.IDS, keys.id_key(self._shard, object_id))
