"""Objects, vectors and versions as bytes: round trips, damage, and the promised properties."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from weftdb.core.env import ManualClock
from weftdb.core.errors import CorruptData
from weftdb.core.types import DocId, ObjectId, Version
from weftdb.storage.object_codec import (
    HEAD_BYTES,
    decode_object,
    encode_object,
    stored_id,
    stored_properties,
    stored_times,
)
from weftdb.storage.property_codec import decode_properties
from weftdb.storage.vector_codec import decode_rows, decode_vector, encode_vector
from weftdb.storage.versions import VersionClock, decode_version, encode_version

ID = ObjectId(bytes(range(16)))
PROPERTIES = b"\x0a\x07\x0a\x01a\x12\x02\x40\x05"
STORED = encode_object(
    doc_id=DocId(7),
    object_id=ID,
    created_ms=1_700_000_000_000,
    updated_ms=1_700_000_000_001,
    version=Version(1_700_000_000_001, 3, 9),
    properties=PROPERTIES,
)


def test_chosen_properties_are_read_alone() -> None:
    two = PROPERTIES + PROPERTIES.replace(b"a", b"b")
    assert decode_properties(two) == {"a": 5, "b": 5}
    assert decode_properties(two, frozenset("b")) == {"b": 5}
    assert decode_properties(two, frozenset("c")) == {}
    with pytest.raises(CorruptData):
        decode_properties(two[:-1], frozenset("a"))


def test_object() -> None:
    found = decode_object(STORED)
    assert (found.id, found.doc_id, found.properties) == (ID, 7, {"a": 5})
    assert (found.created_ms, found.updated_ms) == (1_700_000_000_000, 1_700_000_000_001)
    assert found.version == Version(1_700_000_000_001, 3, 9)
    assert stored_id(STORED) == ID
    assert stored_times(STORED) == (1_700_000_000_000, 1_700_000_000_001)
    assert stored_properties(STORED) == PROPERTIES


@pytest.mark.parametrize("at", [0, 4, 5, 6, 20, 30, HEAD_BYTES - 1, len(STORED) - 1])
def test_a_flipped_bit_in_an_object_is_found(at: int) -> None:
    value = bytearray(STORED)
    value[at] ^= 4
    with pytest.raises(CorruptData):
        decode_object(bytes(value))


@pytest.mark.parametrize("size", [0, 3, 10, HEAD_BYTES - 1, HEAD_BYTES, len(STORED) - 1])
def test_a_cut_object_is_found(size: int) -> None:
    with pytest.raises(CorruptData):
        decode_object(STORED[:size])


def resealed(body: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(body)) + body


def test_a_newer_object_is_refused_with_both_numbers() -> None:
    with pytest.raises(CorruptData, match="format 2, this build reads 1"):
        decode_object(resealed(b"\x02" + STORED[5:]))


def test_sections_of_a_later_build_are_passed_over() -> None:
    longer = resealed(STORED[4:] + b"something new")
    assert decode_object(longer) == decode_object(STORED)
    assert stored_properties(longer) == PROPERTIES


def test_an_object_with_too_long_properties_is_refused() -> None:
    with pytest.raises(CorruptData, match="bytes of properties"):
        decode_object(resealed(STORED[4:-1]))


def test_vector() -> None:
    row = np.array([1.5, -0.0, np.finfo(np.float32).max], dtype=np.float32)
    value = encode_vector(row)
    assert value[: row.nbytes] == row.tobytes(), "floats first, so that they are aligned"
    assert decode_vector(value).tobytes() == row.tobytes()
    assert not decode_vector(value).flags.writeable
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert np.array_equal(decode_vector(encode_vector(rows)), rows)
    assert np.array_equal(decode_vector(encode_vector(rows[:, ::2])), rows[:, ::2])
    assert decode_vector(encode_vector(rows[:0])).shape == (0, 3)


def test_rows() -> None:
    rows = np.random.default_rng(3).random((100, 7), dtype=np.float32)
    decoded = decode_rows([encode_vector(row) for row in rows])
    assert decoded.dtype == np.float32
    assert decoded.flags.c_contiguous
    assert np.array_equal(decoded, rows)
    assert decode_rows([]).shape == (0, 0)


def test_damaged_vectors_are_found() -> None:
    good = encode_vector(np.ones(4, dtype=np.float32))
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 16
        with pytest.raises(CorruptData):
            decode_vector(bytes(bad))
        with pytest.raises(CorruptData):
            decode_rows([good, bytes(bad)])
    for size in range(len(good)):
        with pytest.raises(CorruptData):
            decode_vector(good[:size])


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize(
    "body",
    [b"\x01\x02\x03\x01", b"\0\0\0\0\x03", b"\0\0\0\0\0\0\x02", b"\0\0\0\0\x03\0\x02", b"\x02"],
    ids=["three bytes", "kind 3", "dimension 0", "half a row", "no dimension"],
)
def test_vectors_that_do_not_follow_the_format_are_refused(body: bytes) -> None:
    with pytest.raises(CorruptData):
        decode_vector(sealed(body))
    with pytest.raises(CorruptData):
        decode_rows([sealed(body)])


def test_rows_must_be_of_one_length_and_single() -> None:
    one, two = (encode_vector(np.ones(n, dtype=np.float32)) for n in (4, 5))
    with pytest.raises(CorruptData, match="21, 25"):
        decode_rows([one, two])
    with pytest.raises(CorruptData, match="single"):
        decode_rows([encode_vector(np.ones((2, 2), dtype=np.float32))] * 2)


def test_versions_sort_as_bytes() -> None:
    versions = [
        Version(0),
        Version(1, 0, 5),
        Version(1, 1, 0),
        Version(1, 1, 9),
        Version(2**48 - 1),
    ]
    encoded = [encode_version(version) for version in versions]
    assert encoded == sorted(encoded)
    assert [decode_version(value) for value in encoded] == versions
    with pytest.raises(CorruptData, match="3 bytes"):
        decode_version(b"123")
    with pytest.raises(AssertionError):
        encode_version(Version(2**48))


def test_versions_never_go_back() -> None:
    clock = ManualClock(1000)
    versions = VersionClock(clock, node=4, floor=Version(0))
    made = [versions.next() for _ in range(3)]
    assert made == [Version(1000, 0, 4), Version(1000, 1, 4), Version(1000, 2, 4)]
    clock.advance(1)
    assert versions.next() == Version(1001, 0, 4)
    versions.observe(Version(5000, 7, 1))
    versions.observe(Version(10))
    assert versions.next() == Version(5000, 8, 4)
    set_back = VersionClock(ManualClock(3), node=4, floor=Version(5000, 0xFFFF, 4))
    assert set_back.next() == Version(5001, 0, 4), "a full counter moves the time"
    assert set_back.next() == Version(5001, 1, 4)
