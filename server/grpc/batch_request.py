"""Objects off the wire: `BatchObject` messages to plain values.

Properties arrive in a protobuf `Struct` (every number a double) beside typed lists and objects; the
schema decides later what a double is (core/validation.py, `typed_properties`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from google.protobuf import struct_pb2
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.types import ObjectId, parse_object_id
from weftdb.proto.v1 import arrays_pb2, batch_pb2
from weftdb.server.grpc import _session
from weftdb.server.grpc.vectors import (
    Vector,
    decode_any,
    decode_single,
    decode_vector,
    decode_vectors,
)

_NUMBER_BYTES = 8


@dataclass(slots=True)  # Not frozen: that takes three times as long to make, for every object.
class WireObject:
    """An object as it came, not yet checked against its collection."""

    id: ObjectId
    properties: dict[str, Any]
    unnamed: Vector | None = None
    named: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def parse_object(wire: batch_pb2.BatchObject) -> WireObject:
    """Read an object. Raises InvalidRequest, Unsupported."""
    found = _session.read_batch_object(wire.SerializeToString())
    if found is None:
        return _parse_any_object(wire)
    object_id, properties, vector_bytes, entries = found
    named = _named((name, decode_vector(raw, kind)) for name, raw, kind in entries)
    unnamed = named.pop("", None)
    if unnamed is None and vector_bytes:
        unnamed = decode_single(vector_bytes)
    return WireObject(ObjectId(object_id), properties, unnamed, named)


def _parse_any_object(wire: batch_pb2.BatchObject) -> WireObject:
    """Read an object that native code leaves to protobuf."""
    if not wire.uuid:
        raise InvalidRequest("the object has no uuid; the client must make one")
    named = _named((entry.name, decode_vectors(entry)) for entry in wire.vectors)
    unnamed = named.pop("", None)
    if unnamed is None:
        unnamed = decode_any(wire.vector_bytes, wire.vector)
    return WireObject(parse_object_id(wire.uuid), parse_properties(wire.properties), unnamed, named)


def _named(vectors: Iterable[tuple[str, Vector]]) -> dict[str, Vector]:
    named = {}
    for name, vector in vectors:
        if name in named:
            raise InvalidRequest(f"vector '{name}' is given twice")
        named[name] = vector
    return named


def parse_properties(wire: batch_pb2.BatchObject.Properties) -> dict[str, Any]:
    """Read the properties of an object. Raises Unsupported for references."""
    for single in wire.single_target_ref_props:
        _refuse_references(single.prop_name, single.uuids)
    for multi in wire.multi_target_ref_props:
        _refuse_references(multi.prop_name, multi.uuids)
    return _fields(wire)


def _refuse_references(name: str, uuids: Sequence[str]) -> None:
    if uuids:
        raise Unsupported(f"property '{name}': references are not part of this build yet")


class _Fields(Protocol):
    """What an object and an object inside of it have in common."""

    @property
    def non_ref_properties(self) -> struct_pb2.Struct: ...
    @property
    def number_array_properties(self) -> Sequence[arrays_pb2.NumberArrayProperties]: ...
    @property
    def int_array_properties(self) -> Sequence[arrays_pb2.IntArrayProperties]: ...
    @property
    def text_array_properties(self) -> Sequence[arrays_pb2.TextArrayProperties]: ...
    @property
    def boolean_array_properties(self) -> Sequence[arrays_pb2.BooleanArrayProperties]: ...
    @property
    def object_properties(self) -> Sequence[arrays_pb2.ObjectProperties]: ...
    @property
    def object_array_properties(self) -> Sequence[arrays_pb2.ObjectArrayProperties]: ...
    @property
    def empty_list_props(self) -> Sequence[str]: ...


def _fields(wire: _Fields) -> dict[str, Any]:
    out = {name: _value(value) for name, value in wire.non_ref_properties.fields.items()}
    for numbers in wire.number_array_properties:
        out[numbers.prop_name] = _numbers(numbers)
    for integers in wire.int_array_properties:
        out[integers.prop_name] = list(integers.values)
    for texts in wire.text_array_properties:
        out[texts.prop_name] = list(texts.values)
    for booleans in wire.boolean_array_properties:
        out[booleans.prop_name] = list(booleans.values)
    for inner in wire.object_properties:
        out[inner.prop_name] = _fields(inner.value)
    for inners in wire.object_array_properties:
        out[inners.prop_name] = [_fields(value) for value in inners.values]
    for name in wire.empty_list_props:
        out[name] = []
    return out


def _value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return value.number_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return {name: _value(item) for name, item in value.struct_value.fields.items()}
    return None


def _numbers(wire: arrays_pb2.NumberArrayProperties) -> list[float]:
    raw = wire.values_bytes
    if not raw:
        return list(wire.values)
    if len(raw) % _NUMBER_BYTES:
        raise InvalidRequest(
            f"property '{wire.prop_name}': {len(raw)} bytes are no list of float64"
        )
    return list(struct.unpack(f"<{len(raw) // _NUMBER_BYTES}d", raw))
