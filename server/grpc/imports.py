"""Imports: takes objects of any collections in, item by item, and says which did not go in.

Objects of one collection (and tenant) are written in one batch. What is wrong with an object is
said of that object alone; what is wrong with the node (disk full, closed) fails the whole import.
Imports that run at the same time read their objects in turns (engine/admission.py), and let the
event loop go first between two objects (server/right_of_way.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import ModuleFailure, RequestError, WeftError
from weftdb.core.objects import ObjectDraft
from weftdb.core.schema import canonical_collection_name
from weftdb.core.validation import ObjectValidator
from weftdb.engine.catalogue import Catalogue
from weftdb.server.grpc.batch_request import WireObject

T = TypeVar("T")

TURN_OBJECTS = 100
"""Objects that one import reads before another may: a millisecond or two."""
_OF_THE_OBJECT = (RequestError, ModuleFailure)
"""Errors that belong to one object, not to the node."""


class Source(Protocol):
    """An object that can be read when its turn comes."""

    @property
    def collection(self) -> str:
        """The collection's name, in any form."""
        ...

    @property
    def tenant(self) -> str:
        """The tenant, or the empty text."""
        ...

    def read(self) -> WireObject:
        """Decode. Raises RequestError."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the object at `index` did not go in."""

    index: int
    error: WeftError


def import_objects(
    catalogue: Catalogue, sources: Sequence[Source], level: ConsistencyLevel | None = None
) -> list[Failure]:
    """Write objects; return the failures, by index.

    Raises Unavailable and Fault: then nothing is known of the objects, and the same import may be
    tried again, as a write of the same object is the same write.
    """
    failures: list[Failure] = []
    groups: dict[tuple[str, str], list[tuple[int, WireObject]]] = {}
    for part in _in_turns(catalogue.write_turn, list(enumerate(sources))):
        for index, source in part:
            catalogue.give_way()
            try:
                key = (canonical_collection_name(source.collection), source.tenant)
                item = source.read()
                groups.setdefault(key, []).append((index, item))
            except _OF_THE_OBJECT as error:
                failures.append(Failure(index, error))
    for (collection, tenant), items in groups.items():
        failures += _import_group(catalogue, collection, tenant, items, level)
    failures.sort(key=lambda failure: failure.index)
    return failures


def _in_turns(turn: AbstractContextManager[bool], items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), TURN_OBJECTS):
        with turn:
            yield items[start : start + TURN_OBJECTS]


def _import_group(
    catalogue: Catalogue,
    collection: str,
    tenant: str,
    items: list[tuple[int, WireObject]],
    level: ConsistencyLevel | None,
) -> list[Failure]:
    failures: list[Failure] = []
    drafts: list[ObjectDraft] = []
    indexes: list[int] = []
    validator = _prepare_together(catalogue, collection, items)
    for part in _in_turns(catalogue.write_turn, items):
        for index, item in part:
            catalogue.give_way()
            try:
                checks = validator or catalogue.prepare(collection, [item.properties])
                drafts.append(
                    ObjectDraft(
                        id=item.id,
                        properties=checks.typed_properties(item.properties),
                        vectors=checks.vectors(item.unnamed, item.named),
                    )
                )
                indexes.append(index)
            except _OF_THE_OBJECT as error:
                failures.append(Failure(index, error))
    if not drafts:
        return failures
    try:
        outcomes = catalogue.served(collection).put(drafts, tenant=tenant, level=level)
    except _OF_THE_OBJECT as error:
        return failures + [Failure(index, error) for index in indexes]
    return failures + [
        Failure(index, outcome)
        for index, outcome in zip(indexes, outcomes, strict=True)
        if outcome is not None
    ]


def _prepare_together(
    catalogue: Catalogue, collection: str, items: list[tuple[int, WireObject]]
) -> ObjectValidator | None:
    """The checks for all; None if one object spoils it, so that each is prepared by itself."""
    try:
        return catalogue.prepare(collection, [item.properties for _, item in items])
    except _OF_THE_OBJECT:
        return None
