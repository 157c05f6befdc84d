"""Repairs: what a node does, all the time, so that replicas agree again.

- Compares its replicas with those of others by the schedule of `replication/anti_entropy.py`, and
  tells the other node until when that was complete.
- Pays debts: compares replicas that have missed hints, here or elsewhere.
- Rebuilds replicas here that have lost their data, or were given up while they were away.
- Tells those who were given up, and forgets deletions that everybody has.

What is decided lies in `cluster/replication`, `standings.py` and `forgetting.py`; this file has the
tasks and their times. What touches the disk runs in a thread.

Concurrency: lives in one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from weftdb.cluster.replication.anti_entropy import AntiEntropy, AntiEntropyPace, Pair
from weftdb.cluster.replication.merkle import Exchanged
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.env import Clock, Randomness
from weftdb.core.errors import WeftError
from weftdb.core.types import NodeName
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.comparing import Comparer, Comparison
from weftdb.server.internode.forgetting import Forgetting
from weftdb.server.internode.hint_store import HintStore, Owed
from weftdb.server.internode.messages import Noted, Tell
from weftdb.server.internode.ports import CallFailed, NodeCaller
from weftdb.server.internode.replica_records import ReplicaRecords, Stage
from weftdb.server.internode.standings import Standings

log = logging.getLogger("weftdb.replication")

T = TypeVar("T")

TELL_S_MAX = 5.0
LOOK_SHARE = 100
"""To look at all shards may take this part of the loop's time."""
_GIVEN_UP = Exchanged(
    is_complete=False, found=0, sent=0, young=0, unresolved=0, leaves=0,
    failure="the other replica was given up and is not rebuilt yet",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RepairPace:
    """How often things are looked at, in seconds."""

    is_comparing: bool = True
    """Whether replicas are compared by the schedule; debts and rebuilding do not ask."""
    exchanges_max: int = 2
    look_s: float = 0.5
    retry_s: float = 5.0
    """After something failed: a debt, a replica that is rebuilt, a node that is to be told."""
    forget_s: float = 60.0
    alive_s: float = 30.0


@dataclass(slots=True)
class RebuildTally:
    """Counts since the start."""

    begun: int = 0
    finished: int = 0
    objects: int = 0
    """States that were sent on behalf of replicas that are rebuilt, both ways."""


@dataclass(slots=True)
class _Turns:
    """When something may be tried again, and what runs."""

    running: dict[Hashable, asyncio.Task[None]] = field(default_factory=dict)
    not_before_s: dict[Hashable, float] = field(default_factory=dict)


class Repairs:
    """The repairs of one node. Requires: `start`, and `stop` before the loop ends."""

    def __init__(
        self,
        comparer: Comparer,
        standings: Standings,
        forgetting: Forgetting,
        records: ReplicaRecords,
        hints: HintStore,
        nodes: NodeCaller,
        view: ClusterView,
        clock: Clock,
        randomness: Randomness,
        *,
        pace: RepairPace | None = None,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """`settled` is called in a thread when all replicas of a node that had lost its data are
        rebuilt."""
        self._loop = asyncio.get_running_loop()
        self._comparer = comparer
        self._standings = standings
        self._forgetting = forgetting
        self._records = records
        self._hints = hints
        self._nodes = nodes
        self._view = view
        self._clock = clock
        self._pace = pace or RepairPace()
        self._settled = settled
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="weft-repairs")
        self._schedule = AntiEntropy(
            view.node, AntiEntropyPace(), randomness, exchanges_max=self._pace.exchanges_max
        )
        self._placed: tuple[object, object] = ({}, {})
        self._turns = _Turns()
        self._forget_at_s = self._alive_at_s = self._place_at_s = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self.tally = RebuildTally()

    def start(self) -> None:
        """Begin."""
        self._looking = self._loop.create_task(self._look_on())

    async def stop(self) -> None:
        """Break off what runs: the next start goes on with it."""
        tasks = [*self._turns.running.values()]
        if self._looking is not None:
            tasks.append(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.run_in_executor(None, self._thread.shutdown)

    async def _look_on(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(self._pace.look_s)

    def _look(self) -> None:
        """Begin what is due."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._forget_at_s:
            self._forget_at_s = now_s + self._pace.forget_s
            self._begin("forget", self._in_thread(self._forgetting.update))
        if now_s >= self._alive_at_s:
            self._alive_at_s = now_s + self._pace.alive_s
            now_ms = self._clock.now_ms()
            self._begin("alive", self._in_thread(partial(self._records.keep_alive, now_ms)))
        self._look_at_standings()
        self._look_at_debts()
        if self._pace.is_comparing:
            self._look_at_schedule(now_s)

    # --- by the schedule -------------------------------------------------------------------------

    def _look_at_schedule(self, now_s: float) -> None:
        if now_s >= self._place_at_s:
            self._look_at_places(now_s)
        for pair in self._schedule.begin_due(now_s):
            self._begin(pair, self._compare_pair(pair))

    def _look_at_places(self, now_s: float) -> None:
        """See which shards lie here and who is there; with very many shards less often."""
        placed = {shard: tuple(self._view.replicas(shard)) for shard in self._view.here()}
        paces = {
            shard.collection: settings.pace
            for shard in placed
            if (settings := self._comparer.settings(shard)) is not None
        }
        if (placed, paces) != self._placed:
            self._placed = (placed, paces)
            self._schedule.set_replicas(placed, now_s, paces)
        nodes = {node for replicas in placed.values() for node in replicas}
        # Nor those in doubt: each failure would put the comparison off by more.
        away = {node for node in nodes if not self._is_there(node)}
        self._schedule.set_away(away, now_s)
        taken_s = self._clock.monotonic_s() - now_s
        self._place_at_s = now_s + taken_s * LOOK_SHARE

    def _is_there(self, node: NodeName) -> bool:
        return node == self._view.node or self._view.is_alive(node)

    async def _compare_pair(self, pair: Pair) -> None:
        outcome = _GIVEN_UP
        try:
            marked = await self._in_thread(partial(self._standings.marked, pair.shard))
            if pair.peer not in marked:
                comparison = await self._compare_here(pair.shard, pair.peer)
                outcome = comparison.outcome
        finally:
            self._schedule.on_finished(pair, outcome, self._clock.monotonic_s())

    async def _compare_here(self, shard: ShardRef, peer: NodeName) -> Comparison:
        """Compare a replica here with another, and note and tell how far that was complete."""
        comparison = await self._comparer.compare(shard, self._view.node, peer)
        if comparison.outcome.failure is not None:
            log.info("comparing %s with %s: %s", shard.shard, peer, comparison.outcome.failure)
        if comparison.outcome.is_complete:
            until_ms = comparison.until_ms
            await self._in_thread(partial(self._standings.learn_complete, shard, peer, until_ms))
            await self._tell(peer, Tell(shard, complete_until_ms=until_ms))
        return comparison

    # --- debts -----------------------------------------------------------------------------------

    def _look_at_debts(self) -> None:
        for debt in self._hints.owed():
            if not self._view.is_away(debt.target):
                self._begin(debt, self._pay(debt))

    async def _pay(self, debt: Owed) -> None:
        """Compare a replica that has missed hints with all the others; most have what it lacks."""
        replicas = self._view.replicas(debt.shard)
        others = [node for node in replicas if node != debt.target]
        if debt.target in replicas:
            # Oneself first: a replica here was written to by the same coordinator.
            for node in sorted(others, key=lambda node: node != self._view.node):
                comparison = await self._comparer.compare(
                    debt.shard, node, debt.target, is_full=True
                )
                if not comparison.outcome.is_complete:
                    self._try_later(debt)
                    return
        elif not self._view.is_complete:
            self._try_later(debt)  # What is not known yet may be there.
            return
        await self._in_thread(partial(self._hints.pay, debt))

    # --- replicas that do not vouch --------------------------------------------------------------

    def _look_at_standings(self) -> None:
        if not self._view.is_complete:
            return
        self._begin("marks", self._tell_marks())
        if self._standings.is_plain:
            return
        waiting = False
        for shard in self._view.here():
            stage = self._standings.stage(shard)
            if stage is Stage.MARKED:
                self._begin(("rebuild", shard), self._empty(shard))
            elif stage is Stage.REBUILDING:
                self._begin(("rebuild", shard), self._rebuild(shard))
            elif self._standings.is_unsure(shard):
                self._begin(("ask", shard), self._ask(shard))
            else:
                continue
            waiting = True
        if not waiting:
            self._begin("settle", self._settle())

    async def _ask(self, shard: ShardRef) -> None:
        """Ask the others whether they have given the replica here up."""
        peers = [node for node in self._view.replicas(shard) if node != self._view.node]
        if not peers:
            self._standings.clear_alone(shard)
            return
        for peer in peers:
            noted = None if self._view.is_away(peer) else await self._tell(peer, Tell(shard))
            if noted is None:
                continue
            if self._view.node in noted.marked:
                await self._in_thread(partial(self._standings.mark_self, shard, peer))
                return
            self._standings.learn_unmarked(shard, peer)
        if self._standings.is_unsure(shard):
            self._try_later(("ask", shard))

    async def _empty(self, shard: ShardRef) -> None:
        """Throw away what a replica holds that was given up; then it can be rebuilt."""
        await self._in_thread(partial(self._view.empty, shard))
        await self._in_thread(
            partial(self._standings.begin_rebuild, shard, "it was given up while it was away")
        )

    async def _rebuild(self, shard: ShardRef) -> None:
        """Compare with others until it is enough."""
        self.tally.begun += 1
        peers = [node for node in self._view.replicas(shard) if node != self._view.node]
        for peer in sorted(peers, key=self._view.is_away):
            if peer in self._standings.compared(shard):
                continue
            if not await self._fetch_all(shard, peer):
                continue
            learn = partial(self._standings.learn_compared, shard, peer)
            if await self._in_thread(learn):
                break
        if self._standings.stage(shard) is not Stage.VOUCHES:
            self._try_later(("rebuild", shard))
            return
        self.tally.finished += 1
        log.info("shard %s is rebuilt from %s", shard.shard, self._standings.compared(shard))
        for peer in peers:
            await self._tell(peer, Tell(shard, rebuilt=(self._view.node,)))

    async def _fetch_all(self, shard: ShardRef, peer: NodeName) -> bool:
        """Compare until nothing is left; False when that fails."""
        while True:
            comparison = await self._comparer.compare(
                shard, self._view.node, peer, is_full=True, newest_wins=True
            )
            outcome = comparison.outcome
            self.tally.objects += outcome.sent
            if outcome.is_complete:
                return True
            if outcome.failure is not None and not outcome.sent:
                log.info("rebuilding %s from %s: %s", shard.shard, peer, outcome.failure)
                return False

    async def _settle(self) -> None:
        """Everything here vouches."""
        await self._in_thread(self._settled)
        await self._in_thread(self._standings.settled)

    async def _tell_marks(self) -> None:
        """Tell those who were given up, when they are there again."""
        for shard, node in await self._in_thread(self._standings.all_marked):
            if not self._view.is_away(node):
                await self._tell(node, Tell(shard, marked=(node,)))
        self._try_later("marks")

    # --- tasks -----------------------------------------------------------------------------------

    def _begin(self, key: Hashable, work: Coroutine[Any, Any, None]) -> None:
        """Run something, unless it runs already or has to wait."""
        turns = self._turns
        not_before_s = turns.not_before_s.get(key, float("-inf"))
        if key in turns.running or self._clock.monotonic_s() < not_before_s:
            work.close()
            return
        turns.not_before_s.pop(key, None)
        task = turns.running[key] = self._loop.create_task(work)
        task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: Hashable, task: asyncio.Task[None]) -> None:
        del self._turns.running[key]
        if task.cancelled() or task.exception() is None:
            return
        if not isinstance(key, Pair):  # Of those the schedule knows when.
            self._try_later(key)
        error = task.exception()
        if isinstance(error, WeftError):
            log.warning("a repair is put off: %s", error)
        else:
            log.error("a repair broke", exc_info=error)

    def _try_later(self, key: Hashable) -> None:
        self._turns.not_before_s[key] = self._clock.monotonic_s() + self._pace.retry_s

    async def _tell(self, node: NodeName, tell: Tell) -> Noted | None:
        """Tell another node; None when it does not answer, which a later time makes good."""
        try:
            return await self._nodes.tell(node, tell, self._clock.monotonic_s() + TELL_S_MAX)
        except CallFailed as error:
            log.debug("%s was not told: %s", node, error)
            return None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, work)
