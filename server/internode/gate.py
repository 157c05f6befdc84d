"""ShardGate: lets a request to a shard pass when both sides go by the same definitions.

- The sender knows a newer schema, or a newer sharding state: wait until this node knows it too, at
  most until the deadline; then it is a failure that may go away.
- The shard is about to be made here: wait likewise.
- The sender knows an older schema: right as it is. Definitions change so that what was asked by the
  one before is understood by the next.
- The sender goes by an older sharding state: refused, with the one that is known here (decision 28,
  rule 3). That is looked at last, in the thread that does the work, and whoever tells others that
  this node knows a state waits until nothing by an older one is under way (`wait_until_settled`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import Purpose, ShardRef
from weftdb.core.errors import Overloaded, WeftError
from weftdb.core.types import CollectionName
from weftdb.server.internode.failure_codec import failed
from weftdb.server.internode.messages import NO_REVISION
from weftdb.server.internode.ports import CallFailed, LocalShards

WAITING_MAX = 256
"""Requests that wait for definitions at a time; they are in memory meanwhile."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Which shard is asked, and by which definitions."""

    shard: ShardRef
    schema_version: int
    revision: int = NO_REVISION
    """Of the sharding state."""
    purpose: Purpose = Purpose.SERVE


class ShardGate:
    """Of one node. `agree` runs in the event loop, the rest in any thread."""

    def __init__(self, shards: LocalShards) -> None:
        self._shards = shards
        self._changed = threading.Condition()
        self._under_way: Counter[tuple[CollectionName, int]] = Counter()
        self._waiting = 0

    async def agree(self, basis: Basis, deadline_s: float) -> None:
        """Wait until this node knows what the sender knows. Raises CallFailed."""
        collection = basis.shard.collection
        is_behind = self._shards.schema_version(collection) < basis.schema_version
        is_behind = is_behind or self._revision(collection) < basis.revision
        is_coming = self._shards.is_coming(basis.shard)
        if is_behind or is_coming:
            if self._waiting >= WAITING_MAX:
                raise failed(Overloaded(f"{self._waiting} requests wait for the schema here"))
            self._waiting += 1
            try:
                await self._wait(basis, deadline_s)
                if is_coming:
                    known = self._revision(collection)
                    await self._shards.wait_for_sharding(collection, known, deadline_s)
            except WeftError as error:
                raise failed(error) from error
            finally:
                self._waiting -= 1
        self._check(basis)

    @contextmanager
    def entered(self, basis: Basis) -> Iterator[None]:
        """Do work that was asked for by `basis`. Raises CallFailed."""
        if basis.revision == NO_REVISION:
            yield
            return
        key = (basis.shard.collection, basis.revision)
        with self._changed:
            self._check(basis)
            self._under_way[key] += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way[key] -= 1
                if not self._under_way[key]:
                    del self._under_way[key]
                    self._changed.notify_all()

    def wait_until_settled(
        self, collection: CollectionName, revision: int, timeout_s: float
    ) -> bool:
        """Wait until no work by a sharding state before `revision` is under way.

        Requires: `LocalShards.sharding` tells `revision` or a newer one already, so that no such
        work begins any more. Must not be called in the event loop.
        """

        def is_settled() -> bool:
            return all(name != collection or at >= revision for name, at in self._under_way)

        with self._changed:
            return self._changed.wait_for(is_settled, timeout_s)

    async def _wait(self, basis: Basis, deadline_s: float) -> None:
        collection, shards = basis.shard.collection, self._shards
        if not await shards.wait_for_schema(collection, basis.schema_version, deadline_s):
            raise _behind(f"version {basis.schema_version} of the schema", collection)
        if basis.revision == NO_REVISION:
            return
        if not await shards.wait_for_sharding(collection, basis.revision, deadline_s):
            raise _behind(f"revision {basis.revision} of the sharding state", collection)

    def _check(self, basis: Basis) -> None:
        if basis.revision == NO_REVISION:
            return
        known = self._shards.sharding(basis.shard.collection)
        if known is not None and known.revision > basis.revision:
            reason = (
                f"asked by revision {basis.revision} of the sharding state of "
                f"{basis.shard.collection}, while {known.revision} is known"
            )
            raise CallFailed(Failure(reason), moved=known)

    def _revision(self, collection: CollectionName) -> int:
        known = self._shards.sharding(collection)
        return NO_REVISION if known is None else known.revision


def _behind(what: str, collection: CollectionName) -> CallFailed:
    return CallFailed(Failure(f"{what} of {collection} has not come here yet"))
