"""The one table from our exceptions to the codes of the wire.

gRPC: a request that is at fault is UNKNOWN with its text, as the reference does; clients print that
text. UNAVAILABLE makes clients wait and try again for half a minute, so it is kept for a node that
is really going away.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.core import errors
from weftdb.core.errors import WeftError
from weftdb.server.grpc.status import Status


@dataclass(frozen=True, slots=True)
class WireCodes:
    """What an exception becomes at each door."""

    http: int
    grpc: Status


_UNKNOWN = Status.UNKNOWN

CODES: dict[type[WeftError], WireCodes] = {
    errors.Malformed: WireCodes(400, _UNKNOWN),
    errors.FormatViolation: WireCodes(422, _UNKNOWN),
    errors.InvalidRequest: WireCodes(422, _UNKNOWN),
    errors.SchemaViolation: WireCodes(422, _UNKNOWN),
    errors.DimensionMismatch: WireCodes(422, _UNKNOWN),
    errors.UnknownCollection: WireCodes(404, _UNKNOWN),
    errors.UnknownTenant: WireCodes(422, _UNKNOWN),
    errors.ObjectExists: WireCodes(422, _UNKNOWN),
    errors.ObjectNotFound: WireCodes(404, _UNKNOWN),
    errors.CollectionExists: WireCodes(422, _UNKNOWN),
    errors.Unsupported: WireCodes(501, Status.UNIMPLEMENTED),
    errors.NotCancelable: WireCodes(409, _UNKNOWN),
    # The reference answers UNKNOWN to a page beyond its maximum, too.
    errors.LimitExceeded: WireCodes(422, _UNKNOWN),
    errors.Overloaded: WireCodes(503, Status.RESOURCE_EXHAUSTED),
    errors.NotEnoughReplicas: WireCodes(503, _UNKNOWN),
    errors.ReadOnly: WireCodes(500, _UNKNOWN),
    errors.TooFewNodes: WireCodes(500, _UNKNOWN),
    errors.ModuleFailure: WireCodes(500, _UNKNOWN),
    errors.StoreHeld: WireCodes(503, Status.UNAVAILABLE),
    errors.MetadataUnavailable: WireCodes(503, _UNKNOWN),
    errors.CommitUnknown: WireCodes(503, _UNKNOWN),
    errors.SchemaChanged: WireCodes(503, _UNKNOWN),
    errors.LeaseLost: WireCodes(503, _UNKNOWN),
    errors.Compacted: WireCodes(503, _UNKNOWN),
    errors.ShardLoading: WireCodes(503, _UNKNOWN),
    errors.CorruptData: WireCodes(500, Status.INTERNAL),
    errors.DiskFull: WireCodes(507, Status.RESOURCE_EXHAUSTED),
    errors.Closed: WireCodes(503, Status.UNAVAILABLE),
}
"""Every leaf of the tree in core/errors.py; a test requires that."""

_FALLBACK = WireCodes(500, Status.INTERNAL)


def codes_of(error: WeftError) -> WireCodes:
    """The codes of an exception, by its class or the closest one above it."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    return _FALLBACK
