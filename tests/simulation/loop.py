"""VirtualLoop: an asyncio loop of one life of a process, in virtual time.

The server's own tasks (server/moving, server/internode) run in it unchanged: what they sleep is
virtual, what they do in threads is done at once, and a process that dies takes its tasks with it.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from weftdb.core.errors import WeftError
from weftdb.server.internode.ports import CallFailed

if TYPE_CHECKING:
    from .node import SimulatedNode


class VirtualLoop(asyncio.AbstractEventLoop):
    """Of one life of a node. Timers and steps are those of its process: a paused one piles up."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._ready: deque[asyncio.Handle] = deque()
        self._is_draining = False
        self._is_awake = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.broken: list[dict[str, Any]] = []
        """What nobody caught."""

    def enter(self, action: Callable[[], None]) -> None:
        """Do something as this loop's own work, and all that becomes ready by it."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        was_draining, self._is_draining = self._is_draining, True
        try:
            action()
            while self._ready and not was_draining:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            self._is_draining = was_draining
            events._set_running_loop(before)

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin a task from outside."""
        self.enter(lambda: self._start(work))

    def end(self) -> None:
        """Close what has not come to its end: the run is over."""
        for task in list(self._tasks):
            task._log_destroy_pending = False
            work = task.get_coro()
            if work is not None:
                self.enter(work.close)
        self._ready.clear()
        self._tasks.clear()

    # --- as asyncio asks for it ------------------------------------------------------------------

    def get_debug(self) -> bool:
        """Nothing is looked at more closely."""
        return False

    def is_running(self) -> bool:
        """While something of it runs."""
        return True

    def is_closed(self) -> bool:
        """Never: it is let go of."""
        return False

    def time(self) -> float:
        """The monotonic clock of the node."""
        return self._node.clock.monotonic_s()

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call something next."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._is_draining and not self._is_awake:
            self._is_awake = True
            self._node.when(0.0, self._wake)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something later; in long quiet times much later."""
        handle = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)

        def ring() -> None:
            if not handle.cancelled():
                self.enter(handle._run)

        self._node.when(max(0.0, delay) * self._node.around.pace, ring)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call something at a moment of `time`."""
        return self.call_later(when - self.time(), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **named: Any) -> asyncio.Task[Any]:
        """A task of this loop."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **named)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do it at once: threads take no virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except (WeftError, CallFailed, AssertionError) as error:
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught; tasks that die with their process are no news."""
        if "exception" in context:
            self.broken.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Its event finds it cancelled."""

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Keep what ended a task, unless it is of the kind that is foreseen."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, WeftError | CallFailed):
            self.broken.append({"exception": error})

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        self.create_task(work)

    def _wake(self) -> None:
        self._is_awake = False
        self.enter(lambda: None)
