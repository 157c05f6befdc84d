"""What every MetadataStore promises, on every twin."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from weftdb.cluster.metadata.store import (
    Committed,
    Condition,
    Delete,
    Event,
    Exists,
    IsAbsent,
    IsAt,
    LeaseId,
    MetadataStore,
    Put,
    Refused,
    Revision,
    Transaction,
    Watch,
)
from weftdb.core.errors import Closed, Compacted, LeaseLost
from weftdb.core.limits import METADATA_CHANGES_MAX, METADATA_PAGE_RECORDS

from .conftest import Subject

TTL_S = 2.0
SOON_S = 5.0
"""Long enough for a change that was made to arrive, on a loaded machine."""


def put(
    store: MetadataStore,
    key: str,
    value: bytes,
    *conditions: Condition,
    lease: LeaseId | None = None,
) -> Revision:
    """Commit one put that must succeed."""
    outcome = store.commit(Transaction((Put(key, value, lease),), conditions))
    assert isinstance(outcome, Committed), outcome
    return outcome.revision


def remove(store: MetadataStore, *names: str) -> Revision:
    """Commit deletions."""
    outcome = store.commit(Transaction(tuple(map(Delete, names))))
    assert isinstance(outcome, Committed)
    return outcome.revision


def drain(watch: Watch, count: int) -> list[Event]:
    """The next `count` events."""
    found: list[Event] = []
    for _ in range(100):
        if len(found) >= count:
            break
        found += watch.next(SOON_S / 10)
    assert len(found) == count, found
    return found


def test_what_is_put_is_there(store: MetadataStore) -> None:
    assert store.get("/t/a") is None
    first = put(store, "/t/a", b"one")
    found = store.get("/t/a")
    assert found is not None
    assert (found.key, found.value, found.revision, found.lease) == ("/t/a", b"one", first, None)
    second = put(store, "/t/a", b"")
    found = store.get("/t/a")
    assert found is not None
    assert (found.value, found.revision) == (b"", second)
    assert second > first
    third = remove(store, "/t/a", "/t/never")
    assert third > second
    assert store.get("/t/a") is None


def test_a_list_is_what_begins_with_the_prefix_in_order(store: MetadataStore) -> None:
    for name in ("/t/b/2", "/t/b/10", "/t/b/Ärger", "/t/b", "/t/bb", "/t/a/1", "/t/c"):
        put(store, name, name.encode())
    listed = store.list("/t/b/")
    assert [record.key for record in listed.records] == ["/t/b/10", "/t/b/2", "/t/b/Ärger"]
    assert all(record.value == record.key.encode() for record in listed.records)
    assert listed.revision >= max(record.revision for record in listed.records)
    assert [record.key for record in store.list("/t/b").records][:2] == ["/t/b", "/t/b/10"]
    assert store.list("/t/none/").records == ()


def test_a_long_list_comes_whole(store: MetadataStore) -> None:
    names = [f"/t/long/{number:05}" for number in range(2 * METADATA_PAGE_RECORDS + 1)]
    for first in range(0, len(names), METADATA_CHANGES_MAX):
        some = names[first : first + METADATA_CHANGES_MAX]
        store.commit(Transaction(tuple(Put(name, b"v" * 100) for name in some)))
    assert [record.key for record in store.list("/t/long/").records] == names


@pytest.mark.parametrize("kind", ["absent", "exists", "at"])
def test_a_condition_decides(store: MetadataStore, kind: str) -> None:
    old = put(store, "/t/there", b"1")
    new = put(store, "/t/there", b"2")
    holds, fails = {
        "absent": (IsAbsent("/t/free"), IsAbsent("/t/there")),
        "exists": (Exists("/t/there"), Exists("/t/free")),
        "at": (IsAt("/t/there", new), IsAt("/t/there", old)),
    }[kind]
    changes = (Put("/t/result", b"x"), Delete("/t/there"))
    assert store.commit(Transaction(changes, (holds, fails))) == Refused((fails,))
    assert store.get("/t/result") is None
    assert store.get("/t/there") is not None
    assert isinstance(store.commit(Transaction(changes, (holds,))), Committed)
    assert store.get("/t/result") is not None
    assert store.get("/t/there") is None


def test_every_condition_that_fails_is_named(store: MetadataStore) -> None:
    put(store, "/t/a", b"")
    failing = (IsAbsent("/t/a"), Exists("/t/b"), IsAt("/t/c", Revision(1)))
    outcome = store.commit(Transaction((Put("/t/d", b""),), (Exists("/t/a"), *failing)))
    assert outcome == Refused(failing)


def test_a_key_that_went_and_came_back_is_another_one(store: MetadataStore) -> None:
    seen = put(store, "/t/a", b"same")
    remove(store, "/t/a")
    put(store, "/t/a", b"same")
    condition = IsAt("/t/a", seen)
    assert store.commit(Transaction((Delete("/t/a"),), (condition,))) == Refused((condition,))


def test_changes_of_one_commit_share_its_revision(store: MetadataStore) -> None:
    outcome = store.commit(Transaction((Put("/t/a", b"1"), Put("/t/b", b"2"))))
    assert isinstance(outcome, Committed)
    records = store.list("/t/").records
    assert {record.revision for record in records} == {outcome.revision}


def test_one_of_two_racing_writers_wins(subject: Subject) -> None:
    """Compare-and-swap from two clients: every increment counts once."""
    put(subject.store, "/t/counter", b"0")

    def increment(client: MetadataStore) -> int:
        refused = 0
        for _ in range(10):
            while True:
                seen = client.get("/t/counter")
                assert seen is not None
                value = str(int(seen.value) + 1).encode()
                change = Transaction(
                    (Put("/t/counter", value),), (IsAt("/t/counter", seen.revision),)
                )
                if isinstance(client.commit(change), Committed):
                    break
                refused += 1
        return refused

    with ThreadPoolExecutor(4) as pool:
        clients = [subject.store, subject.other, subject.store, subject.other]
        list(pool.map(increment, clients))
    found = subject.store.get("/t/counter")
    assert found is not None
    assert found.value == b"40"


def test_a_watch_tells_what_came_after(store: MetadataStore) -> None:
    put(store, "/t/w/a", b"before")
    start = store.list("/t/w/").revision
    first = put(store, "/t/w/a", b"1")
    put(store, "/t/other", b"unseen")
    second = put(store, "/t/w/b", b"2")
    third = remove(store, "/t/w/a")
    watch = store.watch("/t/w/", start)
    assert drain(watch, 3) == [
        Event("/t/w/a", b"1", first),
        Event("/t/w/b", b"2", second),
        Event("/t/w/a", None, third),
    ]
    assert list(watch.next(0.01)) == []
    fourth = put(store, "/t/w/c", b"")
    assert drain(watch, 1) == [Event("/t/w/c", b"", fourth)]
    watch.close()


def test_events_of_one_commit_come_together(store: MetadataStore) -> None:
    start = store.list("/t/").revision
    watch = store.watch("/t/", start)
    store.commit(Transaction(tuple(Put(f"/t/{number:03}", b"x" * 1000) for number in range(100))))
    found: list[Event] = []
    for _ in range(100):
        found = list(watch.next(SOON_S / 10))
        if found:
            break
    assert [event.key for event in found] == [f"/t/{number:03}" for number in range(100)]
    assert len({event.revision for event in found}) == 1
    watch.close()


def test_a_watch_wakes_for_a_change(subject: Subject) -> None:
    start = subject.store.list("/t/").revision
    watch = subject.store.watch("/t/", start)
    found: list[Event] = []
    reader = threading.Thread(target=lambda: found.extend(drain(watch, 1)))
    reader.start()
    revision = put(subject.other, "/t/late", b"!")
    reader.join(timeout=30)
    assert found == [Event("/t/late", b"!", revision)]
    watch.close()


def test_a_watch_of_a_forgotten_time_says_so(store: MetadataStore) -> None:
    start = store.list("/t/").revision
    put(store, "/t/a", b"1")
    middle = put(store, "/t/a", b"2")
    last = put(store, "/t/a", b"3")
    store.compact(middle)
    store.compact(middle)
    store.compact(Revision(last + 1_000_000))
    late = store.watch("/t/", start)
    with pytest.raises(Compacted) as raised:
        drain(late, 100)
    assert raised.value.compacted >= middle
    late.close()
    in_time = store.watch("/t/", middle)
    assert drain(in_time, 1) == [Event("/t/a", b"3", last)]
    in_time.close()
    found = store.get("/t/a")
    assert found is not None
    assert found.value == b"3"


def test_a_lease_keeps_its_keys_until_it_ends(subject: Subject) -> None:
    store = subject.store
    lease = store.grant(TTL_S)
    assert lease.ttl_s >= TTL_S
    put(store, "/t/bound", b"1", lease=lease.id)
    put(store, "/t/freed", b"1", lease=lease.id)
    put(store, "/t/freed", b"2")
    found = store.get("/t/bound")
    assert found is not None
    assert found.lease == lease.id
    watch = store.watch("/t/bound", found.revision)
    for _ in range(3):
        subject.pass_s(lease.ttl_s / 2)
        assert store.keep_alive(lease.id) >= TTL_S
    assert store.get("/t/bound") is not None
    subject.pass_s(lease.ttl_s + 1.5)  # etcd looks for leases that are over every half second.
    (gone,) = drain(watch, 1)
    assert (gone.key, gone.value) == ("/t/bound", None)
    assert store.get("/t/bound") is None
    assert store.get("/t/freed") is not None
    watch.close()
    with pytest.raises(LeaseLost):
        store.keep_alive(lease.id)
    with pytest.raises(LeaseLost):
        put(store, "/t/bound", b"again", lease=lease.id)
    assert store.get("/t/bound") is None


def test_a_revoked_lease_takes_its_keys_along(store: MetadataStore) -> None:
    lease, other = store.grant(60), store.grant(60)
    assert lease.id != other.id
    put(store, "/t/a", b"", lease=lease.id)
    put(store, "/t/b", b"", lease=other.id)
    put(store, "/t/c", b"", lease=other.id)
    put(store, "/t/c", b"", lease=lease.id)
    before = store.list("/t/").revision
    store.revoke(lease.id)
    store.revoke(lease.id)
    listed = store.list("/t/")
    assert [record.key for record in listed.records] == ["/t/b"]
    assert listed.revision > before
    store.revoke(other.id)


def test_a_put_with_a_lease_that_never_was_changes_nothing(store: MetadataStore) -> None:
    with pytest.raises(LeaseLost):
        store.commit(
            Transaction((Put("/t/a", b"1"), Put("/t/b", b"2", LeaseId(0x7777)))),
        )
    assert store.list("/t/").records == ()


def test_a_closed_store_refuses(subject: Subject) -> None:
    store = subject.store
    watch = store.watch("/t/", store.list("/t/").revision)
    watch.close()
    with pytest.raises(Closed):
        watch.next(0)
    waiting = store.watch("/t/", store.list("/t/").revision)
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            waiting.next(30)
        except Closed as error:
            failures.append(error)

    reader = threading.Thread(target=wait)
    reader.start()
    store.close()
    reader.join(timeout=20)
    assert len(failures) == 1
    with pytest.raises(Closed):
        store.get("/t/a")
    with pytest.raises(Closed):
        store.commit(Transaction((Delete("/t/a"),)))
    store.close()
