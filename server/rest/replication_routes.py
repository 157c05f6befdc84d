"""Routes of replica movement: operations that copy or move a replica of a shard.

A node alone has nowhere to move anything: every one of them answers 501 there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from weftdb.cluster.rebalance.changes import CopyReplica, DropReplica, MoveReplica, SetFactor
from weftdb.cluster.rebalance.operation import Operation, StateEntry
from weftdb.cluster.rebalance.plan import Plan, StepList
from weftdb.cluster.rebalance.replicas import TransferType
from weftdb.cluster.sharding import ShardingState
from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.schema import canonical_collection_name
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.moving.footprint import obstacle
from weftdb.server.moving.movements import Movements, Transfer
from weftdb.server.rest.context import context_of
from weftdb.server.rest.replies import empty_reply, json_reply, refusal
from weftdb.server.rest.requests import (
    checked_id,
    object_body,
    query_integer,
    query_text,
    text_field,
)

router = APIRouter()

FIELDS = ("collection", "shard", "sourceNode", "targetNode")


@router.post("/replication/replicate")
async def replicate(request: Request) -> Response:
    """Begin to copy or move a replica of a shard."""
    moving = _moving(request)
    body = await object_body(request)
    collection, shard, source, target = (_required(body, name) for name in FIELDS)
    kind = text_field(body, "type") or TransferType.COPY.value
    if kind not in TransferType.__members__:
        raise InvalidRequest(f'type in body should be one of [COPY MOVE]: "{kind}"')
    operation = await moving.replicate(
        Transfer(
            CollectionName(canonical_collection_name(collection)),
            ShardName(shard),
            NodeName(source),
            NodeName(target),
            TransferType[kind],
        )
    )
    return json_reply({"id": operation.id})


@router.delete("/replication/replicate")
async def delete_operations(request: Request) -> Response:
    """Delete all operations that can be."""
    await _moving(request).delete_all()
    return empty_reply(204)


@router.get("/replication/replicate/list")
async def list_operations(request: Request) -> Response:
    """Answer the operations, all or those of a node, a collection, a shard."""
    moving = _moving(request)
    collection, shard = query_text(request, "collection"), query_text(request, "shard")
    target = query_text(request, "targetNode")
    if shard and not collection:
        return refusal(400, "collection is required when shard is given")
    wanted = canonical_collection_name(collection) if collection else ""
    with_history = _is_true(request, "includeHistory")
    found = [
        operation_json(each, with_history=with_history)
        for each in await moving.operations()
        if isinstance(each.change, CopyReplica | MoveReplica | DropReplica)
        and wanted in ("", each.change.collection)
        and shard in ("", each.change.shard)
        and target in ("", _ends(each)[1])
    ]
    return json_reply(found)


@router.post("/replication/replicate/force-delete")
async def force_delete(request: Request) -> Response:
    """Delete the operations with an id, of a collection, a shard or a node."""
    moving = _moving(request)
    body = await object_body(request)
    wanted = {name: text_field(body, name) for name in ("id", "collection", "shard", "node")}
    if wanted["collection"]:
        wanted["collection"] = canonical_collection_name(wanted["collection"])
    dry_run = body.get("dryRun") is True

    def chosen(operation: Operation) -> bool:
        change = operation.change
        facts = {
            "id": (operation.id,),
            "collection": (change.collection,),
            "shard": (getattr(change, "shard", ""),),
            "node": _ends(operation),
        }
        return all(not text or text in facts[name] for name, text in wanted.items())

    gone = await moving.force_delete(chosen, dry_run=dry_run)
    return json_reply({"deleted": list(gone), "dryRun": dry_run})


@router.get("/replication/replicate/{id}")
async def get_operation(request: Request, id: str) -> Response:
    """Answer one operation."""
    moving = _moving(request)
    checked_id(id, "id in path")
    found = await moving.operation(id)
    if found is None:
        return empty_reply(404)
    return json_reply(operation_json(found, with_history=_is_true(request, "includeHistory")))


@router.delete("/replication/replicate/{id}")
async def delete_operation(request: Request, id: str) -> Response:
    """Delete one operation, which is taken back where it is not over."""
    moving = _moving(request)
    checked_id(id, "id in path")
    await moving.delete(id)
    return empty_reply(204)


@router.post("/replication/replicate/{id}/cancel")
async def cancel_operation(request: Request, id: str) -> Response:
    """Take one operation back."""
    moving = _moving(request)
    checked_id(id, "id in path")
    await moving.cancel(id)
    return empty_reply(204)


@router.get("/replication/scale")
async def scale_plan(request: Request) -> Response:
    """Answer what another number of replicas would ask for; nothing is changed."""
    moving = _moving(request)
    name, factor = query_text(request, "collection"), query_integer(request, "replicationFactor")
    if not name:
        return refusal(400, "collection is required")
    collection = CollectionName(canonical_collection_name(name))
    if collection not in moving.states():
        return empty_reply(404)
    plan = await moving.plan_scale(collection, factor or 0)
    actions: dict[str, dict[str, Any]] = {}
    for step in plan.steps:
        match step.change:
            case CopyReplica(shard=shard, source=source, target=target):
                _action(actions, shard)["addNodes"][target] = source
            case DropReplica(shard=shard, node=node):
                _action(actions, shard)["removeNodes"].append(node)
    plan_id = str(uuid.uuid4())
    return json_reply({"planId": plan_id, "collection": collection, "shardScaleActions": actions})


@router.post("/replication/scale")
async def scale(request: Request) -> Response:
    """Carry out such a plan: register what it asks for."""
    moving, body = _moving(request), await object_body(request)
    collection = CollectionName(canonical_collection_name(_required(body, "collection")))
    if collection not in moving.states():
        return empty_reply(404)
    actions = body.get("shardScaleActions")
    if not isinstance(actions, dict):
        raise InvalidRequest("shardScaleActions in body is required")
    stored = await moving.carry_out(scaling(moving.states()[collection], collection, actions))
    ids = [stored.operation_id(at) for at in range(len(stored.plan.steps))]
    plan_id = text_field(body, "planId")
    return json_reply({"operationIds": ids, "planId": plan_id, "collection": collection})


def scaling(state: ShardingState, collection: CollectionName, actions: Mapping[str, Any]) -> Plan:
    """The steps of a client's plan. Raises InvalidRequest for what is none."""
    steps, counts = StepList(), set()
    for shard in state.shards:
        action = actions.get(shard.name) or {}
        if not isinstance(action, dict):
            raise InvalidRequest(f"the actions of shard {shard.name} are no plan")
        added, removed = action.get("addNodes") or {}, action.get("removeNodes") or []
        if not isinstance(added, dict) or not isinstance(removed, list):
            raise InvalidRequest(f"the actions of shard {shard.name} are no plan")
        if not all(isinstance(node, str) for node in (*added.values(), *removed)):
            raise InvalidRequest(f"the actions of shard {shard.name} name nodes by texts")
        for target, source in added.items():
            change = CopyReplica(collection, shard.name, NodeName(source), NodeName(target))
            why = obstacle(state, change)
            if why is not None:
                raise InvalidRequest(why)
            steps.add(change)
        counts.add(len({*shard.replicas, *added} - {*removed}))
        for node in removed:
            steps.add(DropReplica(collection, shard.name, NodeName(node)))
    unknown = set(actions) - {shard.name for shard in state.shards}
    if unknown or 0 in counts:
        raise InvalidRequest(
            f"{collection} has no shard {min(unknown)}" if unknown else "a shard would be lost"
        )
    if len(counts) == 1 and counts != {state.factor}:
        steps.add_barrier(SetFactor(collection, *counts))
    return steps.plan(f"scale {collection} as a client asks")


def _action(actions: dict[str, dict[str, Any]], shard: str) -> dict[str, Any]:
    return actions.setdefault(shard, {"addNodes": {}, "removeNodes": []})


def operation_json(operation: Operation, *, with_history: bool) -> dict[str, Any]:
    """An operation in the API's form."""
    source, target = _ends(operation)
    is_copy = isinstance(operation.change, CopyReplica)
    found: dict[str, Any] = {
        "id": operation.id,
        "collection": operation.change.collection,
        "shard": getattr(operation.change, "shard", ""),
        "sourceNode": source,
        "targetNode": target,
        "type": TransferType.COPY.value if is_copy else TransferType.MOVE.value,
        "uncancelable": not operation.is_cancelable,
        "scheduledForCancel": False,
        "scheduledForDelete": False,
        "whenStartedUnixMs": operation.started_ms,
        "status": _entry(operation.status),
    }
    if with_history:
        found["statusHistory"] = [_entry(entry) for entry in operation.history]
    return found


def _entry(entry: StateEntry) -> dict[str, Any]:
    return {
        "state": entry.state.value,
        "whenStartedUnixMs": entry.since_ms,
        "errors": [
            {"message": error.message, "whenErroredUnixMs": error.at_ms} for error in entry.errors
        ],
    }


def _ends(operation: Operation) -> tuple[str, str]:
    """From where to where; of what only goes, there is no second."""
    match operation.change:
        case CopyReplica(source=source, target=target):
            return source, target
        case MoveReplica(leaving=leaving, target=target):
            return leaving, target
        case DropReplica(node=node):
            return node, ""
        case _:
            return "", ""


def _moving(request: Request) -> Movements:
    moving = context_of(request).moving
    if moving is None:
        raise Unsupported("replica movement: a node alone has nowhere to move a replica")
    return moving()


def _required(body: Mapping[str, Any], name: str) -> str:
    text = text_field(body, name)
    if not text:
        raise InvalidRequest(f"{name} in body is required")
    return text


def _is_true(request: Request, name: str) -> bool:
    return query_text(request, name).lower() == "true"
