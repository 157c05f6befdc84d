"""SchemaKeeper: who makes, changes and drops collections for the catalogue.

On one node it is `OwnSchema`, the database itself. In a cluster the nodes agree on each change
first (server/agreement/agreed_schema.py): another node may change a collection at the same time,
which `replace` then says, and collections come into being that this node has not heard of yet.
"""

from __future__ import annotations

from typing import Protocol

from weftdb.core.schema import Collection
from weftdb.engine.database import Database


class SchemaKeeper(Protocol):
    """Makes changes that the catalogue has decided. Thread-safe.

    Every change is here when its call returns. In a cluster, each raises MetadataUnavailable or
    CommitUnknown where the nodes cannot agree.
    """

    @property
    def node_count(self) -> int:
        """Nodes that a replica can be given to."""
        ...

    @property
    def factor_default(self) -> int:
        """Replicas of a collection that asks for no number."""
        ...

    def arrives(self, name: str) -> bool:
        """Whether a collection that is not here (canonical name) was made by somebody; it is here
        when this returns True. Waits briefly at most."""
        ...

    def create(self, definition: Collection) -> Collection:
        """Add a collection. Raises CollectionExists, SchemaViolation."""
        ...

    def replace(self, old: Collection, new: Collection) -> Collection:
        """Put `new`, which was decided from `old`, in its place.

        Raises SchemaChanged where `old` is not the newest definition any more; the newer one is
        here by then. Raises UnknownCollection where it is gone.
        """
        ...

    def drop(self, name: str) -> bool:
        """Drop a collection (canonical name) and its objects; False if there was none."""
        ...


class OwnSchema:
    """The schema of one node: what its database has."""

    node_count = 1
    factor_default = 1

    def __init__(self, database: Database) -> None:
        self._database = database

    def arrives(self, name: str) -> bool:
        """Nobody else makes collections."""
        return False

    def create(self, definition: Collection) -> Collection:
        """Add a collection."""
        return self._database.create_collection(definition).schema

    def replace(self, old: Collection, new: Collection) -> Collection:
        """Store the new definition. Requires: nobody else changes it meanwhile."""
        return self._database.update_collection(new).schema

    def drop(self, name: str) -> bool:
        """Drop a collection and its objects."""
        return self._database.delete_collection(name)
