"""Alarms: calls at a time of the clock or after it, never before.

The server's event loop (uvloop) counts whole milliseconds, and every third of its timers rings up
to one before its time. Whoever is woken compares the clock with what was due, finds nothing, and
would not be woken again: a deadline, a second try, company for a slow replica would never come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from weftdb.core.env import Clock


class Alarms:
    """Of one owner. Lives in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._timers: set[asyncio.TimerHandle] = set()

    def set(self, at_s: float, ring: Callable[[], None]) -> None:
        """Call `ring` once, at `at_s` (monotonic) or soon after; never, where that is infinite."""
        if at_s == float("inf"):
            return

        def wake() -> None:
            self._timers.discard(timer)
            if self._clock.monotonic_s() < at_s:
                self.set(at_s, ring)
            else:
                ring()

        timer = self._loop.call_later(max(0.0, at_s - self._clock.monotonic_s()), wake)
        self._timers.add(timer)

    def cancel(self) -> None:
        """Ring no more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
