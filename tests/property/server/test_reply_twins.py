"""The native reply and its twin in Python write messages that mean the same, whatever is stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weftdb.core.errors import CorruptData
from weftdb.core.query import Hits
from weftdb.core.types import DocId, ObjectId, Version
from weftdb.index.kernels import _native
from weftdb.proto.v1 import search_pb2, values_pb2
from weftdb.server.grpc import wire
from weftdb.server.grpc.reply import assemble_by_reference, assemble_reply
from weftdb.server.grpc.reply_shape import ReplyShape, native_selection
from weftdb.server.grpc.selection import Selection
from weftdb.storage.object_codec import encode_object

NAMES = ["a", "b", "title", "été", "x" * 200]
names = st.sampled_from(NAMES)


def _value(**kind: Any) -> values_pb2.Value:
    return values_pb2.Value(**kind)


def _message(fields: dict[str, values_pb2.Value]) -> values_pb2.Properties:
    return values_pb2.Properties(fields=fields)


def _objects(items: list[values_pb2.Properties]) -> values_pb2.Value:
    values = values_pb2.ObjectValues(values=items)
    return _value(list_value=values_pb2.ListValue(object_values=values))


def _texts(items: list[str]) -> values_pb2.Value:
    values = values_pb2.TextValues(values=items)
    return _value(list_value=values_pb2.ListValue(text_values=values))


leaves = st.one_of(
    st.text(max_size=300).map(lambda text: _value(text_value=text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: _value(int_value=number)),
    st.floats(allow_nan=False).map(lambda number: _value(number_value=number)),
    st.booleans().map(lambda flag: _value(bool_value=flag)),
    st.lists(st.text(max_size=5), max_size=3).map(_texts),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, max_size=3).map(lambda d: _value(object_value=_message(d))),
        st.lists(st.dictionaries(names, inner, max_size=3).map(_message), max_size=3).map(_objects),
    ),
    max_leaves=8,
)
properties = st.dictionaries(names, values, max_size=5).map(_message)
selections = st.recursive(
    st.none(),
    lambda inner: st.dictionaries(names, inner, max_size=4).map(
        lambda items: Selection.of(items, with_nulls=len(items) % 2 == 0)
    ),
    max_leaves=6,
).map(lambda found: found or Selection.of({"a": None, "title": None}, with_nulls=True))


def _stored(message: values_pb2.Properties, number: int) -> bytes:
    return encode_object(
        doc_id=DocId(number),
        object_id=ObjectId(number.to_bytes(16, "big")),
        created_ms=number * 10**9,
        updated_ms=number * 10**9 + 1,
        version=Version(number),
        properties=message.SerializeToString(),
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(properties, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=4),
    selections,
    st.tuples(*[st.booleans()] * 9),
)
def test_both_twins_mean_the_same(
    items: list[tuple[values_pb2.Properties, float, float]],
    selection: Selection,
    flags: tuple[bool, ...],
) -> None:
    asked = ("id", "created", "updated", "distance", "certainty", "score", "explain")
    shape = ReplyShape(
        head=wire.field(3, b"Thing"),
        selection=selection,
        consistency=flags[0],
        **dict(zip(asked, flags, strict=False)),
    )
    hits = Hits(
        [_stored(message, number) for number, (message, _, _) in enumerate(items)],
        distances=[distance for _, distance, _ in items] if flags[7] else None,
        scores=[score for _, _, score in items] if flags[8] else None,
        explanations=["why"] * len(items) if flags[8] else None,
        is_consistent=[bool(at % 2) for at in range(len(items))] if flags[7] else None,
        has_certainty=flags[4],
    )
    native = search_pb2.SearchReply.FromString(assemble_reply(hits, shape, 0.5))
    reference = [
        search_pb2.SearchResult.FromString(raw) for raw in assemble_by_reference(hits, shape)
    ]
    assert list(native.results) == reference


@settings(max_examples=100, deadline=None)
@given(properties, st.data())
def test_damaged_bytes_never_read_beyond_their_end(
    message: values_pb2.Properties, data: st.DataObject
) -> None:
    raw = bytearray(message.SerializeToString())
    if raw:
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    inner = Selection.of({"a": None}, with_nulls=False)
    selection = Selection.of({"a": None, "b": inner, "title": inner}, with_nulls=True)
    outcomes = []
    for apply in (native_selection(selection).apply, selection.apply):
        try:
            outcomes.append(apply(bytes(raw)))
        except (CorruptData, _native.DamagedReply):
            outcomes.append(None)
    native, reference = outcomes
    if native is not None and reference is not None:
        assert len(native) == len(reference)


def test_a_stored_object_that_is_cut_off_is_corrupt_data() -> None:
    shape = ReplyShape(b"", Selection.of({"a": None}, with_nulls=False))
    whole = _stored(_message({"a": _value(text_value="x" * 50)}), 1)
    for size in (0, 10, 61, 62, 80, len(whole) - 1):
        with pytest.raises(CorruptData, match="reply cannot be put together"):
            assemble_reply(Hits([whole[:size]]), shape, 0.0)
    with pytest.raises(ValueError, match="differ in their length"):
        assemble_reply(Hits([whole], distances=[]), shape, 0.0)
