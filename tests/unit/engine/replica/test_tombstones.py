"""Deletions are remembered for a grace, then forgotten, and come back from nowhere."""

from __future__ import annotations

from pathlib import Path

from tests.unit.engine.replicas import (
    GRACE_S,
    PowerStore,
    deletion,
    open_node,
    rows_of,
    state,
    version,
)
from tests.unit.engine.samples import draft, uid
from weftdb.core.env import ManualClock
from weftdb.core.objects import Digest
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.storage.kv import Family

GRACE_MS = int(GRACE_S * 1000)


def sweep(docs: LocalCollection) -> bool:
    (chore,) = [one for one in docs.chores if one.name.startswith("deletions")]
    return chore.run_if_due()


def test_deletions_are_forgotten_after_the_grace(
    docs: LocalCollection, store: PowerStore, clock: ManualClock
) -> None:
    docs.put([draft(n, vector=[1, 2]) for n in range(30)])
    kept = docs.replica.tree_nodes(0, [0])
    docs.put([draft(n, vector=[1, 2]) for n in range(30, 50)])
    docs.delete([uid(n) for n in range(30, 40)])
    clock.advance(GRACE_MS // 2)
    docs.delete([uid(n) for n in range(40, 50)])
    assert docs.figures.tombstones == 20
    assert not sweep(docs)
    clock.advance(GRACE_MS // 2 + 1)
    assert sweep(docs)
    assert docs.figures.tombstones == 10
    assert docs.replica.digests([uid(30)]) == [None]
    assert docs.replica.digests([uid(40)]) != [None]
    clock.advance(GRACE_MS)
    assert sweep(docs)
    assert docs.figures.tombstones == 0
    assert docs.replica.tree_nodes(0, [0]) == kept
    assert rows_of(store, Family.STATES) == docs.count() == 30
    assert not sweep(docs)


def test_the_sweep_waits_for_its_time(docs: LocalCollection, clock: ManualClock) -> None:
    docs.replica.apply([deletion(uid(1), version(-GRACE_MS + 1))])
    clock.advance(10)
    assert not sweep(docs)
    clock.advance(GRACE_MS // 50)
    assert sweep(docs)


def test_what_is_past_the_grace_is_not_taken_again(docs: LocalCollection) -> None:
    old = deletion(uid(1), version(-GRACE_MS - 1))
    before = docs.shard.last_ticket
    assert docs.replica.apply([old]) == [None]
    assert docs.replica.digests([uid(1)]) == [None]
    assert docs.shard.last_ticket == before


def test_what_is_past_the_grace_still_ends_an_older_object(
    docs: LocalCollection, clock: ManualClock
) -> None:
    docs.replica.apply([state(uid(1), version(-GRACE_MS - 5))])
    assert docs.replica.apply([deletion(uid(1), version(-GRACE_MS - 1))]) == [None]
    assert docs.count() == 0
    assert docs.replica.digests([uid(1)]) == [Digest(version(-GRACE_MS - 1), is_deleted=True)]
    clock.advance(GRACE_MS)
    assert sweep(docs)
    assert docs.replica.digests([uid(1)]) == [None]


def test_a_cluster_says_what_may_be_forgotten(docs: LocalCollection, clock: ManualClock) -> None:
    docs.replica.apply([deletion(uid(n), version(n)) for n in range(10)])
    docs.replica.forgotten_ms = lambda: version(4).time_ms
    clock.advance(10 * GRACE_MS)
    assert docs.replica.forget_deletions() == 4
    assert docs.figures.tombstones == 6
    assert docs.replica.apply([deletion(uid(n), version(n)) for n in (3, 4)]) == [None, None]
    assert docs.figures.tombstones == 6
    docs.replica.forgotten_ms = lambda: 0
    assert not sweep(docs)


def test_an_object_that_came_after_its_deletion_stays(
    docs: LocalCollection, clock: ManualClock
) -> None:
    docs.replica.apply([deletion(uid(1), version(0)), deletion(uid(2), version(0))])
    docs.replica.apply([state(uid(1), version(1))])
    clock.advance(2 * GRACE_MS)
    assert sweep(docs)
    assert docs.replica.digests([uid(1), uid(2)]) == [Digest(version(1)), None]
    assert docs.count() == 1


def test_old_deletions_are_counted_after_a_restart(
    docs: LocalCollection,
    database: Database,
    store: PowerStore,
    clock: ManualClock,
    tmp_path: Path,
) -> None:
    docs.replica.apply([deletion(uid(n), version(n)) for n in range(2_500)])
    database.close()
    again = open_node(tmp_path, store, clock).collection("Doc")
    assert again.figures.tombstones == 2_500
    clock.advance(GRACE_MS + 2_000)
    assert sweep(again)
    assert again.figures.tombstones == 2_500 - 2_000
    assert rows_of(store, Family.STATES) == 500
