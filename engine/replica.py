"""ShardReplica: what one open shard does as a replica: takes states, tells what it holds.

The meanings of cluster/replication/messages.py in terms of core; `cluster/replication/answering.py`
maps one to the other. Synchronous. Every call may be repeated; the states of an object end the same
in whatever order and how often they come.

Durability: nothing is told before it would survive a crash, reads included.
Concurrency: any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData, InvalidRequest, Unsupported
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.partial import TokenRanges
from weftdb.core.types import DocId, ObjectId, VectorName
from weftdb.engine.admission import Admission
from weftdb.engine.link_queue import LinkQueues
from weftdb.engine.shard import Shard
from weftdb.engine.shard_status import ShardStatus
from weftdb.engine.state_choice import Outcome
from weftdb.engine.state_ledger import StateLedger
from weftdb.engine.writer import ShardWriter
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.object_codec import (
    check_object,
    stored_id,
    stored_properties,
    stored_times,
    stored_version,
)
from weftdb.storage.vector_codec import decode_vector


@dataclass(frozen=True, slots=True)
class LeafPage:
    """What is held in one leaf of the hash tree, by ascending id."""

    ids: tuple[ObjectId, ...]
    digests: tuple[Digest, ...]
    is_last: bool
    """Nothing follows."""


class ShardReplica:
    """One open shard, as coordinators see it."""

    def __init__(
        self,
        shard: Shard,
        writer: ShardWriter,
        *,
        queues: LinkQueues,
        status: ShardStatus,
        admission: Admission,
        clock: Clock,
        wake: Callable[[], None],
        in_cluster: bool = False,
    ) -> None:
        """`wake` tells the maintenance that something was written."""
        self._shard = shard
        self._writer = writer
        self._queues = queues
        self._status = status
        self._admission = admission
        self._clock = clock
        self._wake = wake
        self.forgotten_ms: Callable[[], int] = _never if in_cluster else self._past_grace_ms
        """Deletions before this wall-clock time need not be remembered. A cluster sets it to what
        is true of all replicas (cluster/replication/tombstones.py); without one the grace says."""

    @property
    def tree_height(self) -> int:
        """Levels of the hash tree below its root. Raises Unsupported."""
        return self._ledger.height

    def apply(self, states: Sequence[ObjectState], *, is_repair: bool = False) -> list[Outcome]:
        """Store each state unless a newer one is there; in one atomic write.

        Of each: None where it is held now, the newer version that is held instead, or why schema or
        stored vectors do not allow it. `is_repair`: other replicas took the states already, so they
        pass where somebody has set the shard read-only. Raises Overloaded, DiskFull and ReadOnly
        before anything is written.
        """
        if not is_repair:
            self._status.check()
        objects = [state for state in states if not state.is_deleted]
        forgotten_ms = self.forgotten_ms()
        with ExitStack() as held:
            if objects:
                held.enter_context(self._admission.admit(self._shard, objects))
                held.enter_context(self._queues.room(len(objects)))
            held.enter_context(self._admission.turn)
            outcomes, stored, ticket = self._writer.apply(states, forgotten_ms=forgotten_ms)
            self._queues.note(stored)
        if ticket is not None:
            self._shard.store.wait_durable(ticket)
            self._wake()
        return outcomes

    def forget_deletions(self) -> int:
        """Forget the deletions before `forgotten_ms`; how many. O(deletions)."""
        forgotten, ticket = self._writer.forget_deletions(self.forgotten_ms())
        if ticket is not None:
            self._shard.store.wait_durable(ticket)
        return forgotten

    def drop_outside(self, kept: Callable[[], TokenRanges | None]) -> int:
        """Drop a batch of what is held of other tokens than `kept`, without a trace: how many. For
        what moved to another shard; nobody may read or write it here any more, and `kept` is asked
        while nobody writes. Raises ShardLoading, Unsupported."""
        with self._admission.turn:
            dropped, ticket = self._writer.drop_outside(kept)
        if ticket is not None:
            self._shard.store.wait_durable(ticket)
            self._wake()
        return dropped

    def has_outside(self, kept: TokenRanges) -> bool:
        """Whether anything is held of other tokens. Raises ShardLoading, Unsupported."""
        return bool(self._ledger.some_outside(kept, 1))

    def digests(self, ids: Sequence[ObjectId]) -> list[Digest | None]:
        """What is held of each id; None where neither the object nor its deletion is known."""
        found = self._shard.digests(ids)
        self._settle()
        return found

    def digests_at_once(self, ids: Sequence[ObjectId]) -> list[Digest | None] | None:
        """The same without waiting for a disk to sync; None where that has to be waited for."""
        found = self._shard.digests(ids)
        return found if self._shard.is_settled else None

    def states_at_once(self, ids: Sequence[ObjectId]) -> list[ObjectState | None] | None:
        """As `states` without waiting; None where something has to be waited for."""
        found = self._states(ids)
        return found if self._shard.is_settled else None

    def states(self, ids: Sequence[ObjectId]) -> list[ObjectState | None]:
        """The objects with their vectors, or their deletions. Raises CorruptData."""
        found = self._states(ids)
        if found is None:
            with self._shard.publishing:  # They are being replaced again and again.
                found = self._states(ids)
        assert found is not None, "an object was replaced while nobody could write"
        self._settle()
        return found

    def tree_nodes(self, level: int, positions: Sequence[int]) -> list[bytes]:
        """Hashes of the tree, 16 bytes each. Raises InvalidRequest for a node that is not there,
        ShardLoading, Unsupported where the collection is not replicated."""
        found = self._ledger.tree(self._shard.publishing).nodes(level, positions)
        self._settle()
        return found

    def leaf(self, position: int, after: ObjectId | None, limit: int) -> LeafPage:
        """What is held in a leaf, by id above `after`. Raises as `tree_nodes` does."""
        ledger = self._ledger
        if not 0 <= position < 1 << ledger.height:
            raise InvalidRequest(f"a hash tree of height {ledger.height} has no leaf {position}")
        if limit < 1:
            raise InvalidRequest(f"a page of {limit} entries")
        held = ledger.leaf(position, after, limit + 1)
        self._settle()
        page = held[:limit]
        return LeafPage(
            tuple(object_id for object_id, _ in page),
            tuple(digest for _, digest in page),
            is_last=len(held) <= limit,
        )

    @property
    def _ledger(self) -> StateLedger:
        ledger = self._shard.ledger
        if ledger is None:
            raise Unsupported(f"collection {self._shard.schema.name} is not replicated")
        return ledger

    def _past_grace_ms(self) -> int:
        grace_s = self._shard.config.replication.tombstone_grace_s
        return self._clock.now_ms() - int(grace_s * 1000)

    def _settle(self) -> None:
        """Wait until what was read would survive a crash."""
        self._shard.settle()  # What was read may be of a commit that has no ticket yet.
        ticket = self._shard.last_ticket
        if ticket is not None:
            self._shard.store.wait_durable(ticket)

    def _states(self, ids: Sequence[ObjectId]) -> list[ObjectState | None] | None:
        """The states; None when an object moved meanwhile."""
        objects = self._shard.objects
        docs = objects.doc_ids_of(ids)
        present = [doc for doc in docs if doc is not None]
        rows = dict(zip(present, objects.get_many(present), strict=True))
        vectors = self._vectors(present)
        missing = [i for i, doc in zip(ids, docs, strict=True) if doc is None]
        deletions = dict(zip(missing, self._shard.digests(missing), strict=True))
        if objects.doc_ids_of(ids) != docs:
            return None
        found: list[ObjectState | None] = []
        for object_id, doc in zip(ids, docs, strict=True):
            if doc is None:
                held = deletions[object_id]
                is_known = held is not None and held.is_deleted
                found.append(_deletion(object_id, held) if held and is_known else None)
                continue
            row = rows[doc]
            if row is None:
                raise CorruptData(f"object {object_id.hex()} has lost its row, doc {doc}")
            found.append(_state(row, vectors[doc]))
        return found

    def _vectors(self, docs: Sequence[DocId]) -> dict[DocId, dict[VectorName, NDArray[np.float32]]]:
        found: dict[DocId, dict[VectorName, NDArray[np.float32]]] = {doc: {} for doc in docs}
        for name in self._shard.vectors:
            for doc, value in zip(docs, self._shard.objects.raw_vectors(name, docs), strict=True):
                if value is not None:
                    found[doc][name] = decode_vector(value)
        return found


def _never() -> int:
    return 0


def _state(row: bytes, vectors: dict[VectorName, NDArray[np.float32]]) -> ObjectState:
    check_object(row)
    created_ms, updated_ms = stored_times(row)
    return ObjectState(
        id=stored_id(row),
        version=stored_version(row),
        created_ms=created_ms,
        updated_ms=updated_ms,
        properties=EncodedProperties(stored_properties(row)),
        vectors=vectors,
    )


def _deletion(object_id: ObjectId, held: Digest) -> ObjectState:
    return ObjectState(object_id, held.version, is_deleted=True)
