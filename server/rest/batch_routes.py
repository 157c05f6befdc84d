"""Routes of batches: many objects in, or many out by a filter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import (
    DiskFull,
    InvalidRequest,
    LimitExceeded,
    Malformed,
    Overloaded,
    RequestError,
    UnknownCollection,
    WeftError,
)
from weftdb.core.limits import BATCH_OBJECTS_MAX
from weftdb.core.objects import ObjectDraft
from weftdb.core.types import ObjectId, format_object_id, new_object_id
from weftdb.core.validation import ObjectValidator
from weftdb.server.rest.context import RestContext, context_of
from weftdb.server.rest.object_json import Json, render_vectors
from weftdb.server.rest.object_routes import class_of, properties_of
from weftdb.server.rest.replies import error_body, json_reply
from weftdb.server.rest.requests import (
    body_id,
    object_body,
    query_level,
    query_text,
    text_field,
)
from weftdb.server.rest.where import echo_where, parse_where

router = APIRouter()

OUTPUTS = ("minimal", "verbose")


@dataclass(slots=True)
class BatchItem:
    """One object of a batch on its way: either a draft or an error in the end."""

    body: Json
    id: ObjectId
    collection: str = ""
    tenant: str = ""
    draft: ObjectDraft | None = None
    error: WeftError | None = None


@router.post("/batch/objects")
async def create_objects(request: Request) -> Response:
    """Store many objects; each has its own result. A bad id fails the whole batch."""
    level = query_level(request)
    body = await object_body(request)
    bodies = body.get("objects")
    if bodies is not None and not isinstance(bodies, list):
        raise Malformed("field objects must be a list")
    if not bodies:
        raise InvalidRequest(
            "invalid param 'objects': cannot be empty, need at least one object for batching"
        )
    if len(bodies) > BATCH_OBJECTS_MAX:
        raise LimitExceeded(
            f"a batch may hold {BATCH_OBJECTS_MAX} objects, this one has {len(bodies)}"
        )
    items = [_item(position, item) for position, item in enumerate(bodies)]
    return json_reply(await run_in_threadpool(_store, context_of(request), items, level))


@router.delete("/batch/objects")
async def delete_objects(request: Request) -> Response:
    """Delete, or with `dryRun` only count, what a filter matches."""
    level = query_level(request)
    body = await object_body(request)
    reply = await run_in_threadpool(
        _delete, context_of(request), body, query_text(request, "tenant"), level
    )
    return json_reply(reply)


def _item(position: int, body: Any) -> BatchItem:
    if not isinstance(body, dict):
        raise Malformed(f"field objects.{position} must be an object")
    object_id = body_id(body, f"body.objects.{position}.id in body")
    return BatchItem(body, object_id or new_object_id())


def _store(
    context: RestContext, items: list[BatchItem], level: ConsistencyLevel | None
) -> list[Json]:
    groups: dict[tuple[str, str], list[BatchItem]] = defaultdict(list)
    for item in items:
        try:
            item.collection = class_of(item.body)
            item.tenant = text_field(item.body, "tenant")
        except RequestError as error:
            item.error = error
        else:
            groups[item.collection, item.tenant].append(item)
    for number, ((collection, tenant), group) in enumerate(groups.items()):
        try:
            _store_group(context, collection, tenant, group, level)
        except (Overloaded, DiskFull) as error:
            if number == 0:
                raise  # Nothing was written: the whole batch may come again.
            for item in group:
                item.error = item.error or error
    return [_result(context, item) for item in items]


def _store_group(
    context: RestContext,
    collection: str,
    tenant: str,
    group: Sequence[BatchItem],
    level: ConsistencyLevel | None,
) -> None:
    """Check and write the objects of one collection and tenant."""
    validator: ObjectValidator | None
    try:
        validator = context.catalogue.prepare(
            collection, [properties_of(item.body) for item in group]
        )
    except RequestError:
        validator = None  # Some object is at fault; they are looked at one by one below.
    for item in group:
        try:
            known = validator or context.catalogue.prepare(collection, [properties_of(item.body)])
            item.draft = known.draft(item.id, item.body)
        except RequestError as error:
            item.error = error
    ready = [item for item in group if item.draft is not None]
    if not ready:
        return
    drafts = [item.draft for item in ready if item.draft is not None]
    try:
        served = context.catalogue.served(collection)
        outcomes = served.put(drafts, tenant=tenant, level=level)
    except (Overloaded, DiskFull):
        raise
    except WeftError as error:
        outcomes = [error] * len(ready)
    for item, outcome in zip(ready, outcomes, strict=True):
        item.error = outcome


def _result(context: RestContext, item: BatchItem) -> Json:
    out: Json = {"class": item.collection, "id": format_object_id(item.id)}
    if item.tenant:
        out["tenant"] = item.tenant
    out["deprecations"] = None
    if item.error is not None or item.draft is None:
        out["properties"] = item.body.get("properties")
        reason = str(item.error)
        out["result"] = {"status": "FAILED", "errors": error_body(reason)}
        return out
    served = context.catalogue.served(item.collection)
    # Other nodes are not asked once more for two times.
    stored = None if served.reads_elsewhere else served.get(item.id, tenant=item.tenant)
    now_ms = context.env.clock.now_ms()
    out["creationTimeUnix"] = stored.created_ms if stored else now_ms
    out["lastUpdateTimeUnix"] = stored.updated_ms if stored else now_ms
    out["properties"] = item.draft.properties
    out.update(render_vectors(item.draft.vectors))
    out["result"] = {"status": "SUCCESS"}
    return out


def _delete(context: RestContext, body: Json, tenant: str, level: ConsistencyLevel | None) -> Json:
    match = body.get("match")
    if not match:
        raise InvalidRequest("validate: empty match clause")
    if not isinstance(match, dict):
        raise Malformed("field match must be an object")
    output = text_field(body, "output") or OUTPUTS[0]
    if output not in OUTPUTS:
        choices = ", ".join(f'"{name}"' for name in OUTPUTS)
        raise InvalidRequest(
            f'validate: invalid output: "{output}", possible values are: {choices}'
        )
    is_dry = body.get("dryRun") or False
    if not isinstance(is_dry, bool):
        raise Malformed("field dryRun must be a boolean")
    where = match.get("where")
    if not where:
        raise InvalidRequest("validate: empty match.where clause")
    condition = parse_where(where)
    name = text_field(match, "class")
    try:
        served = context.catalogue.served(name)
    except UnknownCollection:
        raise InvalidRequest(f"validate: failed to get class: {name}") from None
    report = served.delete_where(condition, dry_run=is_dry, tenant=tenant, level=level)
    status = "DRYRUN" if is_dry else "SUCCESS"
    objects = [{"id": format_object_id(item), "status": status} for item in report.ids]
    return {
        "deletionTimeUnixMilli": context.env.clock.now_ms(),
        "dryRun": is_dry,
        "match": {"class": served.schema.name, "where": echo_where(where)},
        "output": output,
        "results": {
            "failed": 0 if is_dry else report.matches - report.deleted,
            "limit": context.config.query.maximum_results,
            "matches": report.matches,
            "objects": objects if output == "verbose" else None,
            "successful": report.deleted,
        },
    }
