"""Answers: what this node says to a question, whether it came over the wire or from itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from weftdb.cluster.replication.answering import answer
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import Apply, Purpose, Reply, Request
from weftdb.core.errors import WeftError
from weftdb.core.types import NodeName
from weftdb.server.internode.failure_codec import failed
from weftdb.server.internode.gate import Basis, ShardGate
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.messages import AskFacts, NodeFacts, Noted, Pong, Tell
from weftdb.server.internode.ports import CallFailed, LocalShards, NodeAnswers

T = TypeVar("T")
Say = Callable[[Request], Reply]
"""Asks the replica of one shard."""


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
        self, shards: LocalShards, node: NodeAnswers, lanes: Lanes, *, generation: int, release: str
    ) -> None:
        assert generation >= 1, generation
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
        self, basis: Basis, lane: Lane, work: Callable[[Say], T], deadline_s: float
    ) -> T:
        """Do `work`, which may ask the replica that `basis` names. Raises CallFailed."""
        await self.gate.agree(basis, deadline_s)

        def run() -> T:
            with self.gate.entered(basis):
                return work(functools.partial(self._said, basis))

        return await self._done(lane, run, deadline_s)

    async def note(self, sender: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """Keep what another node tells. Raises CallFailed."""
        work = functools.partial(self._node.note, sender, tell)
        return await self._done(self.lanes.writes, work, deadline_s)

    async def facts(self, question: AskFacts, deadline_s: float) -> NodeFacts:
        """What this node has. Raises CallFailed."""
        work = functools.partial(self._node.facts, question)
        return await self._done(self.lanes.reads, work, deadline_s)

    def pong(self) -> Pong:
        """That this node is there."""
        return self._pong

    def _said(self, basis: Basis, request: Request) -> Reply:
        """What the replica says; while it is being rebuilt, it takes states and says nothing that
        would count (`Purpose`)."""
        replica = self._shards.local(basis.shard).replica
        counts = not self._shards.is_rebuilding(basis.shard)
        if counts or isinstance(request, Apply) or basis.purpose is Purpose.COMPARE:
            reply = answer(replica, request, basis.purpose)
            if counts or basis.purpose is Purpose.COMPARE:
                return reply
        raise CallFailed(Failure(f"the replica of {basis.shard.shard} is being rebuilt"))

    async def _done(self, lane: Lane, work: Callable[[], T], deadline_s: float) -> T:
        try:
            return await lane.run(work, deadline_s)
        except WeftError as error:
            raise failed(error) from error
