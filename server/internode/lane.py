"""Lane: threads that answer other nodes, so many at a time, with a queue of so many behind them.

What finds the queue full is refused at once, so that its sender asks elsewhere instead of waiting
for a deadline; what waited past its deadline is not begun, for nobody listens any more.

Requires: the threads are those of answers only. Coordinators wait for answers of other nodes in
threads of the doors; if answers waited for the same threads, two nodes could wait for each other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from weftdb.core.env import Clock
from weftdb.core.errors import Closed, Overloaded

T = TypeVar("T")


class Lane:
    """One kind of work for other nodes. `run` comes from one event loop."""

    def __init__(
        self,
        name: str,
        *,
        threads: int,
        waiting_max: int,
        clock: Clock,
        begin: Callable[[], None] | None = None,
    ) -> None:
        """`begin` is called once in each thread."""
        assert threads >= 1, threads
        assert waiting_max >= 0, waiting_max
        self.name = name
        self.refused = 0
        """How often the queue was full; for metrics."""
        self._taken_max = threads + waiting_max
        self._clock = clock
        self._taken = 0
        self._lock = threading.Lock()
        self._is_closed = False
        self.threads = ThreadPoolExecutor(threads, f"weft-node-{name}", begin)
        """What is given to them directly is not counted here: somebody else has to bound it."""

    @property
    def taken(self) -> int:
        """Requests that run or wait."""
        return self._taken

    async def run(self, work: Callable[[], T], deadline_s: float) -> T:
        """Do `work` in a thread. Raises Overloaded when the queue is full or the deadline passes in
        it, Closed, and what `work` raises."""
        with self._lock:
            if self._is_closed:
                raise Closed("the node is stopping")
            if self._taken >= self._taken_max:
                self.refused += 1
                raise Overloaded(f"{self._taken} {self.name} of other nodes are under way here")
            self._taken += 1
            future = self.threads.submit(self._begin, work, deadline_s)
        future.add_done_callback(self._let_go)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what runs; what waits fails with Closed."""
        with self._lock:
            self._is_closed = True
        self.threads.shutdown(wait=True)

    def _begin(self, work: Callable[[], T], deadline_s: float) -> T:
        if self._is_closed:
            raise Closed("the node is stopping")
        if self._clock.monotonic_s() >= deadline_s:
            raise Overloaded(f"the deadline passed in the queue of {self.name}")
        return work()

    def _let_go(self, _future: Future[T]) -> None:
        with self._lock:
            self._taken -= 1
