"""Ledger: what the writers were told, object by object.

Every key belongs to one writer, so its history is a line: a state that was acknowledged, and at
most one change in flight. After a crash an object must be in exactly one of the two, whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

ABSENT = 0
"""The revision of an object that is not there."""


@dataclass(slots=True)
class Entry:
    """One key: revisions count its writes, ABSENT means deleted or never written."""

    key: str
    writer: int
    acknowledged: int = ABSENT
    in_flight: int | None = None
    revisions: int = 0
    """Highest revision that was ever sent, so that a new one is new."""
    touched: bool = False
    """Written to since the last settlement."""

    @property
    def allowed(self) -> frozenset[int]:
        """The revisions that the object may have after a crash."""
        if self.in_flight is None:
            return frozenset({self.acknowledged})
        return frozenset({self.acknowledged, self.in_flight})

    @property
    def candidates(self) -> tuple[int, ...]:
        """Revisions worth asking for: the allowed ones and the two before, which must be gone."""
        recent = {self.revisions, self.revisions - 1, self.revisions - 2, *self.allowed}
        return tuple(sorted(item for item in recent if item > ABSENT))


@dataclass
class Ledger:
    """All entries. Concurrency: any thread; each key is changed by its own writer only."""

    entries: dict[str, Entry] = field(default_factory=dict)
    acknowledged_count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _frozen: bool = False

    def add(self, key: str, writer: int) -> Entry:
        """Begin the history of a new key."""
        with self._lock:
            assert key not in self.entries, key
            entry = Entry(key, writer)
            self.entries[key] = entry
            return entry

    def begin_write(self, entry: Entry) -> int:
        """Note that a new revision is about to be sent; returns it."""
        assert entry.in_flight is None, entry
        entry.revisions += 1
        entry.in_flight = entry.revisions
        entry.touched = True
        return entry.revisions

    def begin_delete(self, entry: Entry) -> None:
        """Note that a delete is about to be sent."""
        assert entry.in_flight is None, entry
        entry.in_flight = ABSENT
        entry.touched = True

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """The server said yes to what is in flight."""
        with self._lock:
            if self._frozen:
                return
            for entry in entries:
                assert entry.in_flight is not None, entry
                entry.acknowledged, entry.in_flight = entry.in_flight, None
                self.acknowledged_count += 1

    def freeze(self) -> None:
        """Take no more acknowledgements: the writers of this round are gone."""
        with self._lock:
            self._frozen = True

    def settle(self, found: dict[str, int]) -> None:
        """Take what a check has found as the new truth, and open for the next round."""
        with self._lock:
            for key, revision in found.items():
                entry = self.entries[key]
                assert revision in entry.allowed, (entry, revision)
                entry.acknowledged, entry.in_flight, entry.touched = revision, None, False
            gone = [
                entry.key
                for entry in self.entries.values()
                if entry.acknowledged == ABSENT and not entry.touched
            ]
            self._retire(gone)
            self._frozen = False

    def _retire(self, gone: list[str], kept_max: int = 200) -> None:
        """Forget the oldest deleted keys, so that rounds stay short."""
        for key in gone[:-kept_max]:
            del self.entries[key]

    def of_writer(self, writer: int) -> list[Entry]:
        """The entries that one writer may change."""
        with self._lock:
            return [entry for entry in self.entries.values() if entry.writer == writer]
