"""RoutedCollection: the objects of one collection, whichever nodes hold them; what doors call.

- An object that was there keeps its creation time, so a write looks first, in the nearest replica;
  a write that asks whether the id is taken looks at its level, by digests.
- Of two writes of an object, the later version stands. A change of single properties is a read and
  a write: of two at the same time, one may be lost, as elsewhere without a leader.
- A deletion is written whether the object was found or not: a replica that was not asked may have
  it. What a deletion by filter found is deleted in whatever state it is by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from weftdb.cluster.search.aggregating import aggregate_rounds
from weftdb.cluster.search.finding import find_rounds
from weftdb.cluster.search.searching import search_rounds
from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import ObjectExists, ObjectNotFound, WeftError
from weftdb.core.objects import Object, ObjectDraft, ObjectState
from weftdb.core.query import Filter, Hits, Search
from weftdb.core.schema import Collection
from weftdb.core.types import (
    CollectionName,
    DocId,
    NodeName,
    ObjectId,
    PropertyValue,
    VectorName,
    format_object_id,
)
from weftdb.engine.change import PutMode
from weftdb.engine.merging import merged
from weftdb.engine.serving import DeleteReport, wrong_tenant
from weftdb.engine.steps import Steps, run
from weftdb.engine.vectorization import fill_vectors
from weftdb.server.routing.router import Router
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.property_codec import PropertyEncoder

DELETES_AT_ONCE = 10_000
"""Deletions by filter that are written together."""
_NO_DOC = DocId(0)
"""Doc ids are a replica's own."""


class RoutedCollection:
    """One collection, through a router. Satisfies `engine.serving.ServedCollection`."""

    reads_elsewhere = True

    def __init__(self, router: Router, schema: Collection) -> None:
        self._router = router
        self._around = router.around
        self._schema = schema
        self._name = CollectionName(schema.name)

    @property
    def schema(self) -> Collection:
        """The present definition."""
        return self._schema

    # Writes.

    def put(
        self,
        drafts: Sequence[ObjectDraft],
        mode: PutMode = PutMode.UPSERT,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[WeftError | None]:
        """Write objects; None where it went well. Of the same id twice, the last is written."""
        self._check(tenant)
        level = level or ConsistencyLevel.QUORUM
        errors = fill_vectors(drafts, self._schema, self._around.vectorizers)
        last = {draft.id: at for at, draft in enumerate(drafts) if errors[at] is None}
        refusals, created = self._looked(list(last), mode, level)
        for object_id, refusal in refusals.items():
            errors[last[object_id]] = refusal
        places = [at for at in last.values() if errors[at] is None]
        written = self._written([drafts[at] for at in places], created, level)
        for at, error in zip(places, written, strict=True):
            errors[at] = error
        return [
            errors[last[draft.id]] if errors[at] is None and draft.id in last else errors[at]
            for at, draft in enumerate(drafts)
        ]

    def merge(
        self,
        object_id: ObjectId,
        changes: Mapping[str, PropertyValue],
        vectors: Mapping[VectorName, NDArray[np.float32]],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> None:
        """Change single properties (None removes) and vectors. Raises ObjectNotFound."""
        old = self.get(object_id, with_vectors=True, tenant=tenant, level=level)
        if old is None:
            raise ObjectNotFound(f"no object with id '{format_object_id(object_id)}'")
        draft = merged(self._schema, old, changes, vectors)
        (error,) = fill_vectors([draft], self._schema, self._around.vectorizers)
        if error is None:
            created = {object_id: old.created_ms}
            (error,) = self._written([draft], created, level or ConsistencyLevel.QUORUM)
        if error is not None:
            raise error

    def delete(
        self,
        ids: Sequence[ObjectId],
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> list[bool]:
        """Delete; False where nothing was found at the level."""
        self._check(tenant)
        level = level or ConsistencyLevel.QUORUM
        once = list(dict.fromkeys(ids))
        there = self._router.present(self._name, once, level)
        for error in self._delete(once, level):
            if error is not None:
                raise error
        return [one in there for one in ids]

    def delete_where(
        self,
        condition: Filter,
        *,
        dry_run: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> DeleteReport:
        """Delete every object that the filter matches in one replica of each shard. Raises the
        error of the first that could not be deleted, where none could."""
        self._check(tenant)
        level = level or ConsistencyLevel.QUORUM
        found = partial(find_rounds, condition=condition)
        ids = run(self._router.steps(self._name, found, ConsistencyLevel.ONE))
        if dry_run:
            return DeleteReport(matches=len(ids), deleted=0, ids=tuple(ids))
        errors: list[WeftError | None] = []
        for start in range(0, len(ids), DELETES_AT_ONCE):
            errors += self._delete(ids[start : start + DELETES_AT_ONCE], level)
        failed = [error for error in errors if error is not None]
        if failed and len(failed) == len(ids):
            raise failed[0]
        return DeleteReport(matches=len(ids), deleted=len(ids) - len(failed), ids=tuple(ids))

    # Reads.

    def get(
        self,
        object_id: ObjectId,
        *,
        with_vectors: bool = False,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
        node: NodeName | None = None,
    ) -> Object | None:
        """The object, or None; with `node`, as the replica there has it."""
        self._check(tenant)
        level = level or ConsistencyLevel.QUORUM
        (state,) = self._router.read(self._name, [object_id], level, node=node)
        if state is None:
            return None
        return Object(
            state.id,
            _NO_DOC,
            dict(state.properties),
            state.created_ms,
            state.updated_ms,
            state.version,
            state.vectors if with_vectors else {},
        )

    def exists(
        self, object_id: ObjectId, *, tenant: str = "", level: ConsistencyLevel | None = None
    ) -> bool:
        """Whether the object is stored."""
        self._check(tenant)
        level = level or ConsistencyLevel.QUORUM
        return bool(self._router.present(self._name, [object_id], level))

    def search(self, query: Search, *, level: ConsistencyLevel | None = None) -> Hits:
        """Run any read."""
        return run(self.search_steps(query, level=level))

    def search_steps(self, query: Search, *, level: ConsistencyLevel | None = None) -> Steps[Hits]:
        """The same read as steps."""
        self._check(query.tenant)
        asked = partial(search_rounds, query=query, vectorizers=self._around.vectorizers)
        return self._router.steps(self._name, asked, level or ConsistencyLevel.ONE)

    def aggregate(self, query: Aggregate, *, level: ConsistencyLevel | None = None) -> Aggregated:
        """Count objects and sum their properties up, also by groups."""
        self._check(query.tenant)
        asked = partial(aggregate_rounds, query=query, vectorizers=self._around.vectorizers)
        return run(self._router.steps(self._name, asked, level or ConsistencyLevel.ONE))

    def count(
        self,
        condition: Filter | None = None,
        *,
        tenant: str = "",
        level: ConsistencyLevel | None = None,
    ) -> int:
        """Objects, or those that match."""
        total = self.aggregate(Aggregate(self._name, tenant, condition), level=level).total
        assert total is not None, "it is not grouped"
        return total.count

    # Details.

    def _looked(
        self, ids: Sequence[ObjectId], mode: PutMode, level: ConsistencyLevel
    ) -> tuple[dict[ObjectId, WeftError], dict[ObjectId, int]]:
        """Which puts do not go in, and when what others replace was made."""
        match mode:
            case PutMode.UPSERT:
                return {}, self._router.created(self._name, ids)
            case PutMode.INSERT:
                there = self._router.present(self._name, ids, level)
                return {one: ObjectExists(format_object_id(one)) for one in there}, {}
            case PutMode.REPLACE:
                found = self._router.read(self._name, ids, level)
                held = {state.id: state.created_ms for state in found if state is not None}
                missing: dict[ObjectId, WeftError] = {
                    one: ObjectNotFound(f"no object with id '{format_object_id(one)}'")
                    for one in ids
                    if one not in held
                }
                return missing, held

    def _written(
        self,
        drafts: Sequence[ObjectDraft],
        created: Mapping[ObjectId, int],
        level: ConsistencyLevel,
    ) -> Sequence[WeftError | None]:
        """Write drafts of different ids; `created` says when those that are there were made."""
        encoder = PropertyEncoder(self._schema)
        states = []
        for draft in drafts:
            self._around.env.give_way()
            states.append(self._state(draft, created.get(draft.id, 0), encoder))
        return self._router.write(self._name, states, level) if states else []

    def _state(self, draft: ObjectDraft, created_ms: int, encoder: PropertyEncoder) -> ObjectState:
        """What a draft becomes, stamped now."""
        now_ms = self._around.env.clock.now_ms()
        created_ms = created_ms or draft.created_ms or now_ms
        return ObjectState(
            draft.id,
            self._around.versions.next(),
            created_ms=created_ms,
            updated_ms=now_ms,
            properties=EncodedProperties(encoder.encode(draft.properties), draft.properties),
            vectors=draft.vectors,
        )

    def _delete(
        self, ids: Sequence[ObjectId], level: ConsistencyLevel
    ) -> Sequence[WeftError | None]:
        versions = self._around.versions
        states = [ObjectState(one, versions.next(), is_deleted=True) for one in ids]
        return self._router.write(self._name, states, level) if states else []

    def _check(self, tenant: str) -> None:
        """Raise UnknownTenant: there are none yet."""
        if tenant or self._schema.multi_tenant:
            raise wrong_tenant(self._schema, tenant)
