"""HintKeeper: takes hints from coordinations, and sends them on when their targets are back.

Hints that come at the same time share one write and one sync. To each target goes one stream, by
the rules of `cluster/replication/hint_replay.py`; hints of different targets do not wait for each
other. What touches the disk runs in a thread of its own, so a slow disk holds up hints and nothing
else.

Concurrency: lives in one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from weftdb.cluster.replication.effects import AnyReply, Failure, KeepHint, Send, Wake
from weftdb.cluster.replication.hint_replay import (
    ForgetHints,
    HintReplay,
    LoadHints,
    ReplayEffect,
    ReplayPace,
)
from weftdb.cluster.replication.messages import Apply, Purpose
from weftdb.core.env import Clock, Randomness
from weftdb.core.errors import WeftError
from weftdb.core.types import NodeName
from weftdb.server.internode.alarms import Alarms
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.hint_store import HintStore
from weftdb.server.internode.messages import Moved
from weftdb.server.internode.ports import CallFailed, ReplicaCaller

log = logging.getLogger("weftdb.hints")

T = TypeVar("T")

REQUEST_S_MAX = 30.0
"""How long a request with hints may take."""
LOOK_S = 0.5
"""Between two looks at who is there."""
NUDGE_S = 30.0
"""After a store that failed, hints that wait are looked at again within this time."""
_BATCH_HINTS = 256


class HintKeeper:
    """The hints of one node under way. Requires: made in the loop; `start`, and `stop` before the
    loop ends."""

    def __init__(
        self,
        store: HintStore,
        caller: ReplicaCaller,
        view: ClusterView,
        clock: Clock,
        randomness: Randomness,
        *,
        pace: ReplayPace | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._store = store
        self._caller = caller
        self._view = view
        self._clock = clock
        self._randomness = randomness
        self._pace = pace or ReplayPace()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="weft-hints")
        self._coming: list[tuple[KeepHint, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._replays: dict[NodeName, HintReplay] = {}
        self._there: set[NodeName] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarms = Alarms(self._loop, clock)
        self._looking: asyncio.Task[None] | None = None

    @property
    def store(self) -> HintStore:
        """What is kept."""
        return self._store

    def start(self) -> None:
        """Begin to look who is there."""
        self._looking = self._loop.create_task(self._look_on())

    async def keep(self, hint: KeepHint) -> None:
        """Return once the hint is durable, or counted as lost."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._coming.append((hint, future))
        if self._flushing is None:
            self._begin_flush()
        await future

    async def stop(self) -> None:
        """Keep what came, and stop sending. What is stored waits for the next start."""
        for task in (self._looking, *self._tasks):
            if task is not None:
                task.cancel()
        self._alarms.cancel()
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loop.run_in_executor(None, self._thread.shutdown)

    def look(self) -> None:
        """See who is there, and begin or stop sending to them."""
        for target in self._store.targets():
            self._replay(target)
        for target, replay in list(self._replays.items()):
            if self._view.is_alive(target):
                if target not in self._there:  # Also after a doubt: it need not wait for its turn.
                    self._there.add(target)
                    self._carry_out(target, replay.on_available(self._now()))
                continue
            self._there.discard(target)
            if self._view.is_away(target):
                self._carry_out(target, replay.on_unavailable())

    async def _look_on(self) -> None:
        nudged_s = self._now()
        while True:
            self.look()
            if self._now() - nudged_s >= NUDGE_S:
                nudged_s = self._now()
                self._nudge()
            await asyncio.sleep(LOOK_S)

    def _nudge(self) -> None:
        """Look again at hints that wait, and let go of those for nodes that have left for good."""
        for target, replay in self._replays.items():
            if not self._store.waiting(target):
                continue
            if self._view.is_member(target):
                self._carry_out(target, replay.on_kept(self._now()))
            else:
                self._begin(self._drop(target))

    async def _drop(self, target: NodeName) -> None:
        count = await self._in_thread(partial(self._store.drop_target, target))
        log.warning("%d hints for %s are dropped: it has left the cluster", count, target)

    async def _flush(self) -> None:
        """Store what has come, as long as something comes."""
        while self._coming:
            taken, self._coming = self._coming[:_BATCH_HINTS], self._coming[_BATCH_HINTS:]
            hints = [hint for hint, _ in taken]
            try:
                targets = await self._in_thread(partial(self._store.keep, hints))
            finally:  # Whatever comes of it, nobody waits for ever.
                for _, future in taken:
                    if not future.done():
                        future.set_result(None)
            for target in targets:
                self._carry_out(target, self._replay(target).on_kept(self._now()))

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushing = None
        if not task.cancelled() and task.exception() is not None:
            log.error("hints were not kept", exc_info=task.exception())
        if self._coming:
            self._begin_flush()

    def _begin_flush(self) -> None:
        self._flushing = self._loop.create_task(self._flush())
        self._flushing.add_done_callback(self._flushed)

    def _replay(self, target: NodeName) -> HintReplay:
        replay = self._replays.get(target)
        if replay is None:
            replay = HintReplay(target, self._pace, self._randomness)
            self._replays[target] = replay
        return replay

    def _carry_out(self, target: NodeName, effects: Sequence[ReplayEffect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._begin(self._send(target, effect))
                case Wake(at_s=at_s):
                    self._alarms.set(at_s, partial(self._wake, target))
                case LoadHints(count_max=count):
                    self._begin(self._load(target, count))
                case ForgetHints(through=through, is_final=is_final):
                    self._begin(self._forget(target, through, is_final=is_final))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("sending hints broke", exc_info=task.exception())

    def _wake(self, target: NodeName) -> None:
        self._carry_out(target, self._replays[target].on_time(self._now()))

    async def _load(self, target: NodeName, count: int) -> None:
        replay = self._replays[target]
        try:
            loaded = await self._in_thread(partial(self._store.load, target, count))
        except WeftError as error:
            log.warning("the hints for %s cannot be read now: %s", target, error)
            loaded = []
        self._carry_out(target, replay.on_loaded(loaded, 0, self._now()))

    async def _forget(self, target: NodeName, through: int, *, is_final: bool) -> None:
        if is_final:
            log.warning("%s will not take the hints up to %d", target, through)
        try:
            await self._in_thread(partial(self._store.forget, target, through, is_final=is_final))
        except WeftError as error:
            log.warning("hints for %s cannot be deleted now: %s", target, error)

    async def _send(self, target: NodeName, effect: Send) -> None:
        replay, outcome = self._replays[target], await self._ask(effect)
        if isinstance(outcome, Failure):
            self._carry_out(target, replay.on_failure(effect.call, outcome, self._now()))
        else:
            self._carry_out(target, replay.on_reply(effect.call, outcome, self._now()))

    async def _ask(self, effect: Send) -> AnyReply | Failure:
        assert isinstance(effect.request, Apply), effect.request
        collection = effect.request.shard.collection
        # By what is known now, not by what was known when the hint was kept.
        request = replace(effect.request, schema_version=self._view.schema_version(collection))
        try:
            return await self._caller.ask(
                effect.to,
                request,
                self._now() + REQUEST_S_MAX,
                revision=self._view.revision(collection),
                purpose=Purpose.REPAIR,
            )
        except CallFailed as error:
            if error.moved is not None:
                self._learn(error.moved)
            return error.failure
        except WeftError as error:
            return Failure(f"{type(error).__name__}: {error}")

    def _learn(self, moved: Moved) -> None:
        try:
            self._view.learn(moved)
        except WeftError as error:
            log.warning("a sharding state that was told cannot be read: %s", error)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, work)

    def _now(self) -> float:
        return self._clock.monotonic_s()
