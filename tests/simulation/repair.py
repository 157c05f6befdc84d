"""Repair: what a node does so that replicas agree again, and so that shards can move.

It is the server's own: who vouches (`standings`), what is forgotten (`forgetting`), comparisons and
rebuilding (`repair`), moves (`server/moving`), in the virtual loop of one life of a process. Only
the hints are played by a twin (hint_keeper.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from weftdb.cluster.replication.effects import Coordination, Failure, KeepHint
from weftdb.cluster.replication.merkle import Exchange
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.errors import WeftError
from weftdb.core.types import CollectionName, NodeName, ShardId
from weftdb.server.internode.comparing import Comparer
from weftdb.server.internode.conversation import Manner
from weftdb.server.internode.forgetting import Forgetting, bounds_of
from weftdb.server.internode.full_repair import FullRepair
from weftdb.server.internode.messages import Noted, Tell
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.repair import Repairs
from weftdb.server.internode.replica_records import ReplicaRecords
from weftdb.server.internode.standings import Standings
from weftdb.server.moving.board import OperationBoard
from weftdb.server.moving.mover import Mover, MovingPace
from weftdb.server.moving.plans import PlanBoard

from .agreed import KEYS, HereView, MetadataDoor, NodeView
from .coordinator import MakeExchange
from .disk import SyncedStore
from .driver import Driver
from .hint_keeper import HintKeeper
from .node import Asked, MovedFailure, SimulatedNode, Surroundings
from .replicas import ModelReplica

FORGET_S = 1.0
PACE = MovingPace(look_s=0.5, sweep_s=2.0, retry_s=1.0, plan_s=1.0, at_once=2)


@dataclass(frozen=True, slots=True)
class Bugs:
    """What canaries plant here."""

    keeps_hints: bool = True
    wiped_vouches: bool = False
    forgets_after_ms: int | None = None
    """Deletions are forgotten at that age, whatever others have."""
    heeds_marks: bool = True
    hides_marks: bool = False
    mover: type[Mover] = Mover


class Pace:
    """How often repairs look (`repair.RepairPace`); not compared while hints are judged."""

    exchanges_max = 2
    look_s = 1.0
    retry_s = 1.5
    forget_s = 2.0
    alive_s = 5.0

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def is_comparing(self) -> bool:
        """Whether it is compared by the schedule."""
        return self._around.compares


class NoDebts:
    """Of hints: the twin's have none (`hint_store.HintStore`)."""

    def owed(self) -> list[Any]:
        """Nothing."""
        return []


class Records(ReplicaRecords):
    """The server's rows; the model's deletions lie elsewhere."""

    def __init__(self, node: SimulatedNode) -> None:
        super().__init__(SyncedStore(node.disk))  # type: ignore[arg-type]
        self._node = node

    def oldest_deletion_ms(self, shard: ShardId) -> int | None:
        """The time of the oldest deletion that a shard remembers."""
        for local in self._node.replicas.values():
            if isinstance(local, ModelReplica) and local.number == shard:
                return local.oldest_deletion_ms()
        return super().oldest_deletion_ms(shard)


class ForgetsEarly(Forgetting):
    """A canary: by the age of deletions alone."""

    age_ms = 0

    def before_ms(self, shard: ShardRef) -> int:
        """All that are so old."""
        return self._clock.now_ms() - self.age_ms


class Calls:
    """Asks other nodes, for tasks (`ports.NodeCaller`, and what `Comparer` asks)."""

    def __init__(
        self,
        node: SimulatedNode,
        peers: Mapping[str, SimulatedNode],
        view: NodeView,
        driver: Driver,
        make_exchange: MakeExchange,
    ) -> None:
        self._node = node
        self._peers = peers
        self._view = view
        self._driver = driver
        self._make_exchange = make_exchange

    async def know(
        self, node: NodeName, collection: CollectionName, revision: int, deadline_s: float
    ) -> int:
        """As `NodeCaller`."""
        patience_s = deadline_s - self._node.clock.monotonic_s()
        peer = self._peers[node]
        known: int = await self._called(
            node, partial(peer.serve_know, collection, revision, patience_s), patience_s
        )
        return known

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """As `NodeCaller`."""
        patience_s = deadline_s - self._node.clock.monotonic_s()
        peer = self._peers[node]
        noted: Noted = await self._called(
            node, partial(peer.serve_tell, self._node.name, tell), patience_s
        )
        return noted

    async def ask(
        self, node: NodeName, request: Any, deadline_s: float, *, revision: int, purpose: Any
    ) -> Any:
        """As `ReplicaCaller`."""
        patience_s = deadline_s - self._node.clock.monotonic_s()
        peer = self._peers[node]
        return await self._called(
            node, partial(peer.serve, request, Asked(revision, purpose)), patience_s
        )

    async def run(self, coordination: Coordination[Any], manner: Manner) -> Any:
        """As `internode.driver.Driver`, through the twin."""
        if isinstance(coordination, Exchange):
            coordination = self._make_exchange(coordination)
        loop = self._node.loop
        future = loop.create_future()

        def answered(outcome: Any) -> None:
            loop.enter(lambda: future.done() or future.set_result(outcome))

        self._driver.run(
            coordination,
            answered,
            label="compare",
            asked=Asked(manner.revision, manner.purpose),
            learn=manner.learn or self._view.learn,
            request_s_max=manner.request_s_max,
        )
        outcome = await future
        if isinstance(outcome, WeftError):
            raise outcome
        return outcome

    async def _called(self, node: NodeName, serve: Callable[..., None], patience_s: float) -> Any:
        loop = self._node.loop
        future = loop.create_future()

        def hear(outcome: Any) -> None:
            loop.enter(lambda: future.done() or future.set_result(outcome))

        self._node.call(self._peers[node], serve, hear, patience_s=max(0.0, patience_s))
        outcome = await future
        if isinstance(outcome, Failure):
            moved = outcome.moved if isinstance(outcome, MovedFailure) else None
            raise CallFailed(outcome, moved=moved)
        return outcome


class Repair:
    """The repairs and moves of one life of a node's process."""

    def __init__(
        self,
        node: SimulatedNode,
        peers: Mapping[str, SimulatedNode],
        view: NodeView,
        door: MetadataDoor,
        *,
        make_exchange: MakeExchange,
        bugs: Bugs,
    ) -> None:
        self._node = node
        self._view = view
        self.door = door
        grace, hint_bounds = bounds_of(node.terms.grace_s)
        dice = random.Random(f"{node.name}/{node.around.dice.random()}")
        self.hints = HintKeeper(node, peers, view=view, bounds=hint_bounds, keeps=bugs.keeps_hints)
        records = Records(node)
        self.standings = Standings(
            records,
            view,
            node.clock,
            grace_ms=grace.grace_ms,
            was_emptied=node.was_emptied and not bugs.wiped_vouches,
        )
        view.check = self.standings.check
        view.is_rebuilding = self.standings.is_rebuilding
        node.note_told = self._note_told if bugs.heeds_marks else self._note_no_marks
        node.answer_for(view)
        kind = Forgetting if bugs.forgets_after_ms is None else ForgetsEarly
        forgetting = kind(self.standings, records, view, node.clock, grace)
        if isinstance(forgetting, ForgetsEarly):
            forgetting.age_ms = bugs.forgets_after_ms or 0
        calls = Calls(node, peers, view, Driver(node, peers, self.hints.keep), make_exchange)
        self.comparer = Comparer(calls, calls, view, node.clock, grace_ms=grace.grace_ms)
        self.board = OperationBoard(KEYS, door, view, node.clock, dice)
        self.plans = PlanBoard(KEYS, door, self.board, node.clock, dice)
        self._begin = partial(self._begin_tasks, records, forgetting, calls, dice, bugs.mover)

    def begin(self) -> None:
        """Start the tasks of a process that has just started."""
        self.hints.begin()
        self._node.loop.enter(self._begin)
        self._node.every(FORGET_S, self._forget)

    def keep(self, hint: KeepHint) -> None:
        """Keep a hint."""
        self.hints.keep(hint)

    def compare_all(self, shards: list[ShardRef], done: Callable[[], None]) -> None:
        """Run one repair cycle, as `weftdb cluster repair` does."""

        async def work() -> None:
            await FullRepair(self.comparer, self._view).run(shards)
            done()

        self._node.loop.begin(work())

    @property
    def is_settled(self) -> bool:
        """Whether every replica here vouches."""
        return self.standings.is_plain and not self._node.was_emptied

    def _begin_tasks(
        self,
        records: Records,
        forgetting: Forgetting,
        calls: Calls,
        dice: random.Random,
        make_mover: type[Mover],
    ) -> None:
        node = self._node
        self.repairs = Repairs(
            self.comparer, self.standings, forgetting, records, NoDebts(), calls, self._view,
            node.clock, dice, pace=Pace(node.around), settled=self._settled,
        )  # fmt: skip
        self.repairs.start()
        self.mover = make_mover(
            self.board,
            HereView(self._view),
            self.comparer,
            calls,
            node.clock,
            plans=self.plans,
            pace=PACE,
        )
        self.mover.start()

    def _settled(self) -> None:
        self._node.was_emptied = False
        self._node.note("settles", "every replica here vouches")

    def _note_told(self, sender: NodeName, tell: Tell) -> Noted:
        return self.standings.note(sender, tell)

    def _note_no_marks(self, sender: NodeName, tell: Tell) -> Noted:
        return Noted()

    def _forget(self) -> None:
        for shard, local in sorted(self._node.replicas.items()):
            count = local.replica.forget_deletions()
            if count:
                self._node.note("forgets", f"{count} deletions of {shard.shard}")
