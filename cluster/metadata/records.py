"""The values of the agreed metadata that have no owner of their own, as typed records.

    value := JSON {"format": 1, field: value, ...}      # UTF-8, fields in the order of the class

The sharding state (cluster/sharding.py), pages of tenants (tenant_pages.py) and operations
(rebalance/stored_operation.py) are written and read there. A value that does not follow its format
is CorruptData, which names the key. A new field needs a new format number, a reader that still
takes the old one, and a release that reads the new one before any release writes it. Texts of enums
are stored; never give one a new meaning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from weftdb.cluster.stored_json import StoredJson
from weftdb.core.types import CollectionName, ShardName

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """The definition of a collection, as `core.definition` writes it."""

    definition: Mapping[str, Any]
    schema_version: int
    """Counts up from 1 with every change of the definition."""
    incarnation: str
    """Drawn anew for every collection that is made: one that was dropped and made again under the
    same name is another one."""

    def encode(self) -> bytes:
        """Write the JSON form."""
        return _value(
            definition=self.definition,
            schema_version=self.schema_version,
            incarnation=self.incarnation,
        )

    @staticmethod
    def decode(key: str, value: bytes) -> CollectionRecord:
        """Read it back. Raises CorruptData."""
        fields = _fields(key, value)
        incarnation = fields.text("incarnation")
        fields.check(incarnation, "it has no incarnation")
        version = fields.number("schema_version", at_least=1)
        return CollectionRecord(fields.mapping("definition"), version, incarnation)


@dataclass(frozen=True, slots=True)
class ShardStates:
    """What somebody has set for shards of a collection."""

    incarnation: str
    """Of the collection that is meant: of another one it says nothing."""
    read_only: frozenset[ShardName]
    """Take no writes of clients."""

    def encode(self) -> bytes:
        """Write the JSON form."""
        return _value(incarnation=self.incarnation, read_only=sorted(self.read_only))

    @staticmethod
    def decode(key: str, value: bytes) -> ShardStates:
        """Read it back. Raises CorruptData."""
        fields = _fields(key, value)
        names = map(ShardName, fields.names("read_only"))
        return ShardStates(fields.text("incarnation"), frozenset(names))


@dataclass(frozen=True, slots=True)
class NameRecord:
    """Keeps names that differ in case only from each other's collections."""

    collection: CollectionName

    def encode(self) -> bytes:
        """Write the JSON form."""
        return _value(collection=self.collection)

    @staticmethod
    def decode(key: str, value: bytes) -> NameRecord:
        """Read it back. Raises CorruptData."""
        return NameRecord(CollectionName(_fields(key, value).text("collection")))


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """A second name of a collection."""

    collection: CollectionName

    def encode(self) -> bytes:
        """Write the JSON form."""
        return _value(collection=self.collection)

    @staticmethod
    def decode(key: str, value: bytes) -> AliasRecord:
        """Read it back. Raises CorruptData."""
        return AliasRecord(CollectionName(_fields(key, value).text("collection")))


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """Which cluster the metadata is of, and what numbers its nodes have had."""

    id: str
    """Drawn when the first node began it. Nodes keep it beside their data, so that none takes the
    metadata of another cluster, or an empty store, for word that its data is to go."""
    next_number: int
    """Of the next node that joins; numbers are never given twice."""

    def encode(self) -> bytes:
        """Write the JSON form."""
        return _value(id=self.id, next_number=self.next_number)

    @staticmethod
    def decode(key: str, value: bytes) -> ClusterRecord:
        """Read it back. Raises CorruptData."""
        fields = _fields(key, value)
        fields.check(fields.text("id"), "it has no id")
        return ClusterRecord(fields.text("id"), fields.number("next_number", at_least=1))


class MemberState(Enum):
    """What a node of the cluster is there for."""

    JOINED = "JOINED"
    DRAINING = "DRAINING"
    """Gives its replicas away and gets no new ones."""


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A node that belongs to the cluster, whether it lives or not."""

    number: int
    """Its own for good, never another node's: it breaks ties between versions."""
    state: MemberState
    generation: int
    """Counts its lives: a node that starts writes the next one before anything else."""
    zone: str = ""

    def encode(self) -> bytes:
        """Write the JSON form."""
        return _value(
            number=self.number,
            state=self.state.value,
            generation=self.generation,
            zone=self.zone,
        )

    @staticmethod
    def decode(key: str, value: bytes) -> MemberRecord:
        """Read it back. Raises CorruptData."""
        fields = _fields(key, value)
        state = fields.text("state")
        fields.check(state in _MEMBER_STATES, f"state is {state!r}")
        return MemberRecord(
            fields.number("number"),
            MemberState(state),
            fields.number("generation", at_least=1),
            fields.text("zone"),
        )


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that lives: its key goes with its lease."""

    address: str
    """host:port of its service for other nodes."""
    release: str
    """The version of WeftDB that it runs."""
    generation: int
    """Which life it is, as its MemberRecord says."""
    disk_free_bytes: int
    is_leaving: bool = False
    """Its goodbye: it stops, and what is asked of it from now on is not answered. Written only
    where it is so, for releases that do not know it take the record as it is without."""

    def encode(self) -> bytes:
        """Write the JSON form."""
        goodbye = {"leaving": 1} if self.is_leaving else {}
        return _value(
            address=self.address,
            release=self.release,
            generation=self.generation,
            disk_free_bytes=self.disk_free_bytes,
            **goodbye,
        )

    @staticmethod
    def decode(key: str, value: bytes) -> NodeRecord:
        """Read it back. Raises CorruptData."""
        fields = _fields(key, value)
        return NodeRecord(
            fields.text("address"),
            fields.text("release"),
            fields.number("generation", at_least=1),
            fields.number("disk_free_bytes"),
            bool(fields.number("leaving", is_optional=True)),
        )


_MEMBER_STATES = tuple(state.value for state in MemberState)


def _fields(key: str, value: bytes) -> StoredJson:
    return StoredJson(value, subject=f"the metadata record {key!r}", format_version=FORMAT)


def _value(**fields: Any) -> bytes:
    body = {"format": FORMAT, **fields}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
