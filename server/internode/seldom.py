"""SeldomLog: warns of what may happen with every call, once in a while."""

from __future__ import annotations

import logging

from weftdb.core.env import Clock

GAP_S = 10.0


class SeldomLog:
    """One kind of warning. Lives in one event loop."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._next_s = float("-inf")
        self._unsaid = 0

    def warn(self, text: str) -> None:
        """Say it, unless something was said in the last `GAP_S`; then count it."""
        now_s = self._clock.monotonic_s()
        if now_s < self._next_s:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more like it)" if self._unsaid else ""
        self._log.warning("%s%s", text, more)
        self._next_s, self._unsaid = now_s + GAP_S, 0
