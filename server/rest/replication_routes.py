"""Routes of replica movement: operations that copy or move a replica of a shard.

A node alone has nowhere to move anything: every one of them answers 501 there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from weftdb.cluster.rebalance.changes import CopyReplica, DropReplica, MoveReplica
from weftdb.cluster.rebalance.operation import Operation, StateEntry
from weftdb.cluster.rebalance.replicas import TransferType
from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.schema import canonical_collection_name
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.moving.movements import Movements, Transfer
from weftdb.server.rest.context import context_of
from weftdb.server.rest.replies import empty_reply, json_reply, refusal
from weftdb.server.rest.requests import checked_id, object_body, query_text, text_field

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
