"""Routes of single objects: /objects, with the class in the path and (old clients) without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.errors import (
    InvalidRequest,
    ObjectNotFound,
    SchemaViolation,
    UnknownCollection,
)
from weftdb.core.schema import canonical_collection_name
from weftdb.core.types import ObjectId, new_object_id
from weftdb.engine.collection import LocalCollection, PutMode
from weftdb.server.rest.context import RestContext, context_of
from weftdb.server.rest.object_json import Json, render_object, render_read_object
from weftdb.server.rest.replies import empty_reply, error_reply, json_reply, refusal
from weftdb.server.rest.requests import (
    body_id,
    check_consistency,
    object_body,
    path_id,
    query_text,
    text_field,
    wants_vector,
)

router = APIRouter()


@router.post("/objects")
async def create_object(request: Request) -> Response:
    """Store a new object."""
    check_consistency(request)
    body = await object_body(request)
    object_id = body_id(body) or new_object_id()
    try:
        stored = await run_in_threadpool(_create, context_of(request), object_id, body)
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
    check_consistency(request)
    body = await object_body(request)
    return await _replace(request, class_of(body), body)


@router.patch("/objects/{id}")
async def merge_object_of_any_class(request: Request) -> Response:
    """Change single properties of an object; its class is in the body."""
    check_consistency(request)
    body = await object_body(request)
    return await _merge(request, class_of(body), body)


@router.delete("/objects/{id}")
async def delete_object_of_any_class(request: Request) -> Response:
    """Delete an object by its id alone; 404 if there is none."""
    check_consistency(request)
    local = await _locate(request)
    await run_in_threadpool(local.delete, [path_id(request)], tenant=query_text(request, "tenant"))
    return empty_reply(204)


@router.get("/objects/{name}/{id}")
async def get_object(request: Request, name: str) -> Response:
    """Answer an object."""
    check_consistency(request)
    path_id(request)
    return await _get(request, context_of(request).catalogue.local(name))


@router.head("/objects/{name}/{id}")
async def has_object(request: Request, name: str) -> Response:
    """Say whether an object is stored."""
    check_consistency(request)
    object_id = path_id(request)
    local = context_of(request).catalogue.local(name)
    tenant = query_text(request, "tenant")
    is_stored = await run_in_threadpool(local.exists, object_id, tenant=tenant)
    return empty_reply(204 if is_stored else 404)


@router.put("/objects/{name}/{id}")
async def replace_object(request: Request, name: str) -> Response:
    """Replace an object as a whole."""
    check_consistency(request)
    return await _replace(request, name, await object_body(request))


@router.patch("/objects/{name}/{id}")
async def merge_object(request: Request, name: str) -> Response:
    """Change single properties; null takes one away."""
    check_consistency(request)
    return await _merge(request, name, await object_body(request))


@router.delete("/objects/{name}/{id}")
async def delete_object(request: Request, name: str) -> Response:
    """Delete an object; there is nothing wrong with deleting what is not there."""
    check_consistency(request)
    object_id = path_id(request)
    local = context_of(request).catalogue.local(name)
    await run_in_threadpool(local.delete, [object_id], tenant=query_text(request, "tenant"))
    return empty_reply(204)


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


async def _locate(request: Request) -> LocalCollection:
    """Find the collection that holds the id in the path. Raises ObjectNotFound."""
    object_id = path_id(request)
    catalogue = context_of(request).catalogue

    def find() -> LocalCollection | None:
        for schema in catalogue.all():
            if schema.multi_tenant:
                continue
            local = catalogue.local(schema.name)
            if local.exists(object_id):
                return local
        return None

    found = await run_in_threadpool(find)
    if found is None:
        raise ObjectNotFound("no object with this id")
    return found


async def _get(request: Request, local: LocalCollection) -> Response:
    object_id, tenant = path_id(request), query_text(request, "tenant")
    found = await run_in_threadpool(
        local.get, object_id, with_vectors=wants_vector(request), tenant=tenant
    )
    if found is None:
        return empty_reply(404)
    return json_reply(render_read_object(local.schema.name, found, tenant=tenant))


def _create(context: RestContext, object_id: ObjectId, body: Json) -> Json:
    return _put(context, class_of(body), object_id, body, PutMode.INSERT)


async def _replace(request: Request, name: str, body: Json) -> Response:
    object_id = path_id(request)
    given = class_of(body)
    context = context_of(request)
    local = context.catalogue.local(name)
    if given != local.schema.name:
        raise InvalidRequest("invalid update: field 'class' is immutable")
    if body_id(body) != object_id:
        raise InvalidRequest("invalid update: field 'id' is immutable")
    return json_reply(
        await run_in_threadpool(_put, context, local.schema.name, object_id, body, PutMode.REPLACE)
    )


def _put(context: RestContext, name: str, object_id: ObjectId, body: Json, mode: PutMode) -> Json:
    """Check, store, and read back what is stored now."""
    tenant = text_field(body, "tenant")
    try:
        validator = context.catalogue.prepare(name, [properties_of(body)])
        draft = validator.draft(object_id, body)
    except (SchemaViolation, InvalidRequest) as error:
        raise type(error)(f"invalid object: {error}") from None
    local = context.catalogue.local(name)
    outcome = local.put([draft], mode, tenant=tenant)[0]
    if outcome is not None:
        raise outcome
    stored = local.get(object_id, with_vectors=True, tenant=tenant)
    if stored is None:
        raise ObjectNotFound(f"the object was deleted while it was stored: {name}")
    return render_object(local.schema.name, stored, tenant=tenant)


async def _merge(request: Request, name: str, body: Json) -> Response:
    object_id = path_id(request)
    if body_id(body) not in (None, object_id):
        raise InvalidRequest("invalid update: field 'id' is immutable")
    context = context_of(request)
    local = context.catalogue.local(name)
    if text_field(body, "class") and class_of(body) != local.schema.name:
        raise InvalidRequest("invalid update: field 'class' is immutable")
    tenant = text_field(body, "tenant") or query_text(request, "tenant")

    def merge() -> None:
        if not local.exists(object_id, tenant=tenant):
            raise ObjectNotFound("no object with this id")
        validator = context.catalogue.prepare(local.schema.name, [properties_of(body)])
        changes = validator.changes(body.get("properties"))
        vectors = validator.json_vectors(body)
        context.catalogue.local(name).merge(object_id, changes, vectors, tenant=tenant)

    await run_in_threadpool(merge)
    return empty_reply(204)
