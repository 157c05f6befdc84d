"""LocalShard: one shard of a collection on this node: its objects, its replica, its upkeep.

Every method is synchronous and thread-safe. A write returns after the sync that covers it. Whether
a request belongs here (tenant, token) has been decided by who calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.env import Env
from weftdb.core.errors import Closed, ObjectNotFound, Overloaded, WeftError
from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.query import Filter, Hits, Search
from weftdb.core.schema import Collection
from weftdb.core.types import (
    DocId,
    ObjectId,
    PropertyValue,
    ShardId,
    ShardName,
    VectorName,
    format_object_id,
)
from weftdb.engine.admission import Admission
from weftdb.engine.aggregation import aggregate
from weftdb.engine.change import PutMode, in_slices
from weftdb.engine.chores import shard_chores
from weftdb.engine.expiry import ExpiryChore, SweepCall
from weftdb.engine.link_queue import LinkQueues
from weftdb.engine.maintenance import Chore
from weftdb.engine.merging import merged
from weftdb.engine.reader import read
from weftdb.engine.recovery import forget_snapshot
from weftdb.engine.replica import ShardReplica
from weftdb.engine.serving import DeleteReport
from weftdb.engine.shard import Shard
from weftdb.engine.shard_figures import ShardFigures
from weftdb.engine.shard_status import ShardStatus
from weftdb.engine.steps import Steps
from weftdb.engine.tombstones import replication_chores
from weftdb.engine.vectorization import fill_vectors
from weftdb.engine.writer import DELETE_DOCS_PER_BATCH, ShardWriter
from weftdb.modules.ports import Vectorizers
from weftdb.storage.kv import Ticket
from weftdb.storage.object_codec import stored_id

T = TypeVar("T")

MERGE_TRIES_MAX = 100
"""A merge that loses the race against other writers this often gives up, retryable."""


class LocalShard:
    """One shard of a collection on this node."""

    def __init__(
        self,
        name: ShardName,
        shard: Shard,
        writer: ShardWriter,
        *,
        vectorizers: Vectorizers,
        wake: Callable[[], None],
        admission: Admission,
        env: Env,
        in_cluster: bool = False,
    ) -> None:
        """Serve an open shard, which all nodes call `name`; `wake` tells the maintenance that
        something was written. In a cluster no deletion is forgotten until it says so."""
        self.name = name
        self.shard = shard
        self._writer = writer
        self._vectorizers = vectorizers
        self._wake = wake
        self._env = env
        self._admission = admission
        self._retired = threading.Event()
        self._expiry = ExpiryChore(self, env, shard.config.schema.ttl_sweep_interval_s)
        self.queues = LinkQueues(lambda: shard.vectors, shard.config.index, env.clock)
        self.status = ShardStatus(shard.store, shard.shard_id)
        self.replica = ShardReplica(
            shard,
            writer,
            queues=self.queues,
            status=self.status,
            admission=admission,
            clock=env.clock,
            wake=wake,
            in_cluster=in_cluster,
        )
        self.chores: Sequence[Chore] = self._made_chores(())
        self.figures = ShardFigures(shard, self.queues, lambda: self.chores)

    @property
    def number(self) -> ShardId:
        """What the node calls it; the prefix of its keys."""
        return self.shard.shard_id

    @property
    def schema(self) -> Collection:
        """The present definition of its collection."""
        return self.shard.schema

    # Writes.

    def put(
        self, drafts: Sequence[ObjectDraft], mode: PutMode = PutMode.UPSERT
    ) -> list[WeftError | None]:
        """Write objects, each atomically; None where it went well.

        Drafts are validated already (core/validation.py); here vectors are made where a vectorizer
        is configured and missing, and dimensions are checked. Of the same id twice, the last wins.
        Waits before each slice where too many vectors are not linked yet (engine/link_queue.py).
        Raises Overloaded, DiskFull and ReadOnly before anything is written.
        """
        self._check_write()
        with self._admission.admit(self.shard, drafts):
            self._env.give_way()
            errors = fill_vectors(drafts, self.schema, self._vectorizers)
            ready = [i for i, error in enumerate(errors) if error is None]
            ticket: Ticket | None = None
            for part in in_slices(drafts, ready, mode):
                self._env.give_way()
                chosen = [drafts[i] for i in part]
                with self.queues.room(len(part)), self._admission.turn:
                    found, written = self._writer.put(chosen, mode)
                    self.queues.note(chosen)
                ticket = written or ticket
                for i, error in zip(part, found, strict=True):
                    errors[i] = error
            self._settle(ticket)
        return errors

    def merge(
        self,
        object_id: ObjectId,
        changes: Mapping[str, PropertyValue],
        vectors: Mapping[VectorName, NDArray[np.float32]],
    ) -> None:
        """Change single properties (None removes) and vectors.

        A vector that a vectorizer made is made anew when its text changes. Raises ObjectNotFound,
        DimensionMismatch, ModuleFailure, Overloaded, DiskFull.
        """
        self._check_write()
        for _ in range(MERGE_TRIES_MAX):
            old = self.shard.get(object_id, with_vectors=True)
            if old is None:
                raise ObjectNotFound(f"no object with id '{format_object_id(object_id)}'")
            draft = merged(self.schema, old, changes, vectors)
            with self._admission.admit(self.shard, [draft]):
                errors = fill_vectors([draft], self.schema, self._vectorizers)
                if errors[0] is not None:
                    raise errors[0]
                ticket = self._writer.put_over(draft, old.doc_id)
                if ticket is not None:
                    self._settle(ticket)
                    return
        raise Overloaded(f"object {format_object_id(object_id)} is written by too many at once")

    def delete(self, ids: Sequence[ObjectId]) -> list[bool]:
        """Delete; False where there was nothing."""
        self._check_write()
        deleted, ticket = self._writer.delete(ids)
        self._settle(ticket)
        return deleted

    def delete_where(self, condition: Filter, *, dry_run: bool = False) -> DeleteReport:
        """Delete every object that the filter matches. Raises ReadOnly."""
        if dry_run:
            self.check()
        else:
            self._check_write()
        ids: list[ObjectId] = []
        deleted = 0
        for chunk, docs in self._matches(condition):
            ids.extend(chunk)
            if not dry_run:
                # An object that was written since is another version, which nobody matched.
                outcome, ticket = self._writer.delete(chunk, only=docs)
                self._settle(ticket)
                deleted += sum(outcome)
        return DeleteReport(matches=len(ids), deleted=deleted, ids=tuple(ids))

    def expire(self, condition: Filter) -> int:
        """Delete every object that the filter matches, and no later state of them: how many. Raises
        ReadOnly."""
        self._check_write()
        deleted = 0
        for chunk, docs in self._matches(condition):
            count, ticket = self._writer.expire(chunk, only=docs)
            self._settle(ticket)
            deleted += count
        return deleted

    def _matches(self, condition: Filter) -> Iterator[tuple[list[ObjectId], frozenset[DocId]]]:
        matches = [DocId(doc) for doc in self.shard.allow(condition).bitmap]
        for start in range(0, len(matches), DELETE_DOCS_PER_BATCH):
            docs = matches[start : start + DELETE_DOCS_PER_BATCH]
            rows = self.shard.objects.get_many(docs)
            yield [stored_id(value) for value in rows if value is not None], frozenset(docs)

    # Reads.

    def get(self, object_id: ObjectId, *, with_vectors: bool = False) -> Object | None:
        """The object, or None."""
        self.check()
        return self.shard.get(object_id, with_vectors=with_vectors)

    def exists(self, object_id: ObjectId) -> bool:
        """Whether the object is stored."""
        self.check()
        return self.shard.objects.doc_id_of(object_id) is not None

    def search_steps(self, query: Search) -> Steps[Hits]:
        """Any read, as steps."""
        self.check()
        return self.swept_first(read(self.shard, query, self._vectorizers))

    def aggregate_steps(self, query: Aggregate) -> Steps[Aggregated]:
        """Count objects and sum their properties up, as steps."""
        self.check()
        return self.swept_first(aggregate(self.shard, query, self._vectorizers))

    def swept_first(self, steps: Steps[T]) -> Steps[T]:
        """The same read; where expired objects are hidden, they are deleted before it."""
        return self._swept_first(steps) if self._expiry.hides else steps

    def _swept_first(self, steps: Steps[T]) -> Steps[T]:
        yield SweepCall(self._expiry)
        return (yield from steps)

    def count(self, condition: Filter | None = None) -> int:
        """Objects, or those that match."""
        self.check()
        return self.shard.count if condition is None else self.shard.allow(condition).count

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until every vector is linked into its graph; False when the time is up."""
        return all(index.wait_indexed(timeout_s) for index in self.shard.vectors.values())

    # Life.

    def reconfigure(self, definition: Collection) -> None:
        """Take a changed definition."""
        self._writer.reconfigure(definition)
        for vector in definition.vectors:
            if vector.hnsw.skip:
                forget_snapshot(self.shard, vector.name)
        self.chores = self._made_chores(self.chores)
        self._wake()

    def retire(self) -> None:
        """Refuse everything from now on: the shard is being dropped. Twice is fine."""
        self._retired.set()
        self._writer.stop()
        self.shard.close()

    def close(self) -> None:
        """Save derived state and stop."""
        self._writer.stop()
        for chore in self.chores:
            chore.finish()
        self._retired.set()
        self.shard.close()

    def check(self) -> None:
        """Raise Closed once the shard has been dropped."""
        if self._retired.is_set():
            raise Closed(f"collection {self.schema.name} or its shard {self.name} has been dropped")

    def _check_write(self) -> None:
        self.check()
        self.status.check()

    def _made_chores(self, known: Sequence[Chore]) -> Sequence[Chore]:
        return [
            *shard_chores(self.shard, self._env, self._admission, known),
            *replication_chores(self.shard, self._writer, self.replica, self._env, known),
            self._expiry,
        ]

    def _settle(self, ticket: Ticket | None) -> None:
        if ticket is not None:
            self.shard.store.wait_durable(ticket)
            self._wake()
