"""LinkChore: lets linking go on after it failed.

A slice of background work that fails (out of memory, as a rule) stops the linking of its index.
Nothing is lost: searches scan what has no links, writes go on and do not wait for links. This tries
again a second later, then in doubling pauses, and says each time why.
"""

from __future__ import annotations

import logging

from weftdb.core.env import Env
from weftdb.core.types import VectorName
from weftdb.engine.shard import Shard
from weftdb.index.ports import Linked

log = logging.getLogger("weftdb.maintenance")

PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 60.0


class LinkChore:
    """Looks after the linking of one vector space."""

    def __init__(self, shard: Shard, vector: VectorName, env: Env) -> None:
        self._shard = shard
        self._vector = vector
        self._env = env
        self._pause_s = PAUSE_S_MIN
        self._until_s: float | None = None
        """When the next try is due, or when linking that goes on counts as recovered."""
        self._is_resting = False

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"links of {self._shard.schema.name} {self._vector}".rstrip()

    def run_if_due(self) -> bool:
        """Note a fault, or try again after one."""
        index = self._shard.vectors.get(self._vector)
        fault = index.link_fault if isinstance(index, Linked) else ""
        now_s = self._env.clock.monotonic_s()
        if fault and not self._is_resting:
            self._rest(fault, now_s)
        elif self._until_s is not None and now_s >= self._until_s:
            self._go_on(index)
        else:
            return False
        return True

    def finish(self) -> None:
        """Leave it: the next start links what has no links."""

    def _rest(self, fault: str, now_s: float) -> None:
        log.error(
            "linking of %s failed: %s. Searches scan what has no links yet, nothing is lost; "
            "it is tried again in %g s",
            self.name.removeprefix("links of "), fault, self._pause_s,
        )  # fmt: skip
        self._is_resting = True
        self._until_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)

    def _go_on(self, index: object) -> None:
        if not self._is_resting:
            self._pause_s, self._until_s = PAUSE_S_MIN, None  # It went well since the last try.
            return
        self._is_resting = False
        self._until_s = self._env.clock.monotonic_s() + PAUSE_S_MAX
        if isinstance(index, Linked):
            index.retry_links()
