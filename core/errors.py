"""The exception tree: each leaf says what the caller does next.

    WeftError
    ├── RequestError            the caller must change something             retry: no
    │   ├── Malformed               the body is no JSON, or a field has another JSON type
    │   ├── FormatViolation         a text that is not of its format (uuid, number, closed list)
    │   ├── InvalidRequest          a value of the wrong form
    │   ├── SchemaViolation         well-formed, against the schema
    │   ├── DimensionMismatch       a vector of another length
    │   ├── UnknownCollection       no such collection
    │   ├── UnknownTenant           no such tenant, or tenancy used wrongly
    │   ├── ObjectExists            insert of an id that is taken
    │   ├── ObjectNotFound          no such object
    │   ├── CollectionExists        create of a name that is taken
    │   ├── Unsupported             a feature that this build does not have
    │   ├── NotCancelable           an operation that has gone too far to be taken back
    │   └── LimitExceeded           over a bound of core.limits or of the settings
    ├── Unavailable             not this time                                retry: yes
    │   ├── Overloaded              a budget (memory, queue) is used up
    │   ├── NotEnoughReplicas       fewer replicas answered than the consistency level asks for
    │   ├── ReadOnly                somebody set the shard read-only
    │   ├── TooFewNodes             fewer nodes may take a replica than are asked for
    │   ├── ModuleFailure           an embedding service failed or is away
    │   ├── StoreHeld               another process holds the directory
    │   ├── ShardLoading            a shard is still being made ready for this
    │   ├── MetadataUnavailable     the agreed metadata cannot be reached or changed
    │   ├── CommitUnknown           a change of metadata may have been made: look
    │   ├── SchemaChanged           another node changed the definition meanwhile: decide anew
    │   ├── LeaseLost               a lease is over: its keys are gone, take a new one
    │   └── Compacted               the history of metadata is gone: list anew
    └── Fault                   this node is broken                          retry: elsewhere
        ├── CorruptData             a checksum or format check failed
        ├── DiskFull                the disk guard or the file system refused a write
        └── Closed                  the engine is closed or closing

`server/errors.py` maps every leaf to HTTP and gRPC; a test requires the table to be complete.
"""

from __future__ import annotations

from collections.abc import Mapping


class WeftError(Exception):
    """Root of every error that WeftDB raises on purpose."""


class RequestError(WeftError):
    """The request is at fault: the same request will fail again."""


class Malformed(RequestError):
    """A body that cannot be read: broken JSON, or a field of another JSON type."""


class FormatViolation(RequestError):
    """A text that is not of the format of its field.

    `code` is the number that REST clients find beside the message: 601 not of the format, 602
    missing, 606 not in a closed list.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class InvalidRequest(RequestError):
    """A value has the wrong form: bad UUID, NaN, negative limit, unknown operator."""


class SchemaViolation(RequestError):
    """The request is well-formed, but the collection's schema does not allow it."""


class DimensionMismatch(RequestError):
    """A vector's length differs from the length of the vectors already stored."""


class UnknownCollection(RequestError):
    """No collection of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'class "{name}" not found in schema')
        self.name = name


class UnknownTenant(RequestError):
    """No tenant of that name, or a tenant where none may be given (or the reverse)."""


class ObjectExists(RequestError):
    """An object with this id is already stored."""

    def __init__(self, object_id: str) -> None:
        super().__init__(f"id '{object_id}' already exists")
        self.object_id = object_id


class ObjectNotFound(RequestError):
    """No object with this id."""


class CollectionExists(RequestError):
    """A collection of this name (or one that differs in case only) exists."""


class Unsupported(RequestError):
    """A documented feature of the API that this build does not have."""


class NotCancelable(RequestError):
    """An operation has gone too far to be taken back, or has ended."""


class LimitExceeded(RequestError):
    """A bound of `core.limits` or of the settings is passed."""


class Unavailable(WeftError):
    """Not this time; the same request may succeed later."""


class Overloaded(Unavailable):
    """A budget (memory, queue, connections) is used up."""


class NotEnoughReplicas(Unavailable):
    """Fewer replicas answered than the consistency level asks for.

    `reasons` says of each replica without an answer what it lacked. A write is not rolled back.
    """

    def __init__(
        self, *, required: int, acknowledged: int, reasons: Mapping[str, str], is_write: bool
    ) -> None:
        causes = "; ".join(f"{node}: {reason}" for node, reason in sorted(reasons.items()))
        verb, end = ("acknowledged", _MAY_APPEAR) if is_write else ("answered", "try again")
        super().__init__(f"needed {required} replicas, {acknowledged} {verb} ({causes}); {end}")
        self.required = required
        self.acknowledged = acknowledged
        self.reasons = dict(reasons)


_MAY_APPEAR = (
    "the write may still become visible, for it is neither rolled back nor lost where it arrived; "
    "to write the same again is safe"
)


class ReadOnly(Unavailable):
    """Somebody set the shard read-only; it takes writes again when it is set ready."""


class TooFewNodes(Unavailable):
    """Fewer nodes may take a replica than are asked for: add a node, or end its draining."""


class ModuleFailure(Unavailable):
    """A provider (embedding, rerank, generate) failed: names module, address and cause."""


class StoreHeld(Unavailable):
    """Another process has the data directory open."""


class MetadataUnavailable(Unavailable):
    """The store of the agreed metadata is away or has no majority: names its address and why."""


class CommitUnknown(Unavailable):
    """A change of metadata was sent, and nobody can say whether it was made: read, then decide."""


class SchemaChanged(Unavailable):
    """Another node has changed the definition meanwhile: decide anew, from the newer one."""


class LeaseLost(Unavailable):
    """A lease is over, and with it the keys that were bound to it."""

    def __init__(self, lease: int) -> None:
        super().__init__(f"lease {lease:x} of the metadata store is over")
        self.lease = lease


class Compacted(Unavailable):
    """Changes that a watch has not delivered are forgotten: list anew and watch from there."""

    def __init__(self, after: int, compacted: int) -> None:
        super().__init__(
            f"a watch stands at revision {after}, and the history of metadata up to {compacted} "
            "is forgotten"
        )
        self.compacted = compacted


class ShardLoading(Unavailable):
    """A shard is still being made ready for what is asked; the rest of it is served."""


class Fault(WeftError):
    """This node is broken; another may do it."""


class CorruptData(Fault):
    """Stored bytes fail their checksum or do not follow their format."""


class DiskFull(Fault):
    """The disk is full, or its guard has switched the node to read-only."""


class Closed(Fault):
    """The engine is closed."""
