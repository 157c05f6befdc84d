"""Routes that tell the state of this node and of its shards."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.errors import InvalidRequest
from weftdb.core.schema import Collection
from weftdb.engine.collection import LocalCollection
from weftdb.server.rest.context import REPORTED_VERSION, RestContext, context_of
from weftdb.server.rest.replies import json_reply, refusal
from weftdb.server.rest.requests import object_body, query_text, text_field

router = APIRouter()

OUTPUTS = ("minimal", "verbose")
SHARD_STATES = ("READY", "READONLY")


@router.get("/nodes")
async def list_nodes(request: Request) -> Response:
    """Answer the state of the node."""
    context = context_of(request)
    return await _nodes(request, list(context.catalogue.all()))


@router.get("/nodes/{name}")
async def list_nodes_of_collection(request: Request, name: str) -> Response:
    """Answer the state of the node as far as it holds one collection."""
    return await _nodes(request, [context_of(request).catalogue.get(name)])


@router.get("/schema/{name}/shards")
async def list_shards(request: Request, name: str) -> Response:
    """Answer the shards of a collection."""
    context = context_of(request)
    node = context.config.node_name
    local = context.catalogue.local(name)
    shards = []
    for shard, queue in _in_first(local, local.pending):
        status = SHARD_STATES[_is_read_only(context, local, shard)]
        shards.append(
            {
                "name": shard,
                "per_node_status": {node: status},
                "status": status,
                "vectorQueueSize": queue,
            }
        )
    return json_reply(shards)


@router.put("/schema/{name}/shards/{shard}")
async def update_shard(request: Request, name: str, shard: str) -> Response:
    """Set the state of a shard: READY, or READONLY until it is set back."""
    body = await object_body(request)
    local = context_of(request).catalogue.local(name)
    if shard not in shard_names(local):
        return refusal(404, f"no shard {shard} in {name}")
    status = text_field(body, "status")
    if status not in SHARD_STATES:
        raise InvalidRequest(f"{status}: invalid storage status")
    is_read_only = status == "READONLY"
    await run_in_threadpool(local.set_read_only, shard, is_read_only=is_read_only)
    return json_reply({"status": status})


@router.get("/cluster/statistics")
async def cluster_statistics(request: Request) -> Response:
    """Answer for a cluster of one: this node leads and has voted for itself."""
    name = context_of(request).config.node_name
    statistics = {
        "bootstrapped": True,
        "candidates": {},
        "dbLoaded": True,
        "initialLastAppliedIndex": 0,
        "isVoter": True,
        "lastAppliedIndex": 0,
        "leaderAddress": name,
        "leaderId": name,
        "name": name,
        "open": True,
        "raft": {},
        "ready": True,
        "status": "HEALTHY",
    }
    return json_reply({"statistics": [statistics], "synchronized": True})


@router.get("/tasks")
async def list_tasks(_request: Request) -> Response:
    """Answer that no distributed task runs."""
    return json_reply({})


def shard_names(local: LocalCollection) -> list[str]:
    """Names of a collection's shards, the same after every start.

    One node keeps all of them together; the number is what clients asked for, and what a cluster
    will spread.
    """
    if local.schema.multi_tenant:
        return []
    if len(local.shards) != 1:
        return list(local.shards)
    (first,) = local.shards
    return [first, *(f"{first}_{number}" for number in range(1, local.schema.shard_count))]


async def _nodes(request: Request, collections: list[Collection]) -> Response:
    context = context_of(request)
    output = query_text(request, "output") or OUTPUTS[0]
    if output not in OUTPUTS:
        choices = ", ".join(f'"{name}"' for name in OUTPUTS)
        raise InvalidRequest(f'invalid output: "{output}", possible values are: {choices}')
    node: dict[str, Any] = {
        "batchStats": _batch_stats(context),
        "gitHash": "",
        "name": context.config.node_name,
        "operationalMode": "ReadWrite",
        "shards": None,
        "status": _node_status(context),
        "version": REPORTED_VERSION,
    }
    if output == "verbose":
        wanted = query_text(request, "shardName")
        shards = await run_in_threadpool(_shards, context, collections, wanted)
        node["shards"] = shards or None
        node["stats"] = {
            "objectCount": sum(item["objectCount"] for item in shards),
            "shardCount": len(shards),
        }
    return json_reply({"nodes": [node]})


def _node_status(context: RestContext) -> str:
    """UNHEALTHY while vectors get no links because linking failed: searches become slower."""
    locals_ = [context.catalogue.local(schema.name) for schema in context.catalogue.all()]
    return "UNHEALTHY" if any(local.figures.link_faults for local in locals_) else "HEALTHY"


def _batch_stats(context: RestContext) -> dict[str, int]:
    """What clients pace an import by: objects that are being written, and the rate of writing."""
    figures = context.database.admission.figures()
    return {"queueLength": figures.running, "ratePerSecond": round(figures.per_second)}


def _shards(
    context: RestContext, collections: list[Collection], wanted: str
) -> list[dict[str, Any]]:
    out = []
    for schema in collections:
        local = context.catalogue.local(schema.name)
        queues = dict(_in_first(local, local.pending))
        is_compressed = any(report.code_bytes for report in local.figures.quantizers.values())
        for name, count in _in_first(local, local.figures.objects):
            if wanted in ("", name):
                out.append(
                    {
                        "asyncReplicationStatus": [],
                        "class": schema.name,
                        "compressed": is_compressed,
                        "loaded": True,
                        "name": name,
                        "numberOfReplicas": schema.replication_factor,
                        "objectCount": count,
                        "replicationFactor": schema.replication_factor,
                        "vectorIndexingStatus": _indexing_status(
                            queues[name],
                            is_readonly=_is_read_only(context, local, name),
                        ),
                        "vectorQueueLength": queues[name],
                    }
                )
    return out


def _is_read_only(context: RestContext, local: LocalCollection, shard: str) -> bool:
    return shard in local.read_only or bool(context.database.admission.disk.refusal)


def _indexing_status(queue: int, *, is_readonly: bool) -> str:
    if is_readonly:
        return "READONLY"
    return "INDEXING" if queue else "READY"


def _in_first(local: LocalCollection, number: int) -> list[tuple[str, int]]:
    """Shards with a number each: the engine counts a collection as a whole, in its first shard."""
    return [(name, 0 if at else number) for at, name in enumerate(shard_names(local))]
