"""States come back from their bytes; whatever else is fed, CorruptData is the only refusal."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData
from weftdb.core.objects import ObjectState
from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import ObjectId, VectorName, Version
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.state_codec import decode_state, encode_state

SCHEMA = Collection(
    "A",
    (
        Property("text", DataType.TEXT),
        Property("int", DataType.INT),
        Property("numbers", DataType.NUMBER, is_array=True),
        Property("flag", DataType.BOOLEAN),
    ),
)
ENCODER = PropertyEncoder(SCHEMA)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
TIMES = st.integers(0, 2**48 - 1)
VERSIONS = st.builds(Version, TIMES, st.integers(0, 0xFFFF), st.integers(0, 2**64 - 1))
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXT,
        "int": st.integers(-(2**63), 2**63 - 1),
        "numbers": st.lists(st.floats(allow_nan=False), max_size=5),
        "flag": st.booleans(),
    },
)


def floats(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


VECTORS = st.dictionaries(
    TEXT.map(VectorName),
    st.one_of(st.tuples(st.integers(1, 9)), st.tuples(st.integers(1, 4), st.integers(1, 9))).map(
        floats
    ),
    max_size=3,
)
IDS = st.binary(min_size=16, max_size=16).map(ObjectId)
OBJECTS = st.builds(ObjectState, IDS, VERSIONS, st.just(False), TIMES, TIMES, PROPERTIES, VECTORS)
STATES = st.one_of(OBJECTS, st.builds(ObjectState, IDS, VERSIONS, st.just(True)))


def described(state: ObjectState) -> tuple[Any, ...]:
    """What two equal states have in common."""
    vectors = {name: (v.shape, v.tobytes()) for name, v in state.vectors.items()}
    head = (state.id, state.version, state.is_deleted, state.created_ms, state.updated_ms)
    return (*head, dict(state.properties), vectors)


@settings(max_examples=150, deadline=None)
@given(state=STATES)
def test_a_state_comes_back(state: ObjectState) -> None:
    value = encode_state(state, ENCODER)
    read = decode_state(value)
    assert described(read) == described(state)
    assert encode_state(read) == value, "one state has one encoding, however it was made"


@settings(max_examples=150, deadline=None)
@given(state=STATES, data=st.data())
def test_a_damaged_state_is_refused(state: ObjectState, data: st.DataObject) -> None:
    value = bytearray(encode_state(state, ENCODER))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    try:
        decode_state(bytes(value))
    except CorruptData:
        return
    raise AssertionError(f"a changed byte at {at} went unnoticed")


@settings(max_examples=200, deadline=None)
@given(state=STATES, data=st.data())
def test_a_state_with_a_fitting_checksum_is_read_or_refused(
    state: ObjectState, data: st.DataObject
) -> None:
    body = bytearray(encode_state(state, ENCODER)[4:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    read_or_refused(struct.pack("<I", zlib.crc32(body)) + body)


@settings(max_examples=200, deadline=None)
@given(value=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(value: bytes) -> None:
    read_or_refused(value)
    read_or_refused(struct.pack("<I", zlib.crc32(value)) + value)


def read_or_refused(value: bytes) -> None:
    with contextlib.suppress(CorruptData):
        described(decode_state(value))
