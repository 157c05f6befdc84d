"""MetadataStore: what all nodes agree on, as keys with values that change in one order.

Everybody sees the same changes in the same order, each with its revision. A change is decided by
reading, and committed on the condition that what was read still stands (compare-and-swap); who
comes second reads again. Whoever wants to know of changes lists a prefix, and watches it from the
revision of that list on.

Twins: `stored.StoredMetadata` over a `KeyValueStore` (one node, the library; over storage.memory in
tests and the simulation), and `server.etcd.store.EtcdMetadata`. One suite runs on all of them.

Keys are texts that begin with a slash (keys.py), in the order of their UTF-8 bytes; a prefix is
any first part of one. Values are bytes (records.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType, Protocol, TypeAlias

from weftdb.core.errors import LimitExceeded
from weftdb.core.limits import (
    METADATA_CHANGES_MAX,
    METADATA_KEY_BYTES_MAX,
    METADATA_TRANSACTION_BYTES_MAX,
)

Revision = NewType("Revision", int)
"""Grows with every commit. Opaque otherwise: twins may leave numbers out."""

LeaseId = NewType("LeaseId", int)

PART_OVERHEAD_BYTES = 64
"""What a condition or a change costs in a request, beside its key and value: no less than that."""


@dataclass(frozen=True, slots=True)
class Record:
    """A key as it is: `revision` is that of its last change."""

    key: str
    value: bytes
    revision: Revision
    lease: LeaseId | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All records below a prefix at one revision, in the order of their keys."""

    records: tuple[Record, ...]
    revision: Revision


@dataclass(frozen=True, slots=True)
class IsAbsent:
    """Holds where there is no such key."""

    key: str


@dataclass(frozen=True, slots=True)
class Exists:
    """Holds where there is such a key, whatever its value."""

    key: str


@dataclass(frozen=True, slots=True)
class IsAt:
    """Holds where the key has not been changed since `revision`, which a `Record` told."""

    key: str
    revision: Revision


Condition: TypeAlias = IsAbsent | Exists | IsAt


@dataclass(frozen=True, slots=True)
class Put:
    """Set a key; with a lease, for as long as that lives. A put takes the key from the lease that
    it had before."""

    key: str
    value: bytes
    lease: LeaseId | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key; absent is fine."""

    key: str


Change: TypeAlias = Put | Delete


@dataclass(frozen=True, slots=True)
class Transaction:
    """Changes that are made together if every condition holds, and not at all otherwise.

    Raises LimitExceeded at once for what no store would take, so that no half of a plan is begun.
    """

    changes: tuple[Change, ...]
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        assert self.changes, "a transaction without a change"
        keys = [change.key for change in self.changes]
        assert len(set(keys)) == len(keys), f"a key changes twice: {sorted(keys)}"
        for name, count in (("changes", len(keys)), ("conditions", len(self.conditions))):
            if count > METADATA_CHANGES_MAX:
                raise LimitExceeded(
                    f"a metadata transaction with {count} {name}; the most is "
                    f"{METADATA_CHANGES_MAX}"
                )
        for part in (*self.changes, *self.conditions):
            check_key(part.key)
        if self.size > METADATA_TRANSACTION_BYTES_MAX:
            raise LimitExceeded(
                f"a metadata transaction of {self.size} bytes; the most is "
                f"{METADATA_TRANSACTION_BYTES_MAX} (its largest key: {self._largest()})"
            )

    @property
    def size(self) -> int:
        """Bytes of the request, never too few."""
        parts = (*self.changes, *self.conditions)
        return sum(len(part.key.encode()) + PART_OVERHEAD_BYTES for part in parts) + sum(
            len(change.value) for change in self.changes if isinstance(change, Put)
        )

    def _largest(self) -> str:
        puts = [change for change in self.changes if isinstance(change, Put)]
        return max(puts, key=lambda put: len(put.value)).key if puts else self.changes[0].key


@dataclass(frozen=True, slots=True)
class Committed:
    """The changes are made, durably, and have this revision, which nothing else has."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is changed, because these conditions do not hold. Never empty."""

    failed: tuple[Condition, ...]


Outcome: TypeAlias = Committed | Refused


@dataclass(frozen=True, slots=True)
class Event:
    """A key was set, or (`value` None) removed: by a commit, or by the end of its lease."""

    key: str
    value: bytes | None
    revision: Revision


@dataclass(frozen=True, slots=True)
class Lease:
    """Keeps the keys that are bound to it until `ttl_s` seconds after it was last kept alive."""

    id: LeaseId
    ttl_s: float


class Watch(Protocol):
    """Changes below one prefix, for one thread that owns it."""

    def next(self, timeout_s: float) -> Sequence[Event]:
        """Wait for changes; return all that are there, in order, or none after `timeout_s`.

        All changes of one revision below the prefix come in one answer. Raises Compacted when
        changes that were not delivered are forgotten: list anew and watch from there; this watch
        is at its end. Raises MetadataUnavailable when nothing can be heard of the store for
        `timeout_s`: call again, nothing is lost.
        """
        ...

    def close(self) -> None:
        """Let go of it. Any thread may: a `next` that waits raises Closed."""
        ...


class MetadataStore(Protocol):
    """The agreed metadata. Thread-safe; a call blocks for as long as the store's time-out at most.

    Every method raises MetadataUnavailable when the store cannot be reached or cannot agree.
    """

    def get(self, key: str) -> Record | None:
        """The newest state of a key: no commit that ended before this call is missed."""
        ...

    def list(self, prefix: str) -> Snapshot:
        """Everything below `prefix` at one revision. It comes in pages, however much there is."""
        ...

    def commit(self, transaction: Transaction) -> Outcome:
        """Make all of the changes if all of the conditions hold. Durable when it returns.

        Raises CommitUnknown when the store went away before it could say what became of it;
        LeaseLost when a put is bound to a lease that is over; DiskFull.
        """
        ...

    def watch(self, prefix: str, after: Revision) -> Watch:
        """Follow the changes below `prefix` with revisions above `after`."""
        ...

    def grant(self, ttl_s: float) -> Lease:
        """Make a lease; the store may make it longer than asked for, never shorter."""
        ...

    def keep_alive(self, lease: LeaseId) -> float:
        """Let the lease begin anew; return its seconds. Raises LeaseLost when it is over."""
        ...

    def revoke(self, lease: LeaseId) -> None:
        """End a lease and remove its keys; one that is over already is fine."""
        ...

    def compact(self, revision: Revision) -> None:
        """Forget the history up to `revision`: watches that are not there yet become Compacted.

        The present state stays. A revision that is compacted already, or is still to come, does
        nothing, so that several nodes may all ask for it.
        """
        ...

    def close(self) -> None:
        """Let go of the store. Every call after it, and every watch, raises Closed."""
        ...


def check_key(key: str) -> None:
    """Raise LimitExceeded for a key that is too long. Requires: it begins with a slash."""
    assert key.startswith("/"), f"a metadata key begins with a slash: {key!r}"
    size = len(key.encode())
    if size > METADATA_KEY_BYTES_MAX:
        raise LimitExceeded(
            f"a metadata key of {size} bytes ({key[:80]}...); the most is {METADATA_KEY_BYTES_MAX}"
        )


def prefix_end(prefix: bytes) -> bytes:
    """The first key behind all that begin with `prefix`.

    UTF-8 has no byte 0xff, so the last byte can always be counted up.
    """
    assert prefix, "an empty prefix has no end"
    assert prefix[-1] < 0xFF, prefix
    return prefix[:-1] + bytes((prefix[-1] + 1,))
