"""Calls that begin in the same moment: one on the wire, each with its own answer or failure."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.samples import uid
from tests.unit.server.internode.wired import (
    SHARD,
    Pair,
    named,
    objects,
    play,
    within,
)
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import Digests, ReadDigests, ShardRef
from weftdb.core.errors import InvalidRequest, UnknownCollection
from weftdb.core.types import CollectionName, ShardName
from weftdb.proto.internode import together_pb2 as wire
from weftdb.server.internode import bundles as bundles_module
from weftdb.server.internode.bundles import Bundles, UnknownCall, answering_bundles
from weftdb.server.internode.methods import DIGESTS, STATES, TOGETHER_PATH
from weftdb.server.internode.ports import CallFailed

RIGHT = named("right")


class Wire:
    """What a connection is to `Bundles`: remembers what was sent."""

    def __init__(self, *, knows_bundles: bool = True, is_short: bool = False) -> None:
        self.sent: list[str] = []
        self.knows_bundles, self.is_short = knows_bundles, is_short
        self.broken: Exception | None = None

    async def send(self, path: str, message: bytes, timeout_s: float) -> bytes:
        self.sent.append(path)
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken
        if path != TOGETHER_PATH:
            return b"alone " + message
        if not self.knows_bundles:
            raise UnknownCall(Failure("what is that?"))
        asked = wire.TogetherRequest.FromString(message)
        answers = [b"together " + one for one in asked.questions]
        return wire.TogetherReply(answers=answers[self.is_short :]).SerializeToString()


def asked_at_once(sent_by: Wire, count: int = 3, path: str = DIGESTS.path) -> list[Any]:
    """What `count` calls, which begin in one turn of the loop, come to."""

    async def main() -> list[Any]:
        bundles = Bundles(sent_by.send)
        found: list[Any] = []
        for _ in range(2):
            calls = [bundles.call(path, b"%d" % at, 20.0 - at / 1e3) for at in range(count)]
            found += await asyncio.gather(*calls, return_exceptions=True)
            if not bundles.takes(path, b"", 20.0):
                break
        return found

    return asyncio.run(asyncio.wait_for(main(), 20))


def test_what_begins_together_goes_together() -> None:
    line = Wire()
    assert asked_at_once(line) == [b"together 0", b"together 1", b"together 2"] * 2
    assert line.sent == [TOGETHER_PATH] * 2


def test_one_alone_goes_as_it_is() -> None:
    line = Wire()
    assert asked_at_once(line, 1) == [b"alone 0"] * 2
    assert line.sent == [DIGESTS.path] * 2


def test_an_older_release_is_asked_one_by_one_from_then_on() -> None:
    line = Wire(knows_bundles=False)
    assert asked_at_once(line) == [b"alone 0", b"alone 1", b"alone 2"]
    assert line.sent == [TOGETHER_PATH, *[DIGESTS.path] * 3]


def test_failures_reach_everybody() -> None:
    line = Wire()
    line.broken = CallFailed(Failure("cut"))
    assert [str(one) for one in asked_at_once(line)] == [str(line.broken)] * 6
    short = asked_at_once(Wire(is_short=True))
    assert all(isinstance(one, CallFailed) for one in short)
    assert "2 answers to 3 questions" in short[0].failure.reason


def test_many_go_in_several_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles_module, "QUESTIONS_MAX", 2)
    line = Wire()
    assert len(asked_at_once(line, 5)) == 10
    assert line.sent == [TOGETHER_PATH, TOGETHER_PATH, DIGESTS.path] * 2


def test_who_gives_up_does_not_end_the_others() -> None:
    async def main() -> None:
        bundles = Bundles(Wire().send)
        first = asyncio.ensure_future(bundles.call(DIGESTS.path, b"a", 20.0))
        second = asyncio.ensure_future(bundles.call(DIGESTS.path, b"b", 20.0))
        third = asyncio.ensure_future(bundles.call(DIGESTS.path, b"c", 20.0))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == b"together b"
        assert await third == b"together c"
        assert first.cancelled()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_only_short_calls_with_time_are_taken() -> None:
    bundles = Bundles(Wire().send)
    assert bundles.takes(DIGESTS.path, b"x", 20.0)
    assert not bundles.takes(STATES.path, b"x", 20.0)
    assert not bundles.takes(DIGESTS.path, b"x", 1.0)
    assert not bundles.takes(DIGESTS.path, b"x" * 10_000, 20.0)


def test_over_the_wire(tmp_path: Path) -> None:
    """Each question is looked at by itself: one that fails does not fail the others; and each is
    counted as the call that it is."""

    async def main(pair: Pair) -> None:
        assert (await pair.apply(objects(pair.right, 3))).newer == (None,) * 3
        gone = ReadDigests(ShardRef(CollectionName("Gone"), ShardName("s")), 1, (uid(1),))
        asked = [ReadDigests(SHARD, 1, (uid(at),)) for at in (1, 2, 9)]
        deadline_s = within(20)
        calls = [pair.left.client.ask(RIGHT, one, deadline_s) for one in (*asked, gone)]
        *found, failed = await asyncio.gather(*calls, return_exceptions=True)
        expected = pair.right.replica.digests([uid(1), uid(2), uid(9)])
        assert found == [Digests((one,)) for one in expected]
        assert isinstance(failed, CallFailed)
        assert isinstance(failed.error, UnknownCollection)
        assert [name for name, _ in pair.right.served.counted].count("Digests") == 4
        figures = pair.left.client.board.figures()[RIGHT]
        assert figures.answered == 5

    play(tmp_path, main)


@pytest.mark.parametrize(
    "message",
    [
        b"\xff",
        wire.TogetherRequest(path=STATES.path, questions=[b""]).SerializeToString(),
        wire.TogetherRequest(path=TOGETHER_PATH, questions=[b""]).SerializeToString(),
        wire.TogetherRequest(path=DIGESTS.path, questions=[b""] * 65).SerializeToString(),
    ],
)
def test_what_is_no_bundle_is_refused(message: bytes) -> None:
    async def never(_message: bytes, _call: Any) -> bytes:
        raise AssertionError("it was answered")

    handlers = dict.fromkeys((STATES.path, DIGESTS.path, TOGETHER_PATH), never)
    call: Any = None
    with pytest.raises(InvalidRequest):
        asyncio.run(answering_bundles(handlers)(message, call))  # type: ignore[arg-type]
