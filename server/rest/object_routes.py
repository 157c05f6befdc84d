"""Routes of single objects: /objects, with the class in the path and (old clients) without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import (
    InvalidRequest,
    ObjectNotFound,
    SchemaViolation,
    UnknownCollection,
)
from weftdb.core.schema import canonical_collection_name
from weftdb.core.types import NodeName, ObjectId, new_object_id
from weftdb.engine.serving import PutMode, ServedCollection
from weftdb.server.rest.context import RestContext, context_of
from weftdb.server.rest.object_json import Json, render_draft, render_object, render_read_object
from weftdb.server.rest.replies import empty_reply, error_reply, json_reply, refusal
from weftdb.server.rest.requests import (
    body_id,
    object_body,
    path_id,
    query_level,
    query_text,
    text_field,
    wants_vector,
)

router = APIRouter()


@router.post("/objects")
async def create_object(request: Request) -> Response:
    """Store a new object."""
    level = query_level(request)
    body = await object_body(request)
    object_id = body_id(body) or new_object_id()
    try:
        stored = await run_in_threadpool(_create, context_of(request), object_id, body, level)
    except UnknownCollection as error:
        return refusal(422, f"invalid object: {error}")
    return json_reply(stored)


@router.post("/objects/validate")
async def validate_object(request: Request) -> Response:
    """Say whether an object could be stored, without auto schema."""
    body = await object_body(request)
    object_id = body_id(body)
    name = class_of(body)
    try:
        validator = context_of(request).catalogue.validator(name)
        if object_id is None:
            return refusal(422, "invalid object: invalid UUID length: 0")
        validator.draft(object_id, body)
    except UnknownCollection as error:
        return refusal(422, f"invalid object: {error}")
    except (SchemaViolation, InvalidRequest) as error:
        return error_reply(error, prefix="invalid object: ")
    return empty_reply()


@router.get("/objects/{id}")
async def get_object_of_any_class(request: Request) -> Response:
    """Answer an object by its id alone."""
    return await _get(request, await _locate(request))


@router.head("/objects/{id}")
async def has_object_of_any_class(request: Request) -> Response:
    """Say whether an id is stored anywhere."""
    await _locate(request)
    return empty_reply(204)


@router.put("/objects/{id}")
async def replace_object_of_any_class(request: Request) -> Response:
    """Replace an object; its class is in the body."""
    query_level(request)
    body = await object_body(request)
    return await _replace(request, class_of(body), body)


@router.patch("/objects/{id}")
async def merge_object_of_any_class(request: Request) -> Response:
    """Change single properties of an object; its class is in the body."""
    query_level(request)
    body = await object_body(request)
    return await _merge(request, class_of(body), body)


@router.delete("/objects/{id}")
async def delete_object_of_any_class(request: Request) -> Response:
    """Delete an object by its id alone; 404 if there is none."""
    query_level(request)
    return await _delete(request, await _locate(request))


@router.get("/objects/{name}/{id}")
async def get_object(request: Request, name: str) -> Response:
    """Answer an object."""
    query_level(request)
    path_id(request)
    return await _get(request, context_of(request).catalogue.served(name))


@router.head("/objects/{name}/{id}")
async def has_object(request: Request, name: str) -> Response:
    """Say whether an object is stored."""
    level = query_level(request)
    object_id = path_id(request)
    served = context_of(request).catalogue.served(name)
    tenant = query_text(request, "tenant")
    is_stored = await run_in_threadpool(served.exists, object_id, tenant=tenant, level=level)
    return empty_reply(204 if is_stored else 404)


@router.put("/objects/{name}/{id}")
async def replace_object(request: Request, name: str) -> Response:
    """Replace an object as a whole."""
    query_level(request)
    return await _replace(request, name, await object_body(request))


@router.patch("/objects/{name}/{id}")
async def merge_object(request: Request, name: str) -> Response:
    """Change single properties; null takes one away."""
    query_level(request)
    return await _merge(request, name, await object_body(request))


@router.delete("/objects/{name}/{id}")
async def delete_object(request: Request, name: str) -> Response:
    """Delete an object; there is nothing wrong with deleting what is not there."""
    query_level(request)
    path_id(request)
    return await _delete(request, context_of(request).catalogue.served(name))


def class_of(body: Mapping[str, Any]) -> str:
    """The canonical class in a body. Raises SchemaViolation if there is none."""
    name = text_field(body, "class")
    if not name:
        raise SchemaViolation("invalid object: the given class is empty")
    return canonical_collection_name(name)


def properties_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties in a body as far as auto schema can look at them."""
    values = body.get("properties")
    return values if isinstance(values, Mapping) else {}


async def _locate(request: Request) -> ServedCollection:
    """Find the collection that holds the id in the path. Raises ObjectNotFound."""
    object_id = path_id(request)
    catalogue, level = context_of(request).catalogue, query_level(request)

    def find() -> ServedCollection | None:
        for schema in catalogue.all():
            if schema.multi_tenant:
                continue
            served = catalogue.served(schema.name)
            if served.exists(object_id, level=level):
                return served
        return None

    found = await run_in_threadpool(find)
    if found is None:
        raise ObjectNotFound("no object with this id")
    return found


async def _get(request: Request, served: ServedCollection) -> Response:
    object_id, tenant = path_id(request), query_text(request, "tenant")
    node = query_text(request, "node_name")
    found = await run_in_threadpool(
        served.get,
        object_id,
        with_vectors=wants_vector(request),
        tenant=tenant,
        level=query_level(request),
        node=NodeName(node) if node else None,
    )
    if found is None:
        return empty_reply(404)
    return json_reply(render_read_object(served.schema.name, found, tenant=tenant))


async def _delete(request: Request, served: ServedCollection) -> Response:
    ids, tenant = [path_id(request)], query_text(request, "tenant")
    await run_in_threadpool(served.delete, ids, tenant=tenant, level=query_level(request))
    return empty_reply(204)


def _create(
    context: RestContext, object_id: ObjectId, body: Json, level: ConsistencyLevel | None
) -> Json:
    return _put(context, class_of(body), object_id, body, PutMode.INSERT, level)


async def _replace(request: Request, name: str, body: Json) -> Response:
    object_id = path_id(request)
    given = class_of(body)
    context, level = context_of(request), query_level(request)
    name = context.catalogue.get(name).name
    if given != name:
        raise InvalidRequest("invalid update: field 'class' is immutable")
    if body_id(body) != object_id:
        raise InvalidRequest("invalid update: field 'id' is immutable")
    return json_reply(
        await run_in_threadpool(_put, context, name, object_id, body, PutMode.REPLACE, level)
    )


def _put(
    context: RestContext,
    name: str,
    object_id: ObjectId,
    body: Json,
    mode: PutMode,
    level: ConsistencyLevel | None,
) -> Json:
    """Check, store, and read back what is stored now."""
    tenant = text_field(body, "tenant")
    try:
        validator = context.catalogue.prepare(name, [properties_of(body)])
        draft = validator.draft(object_id, body)
    except (SchemaViolation, InvalidRequest) as error:
        raise type(error)(f"invalid object: {error}") from None
    served = context.catalogue.served(name)
    outcome = served.put([draft], mode, tenant=tenant, level=level)[0]
    if outcome is not None:
        raise outcome
    if served.reads_elsewhere:
        # The next replica may not have it yet, and one more round says nothing new.
        return render_draft(served.schema.name, draft, context.env.clock.now_ms(), tenant=tenant)
    stored = served.get(object_id, with_vectors=True, tenant=tenant)
    if stored is None:
        raise ObjectNotFound(f"the object was deleted while it was stored: {name}")
    return render_object(served.schema.name, stored, tenant=tenant)


async def _merge(request: Request, name: str, body: Json) -> Response:
    object_id = path_id(request)
    if body_id(body) not in (None, object_id):
        raise InvalidRequest("invalid update: field 'id' is immutable")
    context, level = context_of(request), query_level(request)
    served = context.catalogue.served(name)
    if text_field(body, "class") and class_of(body) != served.schema.name:
        raise InvalidRequest("invalid update: field 'class' is immutable")
    tenant = text_field(body, "tenant") or query_text(request, "tenant")

    def merge() -> None:
        if not served.exists(object_id, tenant=tenant, level=level):
            raise ObjectNotFound("no object with this id")
        validator = context.catalogue.prepare(served.schema.name, [properties_of(body)])
        changes = validator.changes(body.get("properties"))
        vectors = validator.json_vectors(body)
        now = context.catalogue.served(name)
        now.merge(object_id, changes, vectors, tenant=tenant, level=level)

    await run_in_threadpool(merge)
    return empty_reply(204)
