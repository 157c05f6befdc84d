"""Routes that say who we are and whether we are well."""

from __future__ import annotations

import socket

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from weftdb.server.rest.context import REPORTED_VERSION, context_of
from weftdb.server.rest.replies import empty_reply, json_reply

router = APIRouter()

LINKS = (
    ("Meta information about this instance/cluster", "/v1/meta"),
    ("view complete schema", "/v1/schema"),
    ("CRUD schema", "/v1/schema{/:className}"),
    ("CRUD objects", "/v1/objects{/:id}"),
    ("batch import and delete objects", "/v1/batch/objects"),
    ("state of the nodes", "/v1/nodes"),
    ("liveness", "/v1/.well-known/live"),
    ("readiness", "/v1/.well-known/ready"),
)


@router.get("/")
async def list_links(_request: Request) -> Response:
    """Answer where things are."""
    return json_reply({"links": [{"name": name, "href": href} for name, href in LINKS]})


@router.get("/meta")
async def meta(request: Request) -> Response:
    """Answer version, host and modules; a client reads this first."""
    context = context_of(request)
    modules = {
        name: dict(context.vectorizers.get(name).meta()) for name in context.vectorizers.names()
    }
    return json_reply(
        {
            "grpcMaxMessageSize": context.grpc_message_bytes_max,
            "hostname": f"http://{socket.gethostname()}",
            "modules": modules,
            "version": REPORTED_VERSION,
        }
    )


@router.get("/.well-known/live")
async def live(_request: Request) -> Response:
    """Answer as long as the process runs."""
    return empty_reply()


@router.get("/.well-known/ready")
async def ready(request: Request) -> Response:
    """Answer 503 while starting and while draining."""
    return empty_reply(200 if context_of(request).is_ready() else 503)


@router.get("/.well-known/openid-configuration")
async def openid_configuration(_request: Request) -> Response:
    """Answer that OIDC is off."""
    return empty_reply(404)
