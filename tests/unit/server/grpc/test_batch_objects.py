"""Imports piece by piece: the same as protobuf reads, and the same refusals."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError

from weftdb.core.errors import Malformed
from weftdb.proto.v1 import batch_pb2
from weftdb.server.grpc.batch_objects import PIECE_BYTES, decode_objects, decode_stream_request

UNKNOWN = [
    b"\x18\x96\x01",  # field 3: a varint
    b"\x21" + bytes(8),
    b"\x2a\x03abc",
    b"\x35" + bytes(4),
]


def message(count: int) -> bytes:
    objects = [
        batch_pb2.BatchObject(uuid=f"{number:036}", collection="Doc", vector_bytes=bytes(number))
        for number in range(count)
    ]
    return batch_pb2.BatchObjectsRequest(objects=objects, consistency_level=2).SerializeToString()


@pytest.mark.parametrize("count", [0, 1, 300])
def test_they_are_what_protobuf_reads(count: int) -> None:
    raw = b"".join(UNKNOWN) + message(count) + b"".join(UNKNOWN)
    assert decode_objects(raw).objects == list(
        batch_pb2.BatchObjectsRequest.FromString(raw).objects
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x0a\x02\x0a\x05",
        b"\x0a" + b"\xff" * 11,
        b"\x13\x14",
        b"\x2a\x7f",
        b"\x21\0",
        b"\x96",
    ],
)
def test_what_is_no_such_message(raw: bytes) -> None:
    with pytest.raises(Malformed, match="no BatchObjectsRequest message"):
        decode_objects(raw)


def test_damaged_messages_are_read_or_refused_as_protobuf_does() -> None:
    dice, whole = random.Random(5), message(4)
    for _ in range(3_000):
        raw = bytearray(whole[: dice.randrange(len(whole) + 1)])
        for _ in range(dice.randrange(3)):
            if raw:
                raw[dice.randrange(len(raw))] = dice.randrange(256)
        try:
            expected = list(batch_pb2.BatchObjectsRequest.FromString(bytes(raw)).objects)
        except DecodeError:
            expected = None
        try:
            found = decode_objects(bytes(raw)).objects
        except Malformed:
            found = None
        # Field number 0 and groups: protobuf refuses the first and reads the second, which no
        # client sends.
        if expected is not None and found is not None:
            assert found == expected


def stream_message(count: int, size: int = 0) -> bytes:
    kinds = batch_pb2.BatchStreamRequest.Data
    objects = [
        batch_pb2.BatchObject(uuid=f"{number:036}", collection="Doc", vector_bytes=bytes(size))
        for number in range(count)
    ]
    references = [batch_pb2.BatchReference(name="by", from_uuid="x")]
    data = kinds(
        objects=kinds.Objects(values=objects), references=kinds.References(values=references)
    )
    return batch_pb2.BatchStreamRequest(data=data).SerializeToString()


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 0), (700, 100), (5, 2 * PIECE_BYTES)])
def test_a_stream_message_is_what_protobuf_reads(count: int, size: int) -> None:
    unknown = b"".join(UNKNOWN).replace(b"\x18", b"\x38")
    raw = unknown + stream_message(count, size) + unknown + stream_message(2)
    expected = batch_pb2.BatchStreamRequest.FromString(raw)
    found = decode_stream_request(raw)
    assert found == expected
    assert found.SerializeToString() == expected.SerializeToString()


@pytest.mark.parametrize("kind", ["start", "stop", "data"])
def test_an_empty_stream_message_keeps_its_kind(kind: str) -> None:
    request = batch_pb2.BatchStreamRequest()
    getattr(request, kind).SetInParent()
    assert decode_stream_request(request.SerializeToString()).WhichOneof("message") == kind
    assert decode_stream_request(b"").WhichOneof("message") is None


def test_damaged_stream_messages_are_read_or_refused_as_protobuf_does() -> None:
    dice, whole = random.Random(6), stream_message(4, 3)
    for _ in range(3_000):
        raw = bytearray(whole[: dice.randrange(len(whole) + 1)])
        for _ in range(dice.randrange(3)):
            if raw:
                raw[dice.randrange(min(len(raw), 12))] = dice.randrange(256)
        try:
            expected = batch_pb2.BatchStreamRequest.FromString(bytes(raw))
        except DecodeError:
            expected = None
        try:
            found = decode_stream_request(bytes(raw))
        except Malformed:
            found = None
        if expected is not None and found is not None:
            assert found == expected
        elif expected is None:
            assert found is None
