"""Movements: what the REST API asks of the board of operations, and of plans.

Blocking work is done in threads; a plan is made from what this node knows and what the others say
of their shards at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from weftdb.cluster.metadata.records import MemberState
from weftdb.cluster.rebalance.operation import Operation
from weftdb.cluster.rebalance.plan import Plan, Size, describe
from weftdb.cluster.rebalance.replicas import (
    TransferType,
    plan_drain,
    plan_replace,
    plan_scale,
    transfer,
)
from weftdb.cluster.rebalance.shards import plan_reshard
from weftdb.cluster.rebalance.spread import plan_spread
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import ShardingState
from weftdb.core.errors import InvalidRequest, NotCancelable, UnknownCollection
from weftdb.core.limits import SHARDS_PER_COLLECTION_MAX
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.internode.messages import AskFacts
from weftdb.server.moving.board import OperationBoard
from weftdb.server.moving.members import MemberBoard
from weftdb.server.moving.plans import PlanBoard, StoredPlan
from weftdb.server.node_reports import NodeReports

if TYPE_CHECKING:
    from weftdb.server.agreement.agreed_schema import AgreedSchema
    from weftdb.server.agreement.peers import Peers
    from weftdb.server.internode.full_repair import FullRepair, ShardRepair


class OperationJson(Protocol):
    """Writes an operation in the API's form."""

    def __call__(self, operation: Operation, *, with_history: bool) -> dict[str, Any]:
        """Write it."""
        ...


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a client asks for: a replica of a shard more, or one elsewhere."""

    collection: CollectionName
    shard: ShardName
    source: NodeName
    target: NodeName
    kind: TransferType


class Movements:
    """Of one node. Lives in the event loop of the REST API."""

    def __init__(
        self,
        board: OperationBoard,
        plans: PlanBoard,
        members: MemberBoard,
        schema: AgreedSchema,
        peers: Peers,
        reports: Callable[[], NodeReports],
        full_repair: FullRepair,
        object_bytes: Callable[[CollectionName], int],
    ) -> None:
        """`object_bytes` tells the mean size of a collection's objects, 0 where it is not known."""
        self._object_bytes = object_bytes
        self._full_repair = full_repair
        self.board = board
        self.plans = plans
        self._members = members
        self._schema = schema
        self._peers = peers
        self._reports = reports

    # --- single operations -----------------------------------------------------------------------

    async def replicate(self, wish: Transfer) -> Operation:
        """Begin to copy or move a replica. Raises InvalidRequest with the texts of the API."""
        change = transfer(
            self.view(),
            wish.collection,
            wish.shard,
            source=wish.source,
            target=wish.target,
            kind=wish.kind,
        )
        return await asyncio.to_thread(self.board.register, change)

    async def operation(self, operation_id: str) -> Operation | None:
        """One operation as it is now."""
        return await asyncio.to_thread(self.board.get, operation_id)

    async def operations(self) -> Sequence[Operation]:
        """All operations, the oldest first."""
        return await asyncio.to_thread(self.board.all)

    async def cancel(self, operation_id: str) -> None:
        """Take an operation back; one that is not there is fine. Raises NotCancelable."""
        await asyncio.to_thread(self.board.cancel, operation_id)

    async def delete(self, operation_id: str) -> None:
        """Take an operation off the board, and back where that is still to be done."""
        await asyncio.to_thread(self.board.delete, operation_id)

    async def delete_all(self) -> None:
        """Take every operation off the board that can be."""
        await asyncio.to_thread(self.board.delete_all)

    async def force_delete(
        self, chosen: Callable[[Operation], bool], *, dry_run: bool
    ) -> Sequence[str]:
        """Take the chosen operations off the board; the ids of those that went (or would).

        Those that have gone too far stay until they are over: without them nobody would end what
        they have begun.
        """
        found = [each for each in await self.operations() if chosen(each)]
        gone = []
        for each in found:
            if not dry_run:
                try:
                    await asyncio.to_thread(self.board.delete, each.id)
                except NotCancelable:
                    continue
            elif not (each.is_over or each.is_cancelable):
                continue
            gone.append(each.id)
        return gone

    # --- plans -----------------------------------------------------------------------------------

    async def plan_rebalance(self) -> Plan:
        """Even out the replicas over the nodes. Raises InvalidRequest, TooFewNodes."""
        return plan_spread(await self.sized_view())

    async def plan_drain(self, node: NodeName) -> Plan:
        """Move everything off a node. Raises InvalidRequest, TooFewNodes."""
        return plan_drain(await self.sized_view(), node)

    async def plan_replace(self, lost: NodeName, new: NodeName) -> Plan:
        """Give a node what another one had, from the replicas that are left. Raises
        InvalidRequest."""
        return plan_replace(await self.sized_view(), lost, new)

    async def plan_scale(self, collection: CollectionName, factor: int) -> Plan:
        """Give every shard of a collection so many replicas. Raises InvalidRequest,
        TooFewNodes."""
        return plan_scale(await self.sized_view(), collection, factor)

    async def plan_reshard(self, collection: CollectionName, count: int) -> Plan:
        """Give a collection so many shards, by moving virtual shards. Raises InvalidRequest,
        TooFewNodes."""
        view = await self.sized_view()
        known = view.states.get(collection)
        coming = 0 if known is None else max(0, count - len(known.shards))
        names: list[ShardName] = []
        if coming <= SHARDS_PER_COLLECTION_MAX:  # What is more is refused by the plan.
            names = [self._schema.new_shard_name() for _ in range(coming)]
        return plan_reshard(view, collection, count, names=names)

    async def carry_out(self, plan: Plan) -> StoredPlan:
        """Have a plan carried out. Raises InvalidRequest."""
        return await asyncio.to_thread(self.plans.add, plan)

    async def all_plans(self) -> Sequence[StoredPlan]:
        """All plans, the oldest first."""
        return await asyncio.to_thread(self.plans.all)

    async def plan(self, plan_id: str) -> StoredPlan | None:
        """One plan as it is now."""
        return await asyncio.to_thread(self.plans.get, plan_id)

    async def stop_plan(self, plan_id: str) -> bool:
        """Stop a plan; False where there is none."""
        return await asyncio.to_thread(self.plans.stop, plan_id)

    async def repair(
        self, collection: CollectionName | None, *, dry_run: bool
    ) -> Sequence[ShardRepair]:
        """Bring the replicas of a collection, or of all, together now; with `dry_run` only ask for
        their digests. Raises UnknownCollection."""
        states = self.states()
        if collection is not None and collection not in states:
            raise UnknownCollection(collection)
        shards = [
            ShardRef(name, shard.name)
            for name, state in states.items()
            if collection in (None, name)
            for shard in state.shards
        ]
        if dry_run:
            return [await self._full_repair.digests(shard) for shard in shards]
        return await self._full_repair.run(shards)

    async def status(self, operation_json: OperationJson) -> dict[str, Any]:
        """The nodes, where every shard lies, and the operations that are not over."""
        facts = {
            each.name: each for each in await self._reports().nodes(AskFacts(with_shards=True))
        }
        members, states = self._peers.members(), self.states()
        nodes = []
        for name, member in members.items():
            known = facts.get(name)
            shards = () if known is None else known.shards or ()
            nodes.append(
                {
                    "name": name,
                    "status": self._peers.status_of(name).value,
                    "zone": member.zone,
                    "draining": member.state is MemberState.DRAINING,
                    "shards": sum(state.replica_counts().get(name, 0) for state in states.values()),
                    "objects": sum(shard.objects for shard in shards),
                    "release": "" if known is None else known.release,
                }
            )
        return {
            "nodes": nodes,
            "shards": [
                {
                    "collection": name,
                    "shard": shard.name,
                    "factor": state.factor,
                    "replicas": list(shard.replicas),
                    "joining": list(shard.joining),
                    "share": round(sum(each.share for each in state.ranges_of(shard.name)), 4),
                    "moving": _moving_of(state, shard.name),
                }
                for name, state in states.items()
                for shard in state.shards
            ],
            "operations": [
                {**operation_json(each, with_history=False), "what": describe(each.change)}
                for each in await self.operations()
                if not each.is_over
            ],
        }

    def scale(self, collection: CollectionName, factor: int) -> None:
        """Have a collection scaled; any thread but the loop. Raises InvalidRequest, TooFewNodes."""
        self.plans.add(plan_scale(self.view(), collection, factor))

    async def set_draining(self, node: NodeName, *, is_draining: bool) -> None:
        """Give a node no new replicas any more, or some again. Raises InvalidRequest."""
        await asyncio.to_thread(self._members.set_draining, node, is_draining=is_draining)

    async def give_up(self, node: NodeName) -> None:
        """Hear that a node is lost for good. Raises InvalidRequest for one that answers."""
        await asyncio.to_thread(self._members.give_up, node)

    async def remove(self, node: NodeName) -> None:
        """Take a node that holds nothing out of the cluster. Raises InvalidRequest."""
        held = [
            f"{name}/{shard.name}"
            for name, state in self.states().items()
            for shard in state.held_on(node)
        ]
        if held:
            raise InvalidRequest(
                f"node {node} holds {len(held)} shards ({', '.join(held[:3])}): drain it first"
            )
        await asyncio.to_thread(self._members.remove, node)

    # --- the cluster as plans see it -------------------------------------------------------------

    def view(self) -> ClusterView:
        """What is known here, without sizes."""
        alive = set(self._peers.alive())
        return ClusterView(
            tuple(self._peers.takers()),
            self.states(),
            dead=frozenset(node for node in self._peers.members() if node not in alive),
        )

    async def sized_view(self) -> ClusterView:
        """The same with the sizes that the nodes tell."""
        sizes: dict[ShardRef, Size] = {}
        each_bytes = {
            name: await asyncio.to_thread(self._object_bytes, name) for name in self.states()
        }
        for node in await self._reports().nodes(AskFacts(with_shards=True)):
            for shard in node.shards or ():
                ref = ShardRef(shard.collection, shard.shard)
                known = sizes.get(ref, Size())
                objects = max(known.objects, shard.objects)
                sizes[ref] = Size(objects * each_bytes.get(shard.collection, 0), objects)
        view = self.view()
        return ClusterView(view.nodes, view.states, sizes, view.dead)

    def states(self) -> dict[CollectionName, ShardingState]:
        """The sharding state of every collection that has one."""
        found = {}
        for name in self._schema.names():
            known = self._schema.sharding(name)
            if known is not None:
                found[name] = known[0]
        return found


def _moving_of(state: ShardingState, name: ShardName) -> int:
    """How many virtual shards are on their way to a shard or from it."""
    at = state.position_of(name)
    return sum(
        move.length
        for move in state.moving
        if at in (move.target, int(state.table.owners[move.first]))
    )
