"""Shard: the objects of one collection on one node, with every index over them.

Write order: the batch goes to the store (atomic), then into memory (inverted index, new vectors,
live docs, old vectors out), then the writer waits for the sync. A reader may therefore meet a doc
whose row has just been replaced, but never misses both states of an object: it runs again when a
row of its page is gone (engine/reader.py).

Concurrency: one writer at a time (engine/writer.py); `publishing` is held from the store's write to
the end of the publication, and by the second try of a read, so that nothing moves under it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from time import sleep

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.config import Config
from weftdb.core.definition.vector_index import check_length
from weftdb.core.errors import ObjectNotFound
from weftdb.core.limits import ID_CACHE_BYTES_MAX, MiB
from weftdb.core.memory_estimate import link_bytes, row_bytes
from weftdb.core.objects import Digest, Object
from weftdb.core.query import Filter
from weftdb.core.schema import Collection, VectorConfig
from weftdb.core.types import (
    DocId,
    DocIds,
    ObjectId,
    Rows,
    ShardId,
    VectorName,
    format_object_id,
)
from weftdb.engine.change import Change
from weftdb.engine.owned_docs import OwnedDocs
from weftdb.engine.state_ledger import open_ledger
from weftdb.engine.stored_vectors import StoredVectors
from weftdb.engine.text_side import TextSide
from weftdb.index.allow_list import AllowList
from weftdb.index.building import BuildingIndex
from weftdb.index.factory import make_index, make_scan
from weftdb.index.inverted.inverted_index import TermCache
from weftdb.index.ports import Compactable, Quantizable, Upgradable, VectorIndex
from weftdb.index.skipped import SkippedIndex
from weftdb.storage.doc_ids import DocIdTable
from weftdb.storage.id_cache import IdCache
from weftdb.storage.kv import KeyValueStore, Ticket
from weftdb.storage.object_codec import decode_object
from weftdb.storage.objects import ObjectStore
from weftdb.storage.row_cache import RowCache, ShardRows

OWN_COMPACTION_BYTES_MAX = 32 * MiB
"""An index gives deleted slots back by itself where that takes no more memory for a while; above,
engine/compaction.py asks for room first."""
_SETTLE_S = 0.0005
"""Between two looks whether a commit under way is over; it takes about a millisecond."""


class Shard:
    """One open shard."""

    def __init__(
        self,
        shard_id: ShardId,
        schema: Collection,
        store: KeyValueStore,
        directory: Path,
        *,
        name: str,
        config: Config,
        terms: TermCache,
        rows: RowCache,
    ) -> None:
        """Open: read doc ids and deltas; the vectors come in through engine/recovery.py.

        `name` is the shard's own, as no other shard of any database has it.
        """
        self.shard_id = shard_id
        self.name = name
        self.schema = schema
        self.config = config
        self.store = store
        self.directory = directory
        self.publishing = threading.Lock()
        self._commits_begun = 0
        self._commits_ended = 0
        self.objects = ObjectStore(store, shard_id)
        self._rows = ShardRows(rows, shard_id, self.objects.get_many)
        self.docs = DocIdTable(store, shard_id)
        self.ids = IdCache(self.objects.get_many, ID_CACHE_BYTES_MAX)
        self.owned = OwnedDocs(self.docs, self.ids)
        self.text = TextSide(shard_id, schema, store, self.docs, self.ids, terms)
        self.vectors: dict[VectorName, VectorIndex] = {
            vector.name: self._make_index(vector) for vector in schema.vectors
        }
        self.ledger = open_ledger(
            store,
            shard_id,
            schema,
            self.docs.next_doc_id,
            is_always=config.replication.keeps_states,
        )
        """Where the collection is replicated, or may be."""
        self.last_ticket: Ticket | None = None
        """Of the newest commit since the shard was opened."""

    @property
    def live(self) -> BitMap:
        """Docs that are current."""
        return self.docs.live

    @property
    def count(self) -> int:
        """Objects."""
        return len(self.docs.live)

    # Reads.

    def fetch(self, doc_ids: list[DocId]) -> list[bytes | None]:
        """Stored objects by doc id; None for a doc that has been replaced or deleted."""
        return self._rows.read(doc_ids)

    def get(self, object_id: ObjectId, *, with_vectors: bool = False) -> Object | None:
        """One object, decoded."""
        for _ in range(2):
            doc_id = self.objects.doc_id_of(object_id)
            if doc_id is None:
                return None
            stored = self.objects.get(doc_id)
            if stored is not None:
                found = decode_object(stored)
                return self._with_vectors(found) if with_vectors else found
        with self.publishing:  # It is being replaced again and again: hold it still.
            doc_id = self.objects.doc_id_of(object_id)
            stored = None if doc_id is None else self.objects.get(doc_id)
            if stored is None:
                return None
            found = decode_object(stored)
            return self._with_vectors(found) if with_vectors else found

    def digests(self, ids: Sequence[ObjectId]) -> list[Digest | None]:
        """What is held of each id, deletions included where the collection is replicated. Raises
        Overloaded."""
        if self.ledger is not None:
            return self.ledger.digests(ids)
        return [None if one is None else Digest(one) for one in self.objects.versions_of(ids)]

    def vector_of(self, object_id: ObjectId, name: VectorName) -> NDArray[np.float32] | None:
        """The stored vector of an object. Raises ObjectNotFound."""
        doc_id = self.objects.doc_id_of(object_id)
        if doc_id is None:
            raise ObjectNotFound(f"no object {format_object_id(object_id)} in {self.schema.name}")
        return self.objects.vector(name, doc_id)

    def object_id_of(self, doc_id: DocId) -> ObjectId:
        """The id of the object that a doc is a state of; all zero when the doc has just gone (the
        read that asked then runs again)."""
        return self.ids.get_many([doc_id])[0]

    def allow(self, condition: Filter) -> AllowList:
        """The live docs that pass a filter. Raises what the filter does wrong."""
        return self.text.filter(condition)

    def _with_vectors(self, found: Object) -> Object:
        vectors = {}
        for name in self.vectors:
            vector = self.objects.vector(name, found.doc_id)
            if vector is not None:
                vectors[name] = vector
        return Object(
            found.id,
            found.doc_id,
            found.properties,
            found.created_ms,
            found.updated_ms,
            found.version,
            vectors,
        )

    # Writes; engine/writer.py collects the changes.

    def commit(self, change: Change, give_way: Callable[[], None]) -> Ticket:
        """Write a change and make it visible; the caller waits for the ticket before answering.
        `give_way` is called between the steps.

        Requires: the caller is the shard's only writer.
        """
        self.docs.stage(change.batch, change.added, change.removed, change.lengths)
        if change.delta is not None:
            self.text.stage(change.batch, change.delta)
        give_way()
        vectors = {name: space.arrays() for name, space in change.vectors.items()}
        with self.publishing:
            self._rows.begin_change()
            self._commits_begun += 1
            try:
                ticket = self.last_ticket = self.store.write(change.batch)
                self._publish(change, vectors, give_way)
            finally:
                self._commits_ended += 1
                self._rows.end_change(change.removed)
        give_way()
        return ticket

    def _publish(
        self,
        change: Change,
        vectors: Mapping[VectorName, tuple[DocIds, Rows]],
        give_way: Callable[[], None],
    ) -> None:
        give_way()
        if change.delta is not None:
            self.text.publish(change.delta)
        for name, (doc_ids, rows) in vectors.items():
            self.vectors[name].add(doc_ids, rows)
        give_way()
        self.ids.put(change.added, change.added_ids)
        self.docs.publish(change.added, change.removed, change.lengths)
        if change.removed:
            gone = np.array(sorted(change.removed), dtype=np.uint32)
            for index in self.vectors.values():
                index.delete(gone)
        self.text.docs_changed()
        if change.states is not None and self.ledger is not None:
            self.ledger.publish(change.states)

    @property
    def is_settled(self) -> bool:
        """Whether what the store shows by now is in the indexes, too, and on disk."""
        if self._commits_ended < self._commits_begun:
            return False
        return self.last_ticket is None or self.store.is_durable(self.last_ticket)

    def settle(self) -> None:
        """Return when every change that the store shows by now is in the indexes, too."""
        begun = self._commits_begun
        while self._commits_ended < begun:
            sleep(_SETTLE_S)

    def reconfigure(self, schema: Collection) -> None:
        """Take a changed definition: more properties or vectors, other search settings.

        Requires: no write is between its collection and its commit (engine/writer.py).
        """
        with self.publishing:
            before = self.vectors
            self.vectors = {vector.name: self._changed(vector) for vector in schema.vectors}
            self.schema = schema
            self.text.reconfigure(schema)
            self.ledger = open_ledger(
                self.store,
                self.shard_id,
                schema,
                self.docs.next_doc_id,
                self.ledger,
                is_always=self.config.replication.keeps_states,
            )
        for name, index in before.items():
            if isinstance(self.vectors[name], SkippedIndex):
                index.close()

    def _changed(self, vector: VectorConfig) -> VectorIndex:
        """The index that a vector has under its new settings: mostly the old one, told of them."""
        index = self.vectors.get(vector.name)
        if index is None:
            return self._make_index(vector)
        if vector.hnsw.skip:
            return SkippedIndex(vector.name, index.dimensions)
        if isinstance(index, SkippedIndex):
            return self._begin_build(vector, index)
        index.configure(vector.hnsw)
        if isinstance(index, Upgradable):
            index.move_threshold(vector.dynamic_threshold)
        coded = index.target if isinstance(index, BuildingIndex) else index
        if isinstance(coded, Quantizable):
            coded.quantize(vector)
        return index

    def empty_index(self, name: VectorName) -> None:
        """Put an empty index in the place of one that took over what is not the store's. Requires:
        the shard is being opened."""
        self.vectors[name].close()
        self.vectors[name] = self._make_index(self.schema.vector_by_name[name])

    def _make_index(self, vector: VectorConfig) -> VectorIndex:
        index = make_index(vector, self.config.index, owner=_owner(self.name, vector.name))
        if isinstance(index, Quantizable) and self.config.index.originals == "disk":
            index.keep_rows_in(self.directory)
        if isinstance(index, Compactable):
            index.leave_large_compactions(OWN_COMPACTION_BYTES_MAX)
        return index

    def _begin_build(self, vector: VectorConfig, before: SkippedIndex) -> VectorIndex:
        target = self._make_index(vector)
        if self.count == 0:
            return target
        return BuildingIndex(
            target,
            StoredVectors(self.objects, vector.name, is_multi=vector.multi_vector),
            lambda: make_scan(vector, self.config.index),
            settle=self.settle,
            end=DocId(self.docs.next_doc_id),
            dimensions=before.dimensions,
        )

    def check_lengths(self, schema: Collection) -> None:
        """Raise SchemaViolation where settings in `schema` do not suit the vectors stored here."""
        for vector in schema.vectors:
            index = self.vectors.get(vector.name)
            if index is not None and index.dimensions:
                check_length(vector, index.dimensions)

    def build_bytes(self, schema: Collection) -> int:
        """What the indexes take at most that `schema` asks for and that must be built."""
        total = 0.0
        for vector in schema.vectors:
            index = self.vectors.get(vector.name)
            if isinstance(index, SkippedIndex) and not vector.hnsw.skip:
                links = link_bytes(vector.hnsw.max_connections)
                total += self.count * (row_bytes(index.dimensions or 1) + links)
        return int(total)

    def fill_indexes(self) -> bool:
        """Carry a slice of the stored vectors into every index that is being built; tell whether
        there was one. Raises CorruptData, DimensionMismatch."""
        building = {
            name: index for name, index in self.vectors.items() if isinstance(index, BuildingIndex)
        }
        for name, index in building.items():
            with self.publishing:
                if self.vectors[name] is not index:
                    continue  # The definition changed again.
                index.fill()
                if index.is_filled:
                    self.vectors = {**self.vectors, name: index.target}
        return bool(building)

    def close(self) -> None:
        """Stop the indexes."""
        for index in self.vectors.values():
            index.close()


def _owner(shard_name: str, vector: VectorName) -> int:
    """The number that the files of a vector space carry, 64 bits."""
    digest = blake2b(f"{shard_name}\0{vector}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
