"""Routes of this server's own for operators: /v1/cluster/weftdb/..., what `weftdb cluster` calls.

The reference has none of these. A node alone answers 501.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from weftdb.cluster.rebalance.plan import Plan, Step, describe
from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.schema import canonical_collection_name
from weftdb.core.types import CollectionName, NodeName
from weftdb.server.moving.movements import Movements
from weftdb.server.moving.plans import StoredPlan
from weftdb.server.rest.context import context_of
from weftdb.server.rest.replication_routes import operation_json
from weftdb.server.rest.replies import empty_reply, json_reply
from weftdb.server.rest.requests import object_body, text_field

if TYPE_CHECKING:
    from weftdb.server.internode.full_repair import ShardRepair

router = APIRouter(prefix="/cluster/weftdb")

KINDS = ("rebalance", "drain", "replace", "scale", "reshard")


@router.get("/status")
async def cluster_status(request: Request) -> Response:
    """Answer the nodes, where every shard lies, and what is on its way."""
    return json_reply(await _moving(request).status(operation_json))


@router.get("/plans")
async def list_plans(request: Request) -> Response:
    """Answer the plans that are carried out, and the last ones that were."""
    return json_reply([_stored_json(each) for each in await _moving(request).all_plans()])


@router.post("/plans")
async def make_plan(request: Request) -> Response:
    """Make a plan, and have it carried out unless `dryRun` is set."""
    moving = _moving(request)
    body = await object_body(request)
    plan = await _planned(moving, body)
    if body.get("dryRun") is True or not plan.steps:
        return json_reply({"id": "", "state": "NOT STARTED", **plan_json(plan)})
    kind, node = text_field(body, "kind"), text_field(body, "node")
    if kind == "drain" or (kind == "replace" and node != text_field(body, "by")):
        # Before the plan: nothing new must be placed there meanwhile.
        await moving.set_draining(NodeName(node), is_draining=True)
    return json_reply(_stored_json(await moving.carry_out(plan)))


@router.get("/plans/{id}")
async def get_plan(request: Request, id: str) -> Response:
    """Answer one plan with the state of its steps."""
    found = await _moving(request).plan(id)
    return empty_reply(404) if found is None else json_reply(_stored_json(found))


@router.delete("/plans/{id}")
async def stop_plan(request: Request, id: str) -> Response:
    """Stop a plan: what has not gone too far is taken back."""
    return empty_reply(204 if await _moving(request).stop_plan(id) else 404)


@router.put("/nodes/{name}")
async def change_node(request: Request, name: str) -> Response:
    """Set whether a node is draining, or say that it is lost for good."""
    moving, body = _moving(request), await object_body(request)
    if body.get("lost") is True:
        await moving.give_up(NodeName(name))
        return json_reply({"name": name, "draining": True})
    is_draining = body.get("draining")
    if not isinstance(is_draining, bool):
        raise InvalidRequest("draining in body must be true or false")
    await moving.set_draining(NodeName(name), is_draining=is_draining)
    return json_reply({"name": name, "draining": is_draining})


@router.delete("/nodes/{name}")
async def remove_node(request: Request, name: str) -> Response:
    """Take a drained node out of the cluster."""
    await _moving(request).remove(NodeName(name))
    return empty_reply(204)


@router.post("/repair")
async def repair(request: Request) -> Response:
    """Bring the replicas of a collection (or of all) together now; answer what was found."""
    moving, body = _moving(request), await object_body(request)
    name = text_field(body, "collection")
    collection = CollectionName(canonical_collection_name(name)) if name else None
    reports = await moving.repair(collection, dry_run=body.get("dryRun") is True)
    return json_reply([_repair_json(each) for each in reports])


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan for people and programs."""
    return {
        "purpose": plan.purpose,
        "notes": list(plan.notes),
        "objects": plan.size.objects,
        "bytes": plan.size.bytes,
        "steps": [_step_json(step) for step in plan.steps],
        "text": plan.render(),
    }


async def _planned(moving: Movements, body: Mapping[str, Any]) -> Plan:
    kind = text_field(body, "kind")
    match kind:
        case "rebalance":
            return await moving.plan_rebalance()
        case "drain":
            return await moving.plan_drain(NodeName(_required(body, "node")))
        case "replace":
            lost, new = _required(body, "node"), _required(body, "by")
            return await moving.plan_replace(NodeName(lost), NodeName(new))
        case "scale":
            name = canonical_collection_name(_required(body, "collection"))
            return await moving.plan_scale(CollectionName(name), _number(body, "factor"))
        case "reshard":
            name = canonical_collection_name(_required(body, "collection"))
            return await moving.plan_reshard(CollectionName(name), _number(body, "shards"))
        case _:
            raise InvalidRequest(f'kind in body should be one of [{" ".join(KINDS)}]: "{kind}"')


def _stored_json(stored: StoredPlan) -> dict[str, Any]:
    return {"id": stored.id, "state": stored.state, **plan_json(stored.plan)}


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "what": describe(step.change),
        "why": step.why,
        "objects": step.size.objects,
        "bytes": step.size.bytes,
        "after": [before + 1 for before in step.after],
        "state": step.state.value,
    }


def _repair_json(report: ShardRepair) -> dict[str, Any]:
    return {
        "collection": report.shard.collection,
        "shard": report.shard.shard,
        "converged": report.is_converged,
        "sent": report.sent,
        "unresolved": report.unresolved,
        "failures": dict(report.failures),
        "digests": dict(report.digests),
    }


def _required(body: Mapping[str, Any], name: str) -> str:
    text = text_field(body, name)
    if not text:
        raise InvalidRequest(f"{name} in body is required")
    return text


def _number(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRequest(f"{name} in body must be a whole number")
    return value


def _moving(request: Request) -> Movements:
    moving = context_of(request).moving
    if moving is None:
        raise Unsupported("cluster operations: this node is alone")
    return moving()
