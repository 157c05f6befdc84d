"""One version of an object, or of its deletion, as it goes between nodes and into hints.

    state    := crc32:u32 format:u8 flags:u8 uuid:16 stamp:16 created_ms:i64 updated_ms:i64
                properties_bytes:u32 vectors:u16 properties vector* more*
    vector   := name_bytes:u8 name:utf8 value_bytes:u32 value
    stamp    := versions.py     properties := property_codec.py     value := vector_codec.py

Little-endian; the crc covers everything behind it. Bit 0 of `flags` says that this is a deletion,
which has no properties, no vectors and the times 0; other bits are 0. `format` is 1; a reader
refuses others. `more` is empty today; a reader passes over it, so that nodes of the next release
can say more to those of this one. Vectors are in the order of their names: one state, one encoding.

Properties and vectors are as they are stored, so a replica copies them from its rows into a message
and from a message into its rows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId, PropertyValue, VectorName
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.vector_codec import decode_vector, encode_vector
from weftdb.storage.versions import decode_version, encode_version

FORMAT = 1
_HEAD = struct.Struct("<IBB16s16sqqIH")
_BODY = struct.Struct("<BB16s16sqqIH")
_CRC = struct.Struct("<I")
_SIZE = struct.Struct("<I")
HEAD_BYTES = _HEAD.size
_DELETED = 1


def encode_state(state: ObjectState, encoder: PropertyEncoder | None = None) -> bytes:
    """Write a state. `encoder` is that of the collection; properties that are `EncodedProperties`
    are copied and need none. Raises InvalidRequest for a text that is not Unicode."""
    properties = encoded_properties(state.properties, encoder)
    parts = [properties]
    for name, vector in sorted(state.vectors.items()):
        label, value = name.encode(), encode_vector(vector)
        parts += (bytes((len(label),)), label, _SIZE.pack(len(value)), value)
    assert not state.is_deleted or (len(parts) == 1 and not properties), state.id.hex()
    head = _BODY.pack(
        FORMAT,
        _DELETED if state.is_deleted else 0,
        state.id,
        encode_version(state.version),
        state.created_ms,
        state.updated_ms,
        len(properties),
        len(state.vectors),
    )
    body = head + b"".join(parts)
    return _CRC.pack(zlib.crc32(body)) + body


def decode_state(value: bytes) -> ObjectState:
    """Read `encode_state` back; the properties are `EncodedProperties`, the vectors read-only
    views of `value`. Raises CorruptData."""
    if len(value) < HEAD_BYTES:
        raise CorruptData(f"a state has only {len(value)} bytes")
    crc, version, flags, object_id, stamp, created_ms, updated_ms, size, count = _HEAD.unpack_from(
        value
    )
    if zlib.crc32(memoryview(value)[_CRC.size :]) != crc:
        raise CorruptData("a state fails its checksum")
    if version != FORMAT:
        raise CorruptData(f"a state has format {version}, this build reads {FORMAT}")
    if flags & ~_DELETED:
        raise CorruptData(f"a state has unknown flags {flags:#x}")
    is_deleted = bool(flags & _DELETED)
    if is_deleted and (size or count or created_ms or updated_ms):
        raise CorruptData("a deletion carries an object")
    end = HEAD_BYTES + size
    if end > len(value):
        raise CorruptData(f"a state of {len(value)} bytes has {size} bytes of properties")
    return ObjectState(
        id=ObjectId(object_id),
        version=decode_version(stamp),
        is_deleted=is_deleted,
        created_ms=created_ms,
        updated_ms=updated_ms,
        properties=EncodedProperties(value[HEAD_BYTES:end]),
        vectors=_vectors(value, end, count),
    )


def encoded_properties(
    properties: Mapping[str, PropertyValue], encoder: PropertyEncoder | None
) -> bytes:
    """The `Properties` message of a state's properties. Raises InvalidRequest."""
    if isinstance(properties, EncodedProperties):
        return properties.message
    if not properties:
        return b""
    assert encoder is not None, "properties that are not encoded need their collection's encoder"
    return encoder.encode(properties)


def _vectors(value: bytes, at: int, count: int) -> dict[VectorName, NDArray[np.float32]]:
    vectors: dict[VectorName, NDArray[np.float32]] = {}
    for _ in range(count):
        if at >= len(value):
            raise CorruptData(f"a state of {len(value)} bytes lacks one of its vectors")
        start = at + 1 + value[at] + _SIZE.size
        if start > len(value):
            raise CorruptData(f"a state of {len(value)} bytes ends within the name of a vector")
        (size,) = _SIZE.unpack_from(value, start - _SIZE.size)
        if start + size > len(value):
            raise CorruptData(f"a state of {len(value)} bytes has a vector of {size} bytes")
        try:
            name = VectorName(value[at + 1 : start - _SIZE.size].decode())
        except UnicodeDecodeError as error:
            raise CorruptData(f"the name of a vector is not UTF-8: {error}") from error
        if name in vectors:
            raise CorruptData(f"a state has the vector {name!r} twice")
        vectors[name] = decode_vector(value[start : start + size])
        at = start + size
    return vectors
