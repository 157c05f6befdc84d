"""The route that lists objects: GET /objects, page by page or after an id."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.errors import InvalidRequest
from weftdb.core.query import Hits, Search, Sort
from weftdb.core.schema import Collection, canonical_property_name
from weftdb.core.types import ObjectId, VectorName
from weftdb.core.validation import unknown_property
from weftdb.engine.planner import check_window
from weftdb.engine.serving import ServedCollection
from weftdb.server.rest.context import RestContext, context_of
from weftdb.server.rest.object_json import Json, render_read_object
from weftdb.server.rest.replies import json_reply
from weftdb.server.rest.requests import (
    checked_id,
    query_integer,
    query_list,
    query_text,
    wants_vector,
)
from weftdb.storage.object_codec import decode_object

router = APIRouter()

_PSEUDO_KEYS = {"id": "_id", "_id": "_id"}
_OWN_FIELDS = frozenset({"_id", "_creationTimeUnix", "_lastUpdateTimeUnix"})


@router.get("/objects")
async def list_objects(request: Request) -> Response:
    """List the objects of one collection, or of all of them."""
    context = context_of(request)
    name = query_text(request, "class")
    with_vectors = wants_vector(request)
    if not name:
        if "after" in request.query_params:
            raise InvalidRequest(
                "list objects: after parameter not allowed, cursor must be specific to one class, "
                "set class query param"
            )
        limit, offset = _page(request, context)
        found = await run_in_threadpool(
            _list_all, context, limit, offset, with_vectors=with_vectors
        )
        return _reply(found, deprecations=None)
    served = context.catalogue.served(name)
    search = _search(request, context, served.schema)
    if search.limit == 0:
        return _reply([], deprecations=[])
    found = await run_in_threadpool(_run, served, search, with_vectors=with_vectors)
    return _reply(found, deprecations=[])


def _reply(objects: list[Json], *, deprecations: list[str] | None) -> Response:
    body: Json = {"deprecations": deprecations, "objects": objects}
    if objects:
        body["totalResults"] = len(objects)
    return json_reply(body)


def _page(request: Request, context: RestContext) -> tuple[int, int]:
    """Return limit and offset. Raises LimitExceeded, InvalidRequest."""
    limit, offset = query_integer(request, "limit"), query_integer(request, "offset") or 0
    if limit is None or limit < 0:
        limit = context.config.query.default_limit
    if offset < 0:
        raise InvalidRequest(f"offset must not be negative, got {offset}")
    check_window(offset, limit, context.config.query.maximum_results)
    return limit, offset


def _search(request: Request, context: RestContext, schema: Collection) -> Search:
    limit, offset = _page(request, context)
    sort = _sort(request, schema)
    after: ObjectId | None = None
    if "after" in request.query_params:
        blame = "cursor api: invalid 'after' parameter"
        if "limit" not in request.query_params:
            raise InvalidRequest(f"{blame}: limit parameter must be set")
        for key, is_set in (("offset", offset > 0), ("sort", bool(sort))):
            if is_set:
                raise InvalidRequest(
                    f"{blame}: {key} cannot be set with after and limit parameters"
                )
        text = query_text(request, "after")
        # An empty cursor is the start of the list.
        after = checked_id(text, "after in query") if text else None
    return Search(
        collection=schema.name,
        tenant=query_text(request, "tenant"),
        limit=limit,
        offset=offset,
        after=after,
        sort=sort,
    )


def _sort(request: Request, schema: Collection) -> tuple[Sort, ...]:
    orders = query_list(request, "order")
    keys = []
    for position, given in enumerate(query_list(request, "sort")):
        name = _PSEUDO_KEYS.get(given, given)
        if name not in _OWN_FIELDS:
            name = canonical_property_name(name)
            if name not in schema.property_by_name:
                reason = unknown_property(name, schema.name)
                raise InvalidRequest(f"sort parameter at position {position}: {reason}")
        is_descending = position < len(orders) and orders[position] == "desc"
        keys.append(Sort((name,), ascending=not is_descending))
    return tuple(keys)


def _run(served: ServedCollection, search: Search, *, with_vectors: bool) -> list[Json]:
    schema = served.schema
    if with_vectors:
        search = replace(search, vectors=tuple(vector.name for vector in schema.vectors))
    hits = served.search(search)
    found = []
    for at, stored in enumerate(hits.stored):
        item = decode_object(stored)
        if with_vectors:
            item = replace(item, vectors=_vectors_at(hits, at))
        found.append(render_read_object(schema.name, item, tenant=search.tenant))
    return found


def _vectors_at(hits: Hits, at: int) -> dict[VectorName, NDArray[np.float32]]:
    columns = ((name, column[at]) for name, column in hits.vectors.items())
    return {name: vector for name, vector in columns if vector is not None}


def _list_all(context: RestContext, limit: int, offset: int, *, with_vectors: bool) -> list[Json]:
    """Go through the collections in the order of their names until the page is full."""
    found: list[Json] = []
    for schema in context.catalogue.all():
        if schema.multi_tenant:
            continue
        served = context.catalogue.served(schema.name)
        wanted = offset + limit - len(found)
        if wanted <= 0:
            break
        found += _run(served, Search(schema.name, limit=wanted), with_vectors=with_vectors)
    return found[offset : offset + limit]
