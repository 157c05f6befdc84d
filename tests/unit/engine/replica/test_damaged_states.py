"""A row of STATES that cannot be read is noticed, refused, and made anew with all the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.engine.replicas import PowerStore, deletion, open_node, replicated, state, version
from tests.unit.engine.samples import uid
from weftdb.core.errors import CorruptData, ShardLoading
from weftdb.core.hashing import token
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.tombstones import FillChore
from weftdb.storage import keys
from weftdb.storage.kv import Family, WriteBatch

IDS = [uid(n) for n in range(20)]


def fill(docs: LocalCollection) -> None:
    docs.replica.apply([state(uid(n), version(n)) for n in range(15)])
    docs.replica.apply([deletion(uid(n), version(n + 100)) for n in range(12, 17)])


def damage(docs: LocalCollection, store: PowerStore, number: int, row: bytes = b"?") -> None:
    key = keys.state_key(docs.only.number, token(uid(number)), uid(number))
    assert store.get(Family.STATES, key) is not None
    batch = WriteBatch()
    batch.put(Family.STATES, key, row)
    store.wait_durable(store.write(batch))


def chore_of(docs: LocalCollection) -> FillChore:
    (chore,) = [one for one in docs.chores if isinstance(one, FillChore)]
    return chore


READS: list[Callable[[LocalCollection], object]] = [
    lambda docs: docs.replica.digests(IDS),
    lambda docs: docs.replica.tree_nodes(0, [0]),
    lambda docs: [docs.replica.leaf(at, None, 100) for at in range(16)],
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("number", [3, 13])
def test_it_is_made_anew(
    docs: LocalCollection,
    store: PowerStore,
    tmp_path: Path,
    read: Callable[[LocalCollection], object],
    number: int,
) -> None:
    fill(docs)
    wanted = docs.replica.digests(IDS)
    twin = replicated(open_node(tmp_path / "twin", PowerStore()))
    fill(twin)
    chore = chore_of(docs)
    assert not chore.run_if_due()
    damage(docs, store, number)
    with pytest.raises(CorruptData):
        read(docs)
    assert chore.run_if_due()
    with pytest.raises(ShardLoading):
        docs.replica.tree_nodes(0, [0])
    assert docs.replica.digests(IDS) == wanted, "objects and tombstones answer meanwhile"
    docs.replica.apply([state(uid(18), version(500)), deletion(uid(2), version(501))])
    twin.replica.apply([state(uid(18), version(500)), deletion(uid(2), version(501))])
    while chore.run_if_due():
        pass
    assert docs.replica.digests(IDS) == twin.replica.digests(IDS)
    assert docs.replica.tree_nodes(0, [0]) == twin.replica.tree_nodes(0, [0])
    assert docs.figures.tombstones == twin.figures.tombstones


def test_a_crash_in_between_goes_on_after_the_start(
    docs: LocalCollection, store: PowerStore, tmp_path: Path
) -> None:
    fill(docs)
    root, wanted = docs.replica.tree_nodes(0, [0]), docs.replica.digests(IDS)
    damage(docs, store, 3)
    with pytest.raises(CorruptData):
        docs.replica.digests(IDS)
    chore_of(docs).run_if_due()
    again = open_node(tmp_path / "again", store.after_crash()).collection("Doc")
    assert again.replica.digests(IDS) == wanted
    while chore_of(again).run_if_due():
        pass
    assert again.replica.tree_nodes(0, [0]) == root


def test_damage_of_a_tombstone_row_is_left_to_the_other_replicas(
    database: Database, docs: LocalCollection, store: PowerStore
) -> None:
    fill(docs)
    damage(docs, store, 13)
    batch = WriteBatch()
    batch.put(Family.METADATA, keys.tombstone_key(docs.only.number, uid(13)), b"?")
    store.wait_durable(store.write(batch))
    with pytest.raises(CorruptData):
        docs.replica.digests(IDS)
    with pytest.raises(CorruptData):
        chore_of(docs).run_if_due()
    with pytest.raises(CorruptData):
        docs.replica.tree_nodes(0, [0])
    database.close()
