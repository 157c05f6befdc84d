"""Routes that show what tokenization makes of a text: stored, and in a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.definition import Surroundings, parse_collection
from weftdb.core.errors import FormatViolation, SchemaViolation
from weftdb.core.schema import Collection, DataType, Property, canonical_property_name
from weftdb.index.stopwords import property_stopwords
from weftdb.index.tokenizer import tokenizer_of
from weftdb.server.rest.context import context_of
from weftdb.server.rest.replies import empty_reply, json_reply
from weftdb.server.rest.requests import MISSING_CODE, object_body, text_field

router = APIRouter()


@router.post("/tokenize")
async def tokenize_text(request: Request) -> Response:
    """Cut a text by the settings in the body."""
    body = await object_body(request)
    text = _required(body, "text")
    # A collection of one property takes the settings, so they are checked as in a schema.
    schema = parse_collection(
        {
            "class": "Tokenize",
            "invertedIndexConfig": {
                key: body[key] for key in ("stopwords", "stopwordPresets") if key in body
            },
            "properties": [
                {
                    "name": "text",
                    "dataType": ["text"],
                    "tokenization": _required(body, "tokenization"),
                    "textAnalyzer": body.get("analyzerConfig"),
                }
            ],
        },
        surroundings=Surroundings(),
    )
    return json_reply(await run_in_threadpool(_cut, schema, schema.properties[0], text))


@router.post("/schema/{name}/properties/{prop}/tokenize")
async def tokenize_for_property(request: Request, name: str, prop: str) -> Response:
    """Cut a text as a property of a collection does."""
    body = await object_body(request)
    schema = context_of(request).catalogue.get(name)
    item = schema.property_by_name.get(canonical_property_name(prop))
    if item is None:
        return empty_reply(404)
    if item.data_type is not DataType.TEXT:
        raise SchemaViolation("tokenization is not enabled for this property")
    return json_reply(await run_in_threadpool(_cut, schema, item, _required(body, "text")))


def _required(body: Mapping[str, Any], key: str) -> str:
    if body.get(key) is None:
        raise FormatViolation(f"{key} in body is required", code=MISSING_CODE)
    return text_field(body, key)


def _cut(schema: Collection, item: Property, text: str) -> dict[str, list[str]]:
    terms = tokenizer_of(item)(text)
    stopwords = property_stopwords(schema, item)
    return {"indexed": terms, "query": [term for term in terms if term not in stopwords]}
