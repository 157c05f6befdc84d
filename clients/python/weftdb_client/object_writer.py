"""ObjectWriter: writing the objects of a collection."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .filters import Filters
from .ids import UuidInput, id_text
from .new_objects import DataObject, VectorInput, new_object
from .results import BatchObjectReturn, DeleteManyReturn, InsertFailure
from .transport import Transport

Properties = Mapping[str, Any]


class ObjectWriter:
    """`collection.data`. A write returns when it is durable and searchable."""

    def __init__(self, transport: Transport, collection: str) -> None:
        self._transport = transport
        self._collection = collection

    def insert(
        self,
        properties: Properties,
        uuid: UuidInput | None = None,
        vector: VectorInput | None = None,
    ) -> uuid.UUID:
        """Store a new object and return its id. Raises AlreadyExists if the id is taken."""
        item = new_object(properties, uuid, vector)
        self._transport.insert(self._collection, item)
        return _as_uuid(item.object_id)

    def insert_many(self, objects: Sequence[Properties | DataObject]) -> BatchObjectReturn:
        """Store many objects at once; an id that is taken is replaced.

        Errors of single objects are in the result, the other objects are stored.
        """
        items = [
            new_object(item.properties, item.uuid, item.vector)
            if isinstance(item, DataObject)
            else new_object(item, None, None)
            for item in objects
        ]
        started = time.monotonic()
        messages = self._transport.insert_many(self._collection, items) if items else []
        elapsed = time.monotonic() - started
        return BatchObjectReturn(
            uuids={
                position: _as_uuid(item.object_id)
                for position, item in enumerate(items)
                if messages[position] is None
            },
            errors={
                position: InsertFailure(message, items[position].object_id)
                for position, message in enumerate(messages)
                if message is not None
            },
            elapsed_seconds=elapsed,
        )

    def replace(
        self,
        uuid: UuidInput,
        properties: Properties,
        vector: VectorInput | None = None,
    ) -> None:
        """Store in place of the object with this id. Raises NotFound if there is none."""
        self._transport.replace(self._collection, new_object(properties, uuid, vector))

    def update(
        self,
        uuid: UuidInput,
        properties: Properties | None = None,
        vector: VectorInput | None = None,
    ) -> None:
        """Change single properties; None removes one. Raises NotFound."""
        item = new_object(properties, uuid, vector, keep_null=True)
        self._transport.update(self._collection, item)

    def delete_by_id(self, uuid: UuidInput) -> bool:
        """Delete; False if there was nothing."""
        return self._transport.delete(self._collection, id_text(uuid))

    def delete_many(
        self,
        where: Filters,
        *,
        verbose: bool = False,
        dry_run: bool = False,
    ) -> DeleteManyReturn:
        """Delete every object that matches; there is no cap."""
        if not isinstance(where, Filters):
            raise TypeError(f"where must be a filter, got {where!r}")
        return self._transport.delete_many(
            self._collection, where, dry_run=dry_run, verbose=verbose
        )

    def exists(self, uuid: UuidInput) -> bool:
        """Whether there is an object with this id."""
        return self._transport.exists(self._collection, id_text(uuid))


def _as_uuid(text: str) -> uuid.UUID:
    return uuid.UUID(text)
