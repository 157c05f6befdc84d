"""Incarnations: which of the collections that ever had a name is the one held on this node.

A collection that was dropped and made again under its name while this node was away is another
one: nothing of the old one may appear in it. The row is written before the collection is made and
removed after it is dropped, so that whatever is held is known.
"""

from __future__ import annotations

from weftdb.core.types import CollectionName
from weftdb.storage import keys as rows
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch


class Incarnations:
    """Rows of the METADATA family, each durable when its call returns."""

    def __init__(self, directory: KeyValueStore) -> None:
        self._directory = directory

    def get(self, name: CollectionName) -> str | None:
        """The incarnation that is held, or is about to be made."""
        row = self._directory.get(Family.METADATA, rows.incarnation_key(name))
        return None if row is None else row.decode()

    def names(self) -> list[CollectionName]:
        """Every name that has one."""
        found = self._directory.scan(Family.METADATA, *rows.incarnation_range())
        return [CollectionName(rows.incarnation_name(key)) for key, _ in found]

    def put(self, name: CollectionName, incarnation: str) -> None:
        """Note what is about to be made."""
        batch = WriteBatch()
        batch.put(Family.METADATA, rows.incarnation_key(name), incarnation.encode())
        self._directory.wait_durable(self._directory.write(batch))

    def remove(self, name: CollectionName) -> None:
        """Note that nothing of that name is held."""
        batch = WriteBatch()
        batch.delete(Family.METADATA, rows.incarnation_key(name))
        self._directory.wait_durable(self._directory.write(batch))
