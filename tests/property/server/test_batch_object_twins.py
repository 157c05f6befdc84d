"""The native reader of batch objects: what it reads is what protobuf reads, the rest it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.core.errors import InvalidRequest, WeftError
from weftdb.proto.v1 import batch_pb2, vectors_pb2
from weftdb.server.grpc import _session
from weftdb.server.grpc.batch_request import WireObject, _parse_any_object, parse_object

IDS = st.uuids().map(str) | st.sampled_from(["", "no id", "{" + "1" * 32 + "}", "1" * 32, "-" * 36])
FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=4)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS = vectors_pb2.Vectors


@st.composite
def objects(draw: st.DrawFn) -> batch_pb2.BatchObject:
    """Objects as clients send them, and now and then as none does."""
    wire = batch_pb2.BatchObject(uuid=draw(IDS), collection="Doc", tenant=draw(st.text(max_size=3)))
    if draw(st.booleans()):
        values = draw(st.dictionaries(st.text(max_size=6), VALUES, max_size=5))
        wire.properties.non_ref_properties.update(values)
    wire.vector_bytes = np.array(draw(FLOATS), dtype="<f4").tobytes() + draw(
        st.sampled_from([b"", b"", b"x"])
    )
    for name in draw(st.lists(st.sampled_from(["", "a", "b"]), max_size=2)):
        raw = np.array(draw(FLOATS), dtype="<f4").tobytes()
        kind = draw(st.sampled_from([0, 1, 1, 2, 7]))
        wire.vectors.append(KINDS(name=name, vector_bytes=raw, type=kind))  # type: ignore[arg-type]
    if draw(st.integers(0, 3)) == 0:
        wire.properties.int_array_properties.add(prop_name="counts", values=[1, 2])
    if draw(st.integers(0, 5)) == 0:
        wire.vector.extend([1.0, 2.0])
    return wire


def outcome(read: Any, wire: batch_pb2.BatchObject) -> WireObject | str:
    """What reading gives, or its error."""
    try:
        found: WireObject = read(wire)
    except WeftError as error:
        return f"{type(error).__name__}: {error}"
    return found


@settings(max_examples=400, deadline=None)
@given(objects())
def test_both_read_the_same(wire: batch_pb2.BatchObject) -> None:
    expected, found = outcome(_parse_any_object, wire), outcome(parse_object, wire)
    if isinstance(expected, str) or isinstance(found, str):
        assert found == expected
        return
    assert (found.id, found.properties) == (expected.id, expected.properties)
    assert [type(value) for value in found.properties.values()] == [
        type(expected.properties[name]) for name in found.properties
    ]
    assert found.named.keys() == expected.named.keys()
    pairs = [(found.named[name], expected.named[name]) for name in found.named]
    for ours, theirs in [(found.unnamed, expected.unnamed), *pairs]:
        if ours is None or theirs is None:
            assert ours is theirs
        else:
            np.testing.assert_array_equal(ours, theirs, strict=True)


def test_what_clients_send_is_read_natively() -> None:
    wire = batch_pb2.BatchObject(uuid="00000000-0000-0000-0000-0000000000fF", collection="Doc")
    wire.properties.non_ref_properties.update({"text": "ö", "number": 1, "tags": ["a", None]})
    wire.vectors.append(KINDS(name="a", vector_bytes=b"1234", type=1))  # type: ignore[arg-type]
    assert _session.read_batch_object(wire.SerializeToString()) == (
        bytes(15) + b"\xff",
        {"text": "ö", "number": 1.0, "tags": ["a", None]},
        b"",
        [("a", b"1234", 1)],
    )


def test_what_is_cut_off_is_left_to_protobuf() -> None:
    wire = batch_pb2.BatchObject(uuid="00000000-0000-0000-0000-000000000000", collection="Doc")
    wire.properties.non_ref_properties.update({"text": "abc", "inner": {"a": [1, True]}})
    whole = wire.SerializeToString()
    for size in range(len(whole)):
        found = _session.read_batch_object(whole[:size])
        assert found is None or found[1] in ({}, {"text": "abc", "inner": {"a": [1.0, True]}})


def test_an_object_without_an_id_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="has no uuid"):
        parse_object(batch_pb2.BatchObject(collection="Doc"))
