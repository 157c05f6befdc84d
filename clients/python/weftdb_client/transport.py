"""Transport: what the client needs of a database, near or far.

Two implementations: `embedded.py` calls the engine in this process, `remote.py` speaks to a server.
Both raise the errors of `errors.py`. Thread-safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .filters import Filters
from .requests import SearchRequest, Vector
from .results import DeleteManyReturn, Object

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NewObject:
    """An object on its way in: properties in JSON form, vectors by name ("" the only one)."""

    object_id: str
    properties: Mapping[str, Any]
    vectors: Mapping[str, Vector] = field(default_factory=dict)


class Transport(Protocol):
    """Carries requests to a database."""

    def create_collection(self, definition: Mapping[str, Any]) -> Json:
        """Add a collection; its canonical definition. Raises AlreadyExists, RequestRefused."""
        ...

    def collection(self, name: str) -> Json | None:
        """The definition, or None."""
        ...

    def collections(self) -> list[Json]:
        """Every definition, by name."""
        ...

    def delete_collection(self, name: str) -> None:
        """Drop a collection; none is fine."""
        ...

    def add_property(self, name: str, definition: Mapping[str, Any]) -> None:
        """Add a property. Raises NotFound, RequestRefused."""
        ...

    def insert(self, collection: str, item: NewObject) -> None:
        """Store a new object. Raises AlreadyExists, RequestRefused."""
        ...

    def insert_many(self, collection: str, items: Sequence[NewObject]) -> list[str | None]:
        """Store objects, existing ids are replaced; a message for each that failed."""
        ...

    def replace(self, collection: str, item: NewObject) -> None:
        """Store in place of the object with this id. Raises NotFound, RequestRefused."""
        ...

    def update(self, collection: str, item: NewObject) -> None:
        """Change single properties (None removes) and vectors. Raises NotFound."""
        ...

    def delete(self, collection: str, object_id: str) -> bool:
        """Delete; False if there was nothing."""
        ...

    def exists(self, collection: str, object_id: str) -> bool:
        """Whether there is an object."""
        ...

    def delete_many(
        self, collection: str, filters: Filters, *, dry_run: bool, verbose: bool
    ) -> DeleteManyReturn:
        """Delete everything that matches."""
        ...

    def search(self, request: SearchRequest) -> list[Object]:
        """Carry out a read."""
        ...

    def count(self, collection: str, filters: Filters | None) -> int:
        """Objects, or those that match."""
        ...

    def meta(self) -> Json:
        """Version and modules."""
        ...

    def is_ready(self) -> bool:
        """Whether requests are answered."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
