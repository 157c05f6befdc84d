"""Routes of the API that this build does not have: every one says so.

A path that is not here and not in another file is unknown (404); a path here is known and answers
501 with the name of the feature, so that nobody takes silence for success.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from weftdb.core.errors import Unsupported

router = APIRouter()

FEATURES: tuple[tuple[str, str, str], ...] = (
    ("references", "POST PUT DELETE", "/objects/{id}/references/{prop}"),
    ("references", "POST PUT DELETE", "/objects/{name}/{id}/references/{prop}"),
    ("references", "POST", "/batch/references"),
    ("GraphQL", "POST", "/graphql"),
    ("GraphQL", "POST", "/graphql/batch"),
    ("tenants", "GET POST PUT DELETE", "/schema/{name}/tenants"),
    ("tenants", "GET HEAD", "/schema/{name}/tenants/{tenant}"),
    ("index management", "GET", "/schema/{name}/indexes"),
    ("index management", "PUT", "/schema/{name}/properties/{prop}/index/{index}"),
    ("index management", "POST", "/schema/{name}/properties/{prop}/index/{index}/rebuild"),
    ("index management", "POST", "/schema/{name}/properties/{prop}/index/{index}/cancel"),
    ("aliases", "GET POST", "/aliases"),
    ("aliases", "GET PUT DELETE", "/aliases/{alias}"),
    ("backups", "GET POST", "/backups/{backend}"),
    ("backups", "GET DELETE", "/backups/{backend}/{id}"),
    ("backups", "GET POST DELETE", "/backups/{backend}/{id}/restore"),
    ("export", "POST", "/export/{backend}"),
    ("export", "GET DELETE", "/export/{backend}/{id}"),
    ("users", "GET", "/users/own-info"),
    ("users", "GET", "/users/db"),
    ("users", "GET POST DELETE", "/users/db/{id}"),
    ("users", "POST", "/users/db/{id}/{action}"),
    ("roles", "GET POST", "/authz/roles"),
    ("roles", "GET DELETE", "/authz/roles/{id}"),
    ("roles", "GET POST", "/authz/{kind}/{id}/{action}"),
    ("namespaces", "GET", "/namespaces"),
    ("namespaces", "GET POST PUT DELETE", "/namespaces/{id}"),
    ("classification", "POST", "/classifications/"),
    ("classification", "GET", "/classifications/{id}"),
    ("the Model Context Protocol", "GET POST DELETE", "/mcp"),
)
"""Feature, methods, path."""


def _refuse(feature: str, methods: str, path: str) -> None:
    async def refuse(_request: Request) -> Response:
        raise Unsupported(f"{feature}: not supported by this build")

    router.add_api_route(path, refuse, methods=methods.split(), include_in_schema=False)


for _feature, _methods, _path in FEATURES:
    _refuse(_feature, _methods, _path)
