"""Status: how a gRPC call ended."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The codes of the protocol (grpc/doc/statuscodes.md) that this server gives."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
