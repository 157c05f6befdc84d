"""Two nodes over loopback: what is asked arrives, what goes wrong is told, in time."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.engine.replicas import deletion, described, state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.wired import (
    CLOCK,
    DOC,
    SHARD,
    Pair,
    WiredNode,
    encoded,
    failure_of,
    named,
    objects,
    play,
    within,
)
from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    Leaf,
    Purpose,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.core.errors import (
    CorruptData,
    DiskFull,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    ReadOnly,
    ShardLoading,
    UnknownCollection,
    WeftError,
)
from weftdb.core.hashing import token
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.internode import client as client_module
from weftdb.server.internode import service as service_module
from weftdb.server.internode import switchboard as switchboard_module
from weftdb.server.internode.messages import AskFacts, Noted, Tell
from weftdb.server.internode.peer import PeerBounds
from weftdb.server.internode.peer_figures import LinkCollector, link_figures
from weftdb.server.internode.ports import CallFailed

RIGHT = named("right")


def test_all_requests_of_replication(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        left, right = pair.left, pair.right
        right.replica.apply([state(uid(1), version(5)), deletion(uid(2), version(2))])
        said = await pair.apply(
            [
                encoded(state(uid(1), version(4)), left),
                encoded(state(uid(3), version(3)), left),
                encoded(state(uid(4), version(4), vector=[1]), left),
                deletion(uid(9), version(9)),
            ]
        )
        assert said.newer == (version(5), None, None, None)
        assert [one.position for one in said.refused] == [2]
        assert "vector with length 1" in said.refused[0].reason
        ask = left.client.ask
        ids = (uid(2), uid(77), uid(3))
        assert await ask(RIGHT, ReadDigests(SHARD, 1, ids), within()) == Digests(
            (Digest(version(2), is_deleted=True), None, Digest(version(3)))
        )
        states = await ask(RIGHT, ReadStates(SHARD, 1, ids), within())
        assert isinstance(states, States)
        wanted = [deletion(uid(2), version(2)), None, state(uid(3), version(3))]
        assert described(states.states) == described(wanted)
        leaf = token(uid(3)) >> 60
        tree = await ask(RIGHT, ReadTree(SHARD, 1, 4, (leaf, 0)), within())
        assert tree == TreeNodes(tuple(right.replica.tree_nodes(4, [leaf, 0])))
        page = await ask(RIGHT, ReadLeaf(SHARD, 1, leaf, None, 10), within())
        assert isinstance(page, Leaf)
        assert uid(3) in page.ids
        assert page == await right.client.ask(RIGHT, ReadLeaf(SHARD, 1, leaf, None, 10), within())
        again = await ask(RIGHT, ReadLeaf(SHARD, 1, leaf, page.ids[-1], 10), within())
        assert again == Leaf((), (), is_last=True)
        assert set(left.heard.answers) == {(RIGHT, 1)}
        assert not left.heard.failures
        assert ("Apply", "OK") in left.heard.counted
        assert ("Apply", "OK") in right.served.counted

    play(tmp_path, main)


def test_the_own_node_is_asked_without_a_wire(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        left = pair.left
        pair.left.addresses.clear()
        request = Apply(SHARD, 1, tuple(objects(left, 2)))
        said = await left.client.ask(left.name, request, within())
        assert said == Applied((None, None))
        found = await left.client.ask(left.name, ReadDigests(SHARD, 1, (uid(1),)), within())
        assert found == Digests((Digest(version(1)),))
        gone = ShardRef(CollectionName("Gone"), ShardName("s"))
        failed = await failure_of(
            left.client.ask(left.name, ReadDigests(gone, 1, (uid(1),)), within())
        )
        assert failed.failure.is_final
        assert (await left.client.ping(left.name, within())).generation == 1
        assert await left.client.tell(left.name, Tell(SHARD), within()) == Noted()
        assert (await left.client.facts(left.name, AskFacts(True), within())).shards
        assert not left.heard.counted

    play(tmp_path, main)


def test_what_nodes_say_of_themselves(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        client = pair.left.client
        pong = await client.ping(RIGHT, within())
        assert (pong.generation, pong.release) == (1, "0.1")
        tell = Tell(SHARD, 17, (named("a"),), (named("b"),))
        assert await client.tell(RIGHT, tell, within()) == Noted((named("a"),))
        assert pair.right.known.told == [(named("left"), tell)]
        for question in (AskFacts(True), AskFacts(False), AskFacts(True, DOC, SHARD.shard)):
            said = await client.facts(RIGHT, question, within())
            assert said == pair.right.known.facts(question)

    play(tmp_path, main)


@pytest.mark.parametrize(
    "error",
    [
        DiskFull("the disk is 91 % full"),
        ReadOnly("shard s is read-only"),
        ShardLoading("the hash tree is being built"),
        Overloaded("no memory"),
        CorruptData("a row fails its checksum"),
        InvalidRequest("no such leaf"),
        UnknownCollection("Doc"),
    ],
)
def test_errors_of_the_engine_arrive_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: WeftError
) -> None:
    async def main(pair: Pair) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(type(pair.right.replica), "apply", fail)
        failed = await failure_of(pair.apply(objects(pair.left, 1)))
        assert type(failed.error) is type(error)
        assert str(failed.error) == str(error)
        assert type(error).__name__ in failed.failure.reason
        assert failed.failure.is_final == isinstance(error, UnknownCollection)
        assert pair.left.heard.answers == [(RIGHT, 1)]
        assert pair.left.heard.counted == [("Apply", type(error).__name__)]

    play(tmp_path, main)


def test_a_bug_is_a_failure_and_the_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(pair: Pair) -> None:
        def fail(*_: object, **__: object) -> None:
            raise KeyError("secret")

        with monkeypatch.context() as broken:
            broken.setattr(type(pair.right.replica), "apply", fail)
            failed = await failure_of(pair.apply(objects(pair.left, 1)))
        assert not failed.failure.is_final
        assert "secret" not in failed.failure.reason
        assert not pair.left.heard.failures, "the node is there"
        assert await pair.apply(objects(pair.left, 1)) == Applied((None,))

    play(tmp_path, main)
    assert "Apply failed unexpectedly" in caplog.text


def test_repairs_pass_where_somebody_set_the_shard_read_only(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        pair.right.known.collection.only.status.set_read_only("s", is_read_only=True)
        failed = await failure_of(pair.apply(objects(pair.left, 1)))
        assert isinstance(failed.error, ReadOnly)
        await pair.apply(objects(pair.left, 1), purpose=Purpose.REPAIR)

    play(tmp_path, main)


def test_a_deadline_ends_a_call_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(pair: Pair) -> None:
        go_on = threading.Event()
        monkeypatch.setattr(
            type(pair.right.replica), "digests", lambda *_: go_on.wait(20) and [None]
        )
        ask, question = pair.left.client.ask, ReadDigests(SHARD, 1, (uid(1),))
        begun_s = time.monotonic()
        failed = [failure_of(ask(RIGHT, question, within(0.3))) for _ in range(4)]
        for one in await asyncio.gather(*failed):
            assert "in time" in one.failure.reason
        assert 0.25 < time.monotonic() - begun_s < 5
        assert pair.left.heard.failures == [(RIGHT, CallOutcome.TIMEOUT)] * 4
        taken = pair.right.answers.lanes.reads
        go_on.set()  # Two ran, two waited: those are not begun any more.
        while taken.taken:
            await asyncio.sleep(0.01)
        over = await failure_of(ask(RIGHT, question, CLOCK.monotonic_s() - 1))
        assert "passed before" in over.failure.reason

    play(tmp_path, main)


def test_overload_is_answered_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(pair: Pair) -> None:
        go_on = threading.Event()
        monkeypatch.setattr(
            type(pair.right.replica), "digests", lambda *_: go_on.wait(20) and [None]
        )
        ask, question = pair.left.client.ask, ReadDigests(SHARD, 1, (uid(1),))
        calls = [asyncio.ensure_future(ask(RIGHT, question, within())) for _ in range(4)]
        reads = pair.right.answers.lanes.reads
        while reads.taken < 4:
            await asyncio.sleep(0.01)
        failed = await failure_of(ask(RIGHT, question, within()))
        assert isinstance(failed.error, Overloaded)
        assert not failed.failure.is_final
        assert reads.refused == 1
        assert (await pair.left.client.ping(RIGHT, within())).generation == 1
        await pair.apply(objects(pair.left, 1))  # Writes have threads of their own.
        go_on.set()
        assert await asyncio.gather(*calls) == [Digests((None,))] * 4

    play(tmp_path, main, waiting_max=2)


def test_so_much_may_be_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(pair: Pair) -> None:
        go_on = threading.Event()
        apply = type(pair.right.replica).apply

        def slow(*arguments: Any, **options: Any) -> Any:
            assert go_on.wait(20)
            return apply(*arguments, **options)

        monkeypatch.setattr(type(pair.right.replica), "apply", slow)
        large = objects(pair.left, 1, title="x" * 5_000)
        writing = asyncio.ensure_future(pair.apply(large))
        await asyncio.sleep(0.1)
        failed = await failure_of(pair.apply(objects(pair.left, 1, first=2)))
        assert isinstance(failed.error, Overloaded)
        assert pair.left.client.board.figures()[RIGHT].held_back == 1
        assert pair.left.client.board.bytes_on_the_way()[RIGHT] > 5_000
        assert (await pair.left.client.ping(RIGHT, within())).generation == 1
        go_on.set()
        assert await writing == Applied((None,))
        assert pair.left.client.board.bytes_on_the_way()[RIGHT] == 0
        await pair.apply(objects(pair.left, 1, first=2))
        assert not pair.left.heard.failures

    play(tmp_path, main, bounds=PeerBounds(calls_max=8, bytes_max=4_000))


def test_large_writes_and_answers_go_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "INTERNODE_APPLY_BYTES", 10_000)
    monkeypatch.setattr(client_module, "INTERNODE_OBJECT_BYTES_MAX", 60_000)
    monkeypatch.setattr(client_module, "_INLINE_BYTES", 20_000)
    monkeypatch.setattr(service_module, "INTERNODE_REPLY_BYTES", 10_000)

    async def main(pair: Pair) -> None:
        left = pair.left
        states = objects(left, 40, title="x" * 1_000)
        states[3] = objects(left, 1, first=4, title="y" * 30_000)[0]
        states[7] = objects(left, 1, first=8, title="z" * 70_000)[0]
        states[11] = encoded(state(uid(12), version(12), vector=[1]), left)
        pair.right.replica.apply([state(uid(30), version(99))])
        said = await pair.apply(states)
        assert [one.position for one in said.refused] == [7, 11]
        assert "at most 60000" in said.refused[0].reason
        assert [at for at, one in enumerate(said.newer) if one] == [29]
        assert said.newer[29] == version(99)
        own = await left.client.ask(left.name, Apply(SHARD, 1, tuple(states)), within())
        assert isinstance(own, Applied)
        assert [one.position for one in own.refused][:1] == [7]  # The same everywhere.
        assert left.heard.counted.count(("Apply", "OK")) > 4
        assert not left.client._encodings
        ids = tuple(uid(n) for n in range(1, 41))
        found = await left.client.ask(RIGHT, ReadStates(SHARD, 1, ids), within())
        assert isinstance(found, States)
        assert left.heard.counted.count(("States", "OK")) > 4
        assert described(found.states) == described(pair.right.replica.states(ids))
        assert found.states[7] is None
        nothing = await left.client.ask(RIGHT, ReadStates(SHARD, 1, ()), within())
        assert nothing == States(())

    play(tmp_path, main)


def test_a_part_that_fails_fails_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "INTERNODE_APPLY_BYTES", 1_000)

    async def main(pair: Pair) -> None:
        apply = type(pair.right.replica).apply

        def full_at_last(replica: Any, states: Any, **options: Any) -> Any:
            if any(one.id == uid(20) for one in states):
                raise DiskFull("full")
            return apply(replica, states, **options)

        monkeypatch.setattr(type(pair.right.replica), "apply", full_at_last)
        failed = await failure_of(pair.apply(objects(pair.left, 20, title="x" * 400)))
        assert isinstance(failed.error, DiskFull)

    play(tmp_path, main)


def test_messages_of_another_node_or_cluster_are_refused(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        left = pair.left
        left.addresses[named("third")] = left.addresses[RIGHT]  # An address that was given anew.
        failed = await failure_of(left.client.ping(named("third"), within()))
        assert "this is node right, not third" in failed.failure.reason
        assert left.heard.failures == [(named("third"), CallOutcome.REFUSED)]
        failed = await failure_of(left.client.ping(named("nobody"), within()))
        assert "no address" in failed.failure.reason
        assert len(left.heard.failures) == 1

    play(tmp_path, main)


def test_a_node_that_goes_and_comes_back(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        left, right = pair.left, pair.right
        await pair.apply(objects(left, 1))
        port = int(left.addresses[RIGHT].rpartition(":")[2])
        await right.service.stop(0.1)
        begun_s = time.monotonic()
        failed = await failure_of(pair.apply(objects(left, 1)))
        assert time.monotonic() - begun_s < 5, "a closed port is noticed at once"
        assert not failed.failure.is_final
        assert left.heard.failures[-1] == (RIGHT, CallOutcome.REFUSED)
        again = WiredNode("right", tmp_path / "again", left.addresses, generation=2)
        try:
            await again.start(port)
            await _until_it_answers(left, within(20))
            assert left.heard.answers[-1] == (RIGHT, 2)
            left.client.board.forget(RIGHT)
            await left.client.ping(RIGHT, within())
        finally:
            await again.stop()

    (tmp_path / "again").mkdir()
    play(tmp_path, main)


def test_a_node_that_moves_to_another_address(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        await pair.apply(objects(pair.left, 1))
        await pair.right.service.stop(0.1)
        await pair.right.start()
        await pair.apply(objects(pair.left, 1))  # Without waiting for the old connection.

    play(tmp_path, main)


def test_calls_on_a_connection_that_is_closed_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(pair: Pair) -> None:
        go_on = threading.Event()
        monkeypatch.setattr(
            type(pair.right.replica), "digests", lambda *_: go_on.wait(20) and [None]
        )
        ask, question = pair.left.client.ask, ReadDigests(SHARD, 1, (uid(1),))
        calls = [asyncio.ensure_future(ask(RIGHT, question, within())) for _ in range(3)]
        while pair.right.answers.lanes.reads.taken < 3:
            await asyncio.sleep(0.01)
        calls[0].cancel()  # Its own caller gives up: that is another thing.
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        pair.left.client.board.forget(RIGHT)
        for call in calls[1:]:
            failed = await failure_of(call)
            assert "closed" in failed.failure.reason
        go_on.set()
        await pair.left.client.ping(RIGHT, within())

    play(tmp_path, main)


def test_a_stopped_client_asks_nobody(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        await pair.left.client.ping(RIGHT, within())
        await pair.left.client.close()
        failed = await failure_of(pair.left.client.ping(RIGHT, within()))
        assert "stopping" in failed.failure.reason
        await asyncio.to_thread(pair.right.answers.lanes.close)
        closed = await failure_of(
            pair.right.client.ask(RIGHT, ReadDigests(SHARD, 1, (uid(1),)), within())
        )
        assert "stopping" in closed.failure.reason

    play(tmp_path, main)


async def _until_it_answers(node: WiredNode, deadline_s: float) -> None:
    while True:
        try:
            await node.client.ping(NodeName("right"), within(1))
        except CallFailed:
            assert CLOCK.monotonic_s() < deadline_s, "it did not come back"
            await asyncio.sleep(0.05)
        else:
            return


def test_properties_that_nobody_encoded_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(pair: Pair) -> None:
        plain = [state(uid(1), version(1)), state(uid(2), version(2))]
        assert await pair.apply(plain) == Applied((None, None))
        assert described(pair.right.replica.states([uid(1), uid(2)])) == described(plain)
        dropped = ShardRef(CollectionName("Gone"), ShardName("s"))
        failed = await failure_of(
            pair.left.client.ask(RIGHT, Apply(dropped, 1, tuple(plain)), within())
        )
        assert isinstance(failed.error, UnknownCollection)
        half = state(uid(3), version(3), title="\ud800")
        failed = await failure_of(pair.apply([half]))
        assert isinstance(failed.error, InvalidRequest)
        assert not pair.left.client._encodings

    play(tmp_path, main)
    monkeypatch.setattr(client_module, "_INLINE_BYTES", 0)  # The same in a thread.
    (tmp_path / "thread").mkdir()
    play(tmp_path / "thread", main)


def test_a_question_that_no_message_carries_is_refused_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard_module, "INTERNODE_MESSAGE_BYTES_MAX", 2_000)

    async def main(pair: Pair) -> None:
        failed = await failure_of(pair.apply(objects(pair.left, 1, title="x" * 3_000)))
        assert isinstance(failed.error, LimitExceeded)
        assert not pair.left.heard.failures

    play(tmp_path, main)


def test_metrics_tell_how_calls_went(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        left = pair.left
        await pair.apply(objects(left, 1))
        await pair.right.service.stop(0.1)
        await failure_of(pair.apply(objects(left, 1)))
        registry = CollectorRegistry()
        figures = partial(link_figures, left.client.board, left.answers.lanes)
        registry.register(LinkCollector(figures))

        def value(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"weftdb_node_{name}", labels)

        assert value("calls_total", node="right", outcome="answered") == 1
        assert value("calls_total", node="right", outcome="broken") == 1
        assert value("calls_total", node="right", outcome="timed_out") == 0
        assert value("bytes_on_the_way", node="right") == 0
        assert value("requests_taken", lane="writes") == 0
        assert value("requests_refused_total", lane="reads") == 0

    play(tmp_path, main)
