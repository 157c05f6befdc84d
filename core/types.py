"""The small types that cross layers: ids, versions, vectors, property values."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest

DocId = NewType("DocId", int)
"""Dense number of one version of one object inside its shard; u32, never reused. An update gets a
new one, so an index entry never has to be changed in place."""

ObjectId = NewType("ObjectId", bytes)
"""The 16 big-endian bytes of an object's UUID. List order is the order of these bytes."""

ShardId = NewType("ShardId", int)
"""Number of a shard on this node; prefix of all its keys. Never reused."""

CollectionName = NewType("CollectionName", str)
ShardName = NewType("ShardName", str)
"""A part of a collection, by the name that all nodes know it by; of a tenant, the tenant's."""
NodeName = NewType("NodeName", str)
"""A node of the cluster, as `CLUSTER_HOSTNAME` calls it."""
VectorName = NewType("VectorName", str)
UNNAMED = VectorName("")
"""The vector of a collection without named vectors."""

DocIds: TypeAlias = NDArray[np.uint32]
Row: TypeAlias = NDArray[np.float32]
"""One vector, float32[dim]."""
Rows: TypeAlias = NDArray[np.float32]
"""Vectors below each other, float32[n, dim], C-contiguous."""

PropertyValue: TypeAlias = Any
"""What a property holds, in its JSON form: str, int, float, bool, list of these, dict (object,
geoCoordinates, phoneNumber). Dates and UUIDs are text here, blobs are base64 text."""


def parse_object_id(text: str) -> ObjectId:
    """Read a UUID in any of its usual forms. Raises `InvalidRequest`."""
    try:
        return ObjectId(uuid.UUID(text).bytes)
    except (ValueError, AttributeError, TypeError):
        raise InvalidRequest(f"invalid UUID: {text!r}") from None


def format_object_id(object_id: ObjectId) -> str:
    """Write the canonical small form, 8-4-4-4-12."""
    digits = object_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_object_id() -> ObjectId:
    """Make a random (version 4) id."""
    return ObjectId(uuid.uuid4().bytes)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """When a state of an object was written. The field order is the merge order, and total:
    two nodes that hold the same versions pick the same winner.

    `time_ms` is wall-clock milliseconds, `counter` orders writes of one millisecond on one node,
    `node` is a number of one life of the writing node's process (0 on a single node): see
    `storage.versions.writer_number`.
    """

    time_ms: int
    counter: int = 0
    node: int = 0
