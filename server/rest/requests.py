"""What routes read from a request: the JSON body, ids, and query parameters.

Everything here raises before anything is written: Malformed, FormatViolation, LimitExceeded,
InvalidRequest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import FormatViolation, InvalidRequest, LimitExceeded, Malformed
from weftdb.core.property_values import canonical_uuid
from weftdb.core.types import ObjectId, parse_object_id
from weftdb.server.rest.context import context_of

FORMAT_CODE = 601
MISSING_CODE = 602
CONTENT_TYPES = ("application/json", "application/yaml")
INT64_MAX = 2**63 - 1


class UnsupportedMedia(Malformed):
    """A body of another content type than JSON."""


async def json_body(request: Request, name: str = "body") -> Any:
    """Read the body as JSON. `name` is what messages call it."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not (kind == "application/json" or kind.endswith("+json")):
        raise UnsupportedMedia(
            f'unsupported media type "{kind}", only [{" ".join(CONTENT_TYPES)}] are allowed'
        )
    raw = await raw_body(request)
    if not raw.strip():
        raise FormatViolation(f"{name} in body is required", code=MISSING_CODE)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f'parsing {name} body from "" failed, because {error}') from None


async def object_body(request: Request, name: str = "body") -> dict[str, Any]:
    """Read the body as a JSON object."""
    body = await json_body(request, name)
    if not isinstance(body, dict):
        raise Malformed(f'parsing {name} body from "" failed, because it is not a JSON object')
    return body


async def raw_body(request: Request) -> bytes:
    """Read the body, but never more than the limit into memory."""
    limit = context_of(request).body_bytes_max
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise LimitExceeded(f"the body has {declared} bytes; at most {limit} are allowed")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise LimitExceeded(f"the body has more than {limit} bytes, which is the limit")
        parts.append(part)
    return b"".join(parts)


def text_field(body: Mapping[str, Any], key: str) -> str:
    """The text at `key` of a JSON object; absent and null are empty."""
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"field {key} must be a string")
    return value


def path_id(request: Request) -> ObjectId:
    """The id in the path."""
    return checked_id(request.path_params["id"], "id in path")


def body_id(body: Mapping[str, Any], label: str = "id in body") -> ObjectId | None:
    """The id in a body; None if it is absent or empty."""
    text = text_field(body, "id")
    return checked_id(text, label) if text else None


def checked_id(text: str, label: str) -> ObjectId:
    """Read an id or say where the bad one is."""
    canonical = canonical_uuid(text)
    if canonical is None:
        raise FormatViolation(f'{label} must be of type uuid: "{text}"', code=FORMAT_CODE)
    return parse_object_id(canonical)


def query_integer(request: Request, name: str) -> int | None:
    """A whole number in the query string."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    try:
        value = int(text)
    except ValueError:
        value = INT64_MAX + 1
    if abs(value) > INT64_MAX:
        raise FormatViolation(f'{name} in query must be of type int64: "{text}"', code=FORMAT_CODE)
    return value


def query_text(request: Request, name: str) -> str:
    """A text in the query string; absent is empty."""
    return request.query_params.get(name, "")


def query_list(request: Request, name: str) -> list[str]:
    """Texts with commas between them."""
    return [part for part in query_text(request, name).split(",") if part]


def query_level(request: Request) -> ConsistencyLevel | None:
    """The consistency level that is asked for; absent is None. Raises BadParameter."""
    level = request.query_params.get("consistency_level")
    if not level:
        return None
    try:
        return ConsistencyLevel(level)
    except ValueError:
        choices = ", ".join(f"'{known.value}'" for known in ConsistencyLevel)
        raise BadParameter(
            f"unrecognized consistency level '{level}', try one of the following: [{choices}]"
        ) from None


def wants_vector(request: Request) -> bool:
    """Whether `include` asks for vectors. Raises BadParameter for words we do not have."""
    included = query_list(request, "include")
    for name in included:
        if name != "vector":
            raise BadParameter(f"unrecognized property '{name}' in ?include list")
    return "vector" in included


class BadParameter(InvalidRequest):
    """A query parameter that no handler accepts: HTTP 400 instead of 422."""
