"""Routes of collections: /schema."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.errors import UnknownCollection
from weftdb.server.rest.context import context_of
from weftdb.server.rest.replies import empty_reply, json_reply, refusal
from weftdb.server.rest.requests import json_body

router = APIRouter()


@router.get("/schema")
async def list_collections(request: Request) -> Response:
    """Answer every definition."""
    collections = context_of(request).catalogue.all()
    return json_reply({"classes": [dict(item.definition) for item in collections]})


@router.post("/schema")
async def create_collection(request: Request) -> Response:
    """Add a collection and answer its definition with every default filled in."""
    body = await json_body(request, "objectClass")
    made = await run_in_threadpool(context_of(request).catalogue.create, body)
    return json_reply(dict(made.definition))


@router.get("/schema/{name}")
async def get_collection(request: Request, name: str) -> Response:
    """Answer one definition."""
    return json_reply(dict(context_of(request).catalogue.get(name).definition))


@router.put("/schema/{name}")
async def update_collection(request: Request, name: str) -> Response:
    """Change a definition where that is allowed."""
    body = await json_body(request, "objectClass")
    changed = await run_in_threadpool(context_of(request).catalogue.update, name, body)
    return json_reply(dict(changed.definition))


@router.delete("/schema/{name}")
async def delete_collection(request: Request, name: str) -> Response:
    """Drop a collection; there is nothing wrong with dropping what is not there."""
    await run_in_threadpool(context_of(request).catalogue.delete, name)
    return empty_reply()


@router.post("/schema/{name}/properties")
async def add_property(request: Request, name: str) -> Response:
    """Add a property and answer its definition."""
    body = await json_body(request)
    try:
        added = await run_in_threadpool(context_of(request).catalogue.add_property, name, body)
    except UnknownCollection:
        return refusal(422, f'class "{name}": not found')
    return json_reply(dict(added))


@router.delete("/schema/{name}/properties/{prop}/index/{index}")
async def drop_property_index(request: Request, name: str, prop: str, index: str) -> Response:
    """Switch an index of a property off."""
    catalogue = context_of(request).catalogue
    try:
        await run_in_threadpool(catalogue.drop_property_index, name, prop, index)
    except UnknownCollection as error:
        return refusal(422, str(error))
    return empty_reply()


@router.delete("/schema/{name}/vectors/{vector}/index")
async def drop_vector_index(request: Request, name: str, vector: str) -> Response:
    """Give the index of a vector back; the vectors stay stored."""
    catalogue = context_of(request).catalogue
    try:
        await run_in_threadpool(catalogue.drop_vector_index, name, vector)
    except UnknownCollection as error:
        return refusal(422, str(error))
    return empty_reply()
