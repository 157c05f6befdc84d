"""FakeDatabase: the engine's interface over dicts, so that routes are tested by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import (
    CollectionExists,
    DimensionMismatch,
    ObjectExists,
    ObjectNotFound,
    SchemaViolation,
    UnknownCollection,
    UnknownTenant,
    WeftError,
)
from weftdb.core.objects import Object, ObjectDraft
from weftdb.core.query import And, Comparison, Filter, Hits, Not, Operator, Or, Search
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ObjectId, VectorName, Version, format_object_id
from weftdb.core.validation import unknown_property
from weftdb.engine.collection import DeleteReport, PutMode
from weftdb.modules.ports import TextVectorizer
from weftdb.storage.object_codec import encode_object
from weftdb.storage.property_codec import PropertyEncoder


class NoVectorizers:
    """No modules at all."""

    def get(self, name: str) -> TextVectorizer:
        raise SchemaViolation(f"no module {name}")

    def names(self) -> Sequence[str]:
        return ()


class FakeCollection:
    """Objects in a dict, filters by looking at each."""

    def __init__(self, schema: Collection, env: Env) -> None:
        self.schema = schema
        self.objects: dict[ObjectId, Object] = {}
        self._env = env

    def _check(self, tenant: str) -> None:
        if tenant:
            raise UnknownTenant(
                f"class {self.schema.name} has multi-tenancy disabled, but request was with tenant"
            )

    def put(
        self, drafts: Sequence[ObjectDraft], mode: PutMode = PutMode.UPSERT, *, tenant: str = ""
    ) -> list[WeftError | None]:
        self._check(tenant)
        return [self._put(draft, mode) for draft in drafts]

    def _put(self, draft: ObjectDraft, mode: PutMode) -> WeftError | None:
        old = self.objects.get(draft.id)
        if mode is PutMode.INSERT and old is not None:
            return ObjectExists(format_object_id(draft.id))
        if mode is PutMode.REPLACE and old is None:
            return ObjectNotFound("no object with this id")
        for name, vector in draft.vectors.items():
            for other in self.objects.values():
                if name in other.vectors and other.vectors[name].shape[-1] != vector.shape[-1]:
                    return DimensionMismatch("vector dimensions do not match the index dimensions")
        now = self._env.clock.now_ms()
        created = old.created_ms if old else now
        self.objects[draft.id] = Object(
            draft.id, DocId(1), draft.properties, created, now, Version(now), draft.vectors
        )
        return None

    def merge(
        self,
        object_id: ObjectId,
        changes: Mapping[str, Any],
        vectors: Mapping[VectorName, NDArray[np.float32]],
        *,
        tenant: str = "",
    ) -> None:
        old = self.objects[object_id]
        merged = {**old.properties, **changes}
        properties = {key: value for key, value in merged.items() if value is not None}
        self._put(ObjectDraft(object_id, properties, {**old.vectors, **vectors}), PutMode.UPSERT)

    def delete(self, ids: Sequence[ObjectId], *, tenant: str = "") -> list[bool]:
        self._check(tenant)
        return [self.objects.pop(item, None) is not None for item in ids]

    def delete_where(
        self, condition: Filter, *, dry_run: bool = False, tenant: str = ""
    ) -> DeleteReport:
        found = [item for item in sorted(self.objects) if self._holds(condition, item)]
        if not dry_run:
            self.delete(found)
        return DeleteReport(len(found), 0 if dry_run else len(found), tuple(found))

    def _holds(self, condition: Filter, object_id: ObjectId) -> bool:
        if isinstance(condition, (And, Or)):
            results = [self._holds(item, object_id) for item in condition.operands]
            return all(results) if isinstance(condition, And) else any(results)
        if isinstance(condition, Not):
            return not self._holds(condition.operand, object_id)
        assert isinstance(condition, Comparison)
        name = condition.path[-1]
        if name == "_id":
            return condition.value == format_object_id(object_id)
        if name not in self.schema.property_by_name:
            raise unknown_property(name, self.schema.name)
        kind = self.schema.property_by_name[name].data_type.value
        if isinstance(condition.value, str) != (kind == "text"):
            raise SchemaViolation(f'data type filter cannot use it on type "{kind}"')
        value: Any = self.objects[object_id].properties.get(name)
        wanted: Any = condition.value
        if condition.operator is Operator.GREATER_THAN:
            return value is not None and value > wanted
        return bool(value == wanted)

    def get(
        self, object_id: ObjectId, *, with_vectors: bool = False, tenant: str = ""
    ) -> Object | None:
        self._check(tenant)
        found = self.objects.get(object_id)
        if found is None or with_vectors:
            return found
        return Object(
            found.id,
            found.doc_id,
            found.properties,
            found.created_ms,
            found.updated_ms,
            found.version,
        )

    def exists(self, object_id: ObjectId, *, tenant: str = "") -> bool:
        self._check(tenant)
        return object_id in self.objects

    def search(self, query: Search) -> Hits:
        self._check(query.tenant)
        found = [self.objects[key] for key in sorted(self.objects)]
        if query.after is not None:
            found = [item for item in found if item.id > query.after]
        for key in reversed(query.sort):
            found.sort(key=lambda item: _sort_key(item, key.path[0]), reverse=not key.ascending)
        end = None if query.limit is None else query.offset + query.limit
        encoder = PropertyEncoder(self.schema)
        return Hits(
            [
                encode_object(
                    doc_id=item.doc_id,
                    object_id=item.id,
                    created_ms=item.created_ms,
                    updated_ms=item.updated_ms,
                    version=item.version,
                    properties=encoder.encode(item.properties),
                )
                for item in found[query.offset : end]
            ]
        )

    def count(self, condition: Filter | None = None, *, tenant: str = "") -> int:
        return len(self.objects)


def _sort_key(item: Object, name: str) -> tuple[bool, Any]:
    value = item.properties.get(name)
    if isinstance(value, str):
        value = value.lower()
    return (value is not None, value if value is not None else 0)


class FakeDatabase:
    """Collections in a dict."""

    def __init__(self, env: Env | None = None) -> None:
        self.env = env or Env(ManualClock())
        self.by_name: dict[str, FakeCollection] = {}

    def collections(self) -> Sequence[Collection]:
        return [self.by_name[name].schema for name in sorted(self.by_name)]

    def collection(self, name: str) -> FakeCollection:
        if name not in self.by_name:
            raise UnknownCollection(name)
        return self.by_name[name]

    def create_collection(self, definition: Collection) -> FakeCollection:
        if definition.name in self.by_name:
            raise CollectionExists(definition.name)
        made = self.by_name[definition.name] = FakeCollection(definition, self.env)
        return made

    def update_collection(self, definition: Collection) -> FakeCollection:
        self.by_name[definition.name].schema = definition
        return self.by_name[definition.name]

    def delete_collection(self, name: str) -> bool:
        return self.by_name.pop(name, None) is not None
