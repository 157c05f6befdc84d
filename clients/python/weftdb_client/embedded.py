"""EmbeddedTransport: the engine in this process; no port, no subprocess, no event loop.

The only file of the client that imports the database, and only when one is opened.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import weftdb
from weftdb.core import errors as engine_errors
from weftdb.core.objects import ObjectDraft
from weftdb.core.types import UNNAMED, parse_object_id
from weftdb.engine.collection import PutMode

from . import errors
from .embedded_query import core_filter, core_search, objects_of_hits, vector_array
from .filters import Filters
from .requests import SearchRequest
from .results import DeleteManyObject, DeleteManyReturn, Object
from .transport import Json, NewObject

if TYPE_CHECKING:
    from weftdb.core.validation import ObjectValidator
    from weftdb.engine.assembly import Engine

_OF_THE_OBJECT = (engine_errors.RequestError, engine_errors.ModuleFailure)
"""Errors that belong to one object of a batch, not to the node."""

_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], type[errors.ClientError]], ...] = (
    ((engine_errors.UnknownCollection, engine_errors.ObjectNotFound), errors.NotFound),
    ((engine_errors.CollectionExists, engine_errors.ObjectExists), errors.AlreadyExists),
    ((engine_errors.RequestError,), errors.RequestRefused),
    ((engine_errors.Unavailable,), errors.Unavailable),
    ((engine_errors.Fault,), errors.ServiceFault),
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the client's errors for the engine's, with the same text."""
    try:
        yield
    except engine_errors.WeftError as error:
        for kinds, translation in _TRANSLATIONS:
            if isinstance(error, kinds):
                raise translation(str(error)) from error
        raise


class EmbeddedTransport:
    """Calls an open engine and closes it in the end. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_closed = False

    def create_collection(self, definition: Mapping[str, Any]) -> Json:
        """Add a collection; its canonical definition. Raises AlreadyExists, RequestRefused."""
        with translated():
            return dict(self._engine.catalogue.create(definition).definition)

    def collection(self, name: str) -> Json | None:
        """The definition, or None."""
        with translated():
            try:
                return dict(self._engine.catalogue.get(name).definition)
            except engine_errors.UnknownCollection:
                return None

    def collections(self) -> list[Json]:
        """Every definition, by name."""
        with translated():
            return [dict(item.definition) for item in self._engine.catalogue.all()]

    def delete_collection(self, name: str) -> None:
        """Drop a collection; none is fine."""
        with translated():
            self._engine.catalogue.delete(name)

    def add_property(self, name: str, definition: Mapping[str, Any]) -> None:
        """Add a property. Raises NotFound, RequestRefused."""
        with translated():
            self._engine.catalogue.add_property(name, definition)

    def insert(self, collection: str, item: NewObject) -> None:
        """Store a new object. Raises AlreadyExists, RequestRefused."""
        self._put_one(collection, item, PutMode.INSERT)

    def replace(self, collection: str, item: NewObject) -> None:
        """Store in place of the object with this id. Raises NotFound, RequestRefused."""
        self._put_one(collection, item, PutMode.REPLACE)

    def _put_one(self, collection: str, item: NewObject, mode: PutMode) -> None:
        with translated():
            checks = self._engine.catalogue.prepare(collection, [item.properties])
            draft = _draft(checks, item)
            (error,) = self._engine.catalogue.local(collection).put([draft], mode)
            if error is not None:
                raise error

    def insert_many(self, collection: str, items: Sequence[NewObject]) -> list[str | None]:
        """Store objects, existing ids are replaced; a message for each that failed."""
        messages: list[str | None] = [None] * len(items)
        drafts: list[ObjectDraft] = []
        positions: list[int] = []
        with translated():
            together = self._prepare_together(collection, items)
            for position, item in enumerate(items):
                try:
                    checks = together or self._engine.catalogue.prepare(
                        collection, [item.properties]
                    )
                    drafts.append(_draft(checks, item))
                    positions.append(position)
                except _OF_THE_OBJECT as error:
                    messages[position] = str(error)
            outcomes: Sequence[Exception | None] = ()
            if drafts:
                outcomes = self._engine.catalogue.local(collection).put(drafts)
        for position, outcome in zip(positions, outcomes, strict=True):
            if outcome is not None:
                messages[position] = str(outcome)
        return messages

    def _prepare_together(
        self, collection: str, items: Sequence[NewObject]
    ) -> ObjectValidator | None:
        """The checks for all; None if one object spoils it, so that each is prepared alone."""
        try:
            return self._engine.catalogue.prepare(collection, [item.properties for item in items])
        except _OF_THE_OBJECT:
            return None

    def update(self, collection: str, item: NewObject) -> None:
        """Change single properties (None removes) and vectors. Raises NotFound."""
        with translated():
            checks = self._engine.catalogue.prepare(collection, [item.properties])
            self._engine.catalogue.local(collection).merge(
                parse_object_id(item.object_id),
                checks.changes(item.properties),
                _vectors(checks, item),
            )

    def delete(self, collection: str, object_id: str) -> bool:
        """Delete; False if there was nothing."""
        with translated():
            local = self._engine.catalogue.local(collection)
            return local.delete([parse_object_id(object_id)])[0]

    def exists(self, collection: str, object_id: str) -> bool:
        """Whether there is an object."""
        with translated():
            return self._engine.catalogue.local(collection).exists(parse_object_id(object_id))

    def delete_many(
        self, collection: str, filters: Filters, *, dry_run: bool, verbose: bool
    ) -> DeleteManyReturn:
        """Delete everything that matches."""
        with translated():
            local = self._engine.catalogue.local(collection)
            report = local.delete_where(core_filter(filters), dry_run=dry_run)
        objects = None
        if verbose:
            ids = [uuid.UUID(bytes=object_id) for object_id in report.ids]
            objects = [DeleteManyObject(item, successful=True) for item in ids]
        return DeleteManyReturn(
            failed=0 if dry_run else report.matches - report.deleted,
            matches=report.matches,
            successful=report.matches if dry_run else report.deleted,
            objects=objects,
        )

    def search(self, request: SearchRequest) -> list[Object]:
        """Carry out a read."""
        with translated():
            local = self._engine.catalogue.local(request.collection)
            hits = local.search(core_search(request, local.schema))
            return objects_of_hits(hits, request, local.schema)

    def count(self, collection: str, filters: Filters | None) -> int:
        """Objects, or those that match."""
        with translated():
            local = self._engine.catalogue.local(collection)
            return local.count(core_filter(filters) if filters is not None else None)

    def meta(self) -> Json:
        """Version and modules."""
        vectorizers = self._engine.vectorizers
        with translated():
            modules = {name: dict(vectorizers.get(name).meta()) for name in vectorizers.names()}
        return {
            "hostname": "embedded",
            "weftdb": weftdb.__version__,
            "modules": modules,
        }

    def is_ready(self) -> bool:
        """Whether requests are answered."""
        return not self._is_closed

    def close(self) -> None:
        """Close the engine; the directory is free afterwards."""
        if not self._is_closed:
            self._is_closed = True
            with translated():
                self._engine.close()


def _draft(checks: ObjectValidator, item: NewObject) -> ObjectDraft:
    return ObjectDraft(
        id=parse_object_id(item.object_id),
        properties=checks.properties(item.properties),
        vectors=_vectors(checks, item),
    )


def _vectors(checks: ObjectValidator, item: NewObject) -> dict[Any, Any]:
    arrays = {name: vector_array(row, name) for name, row in item.vectors.items()}
    return checks.vectors(arrays.pop(UNNAMED, None), arrays)
