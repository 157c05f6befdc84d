"""A node that is cut off without a word: calls end at their deadlines, later it is back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.unit.server.internode.wired import Pair, named, objects, within
from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.server.internode.ports import CallFailed

RIGHT = named("right")


class Cable:
    """Carries bytes to a port, and nothing while it is cut. What waits is carried on later, as TCP
    would send it again."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0

    async def start(self) -> int:
        """Listen at a port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Let nothing through."""
        self._whole.clear()

    def heal(self) -> None:
        """Let everything through."""
        self._whole.set()

    async def stop(self) -> None:
        """End it."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, forth))
                both.create_task(self._carry(back, writer))
        finally:
            forth.close()
            writer.close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._whole.wait()
                target.write(data)
                await target.drain()
            target.close()
        except ConnectionError:
            target.close()


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_partition_is_noticed_and_healed(tmp_path: Path, is_idle: bool) -> None:
    async def run() -> None:
        async with Pair(tmp_path) as pair:
            left = pair.left
            cable = Cable(int(left.addresses[RIGHT].rpartition(":")[2]))
            left.addresses[RIGHT] = f"127.0.0.1:{await cable.start()}"
            try:
                await pair.apply(objects(left, 1))
                cable.cut()
                begun_s = time.monotonic()
                for _ in range(2):
                    with pytest.raises(CallFailed, match="in time"):
                        await pair.apply(objects(left, 1), within_s=0.3)
                assert time.monotonic() - begun_s < 3
                assert left.heard.failures == [(RIGHT, CallOutcome.TIMEOUT)] * 2
                # Soon the connection itself is given up, with or without calls.
                if is_idle:
                    await asyncio.sleep(6)
                else:
                    with pytest.raises(CallFailed):
                        await pair.apply(objects(left, 1), within_s=20)
                    assert time.monotonic() - begun_s < 12, "the ping gave it up"
                    assert left.heard.failures[-1] == (RIGHT, CallOutcome.REFUSED)
                cable.heal()
                healed_s = time.monotonic()
                while True:
                    try:
                        await left.client.ping(RIGHT, within(0.5))
                    except CallFailed:
                        assert time.monotonic() - healed_s < 15
                        await asyncio.sleep(0.1)
                    else:
                        break
                print(f"answered {time.monotonic() - healed_s:.2f} s after the heal")
                assert cable.connections >= 2
                await pair.apply(objects(left, 3))
            finally:
                await cable.stop()

    asyncio.run(asyncio.wait_for(run(), 90))
