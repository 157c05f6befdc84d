"""FullRepair: brings all replicas of shards together now, and proves it by their digests.

For an operator, and for tests that have to know that a cluster has converged. One replica collects
from every other, then gives to those that came before the last: 2n - 3 comparisons of n replicas.
Replicas that go on being written to may differ again when the digests are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.types import NodeName
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.comparing import Comparer
from weftdb.server.internode.ports import CallFailed

PASSES_MAX = 1_000
"""Comparisons of one pair: each moves as much as one may."""


@dataclass(slots=True)
class ShardRepair:
    """What was done for one shard."""

    shard: ShardRef
    compared: list[tuple[NodeName, NodeName]] = field(default_factory=list)
    """Pairs that are the same now, as far as they were not written to meanwhile."""
    sent: int = 0
    """States that replicas took."""
    unresolved: int = 0
    """Conflicts that the collection's deletion strategy leaves alone."""
    failures: dict[NodeName, str] = field(default_factory=dict)
    """Why a replica could not be compared, or asked for its digest."""
    digests: dict[NodeName, str] = field(default_factory=dict)
    """Of everything that a replica holds, deletions included; equal where they hold the same."""

    @property
    def is_converged(self) -> bool:
        """Whether all replicas were reached and hold the same."""
        return not self.failures and len(set(self.digests.values())) <= 1


class FullRepair:
    """Of one node: any node may do it for any shard. Lives in one event loop."""

    def __init__(self, comparer: Comparer, view: ClusterView) -> None:
        self._comparer = comparer
        self._view = view

    async def run(self, shards: Sequence[ShardRef]) -> list[ShardRepair]:
        """Repair the shards, one after the other. What fails stands in the report."""
        return [await self._repair(shard) for shard in shards]

    async def digests(self, shard: ShardRef) -> ShardRepair:
        """Ask only, change nothing."""
        report = ShardRepair(shard)
        await self._ask_digests(report, self._view.replicas(shard))
        return report

    async def _repair(self, shard: ShardRef) -> ShardRepair:
        report = ShardRepair(shard)
        replicas = sorted(self._view.replicas(shard), key=lambda node: node != self._view.node)
        hub, others = replicas[:1], replicas[1:]
        for collector in hub:
            reached = [node for node in others if await self._compare(report, collector, node)]
            for node in reached[:-1]:
                await self._compare(report, collector, node)
        await self._ask_digests(report, replicas)
        return report

    async def _compare(self, report: ShardRepair, left: NodeName, right: NodeName) -> bool:
        """Compare a pair until nothing is left."""
        for _ in range(PASSES_MAX):
            outcome = (
                await self._comparer.compare(report.shard, left, right, is_full=True)
            ).outcome
            report.sent += outcome.sent
            if outcome.is_complete:
                report.unresolved += outcome.unresolved
                report.compared.append((left, right))
                return True
            if outcome.failure is not None and not outcome.sent:
                report.failures[right] = outcome.failure
                return False
        report.failures[right] = "it never came to an end"
        return False

    async def _ask_digests(self, report: ShardRepair, replicas: Sequence[NodeName]) -> None:
        for node in replicas:
            try:
                digest = await self._comparer.root(report.shard, node)
            except CallFailed as error:
                report.failures.setdefault(node, error.failure.reason)
            else:
                report.digests[node] = digest.hex()
