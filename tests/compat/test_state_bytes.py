"""States go between nodes of two releases and wait in hints: these bytes stay readable."""

from __future__ import annotations

import numpy as np
import pytest

from weftdb.core.objects import ObjectState
from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import UNNAMED, ObjectId, VectorName, Version
from weftdb.storage.property_codec import PropertyEncoder
from weftdb.storage.state_codec import decode_state, encode_state

ID = ObjectId(bytes(range(16)))
VERSION = Version(1_700_000_000_123, 5, 77)
ENCODER = PropertyEncoder(Collection("A", (Property("text", DataType.TEXT),)))
ROW = np.array([1.0, -2.5, 0.0], dtype=np.float32)
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
TIMES = (1_700_000_000_000, 1_700_000_000_123)
STATES = {
    "object": (
        ObjectState(ID, VERSION, False, *TIMES, {"text": "Grüße"},
                    {VectorName("tï"): MATRIX, UNNAMED: ROW}),
        "16b0e2410100000102030405060708090a0b0c0d0e0f018bcfe5687b0005000000000000004d0068e5cf8b01"
        "00007b68e5cf8b0100001300000002000a110a047465787412096a074772c3bcc39f6500110000000000803f"
        "000020c0000000000116bd3f480374c3af170000000000803f000000400000404000008040020002a90b621f",
    ),
    "bare object": (
        ObjectState(ID, VERSION, False, 1, 2),
        "396b375c0100000102030405060708090a0b0c0d0e0f018bcfe5687b0005000000000000004d010000000000"
        "00000200000000000000"
        "000000000000",
    ),
    "deletion": (
        ObjectState(ID, VERSION, True),
        "447872880101000102030405060708090a0b0c0d0e0f018bcfe5687b0005000000000000004d000000000000"
        "00000000000000000000"
        "000000000000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_written_and_read_as_ever(name: str) -> None:
    state, written = STATES[name]
    assert encode_state(state, ENCODER).hex() == written
    read = decode_state(bytes.fromhex(written))
    assert (read.id, read.version, read.is_deleted) == (ID, VERSION, state.is_deleted)
    assert (read.created_ms, read.updated_ms) == (state.created_ms, state.updated_ms)
    assert read.properties == state.properties
    assert read.vectors.keys() == state.vectors.keys()
    for vector in state.vectors:
        assert np.array_equal(read.vectors[vector], state.vectors[vector])
