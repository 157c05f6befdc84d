"""Replies and error bodies of the REST API.

Two error shapes: `{"error": [{"message": ...}]}` for what a handler refuses, and
`{"code": N, "message": ...}` for what does not reach one (broken JSON, a text of the wrong format,
an unknown path or method). Most 404 have no body at all.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from weftdb.core.errors import (
    DiskFull,
    FormatViolation,
    Malformed,
    ObjectNotFound,
    Overloaded,
    UnknownCollection,
    WeftError,
)
from weftdb.server.errors import codes_of

JSON = "application/json"
RETRY_AFTER_S = 5
"""A budget frees up in seconds, by a flush, a compaction or the end of another import."""
RETRY_AFTER_DISK_S = 60
"""Somebody has to make room."""
_SERIALIZE = orjson.OPT_SERIALIZE_NUMPY


def json_reply(value: Any, status: int = 200) -> Response:
    """Answer with JSON; NumPy arrays become lists."""
    return Response(orjson.dumps(value, option=_SERIALIZE), status, media_type=JSON)


def empty_reply(status: int = 200) -> Response:
    """Answer without a body."""
    return Response(status_code=status)


def error_body(message: str) -> dict[str, Any]:
    """The error list that handlers answer with, and that batches hold for each object."""
    return {"error": [{"message": message}]}


def refusal(status: int, message: str) -> Response:
    """Answer that a handler refuses."""
    return json_reply(error_body(message), status)


def coded(status: int, code: int, message: str) -> Response:
    """Answer to a request that did not reach its handler."""
    return json_reply({"code": code, "message": message}, status)


def error_reply(error: WeftError, *, prefix: str = "") -> Response:
    """Answer to an exception of ours, by the table in server/errors.py."""
    status = codes_of(error).http
    if isinstance(error, Malformed):
        return coded(status, status, str(error))
    if isinstance(error, FormatViolation):
        return coded(status, error.code, str(error))
    if isinstance(error, (UnknownCollection, ObjectNotFound)) and status == 404:
        return empty_reply(404)
    reply = refusal(status, f"{prefix}{error}")
    if isinstance(error, Overloaded):
        reply.headers["Retry-After"] = str(RETRY_AFTER_S)
    elif isinstance(error, DiskFull):
        reply.headers["Retry-After"] = str(RETRY_AFTER_DISK_S)
    return reply
