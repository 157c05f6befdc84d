"""StoredMetadata: the metadata of one process in a `KeyValueStore`, with revisions of its own.

    METADATA  := agreed_key(key)        -> revision:u64 lease:u64 value     # lease 0: none
               | agreed_lease_key(key)  -> empty                            # where lease is not 0
               | AGREED_REVISION_KEY    -> revision:u64

The numbers are big-endian. Over RocksDB it is what a single node and the library keep; over
storage.memory it is the agreed store of tests and of the simulation. A commit holds everybody else
until it is on disk: changes of metadata are rare, and nobody is told of one that a crash takes
back. Leases belong to the process: opening the store ends those that it finds. The history that
watches read is in memory and bounded, so a watch from before the opening is Compacted.

Time comes from the clock that is handed in. A lease ends at its first moment past due at which
anybody calls; whoever waits in a watch wakes for it.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from weftdb.cluster.metadata.store import (
    Change,
    Committed,
    Condition,
    Delete,
    Event,
    Exists,
    IsAbsent,
    IsAt,
    Lease,
    LeaseId,
    Outcome,
    Put,
    Record,
    Refused,
    Revision,
    Snapshot,
    Transaction,
    Watch,
    check_key,
    prefix_end,
)
from weftdb.cluster.metadata.turn import Alone, Turn
from weftdb.core.env import Clock
from weftdb.core.errors import Closed, Compacted, CorruptData, LeaseLost
from weftdb.core.limits import METADATA_HISTORY_EVENTS_MAX
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch

_REVISION = struct.Struct(">Q")
_HEAD = struct.Struct(">QQ")
_FIRST = Revision(1)
"""Of a store that nothing was ever written to, as in etcd."""


@dataclass(slots=True)
class _Held:
    """A lease that lives: when it ends, and its keys."""

    ttl_s: float
    ends_s: float
    keys: set[str] = field(default_factory=set)


class StoredMetadata:
    """A MetadataStore over the METADATA family of `store`, which somebody else closes.

    Thread-safe with a `turn` that locks. Without one, a single thread may use it, and its watches
    return at once.
    """

    def __init__(
        self,
        store: KeyValueStore,
        clock: Clock,
        turn: Turn | None = None,
        *,
        history_events_max: int = METADATA_HISTORY_EVENTS_MAX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._turn: Turn = Alone() if turn is None else turn
        self._history_events_max = history_events_max
        self._history: list[Event] = []
        self._leases: dict[LeaseId, _Held] = {}
        self._leases_given = 0
        self._is_closed = False
        self._revision = _stored_revision(store)
        self._end_found_leases()
        self._compacted = self._revision

    def get(self, key: str) -> Record | None:
        """The newest state of a key."""
        check_key(key)
        with self._turn:
            self._begin()
            return self._read(key)

    def list(self, prefix: str) -> Snapshot:
        """Everything below `prefix` at one revision."""
        check_key(prefix)
        first = keys.agreed_key(prefix.encode())
        with self._turn:
            self._begin()
            found = self._store.scan(Family.METADATA, first, prefix_end(first))
            records = tuple(_decode(keys.agreed_key_of(key).decode(), row) for key, row in found)
            return Snapshot(records, self._revision)

    def commit(self, transaction: Transaction) -> Outcome:
        """Make all of the changes if all of the conditions hold."""
        with self._turn:
            self._begin()
            failed = tuple(each for each in transaction.conditions if not self._holds(each))
            if failed:
                return Refused(failed)
            for change in transaction.changes:
                if isinstance(change, Put) and change.lease is not None:
                    self._held(change.lease)
            return Committed(self._apply(transaction.changes))

    def watch(self, prefix: str, after: Revision) -> Watch:
        """Follow the changes below `prefix`."""
        check_key(prefix)
        with self._turn:
            self._begin()
            return _StoredWatch(self, prefix, after)

    def grant(self, ttl_s: float) -> Lease:
        """Make a lease of exactly `ttl_s`."""
        assert ttl_s > 0, ttl_s
        with self._turn:
            self._begin()
            self._leases_given += 1
            lease = LeaseId(self._leases_given)
            self._leases[lease] = _Held(ttl_s, self._clock.monotonic_s() + ttl_s)
            self._turn.notify_all()  # A watch that waits may have to wake for it.
            return Lease(lease, ttl_s)

    def keep_alive(self, lease: LeaseId) -> float:
        """Let the lease begin anew."""
        with self._turn:
            self._begin()
            held = self._held(lease)
            held.ends_s = self._clock.monotonic_s() + held.ttl_s
            return held.ttl_s

    def revoke(self, lease: LeaseId) -> None:
        """End a lease and remove its keys."""
        with self._turn:
            self._begin()
            if lease in self._leases:
                self._end(lease)

    def compact(self, revision: Revision) -> None:
        """Forget the history up to `revision`."""
        with self._turn:
            self._begin()
            if self._compacted < revision <= self._revision:
                self._forget(revision)
                self._turn.notify_all()

    def close(self) -> None:
        """Refuse further calls. The store below stays open."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()

    def changes(self, watch: _StoredWatch, timeout_s: float) -> Sequence[Event]:
        """What `watch` has not seen. Only for watches of this store."""
        until, left_s = self._clock.monotonic_s() + timeout_s, timeout_s
        with self._turn:
            while True:
                self._begin()
                if watch.is_closed:
                    raise Closed("the watch is closed")
                if watch.after < self._compacted:
                    raise Compacted(watch.after, self._compacted)
                first = bisect_right(self._history, watch.after, key=_revision_of)
                found = [each for each in self._history[first:] if watch.sees(each)]
                watch.after = max(watch.after, self._revision)
                now = self._clock.monotonic_s()
                if found or left_s <= 0 or now >= until:
                    return found
                ends = min((held.ends_s for held in self._leases.values()), default=until)
                pause_s = max(0.0, min(left_s, ends - now))
                if self._turn.wait(pause_s):
                    left_s = min(left_s, until - self._clock.monotonic_s())
                else:
                    left_s -= pause_s  # So it ends under a clock that only its owner moves, too.

    def end_watch(self, watch: _StoredWatch) -> None:
        """Wake the thread that waits in `watch`."""
        with self._turn:
            watch.is_closed = True
            self._turn.notify_all()

    def _begin(self) -> None:
        """Every call does this first. Requires: the turn. Raises Closed."""
        if self._is_closed:
            raise Closed("the metadata store is closed")
        now = self._clock.monotonic_s()
        for lease in [each for each, held in self._leases.items() if held.ends_s <= now]:
            self._end(lease)

    def _holds(self, condition: Condition) -> bool:
        record = self._read(condition.key)
        match condition:
            case IsAbsent():
                return record is None
            case Exists():
                return record is not None
            case IsAt(_, revision):
                return record is not None and record.revision == revision

    def _read(self, key: str) -> Record | None:
        row = self._store.get(Family.METADATA, keys.agreed_key(key.encode()))
        return None if row is None else _decode(key, row)

    def _held(self, lease: LeaseId) -> _Held:
        held = self._leases.get(lease)
        if held is None:
            raise LeaseLost(lease)
        return held

    def _apply(self, changes: Iterable[Change]) -> Revision:
        """Make `changes` durable as one revision, then let watches see them."""
        revision = Revision(self._revision + 1)
        batch, events = WriteBatch(), []
        bound: list[tuple[Put | Delete, Record | None]] = []
        for change in changes:
            before = self._read(change.key)
            if before is None and isinstance(change, Delete):
                continue
            bound.append((change, before))
            _add(batch, change, before, revision)
            value = change.value if isinstance(change, Put) else None
            events.append(Event(change.key, value, revision))
        batch.put(Family.METADATA, keys.AGREED_REVISION_KEY, _REVISION.pack(revision))
        ticket = self._store.write(batch)
        self._revision = revision
        for change, before in bound:
            self._bind(change, before)
        # A sync that fails is final for the store: nobody can miss an event that is not kept.
        self._store.wait_durable(ticket)
        self._history.extend(events)
        if len(self._history) > 2 * self._history_events_max:
            self._forget(self._history[-self._history_events_max].revision)
        self._turn.notify_all()
        return revision

    def _bind(self, change: Change, before: Record | None) -> None:
        """Move a key from the lease that it had to the one that it gets."""
        if before is not None and before.lease is not None and before.lease in self._leases:
            self._leases[before.lease].keys.discard(change.key)
        if isinstance(change, Put) and change.lease is not None:
            self._leases[change.lease].keys.add(change.key)

    def _end(self, lease: LeaseId) -> None:
        """Remove a lease with its keys."""
        bound = sorted(self._leases.pop(lease).keys)
        if bound:
            self._apply(map(Delete, bound))

    def _end_found_leases(self) -> None:
        """Remove the keys of a process that is gone."""
        start, end = keys.agreed_lease_range()
        bound = [
            key[len(start) :].decode() for key, _ in self._store.scan(Family.METADATA, start, end)
        ]
        if bound:
            self._apply(map(Delete, bound))

    def _forget(self, revision: Revision) -> None:
        del self._history[: bisect_right(self._history, revision, key=_revision_of)]
        self._compacted = revision


class _StoredWatch:
    """A place in the history of a StoredMetadata."""

    def __init__(self, store: StoredMetadata, prefix: str, after: Revision) -> None:
        self._store = store
        self._prefix = prefix
        self.after = after
        self.is_closed = False

    def sees(self, event: Event) -> bool:
        """Whether it is about a key below the prefix."""
        return event.key.startswith(self._prefix)

    def next(self, timeout_s: float) -> Sequence[Event]:
        """Wait for changes."""
        return self._store.changes(self, timeout_s)

    def close(self) -> None:
        """Let go of it."""
        self._store.end_watch(self)


def _revision_of(event: Event) -> Revision:
    return event.revision


def _add(batch: WriteBatch, change: Change, before: Record | None, revision: Revision) -> None:
    """Write one change of a record, and whether it is bound to a lease."""
    name = change.key.encode()
    lease = change.lease if isinstance(change, Put) else None
    if lease is not None:
        batch.put(Family.METADATA, keys.agreed_lease_key(name), b"")
    elif before is not None and before.lease is not None:
        batch.delete(Family.METADATA, keys.agreed_lease_key(name))
    if isinstance(change, Put):
        head = _HEAD.pack(revision, lease or 0)
        batch.put(Family.METADATA, keys.agreed_key(name), head + change.value)
    else:
        batch.delete(Family.METADATA, keys.agreed_key(name))


def _stored_revision(store: KeyValueStore) -> Revision:
    row = store.get(Family.METADATA, keys.AGREED_REVISION_KEY)
    if row is None:
        return _FIRST
    if len(row) != _REVISION.size:
        raise CorruptData(f"the revision of the metadata has {len(row)} bytes")
    return Revision(_REVISION.unpack(row)[0])


def _decode(key: str, row: bytes) -> Record:
    if len(row) < _HEAD.size:
        raise CorruptData(f"the metadata record {key!r} has {len(row)} bytes")
    revision, lease = _HEAD.unpack_from(row)
    return Record(key, row[_HEAD.size :], Revision(revision), LeaseId(lease) if lease else None)
