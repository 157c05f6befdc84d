"""Throttle: so many bytes a second, and what has passed.

Whoever sends waits until what was sent before has been paid for, so that the first batch goes at
once, batches of any size pass, and in any long time no more than the rate does.
"""

from __future__ import annotations

import asyncio

from weftdb.core.env import Clock


class Throttle:
    """Of one node. Concurrency: lives in one event loop."""

    def __init__(self, bytes_per_s: int, clock: Clock) -> None:
        """`bytes_per_s`: 0 is as fast as it goes."""
        self.passed_bytes = 0
        self._rate = bytes_per_s
        self._clock = clock
        self._free_s = float("-inf")
        """When all that was let through is paid for."""

    async def admit(self, count: int) -> None:
        """Wait until `count` bytes may be sent."""
        if self._rate:
            now_s = self._clock.monotonic_s()
            due_s = max(now_s, self._free_s)
            self._free_s = due_s + count / self._rate
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
        self.passed_bytes += count
