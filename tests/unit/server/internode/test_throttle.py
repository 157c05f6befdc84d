"""What is sent goes no faster than it may, and the first of it at once."""

from __future__ import annotations

import asyncio
import time

from weftdb.core.env import SystemClock
from weftdb.server.internode.throttle import Throttle


async def _send(throttle: Throttle, *counts: int) -> float:
    began = time.monotonic()
    await asyncio.gather(*(throttle.admit(count) for count in counts))
    return time.monotonic() - began


def test_what_is_sent_waits_until_what_was_sent_before_is_paid_for() -> None:
    async def run() -> None:
        throttle = Throttle(10_000, SystemClock())
        assert await _send(throttle, 3_000) < 0.2
        assert await _send(throttle, 1_000, 1_000) >= 0.3, "one waits for 3,000, one for 4,000"
        assert throttle.passed_bytes == 5_000

    asyncio.run(run())


def test_without_a_rate_nothing_waits() -> None:
    async def run() -> None:
        throttle = Throttle(0, SystemClock())
        assert await _send(throttle, *[10**12] * 100) < 1.0
        assert throttle.passed_bytes == 10**14

    asyncio.run(run())
