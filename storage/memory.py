"""MemoryStore: a KeyValueStore in sorted lists. The model that RocksStore is tested against."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from pathlib import Path

from weftdb.core.errors import Closed, Unsupported
from weftdb.storage.kv import Family, Ticket, WriteBatch


class _View:
    """One state: values by key, and the keys in order."""

    def __init__(self, families: dict[Family, tuple[list[bytes], dict[bytes, bytes]]]) -> None:
        self._families = families

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._families[family][1].get(key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        values = self._families[family][1]
        return [values.get(key) for key in keys]

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        keys, values = self._families[family]
        found = keys[bisect_left(keys, start) : bisect_left(keys, end)]
        pairs = [(key, values[key]) for key in found]
        return iter(pairs[::-1] if reverse else pairs)


class MemoryStore:
    """Holds everything in memory; durable means nothing here.

    Concurrency: one lock around every call; a scan sees the state of its first moment.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._families: dict[Family, tuple[list[bytes], dict[bytes, bytes]]] = {
            family: ([], {}) for family in Family
        }
        self._view = _View(self._families)
        self._writes = 0
        self._closed = False

    def get(self, family: Family, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        with self._open():
            return self._view.get(family, key)

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of `keys`, in their order."""
        with self._open():
            return self._view.get_many(family, keys)

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < end."""
        with self._open():
            return self._until_closed(self._view.scan(family, start, end, reverse=reverse))

    def write(self, batch: WriteBatch) -> Ticket:
        """Apply `batch`."""
        with self._open():
            for family, key, value, end in batch.operations:
                if value is not None:
                    self._put(family, key, value)
                elif end is not None:
                    self._delete_range(family, key, end)
                else:
                    self._delete(family, key)
            self._writes += 1
            return Ticket(self._writes)

    def wait_durable(self, ticket: Ticket) -> None:
        """Return at once: memory is as durable as it gets."""
        with self._open():
            assert ticket <= self._writes, f"ticket {ticket} of the future"

    def is_durable(self, ticket: Ticket) -> bool:
        """Always: memory is as durable as it gets."""
        return True

    def compact(self, family: Family, start: bytes, end: bytes) -> None:
        """Nothing to give back."""
        self._open()

    def checkpoint(self, path: Path) -> None:
        """Refuse: there are no files. Raises Unsupported."""
        self._open()
        raise Unsupported(f"a memory store cannot be written to {path}")

    def metrics(self) -> dict[str, int]:
        """Counters."""
        with self._open():
            keys = sum(len(keys) for keys, _ in self._families.values())
            return {"writes": self._writes, "syncs": self._writes, "keys": keys}

    def close(self) -> None:
        """Forget nothing, but refuse further calls."""
        self._closed = True

    def _open(self) -> threading.RLock:
        if self._closed:
            raise Closed("the store is closed")
        return self._lock

    def _until_closed(self, pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for pair in pairs:
            self._open()
            yield pair

    def _put(self, family: Family, key: bytes, value: bytes) -> None:
        keys, values = self._families[family]
        if key not in values:
            insort(keys, key)
        values[key] = value

    def _delete(self, family: Family, key: bytes) -> None:
        keys, values = self._families[family]
        if values.pop(key, None) is not None:
            del keys[bisect_left(keys, key)]

    def _delete_range(self, family: Family, start: bytes, end: bytes) -> None:
        keys, values = self._families[family]
        first, last = bisect_left(keys, start), bisect_left(keys, end)
        for key in keys[first:last]:
            del values[key]
        del keys[first:last]
