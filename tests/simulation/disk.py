"""LossyStore: a store whose crash loses what was not synced; never reorders, never tears a batch.

A batch is visible at once and durable after a sync. On a crash, a seeded number of the batches that
were not synced survive, always the oldest ones: a write-ahead log is written in order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from weftdb.storage.kv import Family, Ticket, WriteBatch
from weftdb.storage.memory import MemoryStore


class LossyStore:
    """A KeyValueStore over memory. `wait_durable` cannot wait in virtual time: it notes the ticket,
    and the node holds its answer back until `sync` has covered it."""

    def __init__(self) -> None:
        self._durable = MemoryStore()
        self._visible = MemoryStore()
        self._unsynced: list[WriteBatch] = []
        self._written = Ticket(0)
        self.synced = Ticket(0)
        self.awaited = Ticket(0)
        """The newest ticket that someone wants to be durable."""

    @property
    def written(self) -> Ticket:
        """The ticket of the newest write."""
        return self._written

    # As KeyValueStore.

    def get(self, family: Family, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        return self._visible.get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        return self._visible.get_many(family, keys)

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end."""
        return self._visible.scan(family, start, end, reverse=reverse)

    def write(self, batch: WriteBatch) -> Ticket:
        """Apply `batch`; a crash before the next sync may lose it."""
        self._visible.write(batch)
        self._unsynced.append(batch)
        self._written = Ticket(self._written + 1)
        return self._written

    def wait_durable(self, ticket: Ticket) -> None:
        """Note that someone waits for `ticket`."""
        assert ticket <= self._written, f"ticket {ticket} of the future"
        self.awaited = max(self.awaited, ticket)

    def is_durable(self, ticket: Ticket) -> bool:
        """Whether a crash could not take it any more."""
        return ticket <= self._written - len(self._unsynced)

    def compact(self, family: Family, start: bytes, end: bytes) -> None:
        """Nothing to give back."""

    def checkpoint(self, path: Path) -> None:
        """Refuse: there are no files. Raises Unsupported."""
        self._visible.checkpoint(path)

    def metrics(self) -> dict[str, int]:
        """Counters."""
        return self._visible.metrics()

    def close(self) -> None:
        """Sync: an orderly stop loses nothing."""
        self.sync(self._written)

    # As the world sees it.

    def sync(self, ticket: Ticket) -> None:
        """Make everything up to `ticket` durable."""
        assert ticket <= self._written, f"ticket {ticket} of the future"
        count = max(0, ticket - self.synced)
        for batch in self._unsynced[:count]:
            self._durable.write(batch)
        del self._unsynced[:count]
        self.synced = max(self.synced, ticket)

    def crash(self, dice: random.Random) -> int:
        """Lose a seeded suffix of what was not synced; the number of batches that are gone."""
        kept = dice.randint(0, len(self._unsynced))
        lost = len(self._unsynced) - kept
        for batch in self._unsynced[:kept]:
            self._durable.write(batch)
        self._unsynced.clear()
        self._visible = _copy(self._durable)
        self.synced = self.awaited = self._written
        return lost

    def wipe(self) -> None:
        """Lose everything: the disk was replaced by an empty one."""
        self._durable, self._visible = MemoryStore(), MemoryStore()
        self._unsynced.clear()
        self.synced = self.awaited = self._written


class SyncedStore:
    """The same disk for who waits until it has synced, which takes no virtual time."""

    def __init__(self, disk: LossyStore) -> None:
        self._disk = disk
        self.get = disk.get
        self.get_many = disk.get_many
        self.scan = disk.scan
        self.write = disk.write

    def wait_durable(self, ticket: Ticket) -> None:
        """Sync up to `ticket`."""
        self._disk.sync(ticket)


def _copy(store: MemoryStore) -> MemoryStore:
    twin = MemoryStore()
    for family in Family:
        batch = WriteBatch()
        for key, value in store.scan(family, b"", b"\xff" * 64):
            batch.put(family, key, value)
        twin.write(batch)
    return twin
