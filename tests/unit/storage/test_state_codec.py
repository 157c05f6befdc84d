"""States as bytes: copied without being decoded, and refused where they are damaged."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from weftdb.core.errors import CorruptData, InvalidRequest
from weftdb.core.objects import ObjectState
from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import UNNAMED, ObjectId, VectorName, Version
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.state_codec import HEAD_BYTES, decode_state, encode_state

ID = ObjectId(bytes(range(16)))
VERSION = Version(1_700_000_000_001, 3, 9)
ENCODER = PropertyEncoder(Collection("A", (Property("a", DataType.INT),)))
MESSAGE = ENCODER.encode({"a": 5})
ROW = np.array([1.0, 2.0], dtype=np.float32)
STATE = ObjectState(
    ID, VERSION, False, 1, 2, EncodedProperties(MESSAGE), {UNNAMED: ROW, VectorName("b"): ROW}
)
ENCODED = encode_state(STATE)
FLAGS_AT, PROPERTIES_AT, VECTORS_AT = 5, HEAD_BYTES - 6, HEAD_BYTES - 2


def resealed(value: bytes) -> bytes:
    """With the checksum that it would have, had its writer meant it."""
    return struct.pack("<I", zlib.crc32(value[4:])) + value[4:]


def changed(at: int, new: bytes) -> bytes:
    return resealed(ENCODED[:at] + new + ENCODED[at + len(new) :])


def test_encoded_properties_are_copied() -> None:
    assert MESSAGE in ENCODED
    broken = ObjectState(ID, VERSION, properties=EncodedProperties(b"no message"))
    read = decode_state(encode_state(broken))  # Nobody looked inside.
    with pytest.raises(CorruptData):
        dict(read.properties)


def test_encoded_properties_read_as_a_mapping() -> None:
    properties = EncodedProperties(MESSAGE)
    assert properties == {"a": 5}
    values = {"a": 5}
    assert values == properties
    assert (len(properties), list(properties), properties["a"]) == (1, ["a"], 5)
    assert properties.decoded() is properties.decoded()
    assert repr(properties) == "EncodedProperties({'a': 5})"
    known = {"a": 5}
    assert EncodedProperties(MESSAGE, known).decoded() is known


def test_a_state_of_values_needs_an_encoder_and_gives_the_same_bytes() -> None:
    values = ObjectState(ID, VERSION, False, 1, 2, {"a": 5, "unknown": 1}, dict(STATE.vectors))
    assert encode_state(values, ENCODER) == ENCODED
    with pytest.raises(AssertionError, match="encoder"):
        encode_state(values)


def test_text_that_is_no_unicode_is_refused() -> None:
    encoder = PropertyEncoder(Collection("A", (Property("t", DataType.TEXT),)))
    with pytest.raises(InvalidRequest):
        encode_state(ObjectState(ID, VERSION, properties={"t": "\ud800"}), encoder)


def test_the_order_of_vectors_does_not_matter() -> None:
    turned = dict(reversed(list(STATE.vectors.items())))
    again = ObjectState(ID, VERSION, False, 1, 2, STATE.properties, turned)
    assert encode_state(again) == ENCODED


@pytest.mark.parametrize("at", [0, 4, 5, 6, 20, 30, HEAD_BYTES - 1, len(ENCODED) - 1])
def test_a_flipped_bit_is_found(at: int) -> None:
    value = bytearray(ENCODED)
    value[at] ^= 4
    with pytest.raises(CorruptData):
        decode_state(bytes(value))


@pytest.mark.parametrize("size", [0, 3, HEAD_BYTES - 1, HEAD_BYTES, len(ENCODED) - 1])
def test_a_cut_state_is_found(size: int) -> None:
    with pytest.raises(CorruptData):
        decode_state(ENCODED[:size])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (changed(4, b"\x02"), "format 2, this build reads 1"),
        (changed(FLAGS_AT, b"\x02"), "unknown flags 0x2"),
        (changed(FLAGS_AT, b"\x01"), "a deletion carries an object"),
        (changed(PROPERTIES_AT, b"\xff\xff"), "bytes of properties"),
        (changed(VECTORS_AT, b"\x03"), "lacks one of its vectors"),
        (changed(HEAD_BYTES + len(MESSAGE), b"\xff"), "within the name"),
        (changed(HEAD_BYTES + len(MESSAGE) + 1, b"\xff"), "has a vector of"),
        (changed(len(ENCODED) - 18, b"\xff"), "not UTF-8"),
        (changed(len(ENCODED) - 1, b"\xff"), "a stored vector fails its checksum"),
    ],
)
def test_a_writer_that_breaks_the_format_is_found(value: bytes, words: str) -> None:
    with pytest.raises(CorruptData, match=words):
        decode_state(value)


def test_a_vector_twice_is_found() -> None:
    one = encode_state(ObjectState(ID, VERSION, vectors={UNNAMED: ROW}))
    entry = one[HEAD_BYTES:]
    twice = resealed(one[:VECTORS_AT] + b"\x02\x00" + entry + entry)
    with pytest.raises(CorruptData, match="twice"):
        decode_state(twice)


def test_what_a_later_build_adds_is_passed_over() -> None:
    read = decode_state(resealed(ENCODED + b"more"))
    assert encode_state(read) == ENCODED
