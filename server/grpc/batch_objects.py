"""Messages of an import, decoded piece by piece.

A message is decoded with the interpreter's lock held. Of a thousand objects that takes longer than
a search, of one a few microseconds, and in between others get their turn.

    BatchObjectsRequest := (0x0a length:varint BatchObject | 0x10 level:varint | other field)*
    BatchStreamRequest  := (0x12 length:varint Data | other field)*
    Data                := (0x0a length:varint Objects | other field)*
    Objects             := (0x0a length:varint BatchObject | other field)*
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from weftdb.core.env import go_on
from weftdb.core.errors import Malformed
from weftdb.core.limits import KiB
from weftdb.proto.v1 import batch_pb2
from weftdb.server.grpc.wire_fields import field_end, read_delimited, read_varint

PIECE_BYTES = 16 * KiB
"""Decoded at a time, or one object where that is more: 20 to 50 microseconds."""
_OBJECT = 0x0A
_LEVEL = 0x10
_TO_OBJECTS = ((0x12, "data"), (0x0A, "objects"))
"""From a `BatchStreamRequest`, the tags and fields that lead to its objects."""


@dataclass(slots=True)
class ObjectsMessage:
    """What a `BatchObjectsRequest` says."""

    objects: list[batch_pb2.BatchObject] = field(default_factory=list)
    level: int = 0


def decode_objects(raw: bytes, give_way: Callable[[], None] = go_on) -> ObjectsMessage:
    """Read a `BatchObjectsRequest`; `give_way` is called before each object. Raises Malformed for
    bytes that are none."""
    found = ObjectsMessage()
    at, end = 0, len(raw)
    try:
        while at < end:
            give_way()
            tag, at = read_varint(raw, at)
            if tag == _OBJECT:
                begin, at = read_delimited(raw, at)
                found.objects.append(batch_pb2.BatchObject.FromString(raw[begin:at]))
            elif tag == _LEVEL:
                found.level, at = read_varint(raw, at)
            else:
                at = field_end(raw, at, tag)
    except (DecodeError, IndexError) as error:
        raise _malformed("BatchObjectsRequest", error) from None
    return found


def decode_stream_request(raw: bytes) -> batch_pb2.BatchStreamRequest:
    """Read a `BatchStreamRequest`. Raises Malformed for bytes that are none."""
    request = batch_pb2.BatchStreamRequest()
    try:
        _merge(request, raw, 0, len(raw), 0)
    except (DecodeError, IndexError) as error:
        raise _malformed("BatchStreamRequest", error) from None
    return request


def _merge(message: Any, raw: bytes, at: int, end: int, depth: int) -> None:
    """Add the fields in raw[at:end] to `message`, which lies `depth` steps towards the objects."""
    inner, name = _TO_OBJECTS[depth] if depth < len(_TO_OBJECTS) else (0, "")
    begin = at
    while at < end:
        field = at
        tag, at = read_varint(raw, at)
        if tag == inner:
            message.MergeFromString(raw[begin:field])
            content, at = read_delimited(raw, at)
            child = getattr(message, name)
            child.SetInParent()
            _merge(child, raw, content, at, depth + 1)
            begin = at
            continue
        at = field_end(raw, at, tag)
        if at - begin >= PIECE_BYTES:
            message.MergeFromString(raw[begin:at])
            begin = at
    if at > end:
        raise IndexError("it ends in the middle of a field")
    message.MergeFromString(raw[begin:at])


def _malformed(kind: str, error: Exception) -> Malformed:
    return Malformed(f"the request is no {kind} message: {error or 'cannot be decoded'}")
