"""Batch: a long import, written in portions while objects are added.

with collection.batch.fixed_size(1000, progress=True, total=50_000) as batch:
    for row in rows:
        batch.add_object(row)
print(batch.failed_objects)
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .ids import UuidInput
from .new_objects import VectorInput, new_object
from .progress import Progress
from .results import InsertFailure
from .transport import NewObject, Transport

BATCH_SIZE_DEFAULT = 1_000


class Batch:
    """A running import. Not thread-safe: one import, one thread."""

    def __init__(
        self, transport: Transport, collection: str, size: int, progress: Progress
    ) -> None:
        self._transport = transport
        self._collection = collection
        self._size = size
        self._progress = progress
        self._waiting: list[NewObject] = []
        self.failed_objects: list[InsertFailure] = []
        self.stored_count = 0

    @property
    def number_errors(self) -> int:
        """How many objects failed so far."""
        return len(self.failed_objects)

    def add_object(
        self,
        properties: Mapping[str, Any] | None = None,
        *,
        uuid: UuidInput | None = None,
        vector: VectorInput | None = None,
    ) -> uuids.UUID:
        """Add an object and return its id; writes when a portion is full."""
        item = new_object(properties, uuid, vector)
        self._waiting.append(item)
        if len(self._waiting) >= self._size:
            self.flush()
        return uuids.UUID(item.object_id)

    def flush(self) -> None:
        """Write what is waiting. Raises as the transport does; then it stays waiting."""
        if not self._waiting:
            return
        messages = self._transport.insert_many(self._collection, self._waiting)
        for item, message in zip(self._waiting, messages, strict=True):
            if message is None:
                self.stored_count += 1
            else:
                self.failed_objects.append(InsertFailure(message, item.object_id))
        self._progress.advance(len(self._waiting))
        self._waiting = []

    def __enter__(self) -> Batch:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._progress.stop()


class Batches:
    """`collection.batch`."""

    def __init__(self, transport: Transport, collection: str) -> None:
        self._transport = transport
        self._collection = collection

    def fixed_size(
        self,
        batch_size: int = BATCH_SIZE_DEFAULT,
        *,
        progress: bool = False,
        total: int | None = None,
    ) -> Batch:
        """Write portions of `batch_size`; `progress` shows a bar (of `total`, where known)."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        bar = Progress(f"importing {self._collection}", total=total, is_shown=progress)
        return Batch(self._transport, self._collection, batch_size, bar)

    def dynamic(self, *, progress: bool = False, total: int | None = None) -> Batch:
        """Leave the size of portions to the client."""
        return self.fixed_size(progress=progress, total=total)
