"""NodeReports: what the REST API tells about nodes and shards, of one node or of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from weftdb.core.errors import Unsupported
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.internode.messages import AskFacts, NodeFacts
from weftdb.server.own_facts import OwnFacts


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Where the replicas of a shard lie."""

    shard: ShardName
    replicas: tuple[NodeName, ...]


class NodeReports(Protocol):
    """Of all nodes there are. Lives in the event loop of the REST API."""

    async def nodes(self, question: AskFacts) -> Sequence[NodeFacts]:
        """What every node says of itself, by name; one that does not answer is in it with the
        status that says so. Raises UnknownCollection."""
        ...

    async def statistics(self) -> tuple[Sequence[dict[str, Any]], bool]:
        """What `/v1/cluster/statistics` says of each node, and whether they all agree."""
        ...

    def places(self, collection: CollectionName) -> Sequence[ShardPlace] | None:
        """The shards of a collection; None where there is no such collection."""
        ...

    async def set_read_only(
        self, collection: CollectionName, shard: ShardName, *, is_read_only: bool
    ) -> bool:
        """Have a shard refuse writes, or take them again; False where there is no such shard.
        Raises UnknownCollection."""
        ...


class OwnReports:
    """Of a node alone."""

    def __init__(self, own: OwnFacts) -> None:
        self._own = own

    async def nodes(self, question: AskFacts) -> Sequence[NodeFacts]:
        """What this node says of itself."""
        return (await asyncio.to_thread(self._own.facts, question),)

    async def statistics(self) -> tuple[Sequence[dict[str, Any]], bool]:
        """A cluster of one: this node leads and has voted for itself."""
        name = self._own.node
        return (node_statistics(name, leader=name, leader_address=name, raft={}),), True

    def places(self, collection: CollectionName) -> Sequence[ShardPlace] | None:
        """One node has no sharding state."""
        raise Unsupported("replica movement: not supported by this build")

    async def set_read_only(
        self, collection: CollectionName, shard: ShardName, *, is_read_only: bool
    ) -> bool:
        """Set what this node holds."""
        return await asyncio.to_thread(
            self._own.set_read_only, collection, shard, is_read_only=is_read_only
        )


def node_statistics(
    name: NodeName,
    *,
    leader: str,
    leader_address: str,
    raft: dict[str, Any],
    status: str = "HEALTHY",
    is_voter: bool = True,
    applied: int = 0,
) -> dict[str, Any]:
    """The keys that the reference has for a node."""
    is_there = status == "HEALTHY"
    return {
        "bootstrapped": True,
        "candidates": {},
        "dbLoaded": is_there,
        "initialLastAppliedIndex": 0,
        "isVoter": is_voter,
        "lastAppliedIndex": applied,
        "leaderAddress": leader_address,
        "leaderId": leader,
        "name": name,
        "open": is_there,
        "raft": raft,
        "ready": is_there,
        "status": status,
    }
