"""A stored object.

    object := crc32:u32 version:u8 flags:u8 doc_id:u32 uuid:16 created_ms:i64 updated_ms:i64
              stamp:16 properties_bytes:u32 properties more*      # little-endian; crc over the rest
    stamp  := versions.py        properties := property_codec.py

`version` is 1; a reader refuses others. `flags` is 0. `more` is empty today; a reader passes over
it, so that a later build can add to objects without a new version. crc32 is zlib's: CRC32C would be
as good, but zlib's is in the standard library.
"""

from __future__ import annotations

import struct
import zlib

from weftdb.core.errors import CorruptData
from weftdb.core.objects import Object
from weftdb.core.types import DocId, ObjectId, Version
from weftdb.storage.property_codec import decode_properties
from weftdb.storage.versions import VERSION_BYTES, decode_version, encode_version

FORMAT = 1
_HEAD = struct.Struct("<IBBI16sqq16sI")
_BODY = struct.Struct("<BBI16sqq16sI")
_CRC = struct.Struct("<I")
HEAD_BYTES = _HEAD.size
UUID_AT = 10
CREATED_AT = 26
UPDATED_AT = 34
STAMP_AT = 42
_TIMES = struct.Struct("<qq")
_SIZE = struct.Struct("<I")
_SIZE_AT = HEAD_BYTES - _SIZE.size


def encode_object(
    *,
    doc_id: DocId,
    object_id: ObjectId,
    created_ms: int,
    updated_ms: int,
    version: Version,
    properties: bytes,
) -> bytes:
    """Write an object; `properties` comes from `PropertyEncoder`."""
    assert len(object_id) == 16, object_id
    body = (
        _BODY.pack(
            FORMAT,
            0,
            doc_id,
            object_id,
            created_ms,
            updated_ms,
            encode_version(version),
            len(properties),
        )
        + properties
    )
    return _CRC.pack(zlib.crc32(body)) + body


def is_intact(value: bytes) -> bool:
    """Whether a stored object has its checksum."""
    return value[:4] == _CRC.pack(zlib.crc32(memoryview(value)[4:])) and len(value) >= HEAD_BYTES


def check_object(value: bytes) -> None:
    """Verify checksum, version and length. Raises CorruptData."""
    if len(value) < HEAD_BYTES:
        raise CorruptData(f"a stored object has only {len(value)} bytes")
    if not is_intact(value):
        raise CorruptData("a stored object fails its checksum")
    if value[4] != FORMAT:
        raise CorruptData(f"a stored object has format {value[4]}, this build reads {FORMAT}")


def decode_object(value: bytes) -> Object:
    """Read `encode_object` back, without vectors. Raises CorruptData."""
    check_object(value)
    _, _, _, doc_id, object_id, created_ms, updated_ms, stamp, size = _HEAD.unpack_from(value)
    if HEAD_BYTES + size > len(value):
        raise CorruptData(f"a stored object of {len(value)} bytes has {size} bytes of properties")
    return Object(
        id=ObjectId(object_id),
        doc_id=DocId(doc_id),
        properties=decode_properties(value[HEAD_BYTES : HEAD_BYTES + size]),
        created_ms=created_ms,
        updated_ms=updated_ms,
        version=decode_version(stamp),
    )


def stored_id(value: bytes) -> ObjectId:
    """The id of a stored object, nothing else read."""
    return ObjectId(value[UUID_AT : UUID_AT + 16])


def stored_times(value: bytes) -> tuple[int, int]:
    """Creation and last update, milliseconds."""
    created_ms, updated_ms = _TIMES.unpack_from(value, CREATED_AT)
    return created_ms, updated_ms


def stored_version(value: bytes) -> Version:
    """The version of a stored object."""
    return decode_version(value[STAMP_AT : STAMP_AT + VERSION_BYTES])


def stored_properties(value: bytes) -> bytes:
    """The `Properties` message of a stored object."""
    return value[HEAD_BYTES : HEAD_BYTES + _SIZE.unpack_from(value, _SIZE_AT)[0]]
