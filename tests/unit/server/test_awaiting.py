"""What an event loop waits for: awaited by a driver, or by a thread that stands still."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from weftdb.core.errors import ShardLoading
from weftdb.engine.steps import Steps, run
from weftdb.server.awaiting import awaited, wait_for
from weftdb.server.search_driver import SearchDriver


async def answer() -> int:
    await asyncio.sleep(0)
    return 7


async def fail() -> int:
    await asyncio.sleep(0)
    raise ShardLoading("not yet")


def steps(loop: asyncio.AbstractEventLoop) -> Steps[str]:
    """Asks twice; the second time in vain."""
    found = yield awaited(loop, answer)
    try:
        yield awaited(loop, fail)
    except ShardLoading as error:
        return f"{found}, {error}"
    return "nothing failed"


def test_a_driver_awaits_without_a_thread() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as slow:
            driver = SearchDriver(loop, 1, slow)
            slow.shutdown()  # Whoever wants a thread is refused.
            try:
                return await driver.drive(steps(loop))
            finally:
                driver.close()

    assert asyncio.run(main()) == "7, not yet"


def test_a_thread_waits() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(run, steps(loop))

    assert asyncio.run(main()) == "7, not yet"


def test_a_loop_does_not_wait_for_itself() -> None:
    async def main() -> None:
        with pytest.raises(AssertionError, match="wait for itself"):
            wait_for(asyncio.get_running_loop(), answer)

    asyncio.run(main())


def test_who_is_gone_is_not_answered() -> None:
    """A search whose client leaves gives up what it awaits."""
    given_up = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append(True)

    def waiting(loop: asyncio.AbstractEventLoop) -> Steps[None]:
        yield awaited(loop, never)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as slow:
            driver = SearchDriver(loop, 1, slow)
            task = asyncio.create_task(driver.drive(waiting(loop)))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            driver.close()

    asyncio.run(main())
    assert given_up == [True]
