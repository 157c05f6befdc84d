"""The world as the engine sees it: clock and randomness are handed in, never reached for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Wall-clock milliseconds since 1970."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class Randomness(Protocol):
    """Draws numbers; `random.Random` is one."""

    def random(self) -> float:
        """A number from 0 up to, but without, 1."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def now_ms(self) -> int:
        """Wall-clock milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


class ManualClock:
    """A clock for tests: it moves only when told to."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = start_ms

    def advance(self, ms: int) -> None:
        """Move forward by `ms`."""
        assert ms >= 0, f"time does not go back: {ms}"
        self._now_ms += ms

    def now_ms(self) -> int:
        """Milliseconds since 1970, as set."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """The same instant in seconds."""
        return self._now_ms / 1000


def go_on() -> None:
    """Let nobody go first."""


class Env:
    """Clock and random source of one engine, and whom it lets go first."""

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int | None = None,
        give_way: Callable[[], None] = go_on,
        end_turn: Callable[[], None] = go_on,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.random = random.Random(seed)
        self.give_way = give_way
        """Called between two objects of a write: whoever runs the engine may hold the thread up
        there for a moment, while something shorter wants the interpreter."""
        self.end_turn = end_turn
        """The same before a call that holds the interpreter for long, from its begin to its end."""
