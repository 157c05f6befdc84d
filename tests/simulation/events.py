"""Events: virtual time, and what happens when. Nothing in a run waits for the real clock."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

START_MS = 1_700_000_000_000
"""Wall-clock milliseconds at the virtual second 0, where no clock is skewed."""


class Event:
    """Something that will happen once, unless it is cancelled."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Let it not happen; fine when it has happened."""
        self.action = None


class Events:
    """A queue by time. What falls on the same moment happens in a seeded order."""

    def __init__(self, dice: random.Random) -> None:
        self.now = 0.0
        self.happened = 0
        self._dice = dice
        self._count = 0
        self._queue: list[tuple[float, float, int, Event]] = []

    def after(self, delay: float, action: Callable[[], None]) -> Event:
        """Let `action` happen `delay` seconds from now."""
        return self.at(self.now + delay, action)

    def at(self, moment: float, action: Callable[[], None]) -> Event:
        """Let `action` happen at `moment`, or now if that is over."""
        event = Event(max(moment, self.now), action)
        self._count += 1
        heapq.heappush(self._queue, (event.at, self._dice.random(), self._count, event))
        return event

    def run(self, until: float, *, done: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen up to the moment `until`, or until `done` holds."""
        while self._queue and self._queue[0][0] <= until and not done():
            moment, _, _, event = heapq.heappop(self._queue)
            action = event.action
            if action is None:
                continue
            assert moment >= self.now, (moment, self.now)
            self.now = moment
            self.happened += 1
            event.action = None
            action()
        if not done():
            self.now = max(self.now, until)


class SkewedClock:
    """The clocks of one node: the wall clock may be wrong by `offset_s` and run at a wrong rate.

    The monotonic clock runs at the same rate and counts from the node's own beginning.
    """

    def __init__(self, events: Events, *, offset_s: float = 0.0, drift: float = 0.0) -> None:
        assert abs(drift) < 0.1, f"not a clock: {drift}"
        self._events = events
        self._offset_s = offset_s
        self._rate = 1.0 + drift

    def now_ms(self) -> int:
        """Wall-clock milliseconds since 1970, as this node believes."""
        return START_MS + round((self._events.now * self._rate + self._offset_s) * 1000)

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return self._events.now * self._rate

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._offset_s += seconds

    def delay_until(self, monotonic_s: float) -> float:
        """Virtual seconds until this node's monotonic clock shows `monotonic_s`; at least 0."""
        return max(0.0, monotonic_s / self._rate - self._events.now)
