"""ClusterReports: what the REST API tells about the nodes of a cluster: asked of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from weftdb.cluster.membership import NodeStatus
from weftdb.core.env import Clock
from weftdb.core.errors import MetadataUnavailable, UnknownCollection
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.agreement.agreed_schema import AgreedSchema
from weftdb.server.agreement.peers import Peers
from weftdb.server.etcd.roster import MemberStatus
from weftdb.server.internode.messages import AskFacts, NodeFacts
from weftdb.server.internode.ports import CallFailed, NodeCaller
from weftdb.server.node_reports import ShardPlace, node_statistics
from weftdb.server.own_facts import OPERATIONAL_MODE, READ_ONLY

FACTS_S = 5.0
"""A node that does not say what it has for so long is listed without."""


HEARD_S = 1.0
"""How long a node that does not know a collection is asked again: it was made just now."""
PAUSE_S = 0.02
"""Between two looks at whether a node has heard what was agreed."""


class ClusterReports:
    """`NodeReports` of a cluster, from one of its nodes."""

    def __init__(
        self,
        caller: NodeCaller,
        peers: Peers,
        schema: AgreedSchema,
        clock: Clock,
        *,
        roster: Callable[[], Sequence[MemberStatus]],
        revision: Callable[[], int],
    ) -> None:
        """`roster` says who agrees on the metadata (blocking), `revision` how far this node has
        heard it."""
        self._caller = caller
        self._peers = peers
        self._schema = schema
        self._clock = clock
        self._roster = roster
        self._revision = revision

    async def nodes(self, question: AskFacts) -> Sequence[NodeFacts]:
        """Ask all members at the same time; who is away is not asked."""
        known = question.collection is None or self._schema.definition(question.collection)
        if question.collection is not None and not known:
            raise UnknownCollection(question.collection)
        return await asyncio.gather(*(self._ask(node, question) for node in self._peers.members()))

    async def statistics(self) -> tuple[Sequence[dict[str, Any]], bool]:
        """In the reference's words: who leads is the leader of the metadata."""
        try:
            roster = await asyncio.to_thread(self._roster)
        except MetadataUnavailable:
            roster = ()
        leader = next((member for member in roster if member.is_leader), None)
        seats = {member.name: member for member in roster}
        members = self._peers.members()
        applied = self._revision()
        found = []
        for node in members:
            seat, status = seats.get(node), self._peers.status_of(node)
            found.append(
                node_statistics(
                    node,
                    leader=leader.name if leader else "",
                    leader_address=leader.endpoints[0] if leader and leader.endpoints else "",
                    raft=_raft(node, roster, applied) if node == self._peers.own else {},
                    status=status.value,
                    is_voter=seat is not None and not seat.is_learner,
                    applied=applied if node == self._peers.own else 0,
                )
            )
        is_healthy = all(self._peers.status_of(node) is NodeStatus.HEALTHY for node in members)
        return found, is_healthy and leader is not None

    def places(self, collection: CollectionName) -> Sequence[ShardPlace] | None:
        """The shards by name, each with its replicas."""
        if self._schema.definition(collection) is None:
            return None
        found = self._schema.sharding(collection)
        shards = () if found is None else found[0].shards
        return [
            ShardPlace(shard.name, shard.replicas)
            for shard in sorted(shards, key=lambda each: each.name)
        ]

    async def set_read_only(
        self, collection: CollectionName, shard: ShardName, *, is_read_only: bool
    ) -> bool:
        """Agree on it, and wait for the replicas that live: a write that follows finds it so."""
        found = self._schema.sharding(collection)
        if found is None or found[0].shard(shard) is None:
            return False
        await asyncio.to_thread(
            self._schema.set_read_only, collection, shard, is_read_only=is_read_only
        )
        until_s = self._clock.monotonic_s() + FACTS_S
        question = AskFacts(with_shards=True, collection=collection, shard=shard)
        while self._clock.monotonic_s() < until_s:
            replicas = [each for node in await self.nodes(question) for each in node.shards or ()]
            if all((each.indexing_status == READ_ONLY) == is_read_only for each in replicas):
                break
            await asyncio.sleep(PAUSE_S)
        return True

    async def _ask(self, node: NodeName, question: AskFacts) -> NodeFacts:
        status = self._peers.status_of(node)
        if status is NodeStatus.UNAVAILABLE:
            return _absent(node, status)
        began_s = self._clock.monotonic_s()
        deadline_s = began_s + FACTS_S
        while True:
            try:
                return await self._caller.facts(node, question, deadline_s)
            except CallFailed as failed:
                now_s = self._clock.monotonic_s()
                if not isinstance(failed.error, UnknownCollection):
                    is_slow = now_s >= deadline_s
                    return _absent(node, NodeStatus.TIMEOUT if is_slow else NodeStatus.UNHEALTHY)
                if now_s - began_s >= HEARD_S:
                    return _absent(node, NodeStatus.HEALTHY)
            await asyncio.sleep(PAUSE_S)  # The collection is made; it hears of it in a moment.


def _absent(node: NodeName, status: NodeStatus) -> NodeFacts:
    """What is known of a node that does not say it itself."""
    return NodeFacts(
        name=node,
        version="",
        release="",
        git_hash="",
        status=status.value,
        operational_mode=OPERATIONAL_MODE,
        queue_length=0,
        objects_per_s=0.0,
        shards=None,
    )


def _raft(own: NodeName, roster: Sequence[MemberStatus], applied: int) -> dict[str, Any]:
    """The consensus as this node knows it; all values but the configuration are texts."""
    leads = any(member.is_leader and member.name == own for member in roster)
    return {
        "appliedIndex": str(applied),
        "commitIndex": str(applied),
        "numPeers": str(max(0, len(roster) - 1)),
        "state": "Leader" if leads else "Follower",
        "latestConfiguration": [
            {
                "id": member.name,
                "address": member.endpoints[0] if member.endpoints else "",
                "suffrage": int(member.is_learner),
            }
            for member in roster
        ],
    }
