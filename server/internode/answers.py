"""Answers: what this node says to a question, whether it came over the wire or from itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from weftdb.cluster.replication.answering import answer, answer_at_once
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import Applied, Apply, Purpose, Reply, Request
from weftdb.cluster.ring import meets
from weftdb.cluster.search.answering import answer_steps
from weftdb.cluster.search.messages import (
    FetchRows,
    GatherStatistics,
    SearchReply,
    SearchRequest,
    SearchShard,
)
from weftdb.core.errors import Overloaded, WeftError
from weftdb.core.hashing import token
from weftdb.core.partial import PartRows, TokenRanges
from weftdb.core.types import CollectionName, NodeName, Version
from weftdb.engine.replica import ShardReplica
from weftdb.engine.steps import Steps, run
from weftdb.server.internode.failure_codec import failed
from weftdb.server.internode.gate import Basis, ShardGate
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.messages import AskFacts, NodeFacts, Noted, Pong, Tell
from weftdb.server.internode.ports import CallFailed, LocalShards, NodeAnswers
from weftdb.server.search_driver import SearchDriver, is_short

T = TypeVar("T")
Say = Callable[[Request], Reply]
"""Asks the replica of one shard."""
Fetch = Callable[[FetchRows], PartRows]

ROWS_AT_ONCE_MAX = 16
"""Rows that are read in the event loop."""
SETTLED_S_MAX = 5.0
"""How long it is waited for work by an older sharding state."""
DRIVEN_MAX = 512
"""Parts of searches that run in the event loop at a time."""


class _HasToWait(Exception):
    """What was asked for is not answered at once."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Threads for what changes data, and for what only looks at it."""

    writes: Lane
    reads: Lane

    def close(self) -> None:
        """Wait for what runs."""
        self.writes.close()
        self.reads.close()


class Answers:
    """Of one node. Lives in one event loop; the work is done in the lanes' threads."""

    def __init__(
        self,
        shards: LocalShards,
        node: NodeAnswers,
        lanes: Lanes,
        *,
        generation: int,
        release: str,
        driver: SearchDriver | None = None,
    ) -> None:
        """With `driver` short parts of searches run in the event loop and in the native pool, short
        reads of objects in the event loop; else in the lane of reads."""
        assert generation >= 1, generation
        self._driver = driver
        self._driven = 0
        self.gate = ShardGate(shards)
        self.lanes = lanes
        self._shards = shards
        self._node = node
        self._pong = Pong(generation, release)

    @property
    def generation(self) -> int:
        """Which life of this node it is."""
        return self._pong.generation

    async def replica(
        self,
        basis: Basis,
        lane: Lane,
        work: Callable[[Say], T],
        deadline_s: float,
        *,
        is_short: bool = False,
    ) -> T:
        """Do `work`, which may ask the replica that `basis` names. Raises CallFailed.

        Where it `is_short`, it is tried in the event loop first: a thread takes longer to wake than
        a few rows to read. What has to wait for a disk is left to a thread.
        """
        await self.gate.agree(basis, deadline_s)
        if is_short and self._driver is not None:
            try:
                with self.gate.entered(basis):
                    return work(functools.partial(self._said_at_once, basis))
            except _HasToWait:
                pass
            except WeftError as error:
                raise failed(error) from error

        def run() -> T:
            with self.gate.entered(basis):
                return work(functools.partial(self._said, basis))

        return await self._done(lane, run, deadline_s)

    async def part(
        self,
        basis: Basis,
        request: SearchRequest,
        finish: Callable[[SearchReply], T],
        deadline_s: float,
    ) -> T:
        """Answer for a part of a search, and `finish` the answer. Raises CallFailed."""
        await self.gate.agree(basis, deadline_s)
        if self._driver is None or not _is_short(request):
            return await self._done(
                self.lanes.reads, lambda: finish(run(self._steps(basis, request))), deadline_s
            )
        if self._driven >= DRIVEN_MAX:
            raise failed(Overloaded(f"{self._driven} searches of other nodes are under way here"))
        self._driven += 1
        try:
            steps = self._steps(basis, request)
            return finish(await self._driver.short(steps, self.lanes.reads.threads))
        except WeftError as error:
            raise failed(error) from error
        finally:
            self._driven -= 1

    async def rows(self, basis: Basis, work: Callable[[Fetch], T], deadline_s: float) -> T:
        """Do `work`, which may fetch rows of the shard. Raises CallFailed."""
        await self.gate.agree(basis, deadline_s)

        def fetch(request: FetchRows) -> PartRows:
            found = run(self._steps(basis, request))
            assert isinstance(found, PartRows), found
            return found

        return await self._done(self.lanes.reads, lambda: work(fetch), deadline_s)

    async def note(self, sender: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """Keep what another node tells. Raises CallFailed."""
        work = functools.partial(self._node.note, sender, tell)
        return await self._done(self.lanes.writes, work, deadline_s)

    async def facts(self, question: AskFacts, deadline_s: float) -> NodeFacts:
        """What this node has. Raises CallFailed."""
        work = functools.partial(self._node.facts, question)
        return await self._done(self.lanes.reads, work, deadline_s)

    async def know(self, collection: CollectionName, revision: int, deadline_s: float) -> int:
        """Wait until this node goes by that sharding state, and nothing by an older one is under
        way here; return the revision that it goes by. Raises CallFailed."""
        settled = functools.partial(
            self.gate.wait_until_settled, collection, revision, SETTLED_S_MAX
        )
        try:
            known = await self._shards.wait_for_sharding(collection, revision, deadline_s)
        except WeftError as error:
            raise failed(error) from error
        moved = self._shards.sharding(collection)
        if not known or moved is None or moved.revision < revision:
            raise CallFailed(
                Failure(f"revision {revision} of the sharding state has not come here yet")
            )
        if not await self._done(self.lanes.reads, settled, deadline_s):
            raise CallFailed(Failure("work by an older sharding state is under way here"))
        return moved.revision

    def pong(self) -> Pong:
        """That this node is there."""
        return self._pong

    def _steps(self, basis: Basis, request: SearchRequest) -> Steps[SearchReply]:
        if self._shards.is_rebuilding(basis.shard):
            raise _rebuilding(basis)
        return answer_steps(self._shards.local(basis.shard), request)

    def _said(self, basis: Basis, request: Request) -> Reply:
        """What the replica says; while it is being rebuilt, it takes states and says nothing that
        would count (`Purpose`)."""
        replica = self._shards.local(basis.shard).replica
        if isinstance(request, Apply) and basis.purpose is not Purpose.SERVE:
            kept = self._shards.kept(basis.shard)
            if kept is not None:
                return _applied_within(kept, request, partial(self._taken, basis, replica))
        return self._taken(basis, replica, request)

    def _taken(self, basis: Basis, replica: ShardReplica, request: Request) -> Reply:
        counts = not self._shards.is_rebuilding(basis.shard)
        if counts or isinstance(request, Apply) or basis.purpose is Purpose.COMPARE:
            reply = answer(replica, request, basis.purpose)
            if counts or basis.purpose is Purpose.COMPARE:
                return reply
        raise _rebuilding(basis)

    def _said_at_once(self, basis: Basis, request: Request) -> Reply:
        if self._shards.is_rebuilding(basis.shard) and basis.purpose is not Purpose.COMPARE:
            raise _rebuilding(basis)
        reply = answer_at_once(self._shards.local(basis.shard).replica, request)
        if reply is None:
            raise _HasToWait
        return reply

    async def _done(self, lane: Lane, work: Callable[[], T], deadline_s: float) -> T:
        try:
            return await lane.run(work, deadline_s)
        except WeftError as error:
            raise failed(error) from error


def _is_short(request: SearchRequest) -> bool:
    """Whether the Python side of a part is short enough for the loop."""
    if isinstance(request, FetchRows):
        return len(request.ids) <= ROWS_AT_ONCE_MAX
    return isinstance(request, SearchShard | GatherStatistics) and is_short(request.part.query)


def _applied_within(kept: TokenRanges, request: Apply, say: Callable[[Request], Reply]) -> Reply:
    """What a replica says to states of a hint or a comparison of which it takes those with the
    tokens that it may hold: others were on their way when their row moved to another shard, where
    they are."""
    own = []
    for at, state in enumerate(request.states):
        start = token(state.id)
        if meets(kept, start, start + 1):
            own.append(at)
    if len(own) == len(request.states):
        return say(request)
    said = say(replace(request, states=tuple(request.states[at] for at in own)))
    assert isinstance(said, Applied), said
    newer: list[Version | None] = [None] * len(request.states)
    for at, version in zip(own, said.newer, strict=True):
        newer[at] = version
    refused = (replace(each, position=own[each.position]) for each in said.refused)
    return Applied(tuple(newer), tuple(refused))


def _rebuilding(basis: Basis) -> CallFailed:
    return CallFailed(Failure(f"the replica of {basis.shard.shard} is being rebuilt"))
