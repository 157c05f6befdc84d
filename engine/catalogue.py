"""Catalogue: changes collections one at a time, and gives every door the same checks.

Doors (REST, gRPC, library) come here with JSON or with values; the pure decisions are in
core/definition and core/auto_schema, the storing is the keeper's (schema_keeper.py).

Concurrency: one lock covers every read-decide-store of a definition, auto schema included; where
another node was faster, the decision is made anew from what it made. Reading takes no lock.
Requires: one catalogue a database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from weftdb.core.auto_schema import infer_collection, is_covered, widen
from weftdb.core.config import SchemaConfig
from weftdb.core.definition import (
    Surroundings,
    add_property,
    drop_property_index,
    drop_vector_index,
    parse_collection,
    update_collection,
)
from weftdb.core.env import Env
from weftdb.core.errors import CollectionExists, SchemaChanged, UnknownCollection
from weftdb.core.schema import Collection, canonical_collection_name
from weftdb.core.validation import ObjectValidator
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.schema_keeper import OwnSchema, SchemaKeeper
from weftdb.engine.serving import ServedCollection
from weftdb.modules.ports import Vectorizers

NO_VECTORIZER = "none"
TRIES_MAX = 20
"""A change that other nodes forestall so often is given up, retryable."""

Decision = Callable[[Collection], Collection]
"""From a definition to the next one; itself where nothing changes."""


class Catalogue:
    """The collections of one database, as its doors see them. Thread-safe."""

    def __init__(
        self, database: Database, config: SchemaConfig, vectorizers: Vectorizers, env: Env
    ) -> None:
        self._database = database
        self._config = config
        self._vectorizers = vectorizers
        self._env = env
        self._lock = threading.RLock()
        self._validators: dict[str, ObjectValidator] = {}
        self.keeper: SchemaKeeper = OwnSchema(database)
        """Makes the changes; in a cluster, all nodes agree on them first."""
        self.serve: Callable[[LocalCollection], ServedCollection] = _as_it_is
        """Makes of what this node has of a collection what doors work with; a cluster puts a router
        before it."""

    @property
    def is_auto(self) -> bool:
        """Whether writes may create collections and properties."""
        return self._config.auto_schema

    def all(self) -> Sequence[Collection]:
        """Every collection, by name."""
        return self._database.collections()

    @property
    def write_turn(self) -> AbstractContextManager[bool]:
        """Held by a door while it reads objects that are to be written (engine/admission.py)."""
        return self._database.admission.turn

    def give_way(self) -> None:
        """Called by a door between two objects that it reads (core/env.py)."""
        self._env.give_way()

    def get(self, name: str) -> Collection:
        """The collection called `name` in any form. Raises UnknownCollection."""
        return self.local(name).schema

    def local(self, name: str) -> LocalCollection:
        """What this node has of the collection called `name` in any form. Raises
        UnknownCollection."""
        canonical = canonical_collection_name(name)
        try:
            return self._database.collection(canonical)
        except UnknownCollection:
            if not self.keeper.arrives(canonical):
                raise
            return self._database.collection(canonical)

    def served(self, name: str) -> ServedCollection:
        """The objects of the collection called `name` in any form. Raises UnknownCollection."""
        return self.serve(self.local(name))

    def validator(self, name: str) -> ObjectValidator:
        """The checks of a collection, compiled once a state. Raises UnknownCollection."""
        schema = self.get(name)
        known = self._validators.get(schema.name)
        if known is None or known.collection is not schema:
            # Two threads may both compile; either result is right.
            known = self._validators[schema.name] = ObjectValidator(schema)
        return known

    def create(self, body: Any) -> Collection:
        """Add a collection from its JSON.

        Raises Malformed, FormatViolation, SchemaViolation, CollectionExists.
        """
        with self._lock:
            schema = parse_collection(body, self._config, self._surroundings())
            self._check_name(schema.name)
            self._check_vectorizers(schema)
            return self.keeper.create(schema)

    def update(self, name: str, body: Any) -> Collection:
        """Replace a definition by a compatible one. Raises UnknownCollection, SchemaViolation."""

        def decide(old: Collection) -> Collection:
            new = update_collection(old, body, self._config, self._surroundings())
            self._check_vectorizers(new)
            return new

        return self._change(name, decide)

    def add_property(self, name: str, body: Any) -> Mapping[str, Any]:
        """Add a property from its JSON and return its canonical JSON."""
        changed = self._change(
            name, lambda old: add_property(old, body, self._config, self._surroundings())
        )
        added: Mapping[str, Any] = changed.definition["properties"][-1]
        return added

    def drop_property_index(self, name: str, property_name: str, index: str) -> None:
        """Switch one index of one property off."""
        self._change(name, lambda old: drop_property_index(old, property_name, index))

    def drop_vector_index(self, name: str, vector: str) -> None:
        """Give the index of one vector back; its vectors stay stored."""
        self._change(name, lambda old: drop_vector_index(old, vector))

    def delete(self, name: str) -> bool:
        """Drop a collection and its objects; False if there was none."""
        with self._lock:
            canonical = canonical_collection_name(name)
            self._validators.pop(canonical, None)
            return self.keeper.drop(canonical)

    def prepare(self, name: str, objects: Sequence[Mapping[str, Any]]) -> ObjectValidator:
        """The checks of a collection that knows every property in `objects` (properties by name).

        With auto schema on, what is missing is added first, and either all of it or nothing.
        Raises UnknownCollection (auto schema off), SchemaViolation (a value without a type).
        """
        if not self.is_auto:
            return self.validator(name)
        known = self._known(name)
        if known is not None and all(is_covered(known, values) for values in objects):
            return self.validator(name)
        with self._lock:
            self._widen(name, objects)
            return self.validator(name)

    def _widen(self, name: str, objects: Sequence[Mapping[str, Any]]) -> None:
        now = datetime.fromtimestamp(self._env.clock.now_ms() / 1000, UTC)
        note = f"Made by auto schema on {now:%Y-%m-%dT%H:%M:%SZ}"
        if self._known(name) is None:
            body = infer_collection(name, self._config, note)
            empty = parse_collection(body, self._config, self._surroundings())
            try:
                self._check_name(empty.name)
                self.keeper.create(widen(empty, objects, self._config, note))
            except CollectionExists:
                if self._known(name) is None:  # Another node was faster, or the name is too alike.
                    raise
            else:
                return
        self._change(name, lambda old: widen(old, objects, self._config, note))

    def _known(self, name: str) -> Collection | None:
        try:
            return self.get(name)
        except UnknownCollection:
            return None

    def _change(self, name: str, decide: Decision) -> Collection:
        """Store what `decide` makes of the newest definition; again where it was not the newest.

        Raises what `decide` raises, UnknownCollection, SchemaChanged (too often forestalled).
        """
        with self._lock:
            for left in reversed(range(TRIES_MAX)):
                old = self.get(name)
                new = decide(old)
                if new is old:
                    return old
                try:
                    return self.keeper.replace(old, new)
                except SchemaChanged:
                    if not left:
                        raise
            raise AssertionError("unreachable: the last try returns or raises")

    def _check_name(self, name: str) -> None:
        for known in self._database.collections():
            if known.name == name:
                raise CollectionExists(f"class name {name} already exists")
            if known.name.lower() == name.lower():
                raise CollectionExists(f'class already exists: found similar class "{known.name}"')

    def _check_vectorizers(self, schema: Collection) -> None:
        for vector in schema.vectors:
            if vector.vectorizer != NO_VECTORIZER:
                module = self._vectorizers.get(vector.vectorizer)
                module.validate(vector.vectorizer_settings)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            collections=frozenset(item.name for item in self._database.collections()),
            vectorizers=frozenset(self._vectorizers.names()),
            node_count=self.keeper.node_count,
            factor_default=self.keeper.factor_default,
            async_indexing=self._config.async_indexing,
            deletes_expired=self._config.ttl_sweep_interval_s > 0,
        )


def _as_it_is(local: LocalCollection) -> ServedCollection:
    return local
