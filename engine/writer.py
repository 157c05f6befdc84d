"""ShardWriter: turns drafts and deletions into changes of one shard, one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from weftdb.core.definition.vector_index import check_length
from weftdb.core.errors import (
    Closed,
    DimensionMismatch,
    ObjectExists,
    ObjectNotFound,
    SchemaViolation,
    WeftError,
)
from weftdb.core.objects import ObjectDraft
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ObjectId, VectorName, Version, format_object_id
from weftdb.engine.change import Change, PutMode, last_of_each
from weftdb.engine.shard import Shard
from weftdb.index.analysis import Entry
from weftdb.storage import keys
from weftdb.storage.doc_ids import decode_lengths, encode_lengths
from weftdb.storage.kv import Family, Ticket
from weftdb.storage.object_codec import encode_object, stored_times
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.versions import VersionClock, encode_version

DELETE_DOCS_PER_BATCH = 10_000
"""Bounds the memory of one batch of a delete by filter."""


@dataclass(frozen=True, slots=True)
class _Accepted:
    draft: ObjectDraft
    old: DocId | None


class ShardWriter:
    """The only writer of a shard. Every method returns a ticket to wait for, None if nothing was
    written. Concurrency: methods take turns."""

    def __init__(self, shard: Shard, versions: VersionClock, *, keep_tombstones: bool) -> None:
        self._shard = shard
        self._versions = versions
        self._keep_tombstones = keep_tombstones
        self._turn = threading.RLock()
        self._encoder = PropertyEncoder(shard.schema)
        self._stopped = False

    def stop(self) -> None:
        """Wait for the running write and refuse further ones."""
        with self._turn:
            self._stopped = True

    def reconfigure(self, definition: Collection) -> None:
        """Give the shard a changed definition, between two writes."""
        with self._turn:
            self._shard.reconfigure(definition)
            self._encoder = PropertyEncoder(definition)

    def put(
        self, drafts: Sequence[ObjectDraft], mode: PutMode
    ) -> tuple[list[WeftError | None], Ticket | None]:
        """Insert or replace; of the same id twice the last wins. One atomic batch."""
        errors: list[WeftError | None] = [None] * len(drafts)
        with self._turn:
            positions = last_of_each([draft.id for draft in drafts])
            olds = self._shard.objects.doc_ids_of([drafts[p].id for p in positions])
            accepted = []
            dimensions: dict[VectorName, int] = {}
            for position, old in zip(positions, olds, strict=True):
                draft = drafts[position]
                errors[position] = self._refusal(draft, old, mode, dimensions)
                if errors[position] is None:
                    accepted.append(_Accepted(draft, old))
            return errors, self._write(accepted)

    def put_over(self, draft: ObjectDraft, expected: DocId) -> Ticket | None:
        """Replace an object if its current doc is still `expected`; None if it is not.

        Raises DimensionMismatch.
        """
        with self._turn:
            if self._shard.objects.doc_id_of(draft.id) != expected:
                return None
            error = self._refusal(draft, expected, PutMode.UPSERT, {})
            if error is not None:
                raise error
            return self._write([_Accepted(draft, expected)])

    def delete(
        self, ids: Sequence[ObjectId], *, only: frozenset[DocId] | None = None
    ) -> tuple[list[bool], Ticket | None]:
        """Delete objects; False where there was none. One atomic batch.

        With `only`, an object whose present doc is another one stays.
        """
        with self._turn:
            docs = self._shard.objects.doc_ids_of(ids)
            present = {
                i: doc
                for i, doc in zip(ids, docs, strict=True)
                if doc is not None and (only is None or doc in only)
            }
            if not present:
                return [False] * len(ids), None
            version = self._versions.next()
            change = Change()
            for object_id in present:
                self._shard.objects.remove_id(change.batch, object_id)
                if self._keep_tombstones:
                    key = keys.tombstone_key(self._shard.shard_id, object_id)
                    change.batch.put(Family.METADATA, key, encode_version(version))
            self._remove_docs(change, list(present.values()))
            first = {ids[at]: at for at in reversed(range(len(ids)))}
            deleted = [i in present and first[i] == at for at, i in enumerate(ids)]
            return deleted, self._commit(change, version)

    def _refusal(
        self,
        draft: ObjectDraft,
        old: DocId | None,
        mode: PutMode,
        dimensions: dict[VectorName, int],
    ) -> WeftError | None:
        if mode is PutMode.INSERT and old is not None:
            return ObjectExists(format_object_id(draft.id))
        if mode is PutMode.REPLACE and old is None:
            return ObjectNotFound(f"no object with id '{format_object_id(draft.id)}'")
        for name, vector in draft.vectors.items():
            index = self._shard.vectors.get(name)
            known = dimensions.get(name) or (index.dimensions if index is not None else None)
            size = vector.shape[-1]
            if known is not None and known != size:
                return _wrong_length(vector.ndim, size, known)
            if known is None:
                try:
                    check_length(self._shard.schema.vector_by_name.get(name), size)
                except SchemaViolation as error:
                    return error
        for name, vector in draft.vectors.items():
            dimensions.setdefault(name, vector.shape[-1])
        return None

    def _write(self, accepted: Sequence[_Accepted]) -> Ticket | None:
        if not accepted:
            return None
        shard, change, version = self._shard, Change(), self._versions.next()
        replaced = [item.old for item in accepted if item.old is not None]
        created = dict(
            zip(replaced, map(_created_ms, shard.objects.get_many(replaced)), strict=True)
        )
        entries = []
        for item, doc in zip(accepted, shard.docs.allocate(len(accepted)), strict=True):
            draft, doc_id, now_ms = item.draft, DocId(doc), version.time_ms
            created_ms = draft.created_ms or now_ms
            if item.old is not None:
                created_ms = created[item.old] or created_ms
            value = encode_object(
                doc_id=doc_id,
                object_id=draft.id,
                created_ms=created_ms,
                updated_ms=now_ms,
                version=version,
                properties=self._encoder.encode(draft.properties),
            )
            shard.objects.put(change.batch, doc_id, draft.id, value)
            for name, vector in draft.vectors.items():
                shard.objects.put_vector(change.batch, name, doc_id, vector)
                if name in shard.vectors:
                    change.add_vector(name, doc_id, vector)
            change.added.append(doc_id)
            change.added_ids.append(draft.id)
            entries.append(Entry(doc_id, draft.properties, created_ms, now_ms))
        self._index_text(change, entries)
        self._remove_docs(change, replaced)
        return self._commit(change, version)

    def _index_text(self, change: Change, entries: Sequence[Entry]) -> None:
        shard = self._shard
        change.delta = shard.text.encode(entries)
        columns = [
            (shard.text.number_of(name), name, terms.tolist())
            for name, terms in change.delta.lengths.items()
        ]
        for row, entry in enumerate(entries):
            lengths = [(number, terms[row]) for number, _, terms in columns if terms[row]]
            if lengths:
                key = keys.object_key(shard.shard_id, entry.doc_id)
                change.batch.put(Family.LENGTHS, key, encode_lengths(lengths))
        for _, name, terms in columns:
            change.count_lengths(name, docs=sum(map(bool, terms)), terms=sum(terms))

    def _remove_docs(self, change: Change, doc_ids: list[DocId]) -> None:
        if not doc_ids:
            return
        shard = self._shard
        names = list(shard.vectors)
        rows = shard.store.get_many(Family.LENGTHS, keys.object_keys(shard.shard_id, doc_ids))
        for doc_id, row in zip(doc_ids, rows, strict=True):
            shard.objects.remove_doc(change.batch, doc_id, names)
            if row is not None:
                key = keys.object_key(shard.shard_id, doc_id)
                change.batch.delete(Family.LENGTHS, key)
                for number, terms in decode_lengths(row):
                    change.count_lengths(shard.text.name_of(number), docs=-1, terms=-terms)
        change.removed.extend(doc_ids)

    def _commit(self, change: Change, version: Version) -> Ticket:
        if self._stopped:
            raise Closed(f"collection {self._shard.schema.name} is closed")
        key = keys.clock_key(self._shard.shard_id)
        change.batch.put(Family.METADATA, key, encode_version(version))
        return self._shard.commit(change)


def _wrong_length(ndim: int, size: int, known: int) -> DimensionMismatch:
    if ndim == 2:
        return DimensionMismatch(
            f"new node has a multi vector with length {size} at position 0. "
            f"Existing nodes have vectors with length {known}"
        )
    return DimensionMismatch(
        f"new node has a vector with length {size}. Existing nodes have vectors with "
        f"length {known}: vector dimensions do not match the index dimensions"
    )


def _created_ms(stored: bytes | None) -> int:
    return 0 if stored is None else stored_times(stored)[0]
