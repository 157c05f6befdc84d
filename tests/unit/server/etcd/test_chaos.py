"""Writers of one counter while members are killed and paused: what was said of a commit is true.

Every attempt also puts a key of its own, so that each can be looked up afterwards: one that was
committed is there, at the revision that was told; one that was refused or could not be reached is
not there and never comes; the counter has counted exactly those that are there.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.etcd_process import etcd_binary
from tests.etcd_trio import NAMES, Trio
from weftdb.cluster.metadata.store import Committed, IsAt, Put, Revision, Transaction
from weftdb.core.errors import CommitUnknown, MetadataUnavailable
from weftdb.server.etcd.store import EtcdMetadata

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.xdist_group("etcd")]

SECONDS = 15.0
WRITERS = 4
SEED = 5


@dataclass
class Said:
    """What became of the attempts, as the clients were told."""

    committed: dict[str, Revision] = field(default_factory=dict)
    not_made: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


def increment(store: EtcdMetadata, key: str, said: Said) -> None:
    """One attempt."""
    try:
        seen = store.get("/t/counter")
    except MetadataUnavailable:
        return
    assert seen is not None
    value = str(int(seen.value) + 1).encode()
    change = Transaction(
        (Put("/t/counter", value), Put(key, value)), (IsAt("/t/counter", seen.revision),)
    )
    try:
        outcome = store.commit(change)
    except CommitUnknown:
        said.unknown.add(key)
    except MetadataUnavailable:
        said.not_made.add(key)
    else:
        if isinstance(outcome, Committed):
            said.committed[key] = outcome.revision
        else:
            said.not_made.add(key)


def write(trio: Trio, number: int, stop: threading.Event, said: Said) -> None:
    """Attempt after attempt, through a client of one node."""
    store = trio.store(NAMES[number % 3], f"w{number}", timeout_s=2.0)
    attempt = 0
    while not stop.is_set():
        increment(store, f"/t/done/{number}/{attempt}", said)
        attempt += 1
    store.close()


def follow(store: EtcdMetadata, stop: threading.Event, mirror: dict[str, bytes]) -> None:
    """Keep `mirror` as a list would be, through everything."""
    listed = store.list("/t/")
    mirror.update({record.key: record.value for record in listed.records})
    watch = store.watch("/t/", listed.revision)
    while not stop.is_set():
        try:
            events = watch.next(1.0)
        except MetadataUnavailable:
            continue
        for event in events:
            assert event.value is not None
            mirror[event.key] = event.value


def hurt(trio: Trio, rng: random.Random, until: float) -> Counter[str]:
    """One member at a time, and now and then a second one."""
    done: Counter[str] = Counter()
    while time.monotonic() < until:
        name, how = rng.choice(NAMES), rng.choice(("kill", "pause", "pause two"))
        done[how] += 1
        if how == "kill":
            trio.kill(name)
            time.sleep(rng.uniform(0.0, 1.0))
            trio.open(name)
            continue
        paused = [name] if how == "pause" else rng.sample(NAMES, 2)
        for each in paused:
            trio.pause(each)
        time.sleep(rng.uniform(0.5, 4.0))
        for each in paused:
            trio.resume(each)
        time.sleep(rng.uniform(0.0, 1.0))
    return done


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    etcd_binary()
    made = Trio(tmp_path)
    try:
        made.open(*NAMES)
        yield made
    finally:
        made.close()


def test_what_was_said_of_a_commit_is_true(trio: Trio) -> None:
    reader = trio.store("n1", "reader", timeout_s=30)
    assert isinstance(reader.commit(Transaction((Put("/t/counter", b"0"),))), Committed)
    stop, stop_following, mirror = threading.Event(), threading.Event(), dict[str, bytes]()
    saids = [Said() for _ in range(WRITERS)]
    threads = [
        threading.Thread(target=write, args=(trio, number, stop, said))
        for number, said in enumerate(saids)
    ]
    follower = threading.Thread(target=follow, args=(trio.store("n2", "f"), stop_following, mirror))
    for thread in (*threads, follower):
        thread.start()
    try:
        faults = hurt(trio, random.Random(SEED), time.monotonic() + SECONDS)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
        time.sleep(3)
        stop_following.set()
        follower.join(timeout=30)
    listed = {record.key: record for record in reader.list("/t/").records}
    counted = int(listed.pop("/t/counter").value)
    committed = {key: each for said in saids for key, each in said.committed.items()}
    print(f"{dict(faults)}: {len(committed)} committed,", end=" ")
    print(f"{sum(len(said.not_made) for said in saids)} not made,", end=" ")
    print(f"{sum(len(said.unknown) for said in saids)} unknown")
    assert {key: listed[key].revision for key in committed if key in listed} == committed
    for said in saids:
        assert not said.not_made & set(listed), "it was said not to be made"
    unknown = {key for said in saids for key in said.unknown}
    assert set(listed) - unknown == set(committed)
    assert counted == len(listed), "each counted once"
    assert len(committed) > WRITERS, "there was something to check"
    assert {key: value for key, value in mirror.items() if key != "/t/counter"} == {
        key: record.value for key, record in listed.items()
    }
    reader.close()
