"""LocalCollection: the objects of one collection on this node; what doors and library call.

Every method is synchronous and thread-safe. A write returns after the sync that covers it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Env
from weftdb.core.errors import (
    Closed,
    ObjectNotFound,
    Overloaded,
    UnknownTenant,
    WeftError,
)
from weftdb.core.memory_estimate import link_bytes
from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.query import Filter, Hits, Search
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ObjectId, PropertyValue, VectorName, format_object_id
from weftdb.engine.admission import Admission
from weftdb.engine.aggregation import aggregate
from weftdb.engine.change import PutMode, in_slices
from weftdb.engine.chores import shard_chores
from weftdb.engine.compaction import GraphUpkeep, graph_upkeep
from weftdb.engine.expiry import ExpiryChore, SweepCall
from weftdb.engine.link_queue import LinkQueues
from weftdb.engine.maintenance import Chore
from weftdb.engine.reader import read
from weftdb.engine.recovery import forget_snapshot
from weftdb.engine.replica import ShardReplica
from weftdb.engine.serving import DeleteReport
from weftdb.engine.shard import Shard
from weftdb.engine.shard_status import ShardStatus
from weftdb.engine.steps import Steps, run
from weftdb.engine.tombstones import replication_chores
from weftdb.engine.vectorization import fill_vectors
from weftdb.engine.writer import DELETE_DOCS_PER_BATCH, ShardWriter
from weftdb.index.ports import (
    Copied,
    Quantizable,
    QuantizerReport,
    RecallReport,
    Tunable,
    VectorIndex,
)
from weftdb.modules.ports import Vectorizers
from weftdb.modules.text import object_text
from weftdb.storage.kv import Ticket
from weftdb.storage.object_codec import stored_id

T = TypeVar("T")

MERGE_TRIES_MAX = 100
"""A merge that loses the race against other writers this often gives up, retryable."""


class LocalCollection:
    """The objects of one collection on this node: a ServedCollection (engine/serving.py). Its
    methods take a `level` as that asks for, and pass over it: the one replica meets all."""

    reads_elsewhere = False

    def __init__(
        self,
        shard: Shard,
        writer: ShardWriter,
        *,
        shard_name: str,
        vectorizers: Vectorizers,
        wake: Callable[[], None],
        admission: Admission,
        env: Env,
    ) -> None:
        """Serve an open shard; `wake` tells the maintenance that something was written."""
        self.shard = shard
        self.shard_name = shard_name
        self._expiry = ExpiryChore(self, env, shard.config.schema.ttl_sweep_interval_s)
        self._writer = writer
        self._vectorizers = vectorizers
        self._wake = wake
        self._env = env
        self._admission = admission
        self.queues = LinkQueues(lambda: shard.vectors, shard.config.index, env.clock)
        self._retired = threading.Event()
        self.status = ShardStatus(shard.store, shard.shard_id)
        self.replica = ShardReplica(
            shard,
            writer,
            queues=self.queues,
            status=self.status,
            admission=admission,
            clock=env.clock,
            wake=wake,
        )
        self.chores: Sequence[Chore] = self._made_chores(())

    @property
    def schema(self) -> Collection:
        """The present definition."""
        return self.shard.schema

    def put(
        self,
        drafts: Sequence[ObjectDraft],
        mode: PutMode = PutMode.UPSERT,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[WeftError | None]:
        """Write objects, each atomically; None where it went well.

        Drafts are validated already (core/validation.py); here vectors are made where a vectorizer
        is configured and missing, and dimensions are checked. Of the same id twice, the last wins.
        Waits before each slice where too many vectors are not linked yet (engine/link_queue.py).
        Raises Overloaded, DiskFull and ReadOnly before anything is written.
        """
        self._check_write(tenant)
        with self._admission.admit(self.shard, drafts):
            errors = fill_vectors(drafts, self.schema, self._vectorizers)
            ready = [i for i, error in enumerate(errors) if error is None]
            ticket: Ticket | None = None
            for part in in_slices(drafts, ready, mode):
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
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> None:
        """Change single properties (None removes) and vectors.

        A vector that a vectorizer made is made anew when its text changes. Raises ObjectNotFound,
        DimensionMismatch, ModuleFailure, Overloaded, DiskFull.
        """
        self._check_write(tenant)
        for _ in range(MERGE_TRIES_MAX):
            old = self.shard.get(object_id, with_vectors=True)
            if old is None:
                raise ObjectNotFound(f"no object with id '{format_object_id(object_id)}'")
            draft = self._merged(old, changes, vectors)
            with self._admission.admit(self.shard, [draft]):
                errors = fill_vectors([draft], self.schema, self._vectorizers)
                if errors[0] is not None:
                    raise errors[0]
                ticket = self._writer.put_over(draft, old.doc_id)
                if ticket is not None:
                    self._settle(ticket)
                    return
        raise Overloaded(f"object {format_object_id(object_id)} is written by too many at once")

    def delete(
        self,
        ids: Sequence[ObjectId],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[bool]:
        """Delete; False where there was nothing."""
        self._check_write(tenant)
        deleted, ticket = self._writer.delete(ids)
        self._settle(ticket)
        return deleted

    def delete_where(
        self,
        condition: Filter,
        *,
        dry_run: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> DeleteReport:
        """Delete every object that the filter matches. Raises ReadOnly."""
        if dry_run:
            self._check(tenant)
        else:
            self._check_write(tenant)
        matches = [DocId(doc) for doc in self.shard.allow(condition).bitmap]
        ids: list[ObjectId] = []
        deleted = 0
        for start in range(0, len(matches), DELETE_DOCS_PER_BATCH):
            docs = matches[start : start + DELETE_DOCS_PER_BATCH]
            rows = self.shard.objects.get_many(docs)
            chunk = [stored_id(value) for value in rows if value is not None]
            ids.extend(chunk)
            if not dry_run:
                # An object that was written since is another version, which nobody matched.
                outcome, ticket = self._writer.delete(chunk, only=frozenset(docs))
                self._settle(ticket)
                deleted += sum(outcome)
        return DeleteReport(matches=len(ids), deleted=deleted, ids=tuple(ids))

    def get(
        self,
        object_id: ObjectId,
        *,
        with_vectors: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> Object | None:
        """The object, or None."""
        self._check(tenant)
        return self.shard.get(object_id, with_vectors=with_vectors)

    def exists(
        self, object_id: ObjectId, *, tenant: str = "", level: ConsistencyLevel | None = None
    ) -> bool:
        """Whether the object is stored."""
        self._check(tenant)
        return self.shard.objects.doc_id_of(object_id) is not None

    def search(self, query: Search, *, level: ConsistencyLevel | None = None) -> Hits:
        """Run any read: list, vector, keyword, hybrid, with filter, sort, paging, autocut."""
        return run(self.search_steps(query))

    def search_steps(self, query: Search, *, level: ConsistencyLevel | None = None) -> Steps[Hits]:
        """The same read as steps, for a driver that runs the long calls elsewhere."""
        self._check(query.tenant)
        steps = read(self.shard, query, self._vectorizers)
        return self._swept_first(steps) if self._expiry.hides else steps

    def aggregate(self, query: Aggregate, *, level: ConsistencyLevel | None = None) -> Aggregated:
        """Count objects and sum their properties up, also by groups."""
        self._check(query.tenant)
        steps = aggregate(self.shard, query, self._vectorizers)
        return run(self._swept_first(steps) if self._expiry.hides else steps)

    def _swept_first(self, steps: Steps[T]) -> Steps[T]:
        yield SweepCall(self._expiry)
        return (yield from steps)

    def count(
        self,
        condition: Filter | None = None,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> int:
        """Objects, or those that match."""
        self._check(tenant)
        return self.shard.count if condition is None else self.shard.allow(condition).count

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until every vector is linked into its graph; False when the time is up."""
        return all(index.wait_indexed(timeout_s) for index in self.shard.vectors.values())

    @property
    def pending(self) -> int:
        """Vectors that wait to be linked into their graphs (they are found all the same)."""
        return self.queues.pending

    def recalls(self, k: int, target: float | None = None) -> Mapping[VectorName, RecallReport]:
        """Where searches for `k` results stand, by vector: all with a `target`, else those that
        have a `targetRecall`."""
        found = {}
        for name, index in self.shard.vectors.items():
            report = index.recall(k, target) if isinstance(index, Tunable) else None
            if report is not None:
                found[name] = report
        return found

    @property
    def graph_upkeep(self) -> GraphUpkeep:
        """Deleted vectors that graphs hold, repairs, logs."""
        return graph_upkeep(self.shard, self.chores)

    @property
    def vector_bytes(self) -> int:
        """Memory of the vector indexes, and of copies that are being made of them."""
        indexes = self.shard.vectors.values()
        return sum(index.memory_bytes() + _compaction_bytes(index)[0] for index in indexes)

    @property
    def quantizers(self) -> Mapping[VectorName, QuantizerReport]:
        """Where the vectors stand that have a quantizer."""
        return {
            name: QuantizerReport(index.code_bytes, index.quantizer_fault)
            for name, index in self.shard.vectors.items()
            if isinstance(index, Quantizable) and (index.code_bytes or index.quantizer_fault)
        }

    @property
    def term_bytes(self) -> int:
        """Memory of the inverted index, without what its cache holds."""
        return self.shard.text.memory_bytes()

    @property
    def coming_bytes(self) -> int:
        """Memory that the links of pending vectors will take, and repairs that run."""
        schema, total = self.schema, 0.0
        for name, index in self.shard.vectors.items():
            total += _compaction_bytes(index)[1]
            config = schema.vector_by_name.get(name)
            if config is not None:
                total += index.pending * link_bytes(config.hnsw.max_connections)
        return int(total)

    @property
    def tombstones(self) -> int:
        """Deletions that are remembered."""
        return 0 if self.shard.ledger is None else self.shard.ledger.tombstones

    @property
    def tree_bytes(self) -> int:
        """Memory of the hash tree that replicas compare."""
        return 0 if self.shard.ledger is None else self.shard.ledger.memory_bytes

    def reconfigure(self, definition: Collection) -> None:
        """Take a changed definition."""
        self._writer.reconfigure(definition)
        for vector in definition.vectors:
            if vector.hnsw.skip:
                forget_snapshot(self.shard, vector.name)
        self.chores = self._made_chores(self.chores)
        self._wake()

    def retire(self) -> None:
        """Refuse everything from now on: the collection is being dropped."""
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

    def _made_chores(self, known: Sequence[Chore]) -> Sequence[Chore]:
        return [
            *shard_chores(self.shard, self._env, self._admission, known),
            *replication_chores(self.shard, self._writer, self.replica, self._env, known),
            self._expiry,
        ]

    def _merged(
        self,
        old: Object,
        changes: Mapping[str, PropertyValue],
        vectors: Mapping[VectorName, NDArray[np.float32]],
    ) -> ObjectDraft:
        properties = {**old.properties, **changes}
        draft = ObjectDraft(
            id=old.id,
            properties={name: value for name, value in properties.items() if value is not None},
            vectors=dict(vectors),
        )
        for name, vector in old.vectors.items():
            if name not in draft.vectors and not self._text_changed(name, old, draft):
                draft.vectors[name] = vector
        return draft

    def _text_changed(self, name: VectorName, old: Object, draft: ObjectDraft) -> bool:
        config = self.schema.vector_by_name[name]
        if config.vectorizer == "none":
            return False
        before = object_text(old.properties, self.schema, config)
        return before != object_text(draft.properties, self.schema, config)

    def _settle(self, ticket: Ticket | None) -> None:
        if ticket is not None:
            self.shard.store.wait_durable(ticket)
            self._wake()

    def _check_write(self, tenant: str) -> None:
        self._check(tenant)
        self.status.check()

    def _check(self, tenant: str) -> None:
        if self._retired.is_set():
            raise Closed(f"collection {self.schema.name} has been dropped")
        if self.schema.multi_tenant:
            if not tenant:
                raise UnknownTenant(
                    f"class {self.schema.name} has multi-tenancy enabled, "
                    "but request was without tenant"
                )
            raise UnknownTenant(f'tenant not found: "{tenant}"')
        if tenant:
            raise UnknownTenant(
                f"class {self.schema.name} has multi-tenancy disabled, but request was with tenant"
            )


def _compaction_bytes(index: VectorIndex) -> tuple[int, int]:
    return index.compaction_bytes if isinstance(index, Copied) else (0, 0)


__all__ = ["DeleteReport", "LocalCollection", "PutMode"]
