"""Repair: what a node does so that replicas agree again: hints, comparisons, rebuilding.

Comparisons run now and then during a run, between one replica and another; at its end, between all
of them. A shard whose data was lost is rebuilt by comparing it with so many others that any write
acknowledged at QUORUM is on one of them; only then does it vouch for anything again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial

from weftdb.cluster.replication.anti_entropy import (
    AntiEntropy,
    AntiEntropyPace,
    Pair,
    initiator,
)
from weftdb.cluster.replication.differences import Rules
from weftdb.cluster.replication.effects import KeepHint
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.merkle import Exchanged, ExchangeOrder
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import WeftError
from weftdb.core.types import NodeName

from .coordinator import SCHEMA_VERSION, MakeExchange, Places
from .driver import Driver
from .hint_keeper import HintKeeper
from .node import SimulatedNode

EXCHANGE_S_MAX = 10.0
PACE = AntiEntropyPace(period_s=12.0, period_s_busy=4.0)
LOOK_S = 1.0
"""Between two looks at what is due."""
REBUILD_S = 1.5
FORGET_S = 1.0
FAR_MS = 1 << 47


class Repair:
    """The repairs of one life of a node's process."""

    def __init__(
        self,
        node: SimulatedNode,
        peers: Mapping[str, SimulatedNode],
        places: Places,
        *,
        is_away: Callable[[NodeName], bool],
        keeps_hints: bool,
        make_exchange: MakeExchange,
        grace_s: float,
    ) -> None:
        self._node = node
        self._places = places
        self._make_exchange = make_exchange
        self._grace_ms = round(grace_s * 1000)
        self._hints = HintKeeper(node, peers, is_away=is_away, keeps=keeps_hints)
        self._peers = peers
        self._driver = Driver(node, peers, self._hints.keep)
        self._is_away = is_away
        dice = random.Random(f"{node.name}/{node.around.dice.random()}")
        self._schedule = AntiEntropy(node.name, PACE, dice)
        self._running: set[Pair] = set()
        self._seen: dict[ShardRef, set[NodeName]] = {}
        """By shard that is being rebuilt, the replicas it has been compared with."""

    @property
    def is_idle(self) -> bool:
        """True when no hint is left and no comparison runs."""
        return self._hints.is_idle and not self._running

    def begin(self) -> None:
        """Start the timers of a process that has just started."""
        self._hints.begin()
        here = {shard: self._places.replicas[shard] for shard in self._node.replicas}
        self._schedule.set_replicas(here, self._now())
        self._node.every(LOOK_S, self._look)
        self._node.every(REBUILD_S, self._rebuild)
        self._node.every(FORGET_S, self._forget)

    def keep(self, hint: KeepHint) -> None:
        """Keep a hint."""
        self._hints.keep(hint)

    def play_hints(self) -> None:
        """Send every hint now."""
        self._hints.play()

    def run_cycle(self) -> None:
        """Compare every shard here with each other replica that leaves it to this node."""
        for shard in self._node.replicas:
            for other in self._places.replicas[shard]:
                if other != self._node.name and self._begins(shard, other):
                    self._compare(Pair(shard, other))

    def _begins(self, shard: ShardRef, other: NodeName) -> bool:
        return initiator(shard, self._node.name, other) == self._node.name

    def _look(self) -> None:
        if not self._node.around.compares:
            return
        away = {name for name in self._peers if self._is_away(NodeName(name))}
        self._schedule.set_away(away, self._now())
        for pair in self._schedule.begin_due(self._now()):
            self._compare(pair, finished=partial(self._finished, pair))

    def _finished(self, pair: Pair, outcome: Exchanged) -> None:
        self._schedule.on_finished(pair, outcome, self._now())

    def _rebuild(self) -> None:
        for shard in sorted(self._node.rebuilding):
            for other in self._places.replicas[shard]:
                if other != self._node.name and other not in self._seen.get(shard, ()):
                    self._compare(Pair(shard, other))

    def _compare(self, pair: Pair, finished: Callable[[Exchanged], None] | None = None) -> None:
        if pair in self._running and finished is None:
            return
        self._running.add(pair)
        now_ms = self._node.clock.now_ms()
        order = ExchangeOrder(
            shard=pair.shard,
            schema_version=SCHEMA_VERSION,
            left=self._node.name,
            right=pair.peer,
            height=self._node.replicas[pair.shard].tree_height,
            rules=Rules(DeletionStrategy.TIME_BASED_RESOLUTION, FAR_MS, now_ms - self._grace_ms),
            deadline_s=self._now() + EXCHANGE_S_MAX,
        )

        def answered(outcome: Exchanged | WeftError) -> None:
            assert isinstance(outcome, Exchanged), outcome
            self._compared(pair, outcome)
            if finished is not None:
                finished(outcome)

        self._driver.run(
            self._make_exchange(order), answered, label=f"compare {pair.shard.shard}",
            is_repair=True,
        )  # fmt: skip

    def _compared(self, pair: Pair, outcome: Exchanged) -> None:
        self._running.discard(pair)
        self._node.note("compared", f"{pair.shard.shard} with {pair.peer}: {outcome}")
        if outcome.is_complete and pair.shard in self._node.rebuilding:
            self._learn_rebuilt(pair.shard, pair.peer)

    def _learn_rebuilt(self, shard: ShardRef, other: NodeName) -> None:
        seen = self._seen.setdefault(shard, set())
        seen.add(other)
        replicas = len(self._places.replicas[shard])
        if len(seen) > replicas - ConsistencyLevel.QUORUM.required(replicas):
            self._node.rebuilding.discard(shard)
            self._node.note("rebuilt", f"{shard.shard} from {' '.join(sorted(seen))}")

    def _forget(self) -> None:
        before_ms = self._node.clock.now_ms() - self._grace_ms
        for shard, replica in self._node.replicas.items():
            count = replica.forget_deletions(before_ms)
            if count:
                self._node.note("forgets", f"{count} deletions of {shard.shard}")

    def _now(self) -> float:
        return self._node.clock.monotonic_s()
