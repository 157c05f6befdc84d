"""Several shards of a collection on one node: opened, added, dropped; each with its own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.replicas import PowerStore, open_node, rows_of
from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.definition import add_property, parse_collection
from weftdb.core.errors import (
    Closed,
    Fault,
    ReadOnly,
    ShardLoading,
    UnknownCollection,
    Unsupported,
)
from weftdb.core.query import Comparison, NearVector, Operator, Search, Target, ValueKind
from weftdb.core.types import UNNAMED, ShardName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.steps import run
from weftdb.storage.kv import Family

A, B, C = ShardName("A"), ShardName("B"), ShardName("C")


@pytest.fixture
def power() -> PowerStore:
    """Whose power may fail."""
    return PowerStore()


@pytest.fixture
def node(tmp_path: Path, power: PowerStore) -> Database:
    """Open and empty."""
    return open_node(tmp_path, power)


def made(node: Database, *names: ShardName) -> LocalCollection:
    return node.create_collection(parse_collection(DOC), list(names))


def filled(node: Database) -> LocalCollection:
    """A and B with two objects each."""
    docs = made(node, A, B)
    for name, first in ((A, 1), (B, 3)):
        drafts = [draft(n, vector=[float(n), 1.0]) for n in (first, first + 1)]
        assert docs.shards[name].put(drafts) == [None, None]
    return docs


def near(docs: LocalCollection, name: ShardName) -> int:
    target = Target(UNNAMED, draft(0, vector=[1.0, 1.0]).vectors[UNNAMED])
    query = Search("Doc", near=NearVector((target,)), limit=10)
    return len(run(docs.shards[name].search_steps(query)).stored)


def test_each_has_its_own_objects(node: Database) -> None:
    docs = filled(node)
    assert (docs.figures.objects, docs.shards[A].count(), near(docs, B)) == (4, 2, 2)
    assert docs.shards[A].exists(uid(1))
    assert not docs.shards[B].exists(uid(1))
    assert docs.shards[B].delete([uid(3), uid(1)]) == [True, False]
    big = Comparison(Operator.GREATER_THAN, ("size",), 1, ValueKind.INT)
    assert docs.shards[A].delete_where(big).ids == (uid(2),)
    assert [shard.count() for shard in docs.shards.values()] == [1, 1]
    docs.shards[A].merge(uid(1), {"title": "changed"}, {})
    found = docs.shards[A].get(uid(1))
    assert found is not None
    assert found.properties["title"] == "changed"


def test_they_are_there_after_a_restart(node: Database, tmp_path: Path, power: PowerStore) -> None:
    filled(node)
    node.close()
    docs = open_node(tmp_path, power).collection("Doc")
    assert list(docs.shards) == [A, B]
    assert [shard.count() for shard in docs.shards.values()] == [2, 2]
    assert (near(docs, A), near(docs, B)) == (2, 2)


def test_no_shard_is_picked_where_there_is_not_one(node: Database) -> None:
    docs = filled(node)
    for ask in (docs.count, lambda: docs.put([draft(9)]), lambda: docs.search(Search("Doc"))):
        with pytest.raises(Unsupported, match="2 shards of Doc"):
            ask()
    assert node.drop_shard("Doc", A)
    assert docs.count() == 2
    assert docs.only.name == B
    assert node.drop_shard("Doc", B)
    with pytest.raises(ShardLoading, match="no shard of Doc"):
        docs.count()


def test_a_definition_without_a_shard(node: Database, tmp_path: Path, power: PowerStore) -> None:
    docs = made(node)
    assert (docs.shards, docs.chores, docs.pending, docs.read_only) == ({}, [], 0, frozenset())
    figures = docs.figures
    assert (figures.objects, figures.vector_bytes, figures.coming_bytes) == (0, 0, 0)
    assert (figures.recalls(10), figures.quantizers, figures.oldest_pending_s) == ({}, {}, 0.0)
    assert (figures.graph_upkeep.deleted, figures.term_bytes, figures.tree_bytes) == (0, 0, 0)
    assert (figures.slowed_s, figures.link_faults, figures.tombstones) == (0, {}, 0)
    assert docs.wait_indexed(0.1)
    wider = add_property(docs.schema, {"name": "more", "dataType": ["text"]})
    assert node.update_collection(wider).schema is wider
    node.maintenance.run_once()
    node.close()
    node = open_node(tmp_path, power)
    docs = node.collection("Doc")
    assert docs.shards == {}
    assert "more" in docs.schema.property_by_name
    shard = node.add_shard("Doc", C)
    assert shard.put([draft(1)]) == [None]
    assert docs.only is shard
    assert node.delete_collection("Doc")


def test_adding_and_dropping_again(node: Database) -> None:
    docs = made(node, A)
    with pytest.raises(UnknownCollection):
        node.add_shard("Nothing", A)
    with pytest.raises(UnknownCollection):
        node.drop_shard("Nothing", A)
    assert node.add_shard("Doc", A) is docs.shards[A]
    assert not node.drop_shard("Doc", B)
    first = docs.shards[A]
    first.put([draft(1)])
    assert node.drop_shard("Doc", A)
    for ask in (first.count, lambda: first.put([draft(2)]), lambda: first.get(uid(1))):
        with pytest.raises(Closed, match="shard A"):
            ask()
    again = node.add_shard("Doc", A)
    assert (again.count(), again.number) == (0, first.number + 1)
    assert again.shard.name != first.shard.name, (
        "index files of the first must not pass for its own"
    )


def test_a_definition_changes_in_all(node: Database) -> None:
    docs = filled(node)
    wider = add_property(docs.schema, {"name": "more", "dataType": ["text"]})
    node.update_collection(wider)
    assert [shard.schema for shard in docs.shards.values()] == [wider, wider]
    assert node.add_shard("Doc", C).schema is wider


def test_one_is_set_read_only(node: Database) -> None:
    docs = filled(node)
    docs.set_read_only(A, is_read_only=True)
    assert docs.read_only == {A}
    with pytest.raises(ReadOnly, match='shard="A"'):
        docs.shards[A].delete([uid(1)])
    assert docs.shards[B].delete([uid(3)]) == [True]
    with pytest.raises(Unsupported, match="2 shards"):
        docs.set_read_only("Other", is_read_only=True)


def test_dropping_leaves_nothing(node: Database, tmp_path: Path, power: PowerStore) -> None:
    docs = filled(node)
    kept, gone = docs.shards[B].number, docs.shards[A].number
    for chore in docs.chores:
        chore.run_if_due()
    for number in (kept, gone):
        directory = tmp_path / "derived" / f"shard-{number}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "some-file").touch()
    assert node.drop_shard("Doc", A)
    assert rows_of(power, Family.OBJECTS) == rows_of(power, Family.IDS) == 2
    assert [path.name for path in (tmp_path / "derived").iterdir()] == [f"shard-{kept}"]
    assert node.delete_collection("Doc")
    families = set(Family) - {Family.METADATA}
    assert {rows_of(power, family) for family in families} == {0}
    assert list((tmp_path / "derived").iterdir()) == []


def test_a_crash_leaves_a_shard_or_none(tmp_path: Path) -> None:
    """Before each sync of adding, filling and dropping: what was answered is there, and no row of
    what is not."""
    power = PowerStore()
    node = open_node(tmp_path / "first", power)
    docs = made(node, A)
    docs.shards[A].put([draft(1)])
    begun = power.synced
    node.add_shard("Doc", B)
    added = power.synced
    docs.shards[B].put([draft(2)])
    written = power.synced
    node.drop_shard("Doc", B)
    dropped = power.synced
    assert begun < added < written < dropped
    total = power.synced
    power.synced = begun
    for kept in range(total - begun + 1):
        store = power.after_crash(kept)
        again = open_node(tmp_path / f"after-{kept}", store)
        held = again.collection("Doc")
        at = begun + kept
        assert (B in held.shards) == (added <= at < dropped)
        assert held.shards[A].count() == 1
        if B in held.shards:
            assert held.shards[B].count() == (written <= at)
        assert rows_of(store, Family.OBJECTS) == 1 + (written <= at < dropped)
        shard = again.add_shard("Doc", C)
        assert shard.number not in {one.number for one in held.shards.values() if one is not shard}
        again.close()


def test_a_drop_that_could_not_be_synced_is_tried_again(
    node: Database, tmp_path: Path, power: PowerStore
) -> None:
    docs = filled(node)
    power.is_failing = True
    with pytest.raises(Fault):
        node.drop_shard("Doc", A)
    with pytest.raises(Closed):
        docs.shards[A].count()
    with pytest.raises(Fault):
        node.delete_collection("Doc")
    assert node.collection("Doc") is docs
    crashed = open_node(tmp_path / "crashed", power.after_crash()).collection("Doc")
    assert [shard.count() for shard in crashed.shards.values()] == [2, 2]
    power.is_failing = False
    assert node.drop_shard("Doc", A)
    assert list(docs.shards) == [B]
    assert node.delete_collection("Doc")
    assert node.collections() == []


def test_files_of_a_shard_that_is_gone_are_removed_at_the_start(
    node: Database, tmp_path: Path, power: PowerStore
) -> None:
    docs = filled(node)
    numbers = [shard.number for shard in docs.shards.values()]
    node.close()
    for number in (*numbers, 99):
        (tmp_path / "derived" / f"shard-{number}").mkdir(parents=True, exist_ok=True)
    open_node(tmp_path, power)
    left = sorted(path.name for path in (tmp_path / "derived").iterdir())
    assert left == [f"shard-{number}" for number in numbers]
