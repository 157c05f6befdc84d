"""What the twin over a KeyValueStore promises beyond the common suite: it survives its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from weftdb.cluster.metadata.store import (
    Committed,
    Delete,
    IsAt,
    Put,
    Refused,
    Revision,
    Transaction,
)
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.env import ManualClock
from weftdb.core.errors import Compacted, CorruptData, Fault
from weftdb.storage import keys
from weftdb.storage.kv import Family, Ticket, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.rocks import RocksStore

from .conftest import SMALL


def commit(store: StoredMetadata, *changes: Put | Delete) -> Revision:
    outcome = store.commit(Transaction(changes))
    assert isinstance(outcome, Committed)
    return outcome.revision


def test_records_and_revisions_survive_and_leases_do_not(tmp_path: Path) -> None:
    clock = ManualClock()
    below = RocksStore(tmp_path, SMALL, clock)
    store = StoredMetadata(below, clock)
    commit(store, Put("/t/kept", b"1"))
    lease = store.grant(60)
    last = commit(store, Put("/t/bound", b"2", lease.id), Put("/t/kept", b"3"))
    store.close()
    below.close()

    below = RocksStore(tmp_path, SMALL, clock)
    again = StoredMetadata(below, clock)
    (kept,) = again.list("/t/").records
    assert (kept.value, kept.revision) == (b"3", last)
    assert again.list("/t/").revision > last, "the end of a lease is a change"
    stale = IsAt("/t/kept", Revision(last - 1))
    assert again.commit(Transaction((Delete("/t/kept"),), (stale,))) == Refused((stale,))
    assert commit(again, Put("/t/kept", b"4")) > last
    with pytest.raises(Compacted):
        again.watch("/t/", last).next(0)
    assert list(again.watch("/t/", again.list("/t/").revision).next(0)) == []
    again.close()
    below.close()


def test_opening_twice_changes_nothing() -> None:
    below, clock = MemoryStore(), ManualClock()
    first = StoredMetadata(below, clock)
    last = commit(first, Put("/t/a", b""))
    first.close()
    assert StoredMetadata(below, clock).list("/t/").revision == last


def test_history_is_bounded() -> None:
    store = StoredMetadata(MemoryStore(), ManualClock(), history_events_max=10)
    start = store.list("/t/").revision
    early, late = store.watch("/t/", start), store.watch("/t/", start)
    for number in range(30):
        commit(store, Put("/t/a", str(number).encode()))
        if number % 5 == 0:
            late.next(0)
    with pytest.raises(Compacted):
        early.next(0)
    assert [event.value for event in late.next(0)] == [b"26", b"27", b"28", b"29"]


class DeafStore(MemoryStore):
    """Takes writes that never become durable."""

    is_deaf = False

    def wait_durable(self, ticket: Ticket) -> None:
        if self.is_deaf:
            raise Fault("the disk is gone")
        super().wait_durable(ticket)


def test_nobody_is_told_of_what_is_not_durable() -> None:
    below = DeafStore()
    store = StoredMetadata(below, ManualClock())
    watch = store.watch("/t/", store.list("/t/").revision)
    commit(store, Put("/t/a", b""))
    below.is_deaf = True
    with pytest.raises(Fault):
        commit(store, Put("/t/b", b""))
    assert [event.key for event in watch.next(0)] == ["/t/a"]


def test_the_stored_form() -> None:
    """Golden: what was written once is read forever."""
    below = MemoryStore()
    store = StoredMetadata(below, ManualClock())
    lease = store.grant(1)
    commit(store, Put("/t/a", b"v"), Put("/t/b", b"", lease.id))
    written = dict(below.scan(Family.METADATA, b"", b"\xff"))
    assert written == {
        b"\0\0\0\0\x04": (2).to_bytes(8, "big"),
        b"\0\0\0\0\x05/t/a": (2).to_bytes(8, "big") + bytes(8) + b"v",
        b"\0\0\0\0\x05/t/b": (2).to_bytes(8, "big") + (1).to_bytes(8, "big"),
        b"\0\0\0\0\x06/t/b": b"",
    }
    commit(store, Delete("/t/b"))
    assert b"\0\0\0\0\x06/t/b" not in dict(below.scan(Family.METADATA, b"", b"\xff"))


def test_broken_rows_are_corrupt_data() -> None:
    below = MemoryStore()
    batch = WriteBatch()
    batch.put(Family.METADATA, keys.agreed_key(b"/t/short"), b"\0" * 15)
    below.write(batch)
    store = StoredMetadata(below, ManualClock())
    with pytest.raises(CorruptData, match="/t/short"):
        store.get("/t/short")
    with pytest.raises(CorruptData, match="/t/short"):
        store.list("/t/")
    batch = WriteBatch()
    batch.put(Family.METADATA, keys.AGREED_REVISION_KEY, b"\0" * 7)
    below.write(batch)
    with pytest.raises(CorruptData, match="revision"):
        StoredMetadata(below, ManualClock())


def test_rows_of_the_node_lie_apart() -> None:
    """The agreed records, their leases and the node's own collection rows do not mix."""
    starts = [keys.collection_range(), keys.agreed_lease_range()]
    others = [keys.agreed_key(b"/x"), keys.AGREED_REVISION_KEY, keys.FORMAT_KEY]
    for start, end in starts:
        assert not any(start <= key < end for key in others)
    assert keys.agreed_key_of(keys.agreed_key("/ä".encode())).decode() == "/ä"
    start, end = keys.agreed_lease_range()
    assert start <= keys.agreed_lease_key(b"/\xf4\x8f\xbf\xbf") < end
