"""The reply of a search, put together from stored bytes.

    reply    := took:f32 (result)* | took:f32 (group)*
    result   := properties:message metadata:message

Field numbers are those of `proto/v1/search.proto`. No object is decoded on the way: properties
travel as they lie in the store. The results themselves are written natively (reply.cpp).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData
from weftdb.core.query import Group, Hits
from weftdb.core.types import format_object_id
from weftdb.index.kernels import _native
from weftdb.server.grpc import wire
from weftdb.server.grpc.reply_shape import ReplyShape
from weftdb.storage.object_codec import stored_id, stored_properties, stored_times

_f32 = struct.Struct("<f").pack

_TOOK = wire.tag(1, wire.FOUR_BYTES)
_GROUPS = 4
_PROPERTIES, _METADATA = 1, 2
_NON_REF_PROPS = 11

_ID, _VECTOR_BYTES, _ID_AS_BYTES, _VECTORS = 1, 19, 20, 23
_EXPLAIN_SCORE = 13
_CREATED, _CREATED_PRESENT = wire.tag(3, wire.VARINT), wire.tag(4, wire.VARINT) + b"\x01"
_UPDATED, _UPDATED_PRESENT = wire.tag(5, wire.VARINT), wire.tag(6, wire.VARINT) + b"\x01"
_DISTANCE, _DISTANCE_PRESENT = wire.tag(7, wire.FOUR_BYTES), wire.tag(8, wire.VARINT) + b"\x01"
_CERTAINTY, _CERTAINTY_PRESENT = wire.tag(9, wire.FOUR_BYTES), wire.tag(10, wire.VARINT) + b"\x01"
_SCORE, _SCORE_PRESENT = wire.tag(11, wire.FOUR_BYTES), wire.tag(12, wire.VARINT) + b"\x01"
_EXPLAIN_PRESENT = wire.tag(14, wire.VARINT) + b"\x01"
_CONSISTENT, _CONSISTENT_PRESENT = wire.tag(15, wire.VARINT), wire.tag(18, wire.VARINT) + b"\x01"

_VECTORS_NAME, _VECTORS_BYTES = 1, 3
_SINGLE_FP32 = wire.tag(4, wire.VARINT) + b"\x01"
_MULTI_FP32 = wire.tag(4, wire.VARINT) + b"\x02"

_GROUP_NAME, _GROUP_OBJECTS = 1, 5
_GROUP_MIN, _GROUP_MAX = wire.tag(2, wire.FOUR_BYTES), wire.tag(3, wire.FOUR_BYTES)
_GROUP_COUNT = wire.tag(4, wire.VARINT)


def assemble_reply(hits: Hits, shape: ReplyShape, took_s: float) -> bytes:
    """Serialize a `SearchReply`. Raises CorruptData where a stored object cannot be read."""
    head = _TOOK + _f32(took_s)
    if hits.groups is not None:
        return head + b"".join(_groups(hits, hits.groups, shape))
    try:
        return shape.native.fields(
            head, hits.stored, hits.distances, hits.scores, _rest(hits, shape), hits.has_certainty
        )
    except _native.DamagedReply as error:
        raise CorruptData(f"the reply cannot be put together: {error}") from error


def _results(hits: Hits, shape: ReplyShape) -> list[bytes]:
    try:
        return shape.native.results(
            hits.stored, hits.distances, hits.scores, _rest(hits, shape), hits.has_certainty
        )
    except _native.DamagedReply as error:
        raise CorruptData(f"the reply cannot be put together: {error}") from error


def assemble_by_reference(hits: Hits, shape: ReplyShape) -> list[bytes]:
    """Serialize the `SearchResult` of each hit in Python: what the native twin must agree with."""
    out = []
    for at, stored in enumerate(hits.stored):
        properties = shape.head
        if shape.selection.names:
            kept = shape.selection.apply(stored_properties(stored))
            properties += wire.field(_NON_REF_PROPS, kept)
        metadata = _metadata(hits, shape, at, stored)
        out.append(wire.field(_PROPERTIES, properties) + wire.field(_METADATA, metadata))
    return out


def _rest(hits: Hits, shape: ReplyShape) -> list[bytes] | None:
    """What is asked of each hit and seldom: explanations, agreement and vectors."""
    is_told = shape.consistency and hits.is_consistent is not None
    if not (shape.explain or shape.vectors or is_told):
        return None
    return [_rest_of(hits, shape, at) for at in range(len(hits.stored))]


def _rest_of(hits: Hits, shape: ReplyShape, at: int) -> bytes:
    parts: list[bytes] = []
    if shape.explain:
        text = hits.explanations[at].encode() if hits.explanations is not None else b""
        parts += (wire.field(_EXPLAIN_SCORE, text), _EXPLAIN_PRESENT)
    if shape.consistency and hits.is_consistent is not None:
        parts += (_CONSISTENT, wire.varint(hits.is_consistent[at]), _CONSISTENT_PRESENT)
    for name in shape.vectors:
        vector = hits.vectors[name][at] if name in hits.vectors else None
        if vector is not None:
            parts.append(_vector(name, vector, is_named=shape.is_named))
    return b"".join(parts)


def _metadata(hits: Hits, shape: ReplyShape, at: int, stored: bytes) -> bytes:
    parts: list[bytes] = []
    if shape.id:
        object_id = stored_id(stored)
        text = format_object_id(object_id).encode()
        parts += (wire.field(_ID, text), wire.field(_ID_AS_BYTES, object_id))
    if shape.created or shape.updated:
        created_ms, updated_ms = stored_times(stored)
        if shape.created:
            parts += (_CREATED, wire.varint(created_ms), _CREATED_PRESENT)
        if shape.updated:
            parts += (_UPDATED, wire.varint(updated_ms), _UPDATED_PRESENT)
    if hits.distances is not None:
        distance = hits.distances[at]
        if shape.distance:
            parts += (_DISTANCE, _f32(distance), _DISTANCE_PRESENT)
        if shape.certainty and hits.has_certainty:
            parts += (_CERTAINTY, _f32(1.0 - distance / 2.0), _CERTAINTY_PRESENT)
    if shape.score:
        score = hits.scores[at] if hits.scores is not None else 0.0
        parts += (_SCORE, _f32(score), _SCORE_PRESENT)
    parts.append(_rest_of(hits, shape, at))
    return b"".join(parts)


def _vector(name: str, vector: NDArray[np.float32], *, is_named: bool) -> bytes:
    raw = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    if not is_named and vector.ndim == 1:
        return wire.field(_VECTOR_BYTES, raw)
    kind = _SINGLE_FP32
    if vector.ndim == 2:
        raw, kind = struct.pack("<H", vector.shape[1]) + raw, _MULTI_FP32
    body = wire.field(_VECTORS_NAME, name.encode()) + wire.field(_VECTORS_BYTES, raw) + kind
    return wire.field(_VECTORS, body)


def _groups(hits: Hits, groups: Sequence[Group], shape: ReplyShape) -> Iterable[bytes]:
    results = _results(hits, shape)
    for group in groups:
        parts = [wire.field(_GROUP_NAME, group.name.encode())]
        if hits.distances is not None and group.members:
            distances = [hits.distances[at] for at in group.members]
            parts += (_GROUP_MIN, _f32(min(distances)), _GROUP_MAX, _f32(max(distances)))
        parts += (_GROUP_COUNT, wire.varint(len(group.members)))
        parts += (wire.field(_GROUP_OBJECTS, results[at]) for at in group.members)
        yield wire.field(_GROUPS, b"".join(parts))
