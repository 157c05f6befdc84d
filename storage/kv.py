"""KeyValueStore: ordered byte keys by family and atomic batches; the port to the LSM tree.

Lifecycle of a write: collect it in a `WriteBatch`, `write` it (atomic, visible to every reader,
in the log but not yet synced), then `wait_durable` for the returned ticket before anyone is told.
Writers that wait at the same time share one sync (group commit).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import NewType, Protocol

Ticket = NewType("Ticket", int)
"""Grows with every write; a ticket is durable once a sync has begun after its write."""


class Family(Enum):
    """The column families. The values are on disk: never reuse one."""

    __hash__ = object.__hash__  # Members are single; Enum would hash their names in Python.

    OBJECTS = "objects"
    IDS = "ids"
    VECTORS = "vectors"
    FILTERABLE = "filterable"
    SEARCHABLE = "searchable"
    LENGTHS = "lengths"
    METADATA = "metadata"
    STATES = "states"
    HINTS = "hints"


class WriteBatch:
    """Changes that become visible together or not at all, in the order they were added."""

    __slots__ = ("bytes", "operations")

    def __init__(self) -> None:
        self.operations: list[tuple[Family, bytes, bytes | None, bytes | None]] = []
        """(family, key, value, None) puts; (family, key, None, None) deletes one key;
        (family, start, None, end) deletes the half-open range."""
        self.bytes = 0

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Set `key`."""
        self.operations.append((family, key, value, None))
        self.bytes += len(key) + len(value)

    def delete(self, family: Family, key: bytes) -> None:
        """Remove `key`; absent is fine."""
        self.operations.append((family, key, None, None))
        self.bytes += len(key)

    def delete_range(self, family: Family, start: bytes, end: bytes) -> None:
        """Remove every key in [start, end)."""
        assert start <= end, (start, end)
        self.operations.append((family, start, None, end))
        self.bytes += len(start) + len(end)


class Reader(Protocol):
    """Reads one state of the store."""

    def get(self, family: Family, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        ...

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        ...

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end, ascending (or descending), as of the first moment.

        There is no view that spans several reads: rocksdict 0.3 iterates a snapshot as of now.
        """
        ...


class KeyValueStore(Reader, Protocol):
    """An ordered, crash-safe store."""

    def write(self, batch: WriteBatch) -> Ticket:
        """Apply `batch` atomically. Visible at once, durable after `wait_durable`.

        Raises DiskFull, Overloaded (flushing is far behind), Closed.
        """
        ...

    def wait_durable(self, ticket: Ticket) -> None:
        """Return when everything up to `ticket` is on disk. Raises DiskFull, Fault, Closed."""
        ...

    def is_durable(self, ticket: Ticket) -> bool:
        """Whether it is on disk by now, as far as is known; does not wait."""
        ...

    def compact(self, family: Family, start: bytes, end: bytes) -> None:
        """Give the space of deleted keys in the range back."""
        ...

    def checkpoint(self, path: Path) -> None:
        """Make an openable copy of the present state at `path` (hard links where possible)."""
        ...

    def metrics(self) -> dict[str, int]:
        """Counters and sizes: memtable_bytes, cache_bytes, disk_bytes, syncs, writes, ..."""
        ...

    def close(self) -> None:
        """Sync and let go of the directory."""
        ...
