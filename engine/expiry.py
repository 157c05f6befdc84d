"""Expiry: deletes objects whose time has come (`objectTtlConfig`).

A chore looks every `ttl_sweep_interval_s`; a collection that hides expired objects also looks
before each of its searches, so that no search finds one. An object that is renewed between the look
and the delete stays: only the state that matched is deleted. Where the collection is replicated,
each replica looks for itself, and its deletions win against that state only (engine/writer.py).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from weftdb.core.env import Env
from weftdb.core.errors import ReadOnly
from weftdb.core.query import Comparison, Filter, Operator, ValueKind
from weftdb.core.schema import Collection, ObjectTtl

log = logging.getLogger("weftdb.expiry")


class Expiring(Protocol):
    """A shard, as far as expiry needs it."""

    @property
    def schema(self) -> Collection:
        """The present definition."""
        ...

    def count(self, condition: Filter | None = None) -> int:
        """Objects that match."""
        ...

    def expire(self, condition: Filter) -> int:
        """Delete what matches, and no later state of it: how many objects."""
        ...


def expired(ttl: ObjectTtl, now_ms: int) -> Filter:
    """The filter that expired objects match; objects without the date never do."""
    limit = datetime.fromtimestamp(now_ms / 1000 - ttl.lifetime_s, UTC)
    text = limit.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Comparison(Operator.LESS_THAN_EQUAL, (ttl.delete_on,), text, ValueKind.DATE)


class ExpiryChore:
    """Keeps one shard free of expired objects. `interval_s` 0 is off."""

    def __init__(self, shard: Expiring, env: Env, interval_s: float) -> None:
        self._shard = shard
        self._env = env
        self._interval_s = interval_s
        self._swept_at_s = env.clock.monotonic_s()

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"expiry of {self._shard.schema.name}"

    @property
    def hides(self) -> bool:
        """Whether reads may not see expired objects."""
        ttl = self._shard.schema.ttl
        return self._interval_s > 0 and ttl is not None and ttl.filter_expired

    def run_if_due(self) -> bool:
        """Sweep when the interval has passed; tell whether anything was deleted."""
        now_s = self._env.clock.monotonic_s()
        if self._interval_s <= 0 or now_s - self._swept_at_s < self._interval_s:
            return False
        self._swept_at_s = now_s
        return self.sweep() > 0

    def sweep(self) -> int:
        """Delete what has expired by now; the number of objects."""
        ttl = self._shard.schema.ttl
        if ttl is None or self._interval_s <= 0:
            return 0
        condition = expired(ttl, self._env.clock.now_ms())
        if self._shard.count(condition) == 0:
            return 0
        try:
            deleted = self._shard.expire(condition)
        except ReadOnly:
            return 0  # The shard is held as it is, with what has expired.
        log.info("%s: %d objects deleted", self.name, deleted)
        return deleted

    def finish(self) -> None:
        """Leave the rest for the next start."""


@dataclass(frozen=True, slots=True)
class SweepCall:
    """A sweep as a step of a read."""

    chore: ExpiryChore

    def run(self) -> int:
        """Sweep here and now."""
        return self.chore.sweep()
