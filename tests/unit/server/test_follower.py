"""A mirror that follows through everything, and a record that is there while its process is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from weftdb.cluster.metadata.mirror import Mirror
from weftdb.cluster.metadata.store import (
    Committed,
    Delete,
    Event,
    Put,
    Record,
    Revision,
    Snapshot,
    Transaction,
)
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.env import SystemClock
from weftdb.core.errors import MetadataUnavailable
from weftdb.server.follower import Follower
from weftdb.server.presence import Presence
from weftdb.storage.memory import MemoryStore

SOON_S = 20.0
"""A change that was made must be heard by then, on a loaded machine."""


class Fickle(StoredMetadata):
    """A store that can be away; watches that wait while it goes notice when they are woken."""

    is_away = False

    def _begin(self) -> None:
        super()._begin()
        if self.is_away:
            raise MetadataUnavailable("the test took it away")


@pytest.fixture
def store() -> Iterator[Fickle]:
    made = Fickle(MemoryStore(), SystemClock(), threading.Condition(), history_events_max=8)
    yield made
    made.close()


def put(store: StoredMetadata, key: str, value: bytes) -> Revision:
    outcome = store.commit(Transaction((Put(key, value),)))
    assert isinstance(outcome, Committed)
    return outcome.revision


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_mirror_that_begins_anew_tells_the_difference() -> None:
    mirror = Mirror("/t/")
    one, two = Revision(1), Revision(2)
    first = (Record("/t/a", b"1", one), Record("/t/b", b"1", one), Record("/t/c", b"1", two))
    assert [event.key for event in mirror.begin(Snapshot(first, two))] == ["/t/a", "/t/b", "/t/c"]
    mirror.feed([Event("/t/c", None, Revision(3)), Event("/t/d", b"1", Revision(4))])
    assert mirror.get("/t/c") is None
    assert mirror.revision == 4
    anew = (
        Record("/t/b", b"1", one),
        Record("/t/c", b"1", Revision(6)),
        Record("/t/d", b"2", Revision(7)),
    )
    assert mirror.begin(Snapshot(anew, Revision(9))) == (
        Event("/t/c", b"1", Revision(6)),
        Event("/t/d", b"2", Revision(7)),
        Event("/t/a", None, Revision(9)),
    )
    assert dict(mirror.items()) == {"/t/b": b"1", "/t/c": b"1", "/t/d": b"2"}
    assert len(mirror) == 3
    with pytest.raises(AssertionError):
        mirror.feed([Event("/t/b", b"", Revision(8))])


def test_a_follower_has_what_is_there_and_what_comes(store: Fickle) -> None:
    put(store, "/t/a", b"1")
    put(store, "/other", b"1")
    told: list[Event] = []
    follower = Follower(store, "/t/", told.extend)
    follower.start()
    try:
        last = put(store, "/t/b", b"2")
        assert follower.wait_for(last, SOON_S)
        assert follower.all() == {"/t/a": b"1", "/t/b": b"2"}
        assert {event.key for event in told} == {"/t/a", "/t/b"}
        outcome = store.commit(Transaction((Delete("/t/a"), Put("/t/b", b"3"))))
        assert isinstance(outcome, Committed)
        assert follower.wait_for(outcome.revision, SOON_S)
        assert (follower.get("/t/a"), follower.get("/t/b")) == (None, b"3")
        assert follower.is_current
        assert not follower.wait_for(Revision(outcome.revision + 1), 0.01)
    finally:
        follower.close()
    assert follower.all() == {"/t/b": b"3"}, "what is known stays"
    assert not follower.is_current


def test_a_follower_goes_on_when_the_store_comes_back_without_its_history(store: Fickle) -> None:
    put(store, "/t/gone", b"1")
    batches: list[Sequence[Event]] = []
    follower = Follower(store, "/t/", batches.append)
    follower.start()
    try:
        assert follower.wait_for(put(store, "/t/kept", b"1"), SOON_S)
        store.is_away = True
        with store._turn:
            store._turn.notify_all()
        eventually(lambda: not follower.is_current)
        assert follower.get("/t/gone") == b"1", "what is known is there while the store is away"
        with store._turn:  # Nobody listens while the history goes.
            store.is_away = False
            store.commit(Transaction((Delete("/t/gone"),)))
            for number in range(40):
                last = put(store, "/t/kept", str(number).encode())
        assert follower.wait_for(last, SOON_S)
        assert follower.all() == {"/t/kept": b"39"}
        assert Event("/t/gone", None, last) in batches[-1]
    finally:
        follower.close()


def test_a_follower_of_a_store_that_is_away_begins_when_it_comes(store: Fickle) -> None:
    store.is_away = True
    follower = Follower(store, "/t/", lambda _: None)
    follower.start()
    assert not follower.wait_for(Revision(0), 0.1)
    store.is_away = False
    assert follower.wait_for(Revision(0), SOON_S)
    follower.close()
    follower.close()


def test_a_presence_is_there_until_it_is_closed(store: Fickle) -> None:
    presence = Presence(store, "/nodes/a", lambda: b"here", ttl_s=0.3)
    presence.start()
    time.sleep(1.0)
    found = store.get("/nodes/a")
    assert found is not None
    assert found.value == b"here"
    presence.close()
    assert store.get("/nodes/a") is None


def test_a_presence_says_goodbye_before_it_goes(store: Fickle) -> None:
    heard: list[Event] = []
    follower = Follower(store, "/nodes/", heard.extend)
    follower.start()
    presence = Presence(store, "/nodes/a", lambda: b"here", goodbye=lambda: b"bye", ttl_s=30)
    presence.start()
    eventually(lambda: bool(heard))
    presence.close()
    eventually(lambda: len(heard) == 3)
    assert [event.value for event in heard] == [b"here", b"bye", None]
    follower.close()


def test_a_presence_that_is_lost_cannot_say_goodbye(store: Fickle) -> None:
    presence = Presence(store, "/nodes/a", lambda: b"here", goodbye=lambda: b"bye", ttl_s=30)
    presence.start()
    store.is_away = True
    presence.close()


def test_a_presence_says_what_has_changed(store: Fickle) -> None:
    said = [b"one"]
    presence = Presence(store, "/nodes/a", lambda: said[0], ttl_s=0.3)
    presence.start()
    before = store.get("/nodes/a")
    time.sleep(0.3)
    assert store.get("/nodes/a") == before, "what is the same is not put again"
    said[0] = b"two"
    eventually(lambda: getattr(store.get("/nodes/a"), "value", b"") == b"two")
    after = store.get("/nodes/a")
    assert before is not None
    assert after is not None
    assert after.lease == before.lease
    presence.close()


def test_a_presence_comes_back_when_its_lease_was_lost(store: Fickle) -> None:
    values = iter(range(100))
    presence = Presence(store, "/nodes/a", lambda: str(next(values)).encode(), ttl_s=0.3)
    presence.start()
    first = store.get("/nodes/a")
    assert first is not None
    assert first.lease is not None
    store.is_away = True
    time.sleep(0.8)
    store.is_away = False
    eventually(lambda: (store.get("/nodes/a") or first).revision > first.revision)
    store.revoke(first.lease)
    found = store.get("/nodes/a")
    assert found is not None
    assert int(found.value) >= 1
    presence.close()


def test_a_presence_that_cannot_begin_says_so(store: Fickle) -> None:
    store.is_away = True
    presence = Presence(store, "/nodes/a", lambda: b"")
    with pytest.raises(MetadataUnavailable):
        presence.start()
    presence.close()


def test_closing_without_the_store_leaves_it_to_the_lease(store: Fickle) -> None:
    presence = Presence(store, "/nodes/a", lambda: b"", ttl_s=0.3)
    presence.start()
    store.is_away = True
    presence.close()
    store.is_away = False
    eventually(lambda: store.get("/nodes/a") is None)
