"""Alarms never ring before their time, in any event loop; what waits for them always goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop

from tests.unit.engine.replicas import PowerStore, deletion, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import NAMES, SHARD, Fleet, FleetView, eventually
from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    CallNumber,
    Effects,
    Failure,
    KeepHint,
    Wake,
)
from weftdb.cluster.replication.hint_replay import ReplayPace
from weftdb.core.env import SystemClock
from weftdb.core.types import NodeName
from weftdb.server.internode.alarms import Alarms
from weftdb.server.internode.conversation import Manner, Wiring
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.hint_keeper import HintKeeper
from weftdb.server.internode.hint_store import HintStore
from weftdb.server.internode.outcomes import Outcomes

COUNT = 60
"""Of these uvloop rings about twenty too early."""
SOON_S = 10.0

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def run(make: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(asyncio.wait_for(main, SOON_S))


def times() -> list[float]:
    chance = random.Random(3)
    return [chance.uniform(0.001, 0.05) for _ in range(COUNT)]


@pytest.mark.parametrize("make", LOOPS)
def test_none_rings_early_and_all_ring_once(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    clock, late_s = SystemClock(), list[float]()

    async def main() -> None:
        alarms = Alarms(asyncio.get_running_loop(), clock)
        for after_s in times():
            at_s = clock.monotonic_s() + after_s
            alarms.set(at_s, lambda at_s=at_s: late_s.append(clock.monotonic_s() - at_s))
        alarms.set(float("inf"), lambda: late_s.append(-1.0))
        await eventually(lambda: len(late_s) >= COUNT)
        alarms.set(clock.monotonic_s() + 0.01, lambda: late_s.append(-2.0))
        alarms.cancel()
        await asyncio.sleep(0.03)

    run(make, main())
    assert len(late_s) == COUNT
    assert min(late_s) >= 0


class OnTime:
    """A coordination that asks nobody and answers when it is time."""

    def __init__(self, at_s: float) -> None:
        self._at_s = at_s
        self.is_done = False

    def begin(self, now_s: float) -> Effects[bool]:
        return [Wake(self._at_s)]

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> Effects[bool]:
        raise AssertionError(call)

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[bool]:
        raise AssertionError(call)

    def on_time(self, now_s: float) -> Effects[bool]:
        self.is_done = now_s >= self._at_s
        return [Answer(True)] if self.is_done else []


@pytest.mark.parametrize("make", LOOPS)
def test_every_coordination_is_woken(
    make: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    fleet = Fleet(tmp_path)

    class NoHints:
        async def keep(self, hint: KeepHint) -> None:
            raise AssertionError(hint)

    async def main() -> None:
        clock = SystemClock()
        driver = Driver(Wiring(fleet, NoHints(), clock), Outcomes())
        now_s = clock.monotonic_s()
        manner = Manner(now_s + SOON_S)
        asked = (driver.run(OnTime(now_s + after_s), manner) for after_s in times())
        assert all(await asyncio.gather(*asked))
        await eventually(lambda: driver.running == 0)

    run(make, main())


@pytest.mark.parametrize("make", LOOPS)
def test_hints_are_tried_again_and_again(
    make: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    fleet = Fleet(tmp_path)
    n3 = NodeName("n3")

    async def main() -> None:
        clock = SystemClock()
        store = HintStore(PowerStore(), clock)
        view = FleetView(fleet, NAMES[0])
        pace = ReplayPace(backoff_s_min=0.01, backoff_s_max=0.02)
        keeper = HintKeeper(store, fleet, view, clock, random.Random(1), pace=pace)
        fleet["n3"].is_down = True
        keeper.start()
        await keeper.keep(KeepHint(n3, SHARD, (deletion(uid(1), version(1)),)))
        await eventually(lambda: len(fleet["n3"].heard) >= COUNT // 2)
        fleet["n3"].is_down = False
        await eventually(lambda: store.waiting(n3) == 0)
        await keeper.stop()

    run(make, main())
