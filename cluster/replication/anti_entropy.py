"""When which pair of replicas compares its hash trees.

Every pair of replicas of a shard is compared once a period by one of the two (`initiator`, spread
evenly over the nodes), at times spread by chance so that the nodes of a cluster that started
together do not work together. A pair that was found different is compared again soon, until it is
equal; one that fails is compared ever more rarely, up to `backoff_periods_max` periods. Nodes that
are away cost nothing: their pairs are due at once when they are back.

Times are monotonic seconds. The driver asks `begin_due`, runs an `Exchange` for each pair that it
gets, and reports `on_finished`; at most `exchanges_max` run at once on a node.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from weftdb.cluster.replication.merkle import Exchanged
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.env import Randomness
from weftdb.core.types import CollectionName, NodeName


@dataclass(frozen=True, slots=True)
class AntiEntropyPace:
    """How often, as `replicationConfig.asyncConfig` has it."""

    period_s: float = 30.0
    """`frequency`."""
    period_s_busy: float = 5.0
    """`frequencyWhilePropagating`: while differences are found."""
    backoff_periods_max: int = 16

    def __post_init__(self) -> None:
        assert 0 < self.period_s_busy <= self.period_s, self
        assert self.backoff_periods_max >= 1, self


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A shard here, and the node that has the other replica."""

    shard: ShardRef
    peer: NodeName


@dataclass(slots=True)
class _Turn:
    """When a pair is next; an entry in the heap with another time is an old one."""

    due_s: float
    failures: int = 0
    is_running: bool = False


def initiator(shard: ShardRef, one: NodeName, other: NodeName) -> NodeName:
    """Which of two nodes begins: the same answer on both, even over shards and pairs."""
    assert one != other, one
    low, high = sorted((one, other))
    text = "\0".join((shard.collection, shard.shard, low, high))
    return high if zlib.crc32(text.encode()) & 1 else low


@dataclass(slots=True)
class AntiEntropy:
    """The schedule of one node."""

    node: NodeName
    pace: AntiEntropyPace
    """Of collections that `set_replicas` names no other for."""
    randomness: Randomness
    exchanges_max: int = 2
    _paces: Mapping[CollectionName, AntiEntropyPace] = field(default_factory=dict)
    _turns: dict[Pair, _Turn] = field(default_factory=dict)
    _heap: list[tuple[float, Pair]] = field(default_factory=list)
    _away: frozenset[NodeName] = frozenset()
    _running: int = 0

    def set_replicas(
        self,
        shards: Mapping[ShardRef, Iterable[NodeName]],
        now_s: float,
        paces: Mapping[CollectionName, AntiEntropyPace] | None = None,
    ) -> None:
        """Take the replicas of every shard that has one here, and how often collections are
        compared; pairs that are known keep their turns."""
        self._paces = dict(paces or {})
        wanted = {
            Pair(shard, peer)
            for shard, nodes in shards.items()
            for peer in nodes
            if peer != self.node and initiator(shard, self.node, peer) == self.node
        }
        self._turns = {pair: turn for pair, turn in self._turns.items() if pair in wanted}
        self._heap = [(turn.due_s, pair) for pair, turn in self._turns.items()]
        heapq.heapify(self._heap)
        for pair in sorted(wanted - self._turns.keys()):
            # Spread over one period: a node that starts has all its shards at once.
            self._turns[pair] = _Turn(0.0)
            self._put(pair, now_s + self._pace(pair).period_s * self.randomness.random())

    def set_away(self, nodes: AbstractSet[NodeName], now_s: float) -> None:
        """Take whom membership calls away; who came back is compared first."""
        back = self._away - nodes
        self._away = frozenset(nodes)
        for pair, turn in self._turns.items():
            if pair.peer in back and not turn.is_running:
                turn.failures = 0
                self._put(pair, now_s + self._pace(pair).period_s_busy * self.randomness.random())

    def begin_due(self, now_s: float) -> list[Pair]:
        """The pairs to compare now; each counts as running until `on_finished`."""
        begun: list[Pair] = []
        while self._heap and self._running < self.exchanges_max:
            due_s, pair = self._heap[0]
            turn = self._turns.get(pair)
            if turn is not None and turn.due_s == due_s and not turn.is_running:
                if due_s > now_s:
                    break
                if pair.peer not in self._away:
                    turn.is_running = True
                    self._running += 1
                    begun.append(pair)
            # A pair of a node that is away leaves the heap until the node is back.
            heapq.heappop(self._heap)
        return begun

    def on_finished(self, pair: Pair, outcome: Exchanged, now_s: float) -> None:
        """Take what came of an exchange that `begin_due` gave out."""
        self._running -= 1
        assert self._running >= 0, "more exchanges ended than began"
        turn = self._turns.get(pair)
        if turn is None:
            return  # The replica moved away meanwhile.
        turn.is_running = False
        pace = self._pace(pair)
        if outcome.failure is not None:
            turn.failures += 1
            periods = min(2 ** min(turn.failures, 30) // 2, pace.backoff_periods_max)
            period_s = pace.period_s * periods
        else:
            turn.failures = 0
            # What was found but not taken is refused there: looking sooner does not help.
            is_busy = outcome.sent > 0 or not outcome.is_complete
            period_s = pace.period_s_busy if is_busy else pace.period_s
        self._put(pair, now_s + period_s * (0.75 + self.randomness.random() / 2))

    @property
    def next_at_s(self) -> float | None:
        """When to ask `begin_due` again; None while nothing can begin before something ends."""
        if self._running >= self.exchanges_max or not self._heap:
            return None
        return self._heap[0][0]

    def _pace(self, pair: Pair) -> AntiEntropyPace:
        return self._paces.get(pair.shard.collection, self.pace)

    def _put(self, pair: Pair, due_s: float) -> None:
        self._turns[pair].due_s = due_s
        heapq.heappush(self._heap, (due_s, pair))
