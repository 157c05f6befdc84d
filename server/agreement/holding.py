"""DatabaseHolder: the engine's database, as the applier changes it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from weftdb.core.errors import UnknownCollection
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, ShardName
from weftdb.engine.database import Database


class DatabaseHolder:
    """What is held on this node. Thread-safe, as the database is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: CollectionName) -> Collection | None:
        """The definition that is held."""
        try:
            return self._database.collection(name).schema
        except UnknownCollection:
            return None

    def names(self) -> Iterable[CollectionName]:
        """Every collection that is held."""
        return [CollectionName(schema.name) for schema in self._database.collections()]

    def shards_of(self, name: CollectionName) -> Iterable[ShardName]:
        """The shards that are held of a collection."""
        return list(self._database.collection(name).shards)

    def create(self, definition: Collection, shards: Sequence[ShardName]) -> None:
        """Make a collection with empty shards, perhaps none."""
        self._database.create_collection(definition, shards)

    def change(self, definition: Collection) -> None:
        """Replace the definition by a compatible one."""
        self._database.update_collection(definition)

    def add_shard(self, name: CollectionName, shard: ShardName) -> None:
        """Make an empty shard more."""
        self._database.add_shard(name, shard)

    def set_read_only(self, name: CollectionName, shards: Container[ShardName]) -> None:
        """Have these of the held shards refuse writes, and the others take them."""
        local = self._database.collection(name)
        for shard in local.shards:
            is_read_only = shard in shards
            if is_read_only != (shard in local.read_only):
                local.set_read_only(shard, is_read_only=is_read_only)

    def drop(self, name: CollectionName) -> None:
        """Remove a collection with all of its shards."""
        self._database.delete_collection(name)

    def check(self, definition: Collection) -> None:
        """Raise SchemaViolation for a definition that this node could not serve."""
        self._database.check(definition)
