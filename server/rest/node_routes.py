"""Routes that tell the state of nodes and of shards: of all nodes there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.errors import InvalidRequest
from weftdb.core.schema import canonical_collection_name
from weftdb.core.types import CollectionName, ShardName
from weftdb.server.internode.messages import AskFacts, NodeFacts, ShardFacts
from weftdb.server.own_facts import READ_ONLY
from weftdb.server.rest.context import context_of
from weftdb.server.rest.replies import empty_reply, json_reply, refusal
from weftdb.server.rest.requests import object_body, query_text, text_field

router = APIRouter()

OUTPUTS = ("minimal", "verbose")
SHARD_STATES = ("READY", READ_ONLY)


@router.get("/nodes")
async def list_nodes(request: Request) -> Response:
    """Answer the state of the nodes."""
    return await _nodes(request, None)


@router.get("/nodes/{name}")
async def list_nodes_of_collection(request: Request, name: str) -> Response:
    """Answer the state of the nodes as far as they hold one collection."""
    schema = context_of(request).catalogue.get(name)
    return await _nodes(request, CollectionName(schema.name))


@router.get("/schema/{name}/shards")
async def list_shards(request: Request, name: str) -> Response:
    """Answer the shards of a collection, each with the state of its replicas."""
    context = context_of(request)
    collection = CollectionName(context.catalogue.get(name).name)
    found = await context.reports.nodes(AskFacts(with_shards=True, collection=collection))
    shards: dict[ShardName, dict[str, Any]] = {}
    for node in found:
        for shard in node.shards or ():
            state = SHARD_STATES[shard.indexing_status == READ_ONLY]
            entry = shards.setdefault(
                shard.shard,
                {"name": shard.shard, "per_node_status": {}, "status": state, "vectorQueueSize": 0},
            )
            entry["per_node_status"][node.name] = state
            if state == READ_ONLY:
                entry["status"] = state
            entry["vectorQueueSize"] = max(entry["vectorQueueSize"], shard.queue_length)
    return json_reply(list(shards.values()))


@router.put("/schema/{name}/shards/{shard}")
async def update_shard(request: Request, name: str, shard: str) -> Response:
    """Set the state of a shard: READY, or READONLY until it is set back."""
    body = await object_body(request)
    context = context_of(request)
    collection = CollectionName(context.catalogue.get(name).name)
    status = text_field(body, "status")
    if status not in SHARD_STATES:
        raise InvalidRequest(f"{status}: invalid storage status")
    is_set = await context.reports.set_read_only(
        collection, ShardName(shard), is_read_only=status == READ_ONLY
    )
    if not is_set:
        return refusal(404, f"no shard {shard} in {name}")
    return json_reply({"status": status})


@router.get("/replication/sharding-state")
async def sharding_state(request: Request) -> Response:
    """Answer where the replicas of a collection's shards lie, or those of one shard."""
    name, shard = query_text(request, "collection"), query_text(request, "shard")
    reports = context_of(request).reports
    if not name:
        reports.places(CollectionName("-"))  # Where there is nothing to say, that comes first.
        return refusal(400, "collection is required")
    places = reports.places(CollectionName(canonical_collection_name(name)))
    if places is None:
        return empty_reply(404)
    chosen = [each for each in places if shard in ("", each.shard)]
    if shard and not chosen:
        return empty_reply(404)
    shards = [{"shard": each.shard, "replicas": list(each.replicas)} for each in chosen]
    return json_reply({"shardingState": {"collection": name, "shards": shards}})


@router.get("/cluster/statistics")
async def cluster_statistics(request: Request) -> Response:
    """Answer who agrees on the metadata, and who leads there."""
    statistics, is_synchronized = await context_of(request).reports.statistics()
    return json_reply({"statistics": list(statistics), "synchronized": is_synchronized})


@router.get("/tasks")
async def list_tasks(_request: Request) -> Response:
    """Answer that no distributed task runs."""
    return json_reply({})


async def _nodes(request: Request, collection: CollectionName | None) -> Response:
    context = context_of(request)
    output = query_text(request, "output") or OUTPUTS[0]
    if output not in OUTPUTS:
        choices = ", ".join(f'"{name}"' for name in OUTPUTS)
        raise InvalidRequest(f'invalid output: "{output}", possible values are: {choices}')
    is_verbose = output == "verbose"
    wanted = query_text(request, "shardName")
    question = AskFacts(is_verbose, collection, ShardName(wanted) if wanted else None)
    found = await context.reports.nodes(question)
    return json_reply({"nodes": [_node(node, is_verbose=is_verbose) for node in found]})


def _node(facts: NodeFacts, *, is_verbose: bool) -> dict[str, Any]:
    """A node in the API's form; what clients pace an import by is always there."""
    node: dict[str, Any] = {
        "batchStats": {
            "queueLength": facts.queue_length,
            "ratePerSecond": round(facts.objects_per_s),
        },
        "gitHash": facts.git_hash,
        "name": facts.name,
        "operationalMode": facts.operational_mode,
        "shards": None,
        "status": facts.status,
        "version": facts.version,
    }
    if is_verbose:
        shards: Sequence[ShardFacts] = facts.shards or ()
        node["shards"] = [_shard(shard) for shard in shards] or None
        node["stats"] = {
            "objectCount": sum(shard.objects for shard in shards),
            "shardCount": len(shards),
        }
    return node


def _shard(facts: ShardFacts) -> dict[str, Any]:
    return {
        "asyncReplicationStatus": [],
        "class": facts.collection,
        "compressed": facts.is_compressed,
        "loaded": facts.is_loaded,
        "name": facts.shard,
        "numberOfReplicas": facts.replicas,
        "objectCount": facts.objects,
        "replicationFactor": facts.factor,
        "vectorIndexingStatus": facts.indexing_status,
        "vectorQueueLength": facts.queue_length,
    }
