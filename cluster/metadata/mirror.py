"""Mirror: what lies below one prefix of the metadata, as far as its follower has heard.

A follower lists and begins the mirror, then feeds what its watch tells. When the history is gone it
lists and begins anew: what differs comes out as events, as if the watch had told it. So whoever
acts on events need not know how the follower came by them; only events in between are left out, a
key that changed twice shows its last value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from weftdb.cluster.metadata.store import Event, Revision, Snapshot


@dataclass(frozen=True, slots=True)
class Known:
    """A key's value and the revision of its last change."""

    value: bytes
    revision: Revision


class Mirror:
    """Keys below `prefix` with their values. Not thread-safe."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.revision = Revision(0)
        """Everything up to there is known, of what the store has told."""
        self._known: dict[str, Known] = {}

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._known)

    def get(self, key: str) -> bytes | None:
        """The value of a key, or None."""
        known = self._known.get(key)
        return None if known is None else known.value

    def known(self, key: str) -> Known | None:
        """The value of a key with the revision of its last change, or None."""
        return self._known.get(key)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Keys and values, in no order."""
        return ((key, known.value) for key, known in self._known.items())

    def begin(self, snapshot: Snapshot) -> tuple[Event, ...]:
        """Become what was listed; return how that differs from what was known, by revision.

        It may be older than what was known: of a store that was put back from a backup.
        """
        listed = {each.key: Known(each.value, each.revision) for each in snapshot.records}
        gone = [Event(key, None, snapshot.revision) for key in self._known if key not in listed]
        changed = [
            Event(key, known.value, known.revision)
            for key, known in listed.items()
            if self._known.get(key) != known
        ]
        self._known = listed
        self.revision = snapshot.revision
        return tuple(sorted([*changed, *gone], key=lambda each: (each.revision, each.key)))

    def feed(self, events: Iterable[Event]) -> None:
        """Take in what a watch from `revision` on has told."""
        for event in events:
            assert event.key.startswith(self.prefix), (event.key, self.prefix)
            assert event.revision >= self.revision, (event.revision, self.revision)
            if event.value is None:
                self._known.pop(event.key, None)
            else:
                self._known[event.key] = Known(event.value, event.revision)
            self.revision = event.revision
