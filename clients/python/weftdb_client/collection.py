"""Collection: one collection, through `data`, `query`, `aggregate`, `batch` and `config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .batch import Batches
from .errors import NotFound
from .filters import Filters
from .object_writer import ObjectWriter
from .options import MetadataQuery
from .query import IncludeVector, Output, Query, ReturnProperties
from .requests import SearchRequest
from .results import AggregateReturn, Object
from .schema import Property
from .transport import Transport

PAGE_SIZE_DEFAULT = 100


class Aggregate:
    """`collection.aggregate`: counts."""

    def __init__(self, transport: Transport, collection: str) -> None:
        self._transport = transport
        self._collection = collection

    def over_all(
        self, *, filters: Filters | None = None, total_count: bool = True
    ) -> AggregateReturn:
        """Count the objects, or those that match."""
        count = self._transport.count(self._collection, filters) if total_count else None
        return AggregateReturn(total_count=count)


class Config:
    """`collection.config`: the definition of the collection."""

    def __init__(self, transport: Transport, collection: str) -> None:
        self._transport = transport
        self._collection = collection

    def get(self) -> Mapping[str, Any]:
        """The canonical definition in JSON form. Raises NotFound."""
        definition = self._transport.collection(self._collection)
        if definition is None:
            raise NotFound(f"there is no collection {self._collection}")
        return definition

    def add_property(self, prop: Property) -> None:
        """Add a property. Raises NotFound, RequestRefused."""
        modules = [
            module
            for vector in (self.get().get("vectorConfig") or {}).values()
            for module in vector.get("vectorizer", {})
            if module != "none"
        ]
        self._transport.add_property(self._collection, prop.to_json(sorted(set(modules))))


class Collection:
    """One collection. Making one costs nothing and asks nobody."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self.name = name
        self.data = ObjectWriter(transport, name)
        self.query = Query(transport, name)
        self.aggregate = Aggregate(transport, name)
        self.batch = Batches(transport, name)
        self.config = Config(transport, name)

    def exists(self) -> bool:
        """Whether the database has this collection."""
        return self._transport.collection(self.name) is not None

    def __len__(self) -> int:
        return self._transport.count(self.name, None)

    def __bool__(self) -> bool:
        # An empty collection is not a false one; without this `len` would decide.
        return True

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"

    def iterator(
        self,
        *,
        include_vector: IncludeVector = False,
        return_metadata: MetadataQuery | None = None,
        return_properties: ReturnProperties = None,
        cache_size: int = PAGE_SIZE_DEFAULT,
    ) -> Iterator[Object]:
        """Go through every object in the order of ids, `cache_size` at a time."""
        if cache_size < 1:
            raise ValueError(f"cache_size must be at least 1, got {cache_size}")
        fields = Output(
            return_properties=return_properties,
            return_metadata=return_metadata,
            include_vector=include_vector,
        ).fields()
        after: str | None = None
        while True:
            request = SearchRequest(collection=self.name, limit=cache_size, after=after, **fields)
            page = self._transport.search(request)
            yield from page
            if len(page) < cache_size:
                return
            after = str(page[-1].uuid)
