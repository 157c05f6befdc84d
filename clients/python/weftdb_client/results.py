"""What the client gives back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class MetadataReturn:
    """Metadata of a hit; None where it was not asked for or does not apply."""

    creation_time: datetime | None = None
    last_update_time: datetime | None = None
    distance: float | None = None
    certainty: float | None = None
    score: float | None = None
    explain_score: str | None = None


@dataclass(frozen=True)
class Object:
    """A stored object. `vector` maps names to vectors; an unnamed one is called `default`."""

    uuid: uuid.UUID
    properties: Mapping[str, Any]
    metadata: MetadataReturn
    vector: Mapping[str, Any]
    collection: str


@dataclass(frozen=True)
class QueryReturn:
    """Hits, best first."""

    objects: list[Object]


@dataclass(frozen=True)
class InsertFailure:
    """An object that a batch could not write."""

    message: str
    object_id: str


@dataclass(frozen=True)
class BatchObjectReturn:
    """Outcome of `insert_many`, by position in the list given."""

    uuids: Mapping[int, uuid.UUID]
    errors: Mapping[int, InsertFailure]
    elapsed_seconds: float

    @property
    def has_errors(self) -> bool:
        """Whether any object failed."""
        return bool(self.errors)


@dataclass(frozen=True)
class DeleteManyObject:
    """One object that a delete by filter matched."""

    uuid: uuid.UUID
    successful: bool
    error: str | None = None


@dataclass(frozen=True)
class DeleteManyReturn:
    """Outcome of a delete by filter. `objects` is None unless `verbose` was set."""

    failed: int
    matches: int
    successful: int
    objects: list[DeleteManyObject] | None = None


@dataclass(frozen=True)
class AggregateReturn:
    """Counts over a collection."""

    total_count: int | None
    properties: Mapping[str, Any] = field(default_factory=dict)
