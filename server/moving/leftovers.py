"""Leftovers: removes from this node what is not of the shard that it lies in.

After a row of virtual shards has moved, or its move was given up, replicas hold objects that count
nowhere (`ShardingState.may_stray`). Whoever has some gives the owners what is young, in case that
it alone has it, and drops them without a trace (decision 35, point 6). Young is what is so new that
no deletion above it can have been forgotten anywhere: nothing comes back to life.

Concurrency: lives in one event loop; the disk is worked on in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.ring import common
from weftdb.cluster.sharding import ShardingState
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Clock
from weftdb.core.partial import TokenRanges, outside
from weftdb.core.types import NodeName
from weftdb.server.internode.comparing import Carrying
from weftdb.server.moving.rows import RowFiller

log = logging.getLogger("weftdb.moving")


class Replica(Protocol):
    """What lies here of a shard."""

    def has_outside(self, kept: TokenRanges) -> bool:
        """Whether anything is held of other tokens."""
        ...

    def drop_outside(self, kept: Callable[[], TokenRanges | None]) -> int:
        """Drop a batch of that: how many."""
        ...


class Held(Protocol):
    """What lies on this node, and what it has heard."""

    @property
    def node(self) -> NodeName:
        """This node."""
        ...

    def replica(self, shard: ShardRef) -> Replica | None:
        """The open shard here, if there is one."""
        ...

    def sharding(self, shard: ShardRef) -> ShardingState | None:
        """The newest sharding state of its collection."""
        ...

    def kept(self, shard: ShardRef) -> TokenRanges | None:
        """The tokens of the objects that it may hold by that; None for all of them."""
        ...

    def is_settled(self, shard: ShardRef) -> bool:
        """Wait a moment until nothing by an older state is under way. Blocks."""
        ...


class Leftovers:
    """Of one node."""

    def __init__(self, held: Held, rows: RowFiller, clock: Clock, *, grace_ms: int) -> None:
        self._held = held
        self._rows = rows
        self._clock = clock
        self._grace_ms = grace_ms

    async def clear(self, shard: ShardRef) -> int:
        """Hand over and drop what does not belong to a shard here; how much was dropped."""
        replica, kept = self._held.replica(shard), self._held.kept(shard)
        if replica is None or kept is None:
            return 0
        if not await asyncio.to_thread(replica.has_outside, kept):
            return 0
        if not await asyncio.to_thread(self._held.is_settled, shard):
            return 0  # It is looked at again soon.
        if not await self.hand_over(shard):
            return 0
        dropped = 0
        # Asked anew for each batch: a row may begin to move here meanwhile.
        asked = partial(self._held.kept, shard)
        while part := await asyncio.to_thread(replica.drop_outside, asked):
            dropped += part
        log.info("shard %s: %d states that are not its own are gone", shard.shard, dropped)
        return dropped

    async def hand_over(self, shard: ShardRef) -> bool:
        """Give the owners what is young here of their tokens; whether a majority of each has it."""
        state, kept = self._held.sharding(shard), self._held.kept(shard)
        if state is None or kept is None:
            return True
        foreign = outside(kept)
        for owner in state.shards:
            owned = tuple((each.start, each.stop) for each in state.ranges_of(owner.name))
            tokens = common(foreign, owned)
            to = ShardRef(shard.collection, owner.name)
            if tokens and not await self._give(shard, to, owner.replicas, tokens):
                return False
        return True

    async def _give(
        self, shard: ShardRef, to: ShardRef, nodes: Sequence[NodeName], tokens: TokenRanges
    ) -> bool:
        since_ms = self._clock.now_ms() - self._grace_ms // 2
        reached = 0
        for node in nodes:
            carrying = Carrying(shard, self._held.node, to, node, tokens, since_ms)
            failure = await self._rows.carry(carrying)
            if failure is None:
                reached += 1
            else:
                log.info("%s does not take what shard %s leaves: %s", node, shard.shard, failure)
        return reached >= ConsistencyLevel.QUORUM.required(len(nodes))
