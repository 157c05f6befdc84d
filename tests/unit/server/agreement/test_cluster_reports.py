"""Who does not answer is in the report all the same, with the status that says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.unit.server.agreement.nodes import (
    BOOK,
    KEYS,
    FakeHolder,
    Fickle,
    Node,
    definition,
    fickle,
)
from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.metadata.store import Event, Revision
from weftdb.cluster.replication.effects import Failure
from weftdb.core.env import SystemClock
from weftdb.core.errors import MetadataUnavailable, UnknownCollection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.agreement.cluster_reports import ClusterReports
from weftdb.server.etcd.roster import MemberStatus
from weftdb.server.internode.messages import AskFacts, NodeFacts, Noted, Pong, ShardFacts, Tell
from weftdb.server.internode.ports import CallFailed

MINIMAL = AskFacts(with_shards=False)
ROSTER = (
    MemberStatus(1, "n1", ("h:1",), is_learner=False, is_there=True, is_leader=True),
    MemberStatus(2, "n2", ("h:2",), is_learner=False),
)


class Caller:
    """A NodeCaller that answers for whom the test wants."""

    def __init__(self) -> None:
        self.failing: dict[NodeName, CallFailed] = {}
        self.asked: list[NodeName] = []
        self.failures_left = 1_000_000
        self.silent_looks = 0
        """So often a question for a shard finds it as it was."""

    async def ping(self, node: NodeName, deadline_s: float) -> Pong:
        raise AssertionError

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        raise AssertionError

    async def facts(self, node: NodeName, question: AskFacts, deadline_s: float) -> NodeFacts:
        self.asked.append(node)
        if node in self.failing and self.failures_left:
            self.failures_left -= 1
            raise self.failing[node]
        shards: tuple[ShardFacts, ...] | None = None
        if question.collection is not None and question.shard is not None:
            is_late = len(self.asked) <= 3 * self.silent_looks
            state = "READY" if is_late else "READONLY"
            facts = (question.collection, question.shard, 0, state, 0, False, True, 3, 3)
            shards = (ShardFacts(*facts),)
        return NodeFacts(node, "1.39.0", "1", "", "HEALTHY", "ReadWrite", 1, 2.0, shards)


@pytest.fixture
def store() -> Iterator[Fickle]:
    made = fickle()
    yield made
    made.close()


@pytest.fixture
def node(store: Fickle) -> Iterator[Node]:
    for number in (2, 3):
        Node(f"n{number}", number, store, FakeHolder()).open().close()
    made = Node("n1", 1, store, FakeHolder()).open()
    yield made
    made.close()


def reports(node: Node, caller: Caller, roster: Sequence[MemberStatus] = ROSTER) -> ClusterReports:
    def asked() -> Sequence[MemberStatus]:
        if not roster:
            raise MetadataUnavailable("away")
        return roster

    return ClusterReports(
        caller, node.peers, node.schema, SystemClock(), roster=asked, revision=lambda: 7
    )


def test_all_are_asked_but_who_is_away(node: Node) -> None:
    caller = Caller()
    n2, n3 = NodeName("n2"), NodeName("n3")
    caller.failing[n2] = CallFailed(Failure("it hung up"))
    node.peers.hear_nodes([Event(KEYS.node(n3), None, Revision(9))])
    for _ in range(40):
        node.peers.on_failure(n3, CallOutcome.REFUSED, began_s=time.monotonic())
    node.peers._membership.on_time(now_s=time.monotonic() + 60)
    found = {each.name: each.status for each in asyncio.run(reports(node, caller).nodes(MINIMAL))}
    assert found == {"n1": "HEALTHY", "n2": "UNHEALTHY", "n3": "UNAVAILABLE"}
    assert sorted(caller.asked) == ["n1", "n2"]


def test_a_node_that_has_not_heard_of_a_collection_has_none_of_it(node: Node) -> None:
    caller = Caller()
    node.schema.create(definition())
    error = UnknownCollection("Book")
    caller.failing[NodeName("n2")] = CallFailed(Failure(str(error)), error=error)
    question = AskFacts(with_shards=True, collection=BOOK)
    found = asyncio.run(reports(node, caller).nodes(question))
    assert [each.status for each in found] == ["HEALTHY"] * 3
    with pytest.raises(UnknownCollection):
        asyncio.run(reports(node, caller).nodes(AskFacts(True, CollectionName("Nothing"))))


def test_a_node_that_hears_of_a_collection_meanwhile_is_waited_for(node: Node) -> None:
    caller = Caller()
    node.schema.create(definition())
    error = UnknownCollection("Book")
    caller.failing[NodeName("n2")] = CallFailed(Failure(str(error)), error=error)
    caller.failures_left = 2
    question = AskFacts(with_shards=True, collection=BOOK, shard=ShardName("s"))
    found = asyncio.run(reports(node, caller).nodes(question))
    assert [len(each.shards or ()) for each in found] == [1, 1, 1]


def test_places_are_those_of_the_sharding_state(node: Node) -> None:
    subject = reports(node, Caller())
    assert subject.places(BOOK) is None
    node.schema.create(definition())
    state = node.schema.sharding(BOOK)
    places = subject.places(BOOK)
    assert state is not None
    assert places is not None
    assert {each.shard: each.replicas for each in places} == {
        shard.name: shard.replicas for shard in state[0].shards
    }


def test_a_shard_is_set_once_its_replicas_say_so(node: Node) -> None:
    caller = Caller()
    subject = reports(node, caller)
    node.schema.create(definition())
    places = subject.places(BOOK)
    assert places is not None
    shard = places[0].shard
    caller.silent_looks = 2

    async def done(name: ShardName) -> bool:
        return await subject.set_read_only(BOOK, name, is_read_only=True)

    assert asyncio.run(done(shard)) is True
    assert len(caller.asked) == 3 * 3, "two looks at what is not yet so, one at what is"
    assert asyncio.run(done(ShardName("nothing"))) is False
    assert set().union(*node.holder.read_only.values()) <= {shard}


def test_statistics_with_and_without_the_metadata(node: Node) -> None:
    found, is_synchronized = asyncio.run(reports(node, Caller()).statistics())
    assert is_synchronized
    assert [each["isVoter"] for each in found] == [True, True, False]
    assert {each["leaderId"] for each in found} == {"n1"}
    assert found[0]["raft"]["state"] == "Leader"
    found, is_synchronized = asyncio.run(reports(node, Caller(), ()).statistics())
    assert not is_synchronized
    assert found[0]["leaderId"] == ""
