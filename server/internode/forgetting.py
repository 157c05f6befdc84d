"""Forgetting: tells every replica here which deletions it need not remember any more.

The rule is `cluster/replication/tombstones.py`'s; here it gets what is known of the other replicas,
and what follows is done: who is given up is marked, durably, before a deletion is forgotten without
it. Until that was looked at, nothing is forgotten.

Concurrency: `update` blocks, one caller at a time; replicas ask in any thread.
"""

from __future__ import annotations

from functools import partial

from weftdb.cluster.replication.hints import HintBounds
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.replication.settings import ReplicationSettings
from weftdb.cluster.replication.tombstones import Grace, forgetting
from weftdb.core.config import ComparingConfig
from weftdb.core.env import Clock
from weftdb.core.types import ShardId
from weftdb.server.internode.cluster_view import ClusterView
from weftdb.server.internode.replica_records import ReplicaRecords
from weftdb.server.internode.standings import Standings

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS


def bounds_of(grace_s: float) -> tuple[Grace, HintBounds]:
    """What a grace of deletions leaves to clocks and hints; the usual bounds, or less where the
    grace is short. Requires: a second at least."""
    grace_ms = round(grace_s * 1000)
    skew_ms = min(10 * _MINUTE_MS, grace_ms // 16)
    lag_ms = min(4 * _HOUR_MS, grace_ms // 2)
    hints = HintBounds(age_ms_max=min(3 * _HOUR_MS, lag_ms - skew_ms))
    grace = Grace(grace_ms, lag_ms, skew_ms)
    grace.check(hints)
    return grace, hints


class Forgetting:
    """Of the replicas of one node."""

    def __init__(
        self,
        standings: Standings,
        records: ReplicaRecords,
        view: ClusterView,
        clock: Clock,
        grace: Grace,
        *,
        defaults: ComparingConfig | None = None,
    ) -> None:
        """`defaults` stand for what a collection's definition leaves out."""
        self._standings = standings
        self._records = records
        self._view = view
        self._clock = clock
        self._grace = grace
        self._defaults = defaults
        self._before_ms: dict[ShardRef, tuple[ShardId, int]] = {}

    def update(self) -> None:
        """Look at every shard here. Raises what the store raises."""
        here = set(self._view.here())
        for shard in here:
            self._update(shard)
        for shard in self._before_ms.keys() - here:
            del self._before_ms[shard]

    def before_ms(self, shard: ShardRef) -> int:
        """Deletions of a shard before this time (wall clock) need not be remembered."""
        return self._before_ms.get(shard, (0, 0))[1]

    def _update(self, shard: ShardRef) -> None:
        local, schema = self._view.local(shard), self._view.schema(shard.collection)
        if local is None or schema is None:
            return
        number, before_ms = self._before_ms.get(shard, (None, 0))
        if number != local.number:
            self._before_ms[shard] = (local.number, 0)
            local.replica.forgotten_ms = partial(self.before_ms, shard)
            before_ms = 0
        self._standings.see_peers(shard)
        if not self._view.replicas(shard) or self._standings.is_rebuilding(shard):
            return
        decided = forgetting(
            now_ms=self._clock.now_ms(),
            grace=self._grace,
            peers=self._standings.peers(shard),
            strategy=ReplicationSettings.of(schema, self._defaults).strategy,
        )
        allowed_ms = decided.before_ms
        if decided.mark:
            oldest_ms = self._records.oldest_deletion_ms(local.number)
            if oldest_ms is not None and oldest_ms < decided.marked_before_ms:
                self._standings.mark(shard, decided.mark)
                allowed_ms = decided.marked_before_ms
        # What was allowed once stays so, though a new replica may know less than the others did.
        self._before_ms[shard] = (local.number, max(before_ms, allowed_ms))
