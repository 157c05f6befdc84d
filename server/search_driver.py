"""SearchDriver: runs reads in an event loop without a thread hop for each.

A read is a generator of steps (engine/steps.py). Its short Python runs in the loop; a graph search
goes to the native pool, and one wake-up of the loop collects every search that is done. What may
take long in Python or calls a module over the network runs in a thread; other nodes are awaited.

A loop with nothing else to do searches by itself what is known to be quick: two thread switches
would cost more than they free.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import Closed, WeftError
from weftdb.core.query import Hits, Search
from weftdb.engine.serving import ServedCollection
from weftdb.engine.steps import AwaitCall, Call, Steps, VectorCall
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.hnsw.search_pool import SearchPool
from weftdb.index.ports import Neighbours
from weftdb.server.right_of_way import RightOfWay

T = TypeVar("T")

INLINE_DEPTH_MAX = 1_000
"""Reads that rank or read more objects than this run in a thread, not in the loop."""

QUICK_S_MAX = 0.0004
"""A graph search that takes longer on average never runs in the loop."""
IDLE_S_MIN = 0.00015
"""The loop has nothing else to do when no read ended so shortly before."""
_SMOOTHING = 0.1


class SearchDriver:
    """Lives in one event loop. Requires: `close` before the loop ends."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        threads: int,
        slow: Executor,
        way: RightOfWay | None = None,
    ) -> None:
        """`threads` search natively; `slow` runs what must not hold up the loop. Called in the
        thread of the loop."""
        self._loop = loop
        self._way = way or RightOfWay()
        self._slow = slow
        self._pool = SearchPool(threads)
        SearchPool.answer_promptly()
        self._waiting: dict[int, asyncio.Future[Neighbours]] = {}
        self._tickets = 0
        self._running = 0
        self._ended_s = 0.0
        self._mean_s: WeakKeyDictionary[HnswIndex, float] = WeakKeyDictionary()
        """Mean time of unfiltered searches of an index while the loop had nothing else to do."""
        loop.add_reader(self._pool.descriptor, self._collect)
        self._way.watch(self._pool.descriptor)

    async def search(
        self, served: ServedCollection, query: Search, level: ConsistencyLevel | None = None
    ) -> Hits:
        """Answer a read, where it is best run."""
        if served.reads_elsewhere:
            # It waits more than it works, and must not make a quick search believe itself second.
            return await self.drive(served.search_steps(query, level=level))
        if is_short(query):
            return await self.short(served.search_steps(query, level=level))
        search = partial(served.search, query, level=level)
        return await self._loop.run_in_executor(self._slow, search)

    async def short(self, steps: Steps[T], slow: Executor | None = None) -> T:
        """Run the steps of a read that is short in Python; in `slow` what is not, where given."""
        is_alone = not self._running and time.perf_counter() - self._ended_s > IDLE_S_MIN
        self._running += 1
        self._way.search_begins()
        try:
            return await self.drive(steps, is_alone=is_alone, slow=slow)
        finally:
            self._running -= 1
            self._way.search_ends()
            self._ended_s = time.perf_counter()

    async def drive(
        self, steps: Steps[T], *, is_alone: bool = False, slow: Executor | None = None
    ) -> T:
        """Run `steps` to their end. `is_alone`: nobody else wants the loop."""
        try:
            call = next(steps)
            while True:
                try:
                    answer = await self._answer(call, slow, is_alone=is_alone)
                except WeftError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def close(self) -> None:
        """Stop the native threads; searches under way fail with Closed."""
        self._loop.remove_reader(self._pool.descriptor)
        self._way.forget(self._pool.descriptor)
        self._pool.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Closed("the server is stopping"))
        self._waiting.clear()

    async def _answer(self, call: Call, slow: Executor | None, *, is_alone: bool) -> Any:
        if not isinstance(call, VectorCall) or not isinstance(call.index, HnswIndex):
            if isinstance(call, AwaitCall):
                return await call.begin()
            return await self._loop.run_in_executor(slow or self._slow, call.run)
        begun_s = time.perf_counter()
        mean_s = self._mean_s.get(call.index, 1.0)
        if is_alone and call.allow is None and mean_s < QUICK_S_MAX:
            found = call.run()
        else:
            found = await self._submit(call, call.index)
        if is_alone and call.allow is None:
            taken_s = time.perf_counter() - begun_s
            known_s = taken_s if mean_s == 1.0 else mean_s
            self._mean_s[call.index] = known_s + _SMOOTHING * (taken_s - known_s)
        return found

    def _submit(self, call: VectorCall, index: HnswIndex) -> asyncio.Future[Neighbours]:
        self._tickets += 1
        future: asyncio.Future[Neighbours] = self._loop.create_future()
        self._waiting[self._tickets] = future
        self._pool.submit(
            self._tickets,
            index,
            call.query,
            call.k,
            allow=call.allow,
            ef=call.ef,
            distance_max=call.distance_max,
        )
        return future

    def _collect(self) -> None:
        self._way.loop_works()
        for ticket, result in self._pool.drain():
            future = self._waiting.pop(ticket)
            if future.done():
                continue  # Its caller has gone away.
            if isinstance(result, WeftError):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._loop.call_soon(self._rest_soon)  # After those who wait for the results,

    def _rest_soon(self) -> None:
        self._loop.call_soon(self._way.loop_rests)  # and after what they write.


def is_short(query: Search) -> bool:
    """Whether the Python side of a read is short enough for the loop."""
    depth = (query.limit or 0) + query.offset
    is_search = query.near is not None or query.keyword is not None or query.hybrid is not None
    return depth <= INLINE_DEPTH_MAX and not query.sort and (is_search or query.filter is None)
