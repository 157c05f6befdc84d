"""What one node changes, all others come to hold; what they missed, they make up for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.server.agreement.nodes import (
    BOOK,
    KEYS,
    FakeHolder,
    Fickle,
    Node,
    definition,
    fickle,
    with_property,
)
from weftdb.cluster.metadata.store import Delete, Put, Revision, Transaction
from weftdb.cluster.sharding import encode_sharding
from weftdb.core.config import ReplicationConfig
from weftdb.core.errors import (
    CollectionExists,
    DiskFull,
    Fault,
    MetadataUnavailable,
    SchemaChanged,
    SchemaViolation,
    UnknownCollection,
)
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.agreement import agreed_schema as subject


@pytest.fixture
def store() -> Iterator[Fickle]:
    made = fickle()
    yield made
    made.close()


@pytest.fixture
def nodes(store: Fickle) -> Iterator[list[Node]]:
    """Three nodes that know of each other."""
    made = [Node(f"n{number}", number, store, FakeHolder()) for number in (1, 2, 3)]
    for node in made:
        node.open().close()  # All have to be members before the first one places anything.
    for node in made:
        node.open()
    yield made
    for node in made:
        node.close()


def test_a_collection_is_made_on_all_nodes_with_its_shards(nodes: list[Node]) -> None:
    made = nodes[0].schema.create(definition(replicationConfig={"factor": 2}))
    assert made.definition["shardingConfig"]["actualCount"] == 3
    version = nodes[0].schema.schema_version(BOOK)
    assert version > 0
    for node in nodes:
        assert node.waits_for(version)
        assert node.holder.held[BOOK].definition == made.definition
        assert node.schema.schema_version(BOOK) == version
    found = nodes[1].schema.sharding(BOOK)
    assert found is not None
    state, revision = found
    assert (len(state.shards), state.factor, revision) == (3, 2, version)
    for node in nodes:
        assert node.holder.shards[BOOK] == {shard.name for shard in state.held_on(node.name)}
    assert sum(len(node.holder.shards[BOOK]) for node in nodes) == 6
    moved = nodes[2].schema.moved(BOOK)
    assert moved is not None
    assert moved.state == encode_sharding(state)


def test_a_change_goes_to_all_and_who_was_late_decides_anew(nodes: list[Node]) -> None:
    nodes[0].schema.create(definition())
    assert nodes[1].waits_for(nodes[0].schema.schema_version(BOOK))
    one, two = (node.holder.held[BOOK] for node in nodes[:2])
    nodes[0].schema.replace(one, with_property(one, "first"))
    with pytest.raises(SchemaChanged):
        nodes[1].schema.replace(two, with_property(two, "second"))
    newer = nodes[1].holder.held[BOOK]
    assert [item.name for item in newer.properties] == ["first"], "it is here after the refusal"
    last = nodes[1].schema.replace(newer, with_property(newer, "second"))
    assert [item.name for item in last.properties] == ["first", "second"]
    assert nodes[2].waits_for(nodes[1].schema.schema_version(BOOK))
    assert nodes[2].holder.held[BOOK].definition == last.definition


def test_two_nodes_make_the_same_collection_and_one_is_first(nodes: list[Node]) -> None:
    def create(node: Node, name: str) -> str:
        try:
            node.schema.create(definition(name))
        except CollectionExists:
            return "exists"
        return "made"

    with ThreadPoolExecutor(3) as pool:
        names = ("Book", "BOOK", "Book")  # Names that differ in case only are the same.
        outcomes = list(pool.map(create, nodes, names))
    assert sorted(outcomes) == ["exists", "exists", "made"]


def test_a_dropped_collection_goes_everywhere(nodes: list[Node], store: Fickle) -> None:
    nodes[0].schema.create(definition())
    assert nodes[1].waits_for(nodes[0].schema.schema_version(BOOK))
    assert nodes[1].schema.drop("Book")
    assert BOOK not in nodes[1].holder.held
    assert not nodes[1].schema.drop("Book")
    assert store.list(KEYS.schema).records == ()
    nodes[0].applier.wait_past(BOOK, nodes[0].applier.applied(BOOK), 10)
    assert nodes[0].schema.sharding(BOOK) is None
    assert nodes[0].schema.moved(BOOK) is None
    assert nodes[0].schema.schema_version(BOOK) == 0


def test_who_was_away_makes_up_for_everything(nodes: list[Node]) -> None:
    for name in ("Book", "Gone", "Changed"):
        nodes[0].schema.create(definition(name, replicationConfig={"factor": 3}))
    away = nodes[2]
    assert away.schema.arrives("Changed")
    assert away.schema.arrives("Book")
    old_shards = away.holder.shards[BOOK]
    away.close()
    nodes[1].schema.arrives("Changed")
    changed = nodes[1].holder.held[CollectionName("Changed")]
    nodes[1].schema.replace(changed, with_property(changed, "word"))
    nodes[0].schema.drop("Gone")
    nodes[0].schema.drop("Book")
    nodes[0].schema.create(definition("Book", replicationConfig={"factor": 3}))
    nodes[0].schema.create(definition("New", replicationConfig={"factor": 3}))
    away.holder.log.clear()
    away.open()
    assert away.is_complete
    assert sorted(away.holder.held) == ["Book", "Changed", "New"]
    assert [item.name for item in away.holder.held[CollectionName("Changed")].properties] == [
        "word"
    ]
    assert not away.holder.shards[BOOK] & old_shards, "another collection of the same name"
    assert away.holder.log.index("drop Book") < away.holder.log.index("create Book")


def test_a_request_for_an_unknown_collection_looks_into_the_metadata(nodes: list[Node]) -> None:
    assert not nodes[1].schema.arrives("Book")
    nodes[0].schema.create(definition())
    assert nodes[1].schema.arrives("Book"), "at once, on whatever node"
    assert BOOK in nodes[1].holder.held


def test_with_the_metadata_away_data_goes_on_and_changes_are_refused(
    nodes: list[Node], store: Fickle, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes[0].schema.create(definition())
    store.is_away = True
    with store._turn:
        store._turn.notify_all()
    until = time.monotonic() + 20
    while nodes[0].follower.is_current:
        assert time.monotonic() < until
        time.sleep(0.01)
    began = time.monotonic()
    old = nodes[0].holder.held[BOOK]
    for change in (
        lambda: nodes[0].schema.create(definition("Other")),
        lambda: nodes[0].schema.replace(old, with_property(old, "word")),
        lambda: nodes[0].schema.drop("Book"),
    ):
        with pytest.raises(MetadataUnavailable, match="cannot be changed until"):
            change()
    assert not nodes[0].schema.arrives("Other")
    assert not nodes[0].schema.arrives("Other"), "the second one does not even ask"
    assert time.monotonic() - began < 2
    assert nodes[0].schema.sharding(BOOK) is not None
    assert nodes[0].holder.held[BOOK] is old
    store.is_away = False
    until = time.monotonic() + 20
    while not nodes[0].follower.is_current:
        assert time.monotonic() < until
        time.sleep(0.01)
    nodes[0].schema.replace(old, with_property(old, "word"))


def test_the_factor_has_bounds_and_needs_nodes(nodes: list[Node]) -> None:
    assert nodes[0].schema.node_count == 3
    with pytest.raises(SchemaViolation, match="could not find enough weaviate nodes"):
        nodes[0].schema.create(definition(nodes=9, replicationConfig={"factor": 4}))
    assert nodes[0].schema.factor_default == 1
    nodes[0].schema._config = ReplicationConfig(factor_min=2, factor_max=2)
    assert nodes[0].schema.factor_default == 2
    with pytest.raises(SchemaViolation, match="requires a minimum replication factor of 2: got 1"):
        nodes[0].schema.create(definition())
    with pytest.raises(SchemaViolation, match="caps replication at 2: got 3"):
        nodes[0].schema.create(definition(replicationConfig={"factor": 3}))
    assert nodes[0].holder.held == {}
    made = nodes[0].schema.create(definition(replicationConfig={"factor": 2}))
    with pytest.raises(SchemaViolation, match="replication factor"):
        nodes[0].schema.replace(made, definition(replicationConfig={"factor": 1}))


def held_read_only(nodes: list[Node]) -> set[ShardName]:
    return set().union(*(node.holder.read_only.get(BOOK, set()) for node in nodes))


def test_a_shard_is_read_only_on_every_node_that_holds_it(nodes: list[Node], store: Fickle) -> None:
    nodes[0].schema.create(definition(replicationConfig={"factor": 3}))
    first, second = sorted(nodes[0].holder.shards[BOOK])[:2]

    def agreed_by(node: Node, shard: ShardName, *, is_read_only: bool) -> None:
        node.schema.arrives(BOOK)
        node.schema.set_read_only(BOOK, shard, is_read_only=is_read_only)
        revision = store.get(KEYS.states(BOOK))
        assert revision is not None
        assert all(each.waits_for(revision.revision) for each in nodes)

    agreed_by(nodes[0], first, is_read_only=True)
    agreed_by(nodes[1], second, is_read_only=True)
    assert [node.holder.read_only[BOOK] for node in nodes] == [{first, second}] * 3
    nodes[2].close()
    nodes[0].schema.set_read_only(BOOK, first, is_read_only=False)
    nodes[2].open()
    assert nodes[2].holder.read_only[BOOK] == {second}, "it made up for what it missed"


def test_what_was_set_goes_with_its_collection(nodes: list[Node], store: Fickle) -> None:
    nodes[0].schema.create(definition(shardingConfig={"desiredCount": 1}))
    placed = nodes[0].schema.sharding(BOOK)
    assert placed is not None
    shard = placed[0].shards[0].name
    nodes[0].schema.set_read_only(BOOK, shard, is_read_only=True)
    stale = store.get(KEYS.states(BOOK))
    assert stale is not None
    assert nodes[0].schema.drop(BOOK)
    assert store.get(KEYS.states(BOOK)) is None
    with pytest.raises(UnknownCollection):
        nodes[0].schema.set_read_only(BOOK, shard, is_read_only=True)
    # Left by a node of a release that does not know of it.
    store.commit(Transaction((Put(KEYS.states(BOOK), stale.value),)))
    nodes[0].schema.create(definition(shardingConfig={"desiredCount": 1}))
    assert held_read_only(nodes) == set()


def test_what_this_node_cannot_serve_is_not_agreed_on(nodes: list[Node], store: Fickle) -> None:
    nodes[0].holder.refused = SchemaViolation("no such index here")
    with pytest.raises(SchemaViolation, match="no such index"):
        nodes[0].schema.create(definition())
    assert store.list(KEYS.schema).records == ()


def test_a_member_that_left_gets_no_replica(nodes: list[Node], store: Fickle) -> None:
    store.commit(Transaction((Delete(KEYS.member(NodeName("n3"))),)))
    with pytest.raises(SchemaViolation, match="nodes left while Book was placed"):
        nodes[0].schema.create(definition())


def test_a_node_that_cannot_follow_says_why_and_tries_again(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "APPLIED_S_MAX", 0.3)
    nodes[0].holder.fault = DiskFull("no room")
    with pytest.raises(MetadataUnavailable, match="has not made it yet: no room"):
        nodes[0].schema.create(definition())
    assert str(nodes[0].applier.faults()[BOOK]) == "no room"
    assert nodes[1].schema.arrives("Book"), "the others go on"
    nodes[0].holder.fault = None
    assert nodes[0].waits_for(nodes[1].schema.schema_version(BOOK))
    assert nodes[0].applier.faults() == {}


def test_a_shard_that_is_given_is_made_and_one_that_left_stays(
    nodes: list[Node], store: Fickle
) -> None:
    nodes[0].schema.create(definition())
    version = nodes[0].schema.schema_version(BOOK)
    assert nodes[1].waits_for(version)
    found = nodes[1].schema.sharding(BOOK)
    assert found is not None
    state = found[0]
    mine = next(iter(state.held_on(nodes[1].name))).name
    other = next(iter(state.held_on(nodes[0].name))).name
    moved = state.with_joining(other, nodes[1].name).with_joining(mine, nodes[0].name)
    moved = moved.with_joined(mine, nodes[0].name).without_node(mine, nodes[1].name)
    moved = moved.with_factor(1)
    outcome = store.commit(Transaction((Put(KEYS.sharding(BOOK), encode_sharding(moved)),)))
    assert nodes[1].waits_for(getattr(outcome, "revision"))  # noqa: B009  # It is Committed.
    assert nodes[1].holder.shards[BOOK] == {mine, other}, "what left has to be handed over first"
    again = nodes[1].schema.sharding(BOOK)
    assert again is not None
    assert again[0] == moved
    assert nodes[1].schema.schema_version(BOOK) == version, "the definition is the same"


def test_data_of_unknown_origin_is_never_dropped(nodes: list[Node]) -> None:
    node = nodes[0]
    node.close()
    node.holder.create(definition("Stray"), [ShardName("x")])
    node.open()
    assert not node.is_complete
    stray = node.applier.faults()[CollectionName("Stray")]
    assert isinstance(stray, Fault)
    assert "nobody knows where" in str(stray)
    assert "Stray" in node.holder.held


def test_requests_wait_for_what_the_sender_knows(nodes: list[Node]) -> None:
    async def scene() -> None:
        node, loop = nodes[1], asyncio.get_running_loop()
        deadline = time.monotonic() + 20
        nodes[0].schema.create(definition())
        version = nodes[0].schema.schema_version(BOOK)
        assert await node.schema.wait_for_schema(BOOK, version, deadline)
        assert await node.schema.wait_for_sharding(BOOK, version, deadline)
        assert not await node.schema.wait_for_schema(BOOK, version + 1, time.monotonic() + 0.05)
        old = nodes[0].holder.held[BOOK]
        waiting = asyncio.ensure_future(node.schema.wait_for_schema(BOOK, version + 1, deadline))
        await asyncio.sleep(0.05)
        await loop.run_in_executor(None, nodes[0].schema.replace, old, with_property(old, "word"))
        assert await waiting
        await loop.run_in_executor(None, nodes[0].schema.drop, "Book")
        dropped = nodes[0].follower.revision
        while node.applier.applied(BOOK) is not None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        with pytest.raises(UnknownCollection):
            await node.schema.wait_for_schema(BOOK, dropped, time.monotonic() + 1)
        with pytest.raises(UnknownCollection):
            await node.schema.wait_for_sharding(BOOK, dropped, time.monotonic() + 1)

    asyncio.run(scene())


def test_tenants_have_no_sharding_state_of_their_collection(
    nodes: list[Node], store: Fickle
) -> None:
    nodes[0].schema.create(definition(multiTenancyConfig={"enabled": True}))
    assert nodes[1].schema.arrives("Book")
    assert nodes[1].schema.sharding(BOOK) is None
    assert nodes[1].holder.shards[BOOK] == set()
    assert store.get(KEYS.sharding(BOOK)) is None
    assert nodes[1].schema.drop("Book")


def test_damaged_metadata_stops_one_collection_only(nodes: list[Node], store: Fickle) -> None:
    nodes[0].schema.create(definition())
    outcome = store.commit(Transaction((Put(KEYS.collection(BOOK), b"{"),)))
    assert not nodes[0].applier.wait_done(BOOK, getattr(outcome, "revision"), 0.3)  # noqa: B009  # It is Committed.
    assert "damaged" in str(nodes[0].applier.faults()[BOOK])
    assert nodes[0].holder.held[BOOK].name == "Book", "what is known stands"
    nodes[0].schema.create(definition("Other"))
    assert not nodes[0].applier.is_gone(BOOK, Revision(1))
