"""The values of the agreed metadata: typed records, written as JSON with a format number.

    value := {"format": 1, field: value, ...}       # UTF-8, fields in the order of the class

Reading is strict: a field that is missing, of another type or unknown is CorruptData, which names
the key. So a new field needs a new format number, a reader that still takes the old one, and a
release that reads the new one before any release writes it. Texts of enums are stored; never give
one a new meaning.

The sharding state of a collection is JSON of its own owner and does not pass through here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, NodeName

FORMAT = 1

Kind = TypeVar("Kind", bound=Enum)


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """The definition of a collection, as `core.definition` writes it."""

    definition: Mapping[str, Any]
    schema_version: int
    """Counts up from 1 with every change of the definition."""


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """A second name of a collection."""

    collection: CollectionName


class TenantStatus(Enum):
    """What a tenant's data is doing, as the API calls it."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    OFFLOADED = "OFFLOADED"


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """One tenant: a shard of its own. `replicas` in the order in which they were placed."""

    status: TenantStatus
    replicas: tuple[NodeName, ...]


class MemberState(Enum):
    """What a node of the cluster is there for."""

    JOINED = "JOINED"
    DRAINING = "DRAINING"
    """Gives its replicas away and gets no new ones."""


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A node that belongs to the cluster, whether it lives or not. `number` is its own for good:
    it breaks ties between versions."""

    number: int
    state: MemberState
    zone: str = ""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that lives: its key goes with its lease."""

    address: str
    """host:port of its service for other nodes."""
    release: str
    """The version of WeftDB that it runs."""
    started_ms: int
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """Something that outlives its participants' crashes. The kind says which states there are and
    what `detail` holds; its owner reads them strictly."""

    kind: str
    state: str
    created_ms: int
    updated_ms: int
    detail: Mapping[str, Any]


class _Fields:
    """Takes the fields of one JSON object out, one by one, until none may be left."""

    def __init__(self, key: str, value: bytes) -> None:
        self._key = key
        try:
            body = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise CorruptData(f"the metadata record {key!r} is no JSON: {error}") from None
        if not isinstance(body, dict):
            raise self._corrupt("is no JSON object")
        self._left: dict[str, Any] = body
        found = self.number("format")
        if found != FORMAT:
            raise self._corrupt(f"has format {found}; this release reads {FORMAT}")

    def text(self, name: str) -> str:
        found = self._take(name)
        if not isinstance(found, str):
            raise self._corrupt(f"has no text as {name!r}")
        return found

    def number(self, name: str) -> int:
        """A whole number, not below 0."""
        found = self._take(name)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise self._corrupt(f"has no whole number as {name!r}")
        return found

    def object(self, name: str) -> Mapping[str, Any]:
        found = self._take(name)
        if not isinstance(found, dict):
            raise self._corrupt(f"has no object as {name!r}")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._take(name)
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self._corrupt(f"has no list of texts as {name!r}")
        return tuple(found)

    def one_of(self, name: str, kind: type[Kind]) -> Kind:
        found = self.text(name)
        try:
            return kind(found)
        except ValueError:
            raise self._corrupt(f"has {found!r} as {name!r}") from None

    def end(self) -> None:
        """Every field must have been taken: an unknown one means something to somebody."""
        if self._left:
            raise self._corrupt(f"has fields that nobody knows: {sorted(self._left)}")

    def _take(self, name: str) -> Any:
        if name not in self._left:
            raise self._corrupt(f"has no {name!r}")
        return self._left.pop(name)

    def _corrupt(self, what: str) -> CorruptData:
        return CorruptData(f"the metadata record {self._key!r} {what}")


def encode_collection(record: CollectionRecord) -> bytes:
    """Write a definition."""
    return _value(definition=record.definition, schema_version=record.schema_version)


def decode_collection(key: str, value: bytes) -> CollectionRecord:
    """Read a definition. Raises CorruptData."""
    fields = _Fields(key, value)
    found = CollectionRecord(fields.object("definition"), fields.number("schema_version"))
    fields.end()
    return found


def encode_alias(record: AliasRecord) -> bytes:
    """Write an alias."""
    return _value(collection=record.collection)


def decode_alias(key: str, value: bytes) -> AliasRecord:
    """Read an alias. Raises CorruptData."""
    fields = _Fields(key, value)
    found = AliasRecord(CollectionName(fields.text("collection")))
    fields.end()
    return found


def encode_tenant(record: TenantRecord) -> bytes:
    """Write a tenant."""
    return _value(status=record.status.value, replicas=record.replicas)


def decode_tenant(key: str, value: bytes) -> TenantRecord:
    """Read a tenant. Raises CorruptData."""
    fields = _Fields(key, value)
    found = TenantRecord(
        fields.one_of("status", TenantStatus),
        tuple(NodeName(each) for each in fields.texts("replicas")),
    )
    fields.end()
    return found


def encode_member(record: MemberRecord) -> bytes:
    """Write a node that belongs to the cluster."""
    return _value(number=record.number, state=record.state.value, zone=record.zone)


def decode_member(key: str, value: bytes) -> MemberRecord:
    """Read a node that belongs to the cluster. Raises CorruptData."""
    fields = _Fields(key, value)
    found = MemberRecord(
        fields.number("number"), fields.one_of("state", MemberState), fields.text("zone")
    )
    fields.end()
    return found


def encode_node(record: NodeRecord) -> bytes:
    """Write a node that lives."""
    return _value(
        address=record.address,
        release=record.release,
        started_ms=record.started_ms,
        disk_free_bytes=record.disk_free_bytes,
    )


def decode_node(key: str, value: bytes) -> NodeRecord:
    """Read a node that lives. Raises CorruptData."""
    fields = _Fields(key, value)
    found = NodeRecord(
        fields.text("address"),
        fields.text("release"),
        fields.number("started_ms"),
        fields.number("disk_free_bytes"),
    )
    fields.end()
    return found


def encode_operation(record: OperationRecord) -> bytes:
    """Write an operation."""
    return _value(
        kind=record.kind,
        state=record.state,
        created_ms=record.created_ms,
        updated_ms=record.updated_ms,
        detail=record.detail,
    )


def decode_operation(key: str, value: bytes) -> OperationRecord:
    """Read an operation. Raises CorruptData."""
    fields = _Fields(key, value)
    found = OperationRecord(
        fields.text("kind"),
        fields.text("state"),
        fields.number("created_ms"),
        fields.number("updated_ms"),
        fields.object("detail"),
    )
    fields.end()
    return found


def _value(**fields: Any) -> bytes:
    body = {"format": FORMAT, **fields}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
