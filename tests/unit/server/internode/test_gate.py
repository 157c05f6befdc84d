"""By which definitions a replica is asked, and what it says while it may not say all."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.replicas import version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.wired import (
    DOC,
    SHARD,
    Pair,
    failure_of,
    named,
    objects,
    play,
    within,
)
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    Purpose,
    ReadDigests,
)
from weftdb.core.errors import UnknownCollection

RIGHT = named("right")


def test_schemas_of_two_ages(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        known = pair.right.known
        known.schema = 5  # The sender knows 1: fine.
        await pair.apply(objects(pair.left, 1))
        newer = Apply(SHARD, 6, tuple(objects(pair.left, 1)))
        failed = await failure_of(pair.left.client.ask(RIGHT, newer, within(0.3)))
        assert not failed.failure.is_final
        waiting = asyncio.ensure_future(pair.left.client.ask(RIGHT, newer, within()))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        known.schema = 6
        known.learned.set()
        assert await waiting == Applied((None,))
        known.is_deleted = True
        gone = Apply(SHARD, 7, tuple(objects(pair.left, 1)))
        failed = await failure_of(pair.left.client.ask(RIGHT, gone, within()))
        assert failed.failure.is_final
        assert isinstance(failed.error, UnknownCollection)
        assert failed.error.name == DOC

    play(tmp_path, main)


def test_an_older_sharding_state_is_refused_with_the_newer_one(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        known = pair.right.known
        known.revision = 8
        await pair.apply(objects(pair.left, 1), revision=8)
        failed = await failure_of(pair.apply(objects(pair.left, 1), revision=7))
        assert failed.moved == known.sharding(DOC)
        assert not failed.failure.is_final
        await pair.apply(objects(pair.left, 1))  # Without a revision nothing is compared.
        late = await failure_of(pair.apply(objects(pair.left, 1), revision=9, within_s=0.3))
        assert late.moved is None
        waiting = asyncio.ensure_future(pair.apply(objects(pair.left, 1), revision=9))
        await asyncio.sleep(0.05)
        known.revision = 10  # It learns of a still newer one meanwhile.
        known.learned.set()
        assert (await failure_of(waiting)).moved == known.sharding(DOC)

    play(tmp_path, main)


def test_a_state_counts_as_known_when_older_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(pair: Pair) -> None:
        known, gate = pair.right.known, pair.right.answers.gate
        begun, go_on = threading.Event(), threading.Event()
        apply = type(pair.right.replica).apply

        def slow(*arguments: Any, **options: Any) -> Any:
            begun.set()
            assert go_on.wait(20)
            return apply(*arguments, **options)

        monkeypatch.setattr(type(pair.right.replica), "apply", slow)
        known.revision = 8
        writing = asyncio.ensure_future(pair.apply(objects(pair.left, 1), revision=8))
        await asyncio.to_thread(begun.wait, 20)
        known.revision = 9
        assert await asyncio.to_thread(gate.wait_until_settled, DOC, 8, 0.0)
        assert not await asyncio.to_thread(gate.wait_until_settled, DOC, 9, 0.05)
        go_on.set()
        assert await asyncio.to_thread(gate.wait_until_settled, DOC, 9, 20.0)
        await writing

    play(tmp_path, main)


def test_what_a_replica_says_while_it_is_rebuilt(tmp_path: Path) -> None:
    async def main(pair: Pair) -> None:
        pair.right.known.rebuilding = True
        failed = await failure_of(pair.apply(objects(pair.left, 1)))
        assert "rebuilt" in failed.failure.reason
        ask, question = pair.left.client.ask, ReadDigests(SHARD, 1, (uid(1),))
        await failure_of(ask(RIGHT, question, within()))
        await failure_of(ask(RIGHT, question, within(), purpose=Purpose.REPAIR))
        found = await ask(RIGHT, question, within(), purpose=Purpose.COMPARE)
        assert found == Digests((Digest(version(1)),))  # It took the state, and did not say so.
        await pair.apply(objects(pair.left, 1, first=2), purpose=Purpose.COMPARE)

    play(tmp_path, main)
