"""Objects of a `BatchObjectsRequest`, decoded one by one.

A message is decoded with the interpreter's lock held. Of a thousand objects that takes longer than
a search, of one a few microseconds, and in between others get their turn.

    request := (0x0a length:varint BatchObject | other field)*      # protobuf wire format
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from weftdb.core.errors import Malformed
from weftdb.proto.v1 import batch_pb2

_OBJECT = 0x0A
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10


def decode_objects(raw: bytes) -> list[batch_pb2.BatchObject]:
    """Read the objects. Raises Malformed for bytes that are no such message."""
    objects = []
    at, end = 0, len(raw)
    try:
        while at < end:
            tag, at = _varint(raw, at)
            if tag == _OBJECT:
                size, at = _varint(raw, at)
                objects.append(batch_pb2.BatchObject.FromString(_cut(raw, at, size)))
                at += size
            else:
                at = _after(raw, at, tag)
    except (DecodeError, IndexError) as error:
        raise Malformed(
            f"the request is no BatchObjectsRequest message: {error or 'cannot be decoded'}"
        ) from None
    return objects


def _after(raw: bytes, at: int, tag: int) -> int:
    """Where a field ends that is none of ours."""
    kind = tag & 7
    if kind == _VARINT:
        return _varint(raw, at)[1]
    if kind == _DELIMITED:
        size, at = _varint(raw, at)
    elif kind in (_FIXED32, _FIXED64):
        size = 4 if kind == _FIXED32 else 8
    else:
        raise IndexError(f"a field of kind {kind}")
    _cut(raw, at, size)
    return at + size


def _cut(raw: bytes, at: int, size: int) -> bytes:
    if size > len(raw) - at:
        raise IndexError("it ends in the middle of a field")
    return raw[at : at + size]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    number = raw[at]
    if number < 0x80:
        return number, at + 1
    number &= 0x7F
    for place in range(1, _VARINT_BYTES_MAX):
        byte = raw[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise IndexError("a number of more than ten bytes")
