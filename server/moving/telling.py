"""Telling: sees to it that a new sharding state is known by all who have to know it.

The rule is `cluster/rebalance/told.py`; this asks the nodes, which wait until they know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from weftdb.cluster.rebalance.told import Told
from weftdb.cluster.sharding import ShardingState
from weftdb.core.env import Clock
from weftdb.core.types import CollectionName, NodeName
from weftdb.server.internode.ports import CallFailed, NodeCaller

ASK_S = 5.0
"""How long a node may take to come to know, before it is asked again."""
PAUSE_S = 0.3
SILENT_S = 10.0
"""After that it is said whom one waits for."""


class Telling:
    """Of one node. Lives in one event loop."""

    def __init__(
        self, nodes: NodeCaller, alive: Callable[[], Sequence[NodeName]], clock: Clock
    ) -> None:
        self._nodes = nodes
        self._alive = alive
        self._clock = clock

    async def wait(
        self,
        collection: CollectionName,
        before: ShardingState,
        after: ShardingState,
        revision: int,
        say: Callable[[str], Awaitable[None]],
    ) -> None:
        """Ask until nobody can get anything done by `before` any more."""
        told = Told(before, after, revision)
        begun_s, has_said = self._clock.monotonic_s(), False
        while missing := told.missing(self._alive()):
            answers = await asyncio.gather(
                *(self._ask(node, collection, revision) for node in missing)
            )
            failures = []
            for node, answer in zip(missing, answers, strict=True):
                if isinstance(answer, str):
                    failures.append(f"{node}: {answer}")
                else:
                    told = told.with_known(node, answer)
            if not failures:
                continue
            if not has_said and self._clock.monotonic_s() - begun_s > SILENT_S:
                has_said = True
                await say(f"waits for nodes to hear where data lies now: {'; '.join(failures)}")
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, node: NodeName, collection: CollectionName, revision: int) -> int | str:
        """The revision that a node knows; a text says why it does not answer."""
        deadline_s = self._clock.monotonic_s() + ASK_S
        try:
            return await self._nodes.know(node, collection, revision, deadline_s)
        except CallFailed as failed:
            return failed.failure.reason
