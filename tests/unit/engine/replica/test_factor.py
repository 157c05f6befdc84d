"""Collections of one replica, and those that become more: rows come and go with the factor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.replicas import (
    PowerStore,
    deletion,
    open_node,
    replicated,
    state,
    version,
)
from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.config import StorageConfig
from weftdb.core.definition import parse_collection
from weftdb.core.errors import (
    SchemaViolation,
    ShardLoading,
    Unsupported,
)
from weftdb.core.limits import MiB
from weftdb.core.objects import Digest
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.storage.kv import Family

SMALL = StorageConfig(block_cache_bytes=MiB, write_buffer_bytes=4 * MiB)


def test_a_single_replica_keeps_no_states(database: Database, store: PowerStore) -> None:
    docs = database.create_collection(parse_collection(DOC))
    apply = docs.replica.apply
    assert apply([state(uid(1), version(5)), deletion(uid(2), version(6))]) == [None, None]
    assert apply([state(uid(1), version(4))]) == [version(5)]
    assert docs.replica.digests([uid(1), uid(2)]) == [Digest(version(5)), None]
    assert apply([deletion(uid(1), version(7))]) == [None]
    assert (docs.count(), docs.figures.tombstones) == (0, 0)
    assert list(store.scan(Family.STATES, b"", b"\xff" * 40)) == []
    with pytest.raises(Unsupported, match="not replicated"):
        docs.replica.tree_nodes(0, [0])
    with pytest.raises(Unsupported, match="not replicated"):
        docs.replica.leaf(0, None, 1)


def test_the_factor_is_raised_and_lowered_online(
    database: Database, store: PowerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weftdb.storage.objects.ROWS_PER_CHUNK", 16)
    single = parse_collection(DOC)
    docs = database.create_collection(single)
    docs.put([draft(n, f"object {n}", [n, 1]) for n in range(50)])
    docs = replicated_from(database, docs)
    before = docs.replica.digests([uid(n) for n in range(52)])
    assert [one is None for one in before] == [False] * 50 + [True] * 2
    with pytest.raises(ShardLoading):
        docs.replica.tree_nodes(0, [0])
    with pytest.raises(ShardLoading):
        docs.replica.leaf(0, None, 1)
    run(docs, "states")  # One slice, and between the slices writes go on.
    docs.replica.apply([deletion(uid(2), version(60_001)), deletion(uid(40), version(60_002))])
    docs.replica.apply([state(uid(3), version(60_003)), state(uid(45), version(60_004))])
    assert docs.replica.apply([state(uid(41), version(-1_000))]) != [None]
    known = docs.replica.digests([uid(n) for n in range(52)])
    while run(docs, "states"):
        pass
    assert docs.replica.digests([uid(n) for n in range(52)]) == known
    assert docs.replica.digests([uid(2)])[0].is_deleted  # type: ignore[union-attr]
    root = docs.replica.tree_nodes(0, [0])
    twin = replicated(open_node(tmp_path / "twin", PowerStore()))
    given = [one for one in docs.replica.states([uid(n) for n in range(52)]) if one]
    twin.replica.apply(given)
    assert twin.replica.tree_nodes(0, [0]) == root
    assert (docs.count(), docs.figures.tombstones) == (48, 2)

    database.update_collection(single)
    assert list(store.scan(Family.STATES, b"", b"\xff" * 40)) == []
    assert docs.figures.tombstones == 0
    assert docs.replica.digests([uid(2)]) == [None]
    docs = replicated_from(database, docs)
    while run(docs, "states"):
        pass
    assert [one.is_deleted for one in docs.replica.digests([uid(1), uid(3)]) if one] == [False] * 2
    assert docs.replica.digests([uid(2)]) == [None]


def test_rows_are_gathered_on_after_a_restart(
    database: Database, store: PowerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weftdb.storage.objects.ROWS_PER_CHUNK", 16)
    docs = database.create_collection(parse_collection(DOC))
    docs.put([draft(n) for n in range(50)])
    docs = replicated_from(database, docs)
    run(docs, "states")
    docs.put([draft(n) for n in range(10, 60)])
    database.close()
    again = open_node(tmp_path, store).collection("Doc")
    while run(again, "states"):
        pass
    ids = [uid(n) for n in range(60)]
    versions = [found.version for one in ids if (found := again.get(one))]
    assert [one.version for one in again.replica.digests(ids) if one] == versions
    listed = [one for leaf in range(16) for one in again.replica.leaf(leaf, None, 100).ids]
    assert sorted(listed) == ids


def test_rows_that_a_crash_left_behind_are_removed(
    docs: LocalCollection, database: Database, store: PowerStore, tmp_path: Path
) -> None:
    docs.replica.apply([state(uid(1), version(1)), deletion(uid(2), version(2))])
    database.update_collection(parse_collection(DOC))
    lost = store.after_crash()  # The definition was synced, the end of the rows was not.
    assert list(lost.scan(Family.STATES, b"", b"\xff" * 40)) != []
    again = open_node(tmp_path, lost).collection("Doc")
    assert list(lost.scan(Family.STATES, b"", b"\xff" * 40)) == []
    assert again.replica.digests([uid(1), uid(2)]) == [Digest(version(1)), None]


def test_another_height_makes_another_tree(database: Database, docs: LocalCollection) -> None:
    docs.replica.apply([state(uid(n), version(n)) for n in range(20)])
    docs.replica.tree_nodes(4, [0])
    config = {"factor": 3, "asyncConfig": {"hashtreeHeight": 6}}
    database.update_collection(parse_collection({**DOC, "replicationConfig": config}))
    assert docs.replica.tree_height == 6
    assert len(docs.replica.tree_nodes(6, range(64))) == 64
    with pytest.raises(SchemaViolation, match="hashtreeHeight"):
        parse_collection(
            {**DOC, "replicationConfig": {"factor": 3, "asyncConfig": {"hashtreeHeight": 21}}}
        )


def test_a_dropped_collection_leaves_no_states(
    database: Database, docs: LocalCollection, store: PowerStore
) -> None:
    docs.replica.apply([state(uid(1), version(1)), deletion(uid(2), version(2))])
    database.delete_collection("Doc")
    assert list(store.scan(Family.STATES, b"", b"\xff" * 40)) == []


def replicated_from(database: Database, docs: LocalCollection) -> LocalCollection:
    config = {"factor": 3, "asyncConfig": {"hashtreeHeight": 4}}
    return database.update_collection(parse_collection({**DOC, "replicationConfig": config}))


def run(docs: LocalCollection, word: str) -> bool:
    """Run the chore of that name."""
    (chore,) = [one for one in docs.chores if one.name.startswith(word)]
    return chore.run_if_due()
