"""Parts of searches over the wire are those of the shard, in the loop and in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.property.server.test_part_codec import plain
from tests.unit.engine.replicas import described, state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.wired import (
    DOC,
    SHARD,
    Pair,
    failure_of,
    named,
    within,
)
from weftdb.cluster.replication.answering import answer
from weftdb.cluster.replication.messages import ReadDigests, ReadStates, ShardRef, States
from weftdb.cluster.search.answering import answer_steps
from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchRequest,
    SearchShard,
)
from weftdb.core.aggregation import Aggregate, PropertyStatistics
from weftdb.core.errors import InvalidRequest, LimitExceeded, Overloaded, UnknownCollection
from weftdb.core.partial import PartAggregate, PartHits, PartIds, PartRows, PartSearch
from weftdb.core.query import (
    Comparison,
    Keyword,
    NearVector,
    Operator,
    Search,
    Sort,
    Target,
    ValueKind,
)
from weftdb.core.types import UNNAMED, CollectionName, ShardName
from weftdb.engine.steps import run
from weftdb.server.internode import answers as answers_module
from weftdb.server.internode import part_calls, service
from weftdb.server.internode.lane import Lane
from weftdb.server.search_driver import SearchDriver

RIGHT = named("right")
NEAR = NearVector((Target(UNNAMED, np.array([1.0, 0.5], dtype=np.float32)),))
LARGE = Comparison(Operator.GREATER_THAN, ("size",), 5, ValueKind.INT)
REQUESTS: dict[str, SearchRequest] = {
    "statistics": GatherStatistics(
        SHARD, 1, PartSearch(Search(DOC, keyword=Keyword("words"), limit=5))
    ),
    "keyword": SearchShard(
        SHARD, 1, PartSearch(Search(DOC, keyword=Keyword("words 7"), limit=5, explain=True))
    ),
    "vector": SearchShard(
        SHARD, 1, PartSearch(Search(DOC, near=NEAR, limit=5, vectors=(UNNAMED,)))
    ),
    "filtered": SearchShard(
        SHARD, 1, PartSearch(Search(DOC, near=NEAR, limit=5, filter=LARGE), with_rows=False)
    ),
    "deep": SearchShard(SHARD, 1, PartSearch(Search(DOC, near=NEAR, limit=5_000))),
    "sorted": SearchShard(
        SHARD, 1, PartSearch(Search(DOC, sort=(Sort(("size",), False),), limit=7))
    ),
    "rows": FetchRows(SHARD, 1, (uid(3), uid(99), uid(1)), (UNNAMED,)),
    "no rows": FetchRows(SHARD, 1, ()),
    "aggregate": AggregateShard(
        SHARD, 1, PartAggregate(Aggregate(DOC, properties=(PropertyStatistics("size"),)))
    ),
    "ids": FindIds(SHARD, 1, PartIds(LARGE, 4, after=uid(7))),
}


def play(path: Path, main: Callable[[Pair], Awaitable[None]], *, driven: bool = False) -> None:
    """Run `main` with two nodes of 12 objects each."""

    async def go() -> None:
        driver = None
        with ThreadPoolExecutor(1) as slow:
            if driven:
                driver = SearchDriver(asyncio.get_running_loop(), 1, slow)
            try:
                async with Pair(path, driver=driver) as pair:
                    states = [
                        state(uid(n), version(n, n), title=f"words {n} " * n, vector=(n, 1.0))
                        for n in range(1, 13)
                    ]
                    for node in (pair.left, pair.right):
                        node.replica.apply(states)
                    await main(pair)
            finally:
                if driver is not None:
                    driver.close()

    asyncio.run(asyncio.wait_for(go(), 60))


@pytest.mark.parametrize("driven", [False, True])
def test_every_part(tmp_path: Path, driven: bool) -> None:
    async def main(pair: Pair) -> None:
        local = pair.right.known.collection.only
        for name, request in REQUESTS.items():
            expected = plain(run(answer_steps(local, request)))
            for node in ("right", "left"):
                found = await pair.left.client.ask(named(node), request, within())
                assert plain(found) == expected, (name, node)
            assert driven or pair.right.answers.lanes.reads.taken == 0
        assert {code for _, code in pair.left.heard.counted} == {"OK"}

    play(tmp_path, main, driven=driven)


def test_what_is_asked_wrongly_is_told_in_the_same_words(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        wrong = Comparison(Operator.EQUAL, ("nothing",), 5, ValueKind.INT)
        request = SearchShard(SHARD, 1, PartSearch(Search(DOC, near=NEAR, limit=5, filter=wrong)))
        told = [
            (await failure_of(pair.left.client.ask(named(node), request, within()))).error
            for node in ("left", "right")
        ]
        assert told[0] is not None
        assert [type(one) for one in told] == [type(told[0])] * 2
        assert str(told[0]) == str(told[1])
        half = SearchShard(SHARD, 1, PartSearch(Search(DOC, keyword=Keyword("\ud800"), limit=5)))
        failed = await failure_of(pair.left.client.ask(RIGHT, half, within()))
        assert isinstance(failed.error, InvalidRequest)
        gone = ShardRef(CollectionName("Gone"), ShardName("s"))
        failed = await failure_of(
            pair.left.client.ask(RIGHT, FetchRows(gone, 1, (uid(1),)), within())
        )
        assert isinstance(failed.error, UnknownCollection)
        pair.right.known.rebuilding = True
        for name in REQUESTS.keys() - {"no rows"}:
            failed = await failure_of(pair.left.client.ask(RIGHT, REQUESTS[name], within()))
            assert "rebuilt" in failed.failure.reason

    for driven in (False, True):
        (tmp_path / str(driven)).mkdir()
        play(tmp_path / str(driven), main, driven=driven)


def test_many_rows_come_in_several_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_calls, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr(part_calls, "INTERNODE_REPLY_BYTES", 500)

    async def main(pair: Pair) -> None:
        request = FetchRows(SHARD, 1, tuple(uid(n) for n in range(1, 16)), (UNNAMED,))
        expected = run(answer_steps(pair.right.known.collection.only, request))
        found = await pair.left.client.ask(RIGHT, request, within())
        assert plain(found) == plain(expected)
        assert isinstance(found, PartRows)
        assert pair.left.heard.counted.count(("Rows", "OK")) > 2

    play(tmp_path, main)


@pytest.mark.parametrize("driven", [False, True])
def test_an_answer_that_no_message_carries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driven: bool
) -> None:
    monkeypatch.setattr(service, "INTERNODE_MESSAGE_BYTES_MAX", 600)

    async def main(pair: Pair) -> None:
        failed = await failure_of(pair.left.client.ask(RIGHT, REQUESTS["vector"], within()))
        assert isinstance(failed.error, LimitExceeded)
        assert "at most 600" in str(failed.error)
        assert not pair.left.heard.failures

    play(tmp_path, main, driven=driven)


def test_driven_searches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "DRIVEN_MAX", 2)

    async def main(pair: Pair) -> None:
        ask = pair.left.client.ask
        calls = [ask(RIGHT, REQUESTS["vector"], within()) for _ in range(30)]
        found: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        hits = [one for one in found if isinstance(one, PartHits)]
        errors = [getattr(one, "error", None) for one in found if not isinstance(one, PartHits)]
        assert hits
        assert all(isinstance(error, Overloaded) for error in errors)
        assert isinstance(await ask(RIGHT, REQUESTS["vector"], within()), PartHits)

    play(tmp_path, main, driven=True)


def test_definitions_are_compared_for_parts_as_well(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        pair.right.known.revision = 9
        ask = pair.left.client.ask
        for request in REQUESTS.values():
            failed = await failure_of(ask(RIGHT, request, within(), revision=8))
            assert failed.moved == pair.right.known.sharding(DOC)
            late = await failure_of(ask(RIGHT, replace(request, schema_version=5), within(0.1)))
            assert "schema" in late.failure.reason or "in time" in late.failure.reason

    play(tmp_path, main)


def test_short_reads_need_no_thread_unless_a_sync_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over the wire; what a crash could take is not told before it is on disk."""
    ids = (uid(3), uid(99))
    requests = (ReadDigests(SHARD, 1, ids), ReadStates(SHARD, 1, ids))
    in_threads = 0
    run_in_lane = Lane.run

    async def counted(self: Lane, work: Callable[[], Any], deadline_s: float) -> Any:
        nonlocal in_threads
        in_threads += 1
        return await run_in_lane(self, work, deadline_s)

    async def main(pair: Pair) -> None:
        monkeypatch.setattr(Lane, "run", counted)
        for node in (pair.left, pair.right):
            store: Any = node.known.collection.only.shard.store
            for request in requests:
                expected = answer(node.replica, request)
                before = in_threads
                assert told(await pair.left.client.ask(node.name, request, within())) == told(
                    expected
                )
                assert in_threads == before
                store.synced = 0
                assert told(await pair.left.client.ask(node.name, request, within())) == told(
                    expected
                )
                assert in_threads == before + 1
                assert store.synced > 0
            many = ReadDigests(SHARD, 1, tuple(uid(n) for n in range(1, 200)))
            before = in_threads
            await pair.left.client.ask(node.name, many, within())
            assert in_threads == before + 1
            node.known.rebuilding = True
            failed = await failure_of(pair.left.client.ask(node.name, requests[0], within()))
            assert "rebuilt" in failed.failure.reason

    def told(reply: Any) -> Any:
        return described(reply.states) if isinstance(reply, States) else reply

    play(tmp_path, main, driven=True)
