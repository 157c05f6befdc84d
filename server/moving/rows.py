"""RowFiller: what it takes to move a row of virtual shards from one shard to another.

Before a row begins to move, the replicas of its target hold nothing of it; then all of them are
filled, from one replica of the source that was compared with a majority of the others (decision
35). Comparing hash trees finds what is written meanwhile, too; only what differs travels.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from weftdb.cluster.rebalance.changes import MoveRow
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.ring import range_of
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import InvalidRequest
from weftdb.core.partial import TokenRanges
from weftdb.core.types import NodeName, ShardName
from weftdb.server.internode.comparing import Carrying, Comparer, Comparison
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.throttle import Throttle

PASSES_MAX = 10_000
"""Comparisons of one pair for one step; each moves as much as one may."""


class RowFiller:
    """Of one node. Lives in one event loop."""

    def __init__(
        self,
        comparer: Comparer,
        alive: Callable[[], Sequence[NodeName]],
        note: Callable[[int], None],
        throttle: Throttle | None = None,
    ) -> None:
        """`note` hears how many states were taken; `throttle` bounds what is sent."""
        self._throttle = throttle
        self._comparer = comparer
        self._alive = alive
        self._note = note

    async def check_vacant(
        self, shard: ShardRef, nodes: Sequence[NodeName], tokens: TokenRanges
    ) -> None:
        """Raise InvalidRequest while one of `nodes` is away or has something with these tokens."""
        waiting = []
        for node in nodes:
            try:
                if await self._comparer.holds(shard, node, tokens):
                    waiting.append(f"{node} has not removed what has left the shard")
            except CallFailed as failed:
                waiting.append(f"{node}: {failed.failure.reason}")
        if waiting:
            raise InvalidRequest(f"shard {shard.shard} is waited for: {'; '.join(waiting)}")

    async def prepare(self, change: MoveRow, state: ShardingState) -> None:
        """Raise InvalidRequest unless every replica of the target is there, without the row."""
        target = _placed(state, change.target)
        shard = ShardRef(change.collection, change.target)
        await self.check_vacant(shard, target.replicas, tokens_of(change, state))

    async def fill(self, change: MoveRow, state: ShardingState, source: NodeName) -> None:
        """Give every replica of the target what `source` has. Raises InvalidRequest."""
        failures = []
        for node in _placed(state, change.target).replicas:
            carrying = Carrying(
                ShardRef(change.collection, change.source),
                source,
                ShardRef(change.collection, change.target),
                node,
                tokens_of(change, state),
            )
            failure = await self.carry(carrying)
            if failure is not None:
                failures.append(f"{node}: {failure}")
        if failures:
            raise InvalidRequest(
                f"not every replica of shard {change.target} is filled: {'; '.join(failures)}"
            )

    async def check_left(self, change: MoveRow, state: ShardingState) -> None:
        """Raise InvalidRequest while a living replica of the source has something of the row."""
        living = self._alive()
        nodes = [node for node in _placed(state, change.source).replicas if node in living]
        shard = ShardRef(change.collection, change.source)
        await self.check_vacant(shard, nodes, tokens_of(change, state))

    async def carry(self, carrying: Carrying) -> str | None:
        """Give until nothing is left to give; why that failed, or None."""

        async def once() -> Comparison:
            return await self._comparer.carry(carrying, throttle=self._throttle)

        return await until_complete(once, self._note)


async def until_complete(
    compare: Callable[[], Awaitable[Comparison]], note: Callable[[int], None]
) -> str | None:
    """Compare until nothing is left; why that failed, or None. `note` hears what was taken."""
    for _ in range(PASSES_MAX):
        outcome = (await compare()).outcome
        note(outcome.sent)
        if outcome.is_complete:
            return None
        if outcome.failure is not None and not outcome.sent:
            return outcome.failure
    return "it never came to an end"


def tokens_of(change: MoveRow, state: ShardingState) -> TokenRanges:
    """The tokens of a row."""
    tokens = range_of(change.first, state.table.count, length=change.length)
    return ((tokens.start, tokens.stop),)


def _placed(state: ShardingState, name: ShardName) -> PlacedShard:
    shard = state.shard(name)
    if shard is None:
        raise InvalidRequest(f"there is no shard {name}")
    return shard
