"""Objects of a batch one by one: the same as protobuf reads, and the same refusals."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError

from weftdb.core.errors import Malformed
from weftdb.proto.v1 import batch_pb2
from weftdb.server.grpc.batch_objects import decode_objects

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
    assert decode_objects(raw) == list(batch_pb2.BatchObjectsRequest.FromString(raw).objects)


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
            found = decode_objects(bytes(raw))
        except Malformed:
            found = None
        # Field number 0 and groups: protobuf refuses the first and reads the second, which no
        # client sends.
        if expected is not None and found is not None:
            assert found == expected
