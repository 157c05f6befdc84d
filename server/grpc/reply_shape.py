"""ReplyShape: what a search gives back of each hit, worked out once for requests that ask alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from weftdb.core.schema import Collection
from weftdb.core.types import UNNAMED, VectorName
from weftdb.index.kernels import _native
from weftdb.proto.v1 import search_pb2
from weftdb.server.grpc import wire
from weftdb.server.grpc.selection import Selection, parse_selection

_TARGET_COLLECTION = 3


@dataclass(frozen=True, slots=True)
class ReplyShape:
    """Everything about a hit's part of the reply that does not depend on the hit."""

    head: bytes
    """The first field of every `PropertiesResult`: the collection's name."""
    selection: Selection
    id: bool = False
    created: bool = False
    updated: bool = False
    distance: bool = False
    certainty: bool = False
    score: bool = False
    explain: bool = False
    consistency: bool = False
    """Whether the replicas of each hit agreed, where more than one was asked."""
    vectors: tuple[VectorName, ...] = ()
    is_named: bool = False
    """Whether vectors travel with their names."""
    native: _native.Reply = field(init=False)
    """The same, ready to write results."""

    def __post_init__(self) -> None:
        native = _native.Reply(
            self.head,
            native_selection(self.selection),
            id=self.id,
            created=self.created,
            updated=self.updated,
            distance=self.distance,
            certainty=self.certainty,
            score=self.score,
        )
        object.__setattr__(self, "native", native)


def native_selection(selection: Selection) -> _native.ReplySelection:
    """The native twin of a selection."""
    return _native.ReplySelection(
        list(selection.names),
        [None if inner is None else native_selection(inner) for inner in selection.names.values()],
        [selection.nulls.get(name, b"") for name in selection.names],
    )


def parse_shape(
    request: search_pb2.SearchRequest, collection: Collection, group_by: str | None = None
) -> ReplyShape:
    """Work out the shape. Raises SchemaViolation, InvalidRequest, Unsupported."""
    wanted = request.properties if request.HasField("properties") else None
    selection = parse_selection(wanted, collection, (group_by,) if group_by else ())
    metadata = request.metadata
    return ReplyShape(
        head=wire.field(_TARGET_COLLECTION, collection.name.encode()),
        selection=selection,
        id=metadata.uuid,
        created=metadata.creation_time_unix,
        updated=metadata.last_update_time_unix,
        distance=metadata.distance,
        certainty=metadata.certainty,
        score=metadata.score,
        explain=metadata.explain_score,
        consistency=metadata.is_consistent,
        vectors=_vectors(metadata, collection),
        is_named=collection.is_named,
    )


def _vectors(
    metadata: search_pb2.MetadataRequest, collection: Collection
) -> tuple[VectorName, ...]:
    """The vectors to give back; names that the collection does not have are no error."""
    if not collection.is_named:
        return (UNNAMED,) if metadata.vector and collection.vectors else ()
    if metadata.vector:
        return tuple(config.name for config in collection.vectors)
    known = collection.vector_by_name
    return tuple(VectorName(name) for name in metadata.vectors if name in known)


class ShapeCache:
    """The shapes of recent requests, by what they ask and of which state of a collection."""

    def __init__(self, entries_max: int = 1024) -> None:
        self._entries_max = entries_max
        self._shapes: dict[tuple[bytes, bytes, str | None], tuple[Collection, ReplyShape]] = {}

    def shape(
        self, request: search_pb2.SearchRequest, collection: Collection, group_by: str | None = None
    ) -> ReplyShape:
        """The shape for `request`. Raises as `parse_shape` does.

        Concurrency: called by the event loop only.
        """
        wanted = (
            b"\x01" + request.properties.SerializeToString()
            if request.HasField("properties")
            else b""
        )
        key = (
            wanted,
            request.metadata.SerializeToString(),
            f"{collection.name}\n{group_by or ''}",
        )
        found = self._shapes.get(key)
        if found is not None and found[0] is collection:
            return found[1]
        shape = parse_shape(request, collection, group_by)
        if len(self._shapes) >= self._entries_max:
            self._shapes.clear()
        self._shapes[key] = (collection, shape)
        return shape
