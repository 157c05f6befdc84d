"""Catalogues over real databases: what doors do on several nodes at once comes to one schema."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.server.agreement.nodes import BOOK, FakeHolder, Fickle, Node, fickle
from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.config import Config
from weftdb.core.env import Env
from weftdb.core.errors import CollectionExists, ShardLoading, UnknownCollection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.server.agreement.held_shards import HeldShards
from weftdb.server.agreement.holding import DatabaseHolder
from weftdb.server.agreement.node_view import NodeView
from weftdb.server.internode.messages import NO_REVISION, AskFacts, Moved
from weftdb.server.own_facts import OwnFacts
from weftdb.storage.memory import MemoryStore


class Full:
    """A node with an engine and a catalogue."""

    def __init__(self, name: str, number: int, store: Fickle, path: Path) -> None:
        config, env = Config(), Env()
        vectorizers = Registry(config.modules)
        kept = MemoryStore()
        path.mkdir()
        self.database = Database(path, kept, config=config, vectorizers=vectorizers, env=env)
        self.node = Node(name, number, store, cast("FakeHolder", DatabaseHolder(self.database)))
        self.node.directory = kept
        self.catalogue = Catalogue(self.database, config.schema, vectorizers, env)

    def open(self) -> None:
        self.node.open()
        self.catalogue.keeper = self.node.schema
        self.view = NodeView(self.node.schema, self.database, self.node.peers)
        self.shards = HeldShards(self.node.name, self.node.schema, self.database)

    def close(self) -> None:
        self.node.close()
        self.database.close()


@pytest.fixture
def store() -> Iterator[Fickle]:
    made = fickle()
    yield made
    made.close()


@pytest.fixture
def nodes(store: Fickle, tmp_path: Path) -> Iterator[list[Full]]:
    made = [Full(f"n{number}", number, store, tmp_path / f"n{number}") for number in (1, 2, 3)]
    for full in made:
        full.node.open().close()
    for full in made:
        full.open()
    yield made
    for full in made:
        full.close()


def names_of(full: Full) -> set[str]:
    return {item.name for item in full.catalogue.get("Book").properties}


def test_nodes_that_widen_at_once_lose_nothing(nodes: list[Full]) -> None:
    def write(job: tuple[Full, int]) -> None:
        full, number = job
        full.catalogue.prepare("Book", [{f"word{number}": "x", "shared": 1}])

    jobs = [(nodes[number % 3], number) for number in range(9)]
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(write, jobs))
    wanted = {"shared", *(f"word{number}" for number in range(9))}
    newest = max(full.node.schema.schema_version(BOOK) for full in nodes)
    for full in nodes:
        assert full.node.waits_for(newest)
        assert names_of(full) == wanted


def test_a_collection_is_used_on_another_node_at_once(nodes: list[Full]) -> None:
    nodes[0].catalogue.create({"class": "Book", "replicationConfig": {"factor": 2}})
    made = nodes[1].catalogue.get("book")
    assert made.replication_factor == 2
    with pytest.raises(CollectionExists):
        nodes[2].catalogue.create({"class": "Book"})
    assert nodes[2].catalogue.delete("Book")
    with pytest.raises(UnknownCollection):
        nodes[2].catalogue.get("Book")
    with pytest.raises(UnknownCollection):
        nodes[0].catalogue.get("Nothing")


def test_each_node_opens_its_shards_and_tells_of_them(nodes: list[Full]) -> None:
    nodes[0].catalogue.create({"class": "Book", "replicationConfig": {"factor": 2}})
    for full in nodes:
        schema = full.catalogue.get("Book")
        found = full.node.schema.sharding(BOOK)
        assert found is not None
        state, revision = found
        held = {shard.name for shard in state.held_on(full.node.name)}
        assert set(full.database.collection("Book").shards) == held
        assert {each.shard for each in full.view.here()} == held
        assert full.view.schema(BOOK) is schema
        assert full.view.revision(BOOK) == revision
        assert full.view.is_complete
        shard = ShardRef(BOOK, next(iter(held)))
        assert set(full.view.replicas(shard)) == set(state.shard(shard.shard).replicas)  # type: ignore[union-attr]  # It is there.
        assert full.shards.local(shard) is full.view.local(shard)
        assert not full.shards.is_rebuilding(shard)
        facts = OwnFacts(full.node.name, full.database, holds_all=False).facts(
            AskFacts(with_shards=True, collection=BOOK)
        )
        assert {each.shard for each in facts.shards or ()} == held
        full.view.empty(shard)
        assert full.view.local(shard) is not None


def test_what_is_not_here_says_whether_it_will_be(nodes: list[Full]) -> None:
    nodes[0].catalogue.create({"class": "Book", "shardingConfig": {"desiredCount": 1}})
    full = next(each for each in nodes if each.catalogue.local("Book").shards)
    (name,) = full.database.collection("Book").shards
    shard = ShardRef(BOOK, name)
    full.database.drop_shard("Book", name)
    with pytest.raises(ShardLoading, match="is being made"):
        full.shards.local(shard)
    other = next(each for each in nodes if each is not full)
    with pytest.raises(UnknownCollection):
        other.shards.local(shard)
    gone = ShardRef(CollectionName("Nothing"), ShardName("x"))
    with pytest.raises(UnknownCollection):
        full.shards.local(gone)
    assert full.view.local(gone) is None
    assert full.view.replicas(gone) == ()
    assert full.view.revision(gone.collection) == NO_REVISION
    assert full.shards.sharding(gone.collection) is None


def test_a_newer_sharding_state_is_learned_from_who_knows_it(nodes: list[Full]) -> None:
    full = nodes[0]
    full.catalogue.create({"class": "Book"})
    found = full.shards.sharding(BOOK)
    state = full.node.schema.sharding(BOOK)
    assert found is not None
    assert state is not None
    full.view.learn(Moved(BOOK, found.revision - 1, b"not even read"))
    newer = Moved(BOOK, found.revision + 1000, found.state)
    full.view.learn(newer)
    assert full.view.revision(BOOK) == newer.revision
    full.view.learn(Moved(CollectionName("Nothing"), 5, b"{}"))
    assert full.shards.sharding(CollectionName("Nothing")) is None


def test_who_is_away_is_told(nodes: list[Full]) -> None:
    view, peers = nodes[0].view, nodes[0].node.peers
    other = NodeName("n2")
    assert not view.is_away(other)
    for _ in range(3):
        peers.on_failure(other, CallOutcome.REFUSED, began_s=0.0)
    assert not view.is_away(other), "failures before its last answer count for nothing"
    assert view.is_away(NodeName("nobody"))


def test_a_restart_finds_the_database_as_agreed(
    store: Fickle, nodes: list[Full], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = nodes[1]
    nodes[0].catalogue.create({"class": "Book"})
    assert full.node.waits_for(nodes[0].node.schema.schema_version(BOOK), BOOK)
    full.node.close()
    calls: list[Any] = []
    monkeypatch.setattr(full.database, "update_collection", calls.append)
    full.open()
    assert full.node.is_complete
    assert calls == [], "nothing had to be changed"
