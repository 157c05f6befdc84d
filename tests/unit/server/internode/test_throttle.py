"""What is sent goes no faster than it may, and the first of it at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.unit.engine.replicas import state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import (
    NAMES,
    SHARD,
    Fleet,
    FleetView,
    KeptHints,
    run,
)
from weftdb.core.env import SystemClock
from weftdb.server.internode.comparing import Comparer
from weftdb.server.internode.conversation import Wiring
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.throttle import Throttle


async def _send(throttle: Throttle, *counts: int) -> float:
    began = time.monotonic()
    await asyncio.gather(*(throttle.admit(count) for count in counts))
    return time.monotonic() - began


def test_what_is_sent_waits_until_what_was_sent_before_is_paid_for() -> None:
    async def main() -> None:
        throttle = Throttle(10_000, SystemClock())
        await _send(throttle, 3_000)
        assert await _send(throttle, 1_000, 1_000) >= 0.2, "one waits for 3,000, one for 4,000"
        assert throttle.passed_bytes == 5_000

    run(main())


def test_without_a_rate_nothing_waits() -> None:
    async def main() -> None:
        throttle = Throttle(0, SystemClock())
        await _send(throttle, *[10**12] * 100)
        assert throttle.passed_bytes == 10**14

    run(main())


def test_a_comparison_keeps_to_it(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = Fleet(tmp_path)
        left, right = NAMES[:2]
        states = [state(uid(number), version(number)) for number in range(250)]
        fleet.nodes[left].collection.replica.apply(states)
        driver = Driver(Wiring(fleet, KeptHints(), fleet.clock), Outcomes())
        view = FleetView(fleet, left)
        comparer = Comparer(driver, fleet, view, fleet.clock, grace_ms=1_000_000)
        throttle = Throttle(200_000, SystemClock())
        began = time.monotonic()
        comparison = await comparer.compare(SHARD, left, right, is_full=True, throttle=throttle)
        assert comparison.outcome.is_complete
        assert comparison.outcome.sent == 250
        assert throttle.passed_bytes > 100_000, "three transfers of at most 100 objects"
        assert time.monotonic() - began > 0.4, "the last waits until those before are paid for"
        assert len(set(fleet.roots()[:2])) == 1

    run(main())
