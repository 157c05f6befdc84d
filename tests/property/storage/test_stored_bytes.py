"""Codecs: everything comes back, protobuf agrees, and other bytes never pass as good ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pyroaring import BitMap

from weftdb.core.errors import CorruptData
from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import DocId, ObjectId, ShardId, Version
from weftdb.proto.v1 import values_pb2 as pb
from weftdb.storage.doc_ids import DocIdTable
from weftdb.storage.kv import WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import decode_object, encode_object
from weftdb.storage.property_codec import PropertyEncoder, decode_properties
from weftdb.storage.vector_codec import decode_rows, decode_vector, encode_vector
from weftdb.storage.versions import decode_version, encode_version

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
INT = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False)
SCALARS: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.TEXT: TEXT,
    DataType.INT: INT,
    DataType.NUMBER: NUMBER,
    DataType.BOOLEAN: st.booleans(),
    DataType.DATE: TEXT,
    DataType.UUID: st.uuids().map(str),
}


def property_strategy(
    name: str, depth: int
) -> st.SearchStrategy[tuple[Property, st.SearchStrategy[Any]]]:
    """A property called `name`, and its values."""
    plain = st.sampled_from(sorted(SCALARS, key=lambda kind: kind.value)).flatmap(
        lambda kind: st.sampled_from(
            [
                (Property(name, kind), SCALARS[kind]),
                (Property(name, kind, is_array=True), st.lists(SCALARS[kind], max_size=5)),
            ]
        )
    )
    if not depth:
        return plain
    nested = schema_strategy(depth - 1).flatmap(
        lambda inner: st.sampled_from(
            [
                (Property(name, DataType.OBJECT, nested=inner[0]), inner[1]),
                (
                    Property(name, DataType.OBJECT, is_array=True, nested=inner[0]),
                    st.lists(inner[1], max_size=3),
                ),
            ]
        )
    )
    return plain | nested


def schema_strategy(
    depth: int,
) -> st.SearchStrategy[tuple[tuple[Property, ...], st.SearchStrategy[dict[str, Any]]]]:
    """Properties with names of their own, and objects that have some of them."""
    names = st.lists(st.sampled_from(["a", "bc", "ünï", "_d9"]), unique=True, max_size=4)
    return names.flatmap(
        lambda chosen: st.tuples(*[property_strategy(name, depth) for name in chosen])
    ).map(
        lambda pairs: (
            tuple(item for item, _ in pairs),
            st.fixed_dictionaries({}, optional={item.name: values for item, values in pairs}),
        )
    )


OBJECTS = schema_strategy(2).flatmap(lambda made: st.tuples(st.just(made[0]), made[1]))


@settings(max_examples=150, deadline=None)
@given(OBJECTS)
def test_properties(made: tuple[tuple[Property, ...], dict[str, Any]]) -> None:
    properties, values = made
    message = PropertyEncoder(Collection("A", properties)).encode(values)
    assert decode_properties(message) == values
    parsed = pb.Properties.FromString(message)
    assert set(parsed.fields) == set(values)
    assert decode_properties(parsed.SerializeToString()) == values


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_as_properties(data: bytes) -> None:
    try:
        decode_properties(data)
    except CorruptData:
        return


VERSIONS = st.builds(
    Version, st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
)


@settings(max_examples=100)
@given(VERSIONS, VERSIONS)
def test_versions(one: Version, two: Version) -> None:
    assert decode_version(encode_version(one)) == one
    assert (encode_version(one) < encode_version(two)) == (one < two)


@settings(max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(-(2**63), 2**63 - 1),
    VERSIONS,
    st.data(),
)
def test_objects(
    doc: int, name: bytes, time_ms: int, version: Version, data: st.DataObject
) -> None:
    value = encode_object(
        doc_id=DocId(doc),
        object_id=ObjectId(name),
        created_ms=time_ms,
        updated_ms=-time_ms - 1,
        version=version,
        properties=b"",
    )
    found = decode_object(value)
    assert (found.doc_id, found.id, found.version) == (doc, name, version)
    assert (found.created_ms, found.updated_ms) == (time_ms, -time_ms - 1)
    bad = bytearray(value)
    bad[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptData):
        decode_object(bytes(bad))


FLOATS = st.floats(width=32)


@settings(max_examples=100, deadline=None)
@given(
    npst.arrays(np.float32, npst.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FLOATS)
)
def test_vectors(rows: Any) -> None:
    assert decode_vector(encode_vector(rows)).tobytes() == rows.tobytes()
    assert decode_rows([encode_vector(row) for row in rows]).tobytes() == rows.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9_000), st.sets(st.integers(0, 30_000), max_size=30)), max_size=6
    )
)
def test_live_docs(writes: list[tuple[int, set[int]]]) -> None:
    store, live = MemoryStore(), set[int]()
    table = DocIdTable(store, ShardId(1))
    for count, wanted in writes:
        gone = [DocId(doc) for doc in sorted(wanted & live)]
        added = [DocId(doc) for doc in table.allocate(count)]
        batch = WriteBatch()
        table.stage(batch, added, gone, {"p": (len(added) - len(gone), count)})
        store.write(batch)
        table.publish(added, gone, {"p": (len(added) - len(gone), count)})
        live = (live | set(added)) - set(gone)
        again = DocIdTable(store, ShardId(1))
        assert again.live == table.live == BitMap(live)
        assert again.next_doc_id == table.next_doc_id
        assert again.lengths == table.lengths
