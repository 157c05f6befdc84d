"""make_app: the REST API as one ASGI application.

Routes lie by noun in the files beside this one; here they are put under /v1, and exceptions become
replies. Engine calls run in threads, so the event loop never waits for a disk.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from weftdb.core.errors import WeftError
from weftdb.server.rest import (
    batch_routes,
    cluster_routes,
    later_routes,
    list_routes,
    meta_routes,
    node_routes,
    object_routes,
    replication_routes,
    schema_routes,
    tokenize_routes,
)
from weftdb.server.rest.context import RestContext
from weftdb.server.rest.replies import coded, error_reply, refusal
from weftdb.server.rest.requests import BadParameter, UnsupportedMedia

BASE_PATH = "/v1"
MODULES = (
    meta_routes,
    schema_routes,
    tokenize_routes,
    node_routes,
    replication_routes,
    cluster_routes,
    batch_routes,
    list_routes,
    object_routes,
    later_routes,
)
"""In the order in which paths are tried."""


def make_app(context: RestContext) -> FastAPI:
    """Build the application around an open engine."""
    app = FastAPI(
        title="WeftDB", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.context = context
    for module in MODULES:
        app.include_router(module.router, prefix=BASE_PATH)
    app.add_exception_handler(WeftError, _on_engine_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_bug)
    return app


async def _on_engine_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, WeftError), error
    if isinstance(error, BadParameter):
        return refusal(400, str(error))
    if isinstance(error, UnsupportedMedia):
        return coded(415, 415, str(error))
    return error_reply(error)


async def _on_bug(_request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this reply, so the server logs it with its traceback.
    return refusal(500, "internal error: this is a bug of WeftDB; the server's log has the details")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), error
    path = request.url.path
    if error.status_code == 404:
        return coded(404, 404, f"path {path} was not found")
    if error.status_code == 405:
        allowed = ",".join(_methods_of(request))
        return coded(405, 405, f"method {request.method} is not allowed, but [{allowed}] are")
    return coded(error.status_code, error.status_code, str(error.detail))


def _methods_of(request: Request) -> list[str]:
    """Every method that some route has for the path of the request."""
    path = request.url.path.removeprefix(BASE_PATH)
    found: set[str] = set()
    for module in MODULES:
        for route in module.router.routes:
            if isinstance(route, Route) and route.path_regex.match(path):
                found |= route.methods or set()
    return sorted(found)
