"""awaited: makes what an event loop waits for a step of a read, or something a thread waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from weftdb.engine.steps import AwaitCall

T = TypeVar("T")


def awaited(
    loop: asyncio.AbstractEventLoop, begin: Callable[[], Coroutine[Any, Any, Any]]
) -> AwaitCall:
    """A call that ends as `begin()` does in `loop`, wherever it is driven from."""

    def wait(begin: Callable[[], Awaitable[Any]]) -> Any:
        return wait_for(loop, begin)

    return AwaitCall(begin, wait)


def wait_for(loop: asyncio.AbstractEventLoop, begin: Callable[[], Awaitable[T]]) -> T:
    """Have `loop` await `begin()` and hold this thread, which must be another one, meanwhile.

    Raises what it raises. A thread that is interrupted gives the awaitable up.
    """
    assert not _runs_here(loop), "an event loop would wait for itself"

    async def run() -> T:
        return await begin()

    coming = asyncio.run_coroutine_threadsafe(run(), loop)
    try:
        return coming.result()
    except BaseException:
        coming.cancel()
        raise


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
