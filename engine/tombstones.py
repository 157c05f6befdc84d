"""The chores of a replicated shard: gathers its states once, and forgets old deletions.

A deletion is remembered for a grace, counted from its version: the same on every replica, so that
all of them forget it at nearly the same moment, and none gives it back to another for long. Within
the grace every replica must have heard of it. One that was away for longer may still have the
object, and would bring it back. Who that is, a cluster knows: it says by `forgotten_ms` of the
replica what may go (cluster/replication/tombstones.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from weftdb.core.env import Clock, Env
from weftdb.engine.maintenance import Chore
from weftdb.engine.replica import ShardReplica
from weftdb.engine.shard import Shard
from weftdb.engine.writer import ShardWriter

log = logging.getLogger("weftdb.replication")

SWEEP_SHARE = 0.01
"""Of the grace: how often old deletions are looked for,"""
SWEEP_S_MAX = 600.0
"""but at least this often."""


class TombstoneChore:
    """Keeps one shard free of deletions that everybody knows."""

    def __init__(self, shard: Shard, replica: ShardReplica, clock: Clock) -> None:
        self._shard = shard
        self._replica = replica
        self._clock = clock
        self._grace_s = shard.config.replication.tombstone_grace_s
        self._swept_at_s = clock.monotonic_s()

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"deletions of {self._shard.schema.name}"

    def run_if_due(self) -> bool:
        """Look when the time has come; tell whether anything was forgotten."""
        now_s = self._clock.monotonic_s()
        pause_s = min(self._grace_s * SWEEP_SHARE, SWEEP_S_MAX)
        if self._shard.ledger is None or now_s - self._swept_at_s < pause_s:
            return False
        self._swept_at_s = now_s
        return self.sweep() > 0

    def sweep(self) -> int:
        """Forget what may be forgotten; the number of deletions."""
        forgotten = self._replica.forget_deletions()
        if forgotten:
            log.info("%s: %d forgotten", self.name, forgotten)
        return forgotten

    def finish(self) -> None:
        """Leave the rest for the next start."""


class FillChore:
    """Gathers the states of a shard that became replicated while it had objects."""

    def __init__(self, shard: Shard, writer: ShardWriter) -> None:
        self._shard = shard
        self._writer = writer

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"states of {self._shard.schema.name}"

    def run_if_due(self) -> bool:
        """Gather one slice; tell whether there was one."""
        ticket = self._writer.fill_ledger()
        if ticket is None:
            return False
        self._shard.store.wait_durable(ticket)
        return True

    def finish(self) -> None:
        """Leave the rest for the next start."""


def replication_chores(
    shard: Shard,
    writer: ShardWriter,
    replica: ShardReplica,
    env: Env,
    known: Sequence[Chore] = (),
) -> Sequence[Chore]:
    """What is repeated for a shard that is replicated. Of `known` those that still apply go on."""
    if shard.ledger is None:
        return []
    chores: list[Chore] = [FillChore(shard, writer), TombstoneChore(shard, replica, env.clock)]
    by_name = {chore.name: chore for chore in known}
    return [by_name.get(chore.name, chore) for chore in chores]
