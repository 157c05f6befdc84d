"""Checks addresses of services that come from a collection's settings.

    address := ("http" | "https") "://" host [":" port] [path]

With the guard on (MODULES_VALIDATE_BASE_URL) an address must be https and must not name or
resolve to this machine or its private networks, so that a client cannot make the node call them.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from weftdb.core.errors import SchemaViolation

INTERNAL_SUFFIXES = (".local", ".internal", ".localdomain", ".localhost")


def check_address(address: str, *, module: str, key: str) -> str:
    """Give the address back without a slash at its end. Raises SchemaViolation."""
    try:
        parts = urlsplit(address)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise SchemaViolation(f"module '{module}': {key} {address!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise SchemaViolation(
            f"module '{module}': {key} {address!r} is no address of the form http://host:port"
        )
    return address.rstrip("/")


def guard_address(address: str, *, module: str) -> None:
    """Refuse addresses that are not https or lead inside. Raises SchemaViolation.

    Resolves the name, so this belongs to the call, not to the check of a schema.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https":
        raise SchemaViolation(f"module '{module}': baseURL must use HTTPS")
    if host == "localhost" or host.endswith(INTERNAL_SUFFIXES):
        raise SchemaViolation(f"module '{module}': baseURL cannot target internal addresses")
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SchemaViolation(
            f"module '{module}': baseURL host could not be resolved: {error}"
        ) from error
    for *_, where in found:
        if not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_global:
            raise SchemaViolation(f"module '{module}': baseURL cannot target internal addresses")
