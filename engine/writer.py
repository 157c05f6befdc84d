"""ShardWriter: turns drafts, states of other replicas and deletions into changes of one shard.

A write of this node is stamped here; a state that another node wrote keeps its version and its
times, and is taken when its version is greater than what is held. One writer at a time.

Where the collection is replicated, a change carries the states that come (engine/state_ledger.py),
and a deletion leaves a tombstone until `forget_deletions` drops it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weftdb.core.definition.vector_index import check_length
from weftdb.core.errors import (
    Closed,
    CorruptData,
    DimensionMismatch,
    ObjectExists,
    ObjectNotFound,
    RequestError,
    SchemaViolation,
    WeftError,
)
from weftdb.core.objects import Digest, ObjectDraft, ObjectState
from weftdb.core.partial import TokenRanges
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ObjectId, ShardId, VectorName, Version, format_object_id
from weftdb.engine.change import Change, PutMode, last_of_each
from weftdb.engine.shard import Shard
from weftdb.engine.staging import NewObject, stage_deletions, stage_objects
from weftdb.engine.state_choice import Outcome, StateChoice
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, Ticket
from weftdb.storage.object_codec import stored_times
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.state_codec import encoded_properties
from weftdb.storage.versions import (
    VersionClock,
    decode_version,
    encode_version,
    version_above,
)

DELETE_DOCS_PER_BATCH = 10_000
"""Bounds the memory of one batch of a delete by filter."""
FORGET_IDS_PER_BATCH = 1_000
DROP_IDS_PER_BATCH = 1_000
IDS_AT_ONCE = 64
"""Looked up in the store, which holds the interpreter, in 100 microseconds."""


class ShardWriter:
    """The only writer of a shard. Every method returns a ticket to wait for, None if nothing was
    written. Concurrency: methods take turns."""

    def __init__(self, shard: Shard, versions: VersionClock, give_way: Callable[[], None]) -> None:
        """`give_way` is called between two objects (core/env.py)."""
        self._shard = shard
        self._give_way = give_way
        self._versions = versions
        self._turn = threading.RLock()
        self._encoder = PropertyEncoder(shard.schema)
        self._newest = _newest_version(shard.store, shard.shard_id)
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
            olds = self._docs_of([drafts[p].id for p in positions])
            accepted = []
            dimensions: dict[VectorName, int] = {}
            for position, old in zip(positions, olds, strict=True):
                self._give_way()
                draft = drafts[position]
                error = _unexpected(draft, old, mode)
                errors[position] = error or self._wrong_length(draft.vectors, dimensions)
                if errors[position] is None:
                    accepted.append((draft, old))
            return errors, self._write(accepted)

    def _docs_of(self, ids: Sequence[ObjectId]) -> list[DocId | None]:
        """The docs that hold objects now, None where there is none."""
        found: list[DocId | None] = []
        for start in range(0, len(ids), IDS_AT_ONCE):
            self._give_way()
            found += self._shard.objects.doc_ids_of(ids[start : start + IDS_AT_ONCE])
        return found

    def put_over(self, draft: ObjectDraft, expected: DocId) -> Ticket | None:
        """Replace an object if its current doc is still `expected`; None if it is not.

        Raises DimensionMismatch.
        """
        with self._turn:
            if self._shard.objects.doc_id_of(draft.id) != expected:
                return None
            error = self._wrong_length(draft.vectors, {})
            if error is not None:
                raise error
            return self._write([(draft, expected)])

    def delete(
        self, ids: Sequence[ObjectId], *, only: frozenset[DocId] | None = None
    ) -> tuple[list[bool], Ticket | None]:
        """Delete objects; False where there was none. One atomic batch.

        With `only`, an object whose present doc is another one stays.
        """
        with self._turn:
            present = self._present(ids, only)
            if not present:
                return [False] * len(ids), None
            version, change = self._versions.next(), Change()
            stage_deletions(self._shard, change, present)
            digest = Digest(version, is_deleted=True)
            first = {ids[at]: at for at in reversed(range(len(ids)))}
            deleted = [i in present and first[i] == at for at, i in enumerate(ids)]
            return deleted, self._commit(change, version, dict.fromkeys(present, digest))

    def expire(
        self, ids: Sequence[ObjectId], *, only: frozenset[DocId]
    ) -> tuple[int, Ticket | None]:
        """Delete objects whose present doc is one of `only`, and no later state of them: how many.

        Every replica expires by itself, and one that missed a renewal must not undo it elsewhere.
        So the deletion is not stamped now: its version is just above what it ends, on all of them.
        """
        with self._turn:
            present = self._present(ids, only)
            if not present:
                return 0, None
            if self._shard.ledger is None:
                return len(present), self.delete(list(present), only=only)[1]
            held = dict(zip(present, self._shard.digests(list(present)), strict=True))
            states = {
                i: Digest(version_above(one.version), is_deleted=True)
                for i, one in held.items()
                if one is not None and not one.is_deleted
            }
            assert len(states) == len(present), "an object of a replicated shard has no state"
            change = Change()
            stage_deletions(self._shard, change, present)
            newest = max(digest.version for digest in states.values())
            return len(present), self._commit(change, newest, states, held)

    def _present(
        self, ids: Sequence[ObjectId], only: frozenset[DocId] | None
    ) -> dict[ObjectId, DocId]:
        docs = self._shard.objects.doc_ids_of(ids)
        return {
            i: doc
            for i, doc in zip(ids, docs, strict=True)
            if doc is not None and (only is None or doc in only)
        }

    def apply(
        self, states: Sequence[ObjectState], *, forgotten_ms: int
    ) -> tuple[list[Outcome], list[ObjectState], Ticket | None]:
        """Take states of other replicas, each if its version is greater than what is held; of an id
        twice, the greatest. One atomic batch; returned are also the states that it stored, and the
        ticket covers what was held before, too.

        Deletions older than `forgotten_ms` (wall clock) of what is not here are not remembered.
        """
        with self._turn:
            messages, refusals = self._checked(states)
            choice = StateChoice(states, refusals)
            is_replicated = self._shard.ledger is not None
            dimensions: dict[VectorName, int] = {}
            ids = choice.ids
            held = self._shard.digests(ids)
            taken = choice.take(
                held,
                is_wanted=lambda state, before: (
                    before is not None
                    or not state.is_deleted
                    or (is_replicated and state.version.time_ms >= forgotten_ms)
                ),
                refusal=lambda state: self._wrong_length(state.vectors, dimensions),
            )
            stored = [states[at] for at in taken]
            known = dict(zip(ids, held, strict=True))
            ticket = self._take(stored, [messages[at] for at in taken], known)
            return choice.outcomes(), stored, ticket or self._shard.last_ticket

    def forget_deletions(self, before_ms: int) -> tuple[int, Ticket | None]:
        """Drop deletions older than a wall-clock time: how many. O(deletions)."""
        ledger, forgotten, ticket = self._shard.ledger, 0, None
        if ledger is None or not ledger.tombstones:
            return 0, None
        old = ledger.old_tombstones(before_ms)
        for start in range(0, len(old), FORGET_IDS_PER_BATCH):
            with self._turn:
                if ledger is not self._shard.ledger:
                    break  # The definition changed.
                change, part = Change(), old[start : start + FORGET_IDS_PER_BATCH]
                change.states = ledger.stage_forgotten(change.batch, part, before_ms=before_ms)
                if change.states.items:
                    forgotten += len(change.states.items)
                    ticket = self._commit(change, self._newest, {})
        return forgotten, ticket

    def drop_outside(self, kept: Callable[[], TokenRanges | None]) -> tuple[int, Ticket | None]:
        """Drop states with other tokens than `kept`, a batch of them: how many. It is asked within
        the turn, so that what is written by what it says afterwards stays; None keeps all."""
        with self._turn:
            ledger, ranges = self._shard.ledger, kept()
            if ledger is None or ranges is None:
                return 0, None
            ids = ledger.some_outside(ranges, DROP_IDS_PER_BATCH)
            if not ids:
                return 0, None
            change = Change()
            stage_deletions(self._shard, change, self._present(ids, None))
            change.states = ledger.stage_dropped(change.batch, ids)
            return len(ids), self._commit(change, self._newest, {})

    def fill_ledger(self) -> Ticket | None:
        """Make the states of the next objects of a shard that became replicated; None when there is
        nothing left to do."""
        with self._turn:
            ledger = self._shard.ledger
            return None if ledger is None or self._stopped else ledger.fill()

    def _checked(
        self, states: Sequence[ObjectState]
    ) -> tuple[list[bytes], dict[int, RequestError]]:
        """The encoded properties of states, and which ones schema or clock do not allow."""
        messages, refusals = [b""] * len(states), {}
        for at, state in enumerate(states):
            try:
                self._versions.observe(state.version)
                _check_names(self._shard.schema, state)
                messages[at] = encoded_properties(state.properties, self._encoder)
            except RequestError as error:
                refusals[at] = error
            except CorruptData as error:
                refusals[at] = SchemaViolation(f"{format_object_id(state.id)}: {error}")
        return messages, refusals

    def _wrong_length(
        self, vectors: Mapping[VectorName, NDArray[np.float32]], dimensions: dict[VectorName, int]
    ) -> RequestError | None:
        """Why vectors do not suit those that are stored, or come before them in their batch."""
        for name, vector in vectors.items():
            index = self._shard.vectors.get(name)
            known = dimensions.get(name) or (index.dimensions if index is not None else None)
            size = vector.shape[-1]
            if known is not None and known != size:
                return _mismatch(vector.ndim, size, known)
            if known is None:
                try:
                    check_length(self._shard.schema.vector_by_name.get(name), size)
                except SchemaViolation as error:
                    return error
        for name, vector in vectors.items():
            dimensions.setdefault(name, vector.shape[-1])
        return None

    def _write(self, drafts: Sequence[tuple[ObjectDraft, DocId | None]]) -> Ticket | None:
        """Store drafts, each in the place of a doc, stamped now."""
        if not drafts:
            return None
        version, change = self._versions.next(), Change()
        replaced = [old for _, old in drafts if old is not None]
        rows = self._shard.objects.get_many(replaced)
        created = dict(zip(replaced, map(_created_ms, rows), strict=True))
        objects = [
            NewObject(
                id=draft.id,
                message=self._encoded(draft),
                properties=draft.properties,
                vectors=draft.vectors,
                version=version,
                created_ms=(0 if old is None else created[old])
                or draft.created_ms
                or version.time_ms,
                updated_ms=version.time_ms,
                old=old,
            )
            for draft, old in drafts
        ]
        stage_objects(self._shard, change, objects, self._give_way)
        states = dict.fromkeys([item.id for item in objects], Digest(version))
        return self._commit(change, version, states)

    def _encoded(self, draft: ObjectDraft) -> bytes:
        self._give_way()
        return self._encoder.encode(draft.properties)

    def _take(
        self,
        states: Sequence[ObjectState],
        messages: Sequence[bytes],
        known: Mapping[ObjectId, Digest | None],
    ) -> Ticket | None:
        """Store states of other replicas as they are; `known` is what is held of their ids."""
        if not states:
            return None
        docs = self._shard.objects.doc_ids_of([state.id for state in states])
        change, objects, gone = Change(), [], {}
        for state, message, old in zip(states, messages, docs, strict=True):
            if state.is_deleted and old is not None:
                gone[state.id] = old
            elif not state.is_deleted:
                objects.append(
                    NewObject(
                        id=state.id,
                        message=message,
                        properties=state.properties,
                        vectors=state.vectors,
                        version=state.version,
                        created_ms=state.created_ms,
                        updated_ms=state.updated_ms,
                        old=old,
                    )
                )
        stage_objects(self._shard, change, objects, self._give_way)
        stage_deletions(self._shard, change, gone)
        newest = max(state.version for state in states)
        coming = {state.id: Digest(state.version, state.is_deleted) for state in states}
        return self._commit(change, newest, coming, known)

    def _commit(
        self,
        change: Change,
        version: Version,
        states: Mapping[ObjectId, Digest],
        known: Mapping[ObjectId, Digest | None] | None = None,
    ) -> Ticket:
        """Write a change that brings `states`, of which `version` is the newest; `known` is what is
        held of their ids, where it has been read."""
        if self._stopped:
            raise Closed(f"collection {self._shard.schema.name} is closed")
        if self._shard.ledger is not None and states:
            change.states = self._shard.ledger.stage(change.batch, states, known)
        self._newest = max(self._newest, version)
        key = keys.clock_key(self._shard.shard_id)
        change.batch.put(Family.METADATA, key, encode_version(self._newest))
        return self._shard.commit(change, self._give_way)


def _newest_version(store: KeyValueStore, shard: ShardId) -> Version:
    stored = store.get(Family.METADATA, keys.clock_key(shard))
    return Version(0) if stored is None else decode_version(stored)


def _unexpected(draft: ObjectDraft, old: DocId | None, mode: PutMode) -> RequestError | None:
    if mode is PutMode.INSERT and old is not None:
        return ObjectExists(format_object_id(draft.id))
    if mode is PutMode.REPLACE and old is None:
        return ObjectNotFound(f"no object with id '{format_object_id(draft.id)}'")
    return None


def _check_names(schema: Collection, state: ObjectState) -> None:
    """Raise SchemaViolation for properties and vectors that the collection does not have."""
    for name in state.properties:
        if name not in schema.property_by_name:
            raise SchemaViolation(f"{schema.name} has no property {name!r}")
    for vector_name, vector in state.vectors.items():
        config = schema.vector_by_name.get(vector_name)
        if config is None:
            raise SchemaViolation(f"{schema.name} has no vector {vector_name!r}")
        if config.multi_vector != (vector.ndim == 2):
            raise SchemaViolation(f"vector {vector_name!r} of {schema.name} has {vector.ndim} axes")


def _mismatch(ndim: int, size: int, known: int) -> DimensionMismatch:
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
