"""Records come back as they were, and anything else is named and refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.metadata.records import (
    AliasRecord,
    ClusterRecord,
    CollectionRecord,
    MemberRecord,
    MemberState,
    NameRecord,
    NodeRecord,
    ShardStates,
)
from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, ShardName

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
named = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
counts = st.integers(0, 2**63)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, plain, max_size=4)
lives = st.integers(1, 2**40)
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (CollectionRecord, st.builds(CollectionRecord, objects, lives, named)),
    (ShardStates, st.builds(ShardStates, named, st.frozensets(named, max_size=3))),
    (NameRecord, st.builds(NameRecord, texts)),
    (ClusterRecord, st.builds(ClusterRecord, named, lives)),
    (AliasRecord, st.builds(AliasRecord, texts)),
    (MemberRecord, st.builds(MemberRecord, counts, st.sampled_from(MemberState), lives, texts)),
    (NodeRecord, st.builds(NodeRecord, texts, texts, lives, counts)),
]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    kind, made = data.draw(st.sampled_from(KINDS))
    record = data.draw(made)
    assert kind.decode("/k", record.encode()) == record


GOLDEN = [
    (
        CollectionRecord({"class": "Ä"}, 3, "a1"),
        '{"format":1,"definition":{"class":"Ä"},"schema_version":3,"incarnation":"a1"}',
    ),
    (
        ShardStates("a1", frozenset({ShardName("t"), ShardName("s")})),
        '{"format":1,"incarnation":"a1","read_only":["s","t"]}',
    ),
    (NameRecord(CollectionName("Ä")), '{"format":1,"collection":"Ä"}'),
    (ClusterRecord("c1", 4), '{"format":1,"id":"c1","next_number":4}'),
    (AliasRecord(CollectionName("Ä")), '{"format":1,"collection":"Ä"}'),
    (
        MemberRecord(7, MemberState.DRAINING, 2, "a"),
        '{"format":1,"number":7,"state":"DRAINING","generation":2,"zone":"a"}',
    ),
    (
        NodeRecord("h:1", "1.0", 2, 5),
        '{"format":1,"address":"h:1","release":"1.0","generation":2,"disk_free_bytes":5}',
    ),
]


@pytest.mark.parametrize(("record", "written"), GOLDEN)
def test_the_stored_form(record: Any, written: str) -> None:
    """Golden: what was written once is read forever."""
    assert record.encode() == written.encode()
    assert type(record).decode("/k", written.encode()) == record


@pytest.mark.parametrize(
    "value",
    [
        b"", b"\xff", b"[" * 100_000, b"[]", b"{}", b'{"format":2}',
        b'{"format":1,"number":1,"state":"GONE","generation":1,"zone":""}',
        b'{"format":1,"number":1,"state":"JOINED","generation":0,"zone":""}',
        b'{"format":1,"number":1,"state":"JOINED","generation":1}',
        b'{"format":1,"number":true,"state":"JOINED","generation":1,"zone":""}',
        b'{"format":1,"number":-1,"state":"JOINED","generation":1,"zone":""}',
    ],
)  # fmt: skip
def test_what_is_no_record_is_corrupt(value: bytes) -> None:
    with pytest.raises(CorruptData, match="/weftdb/c/members/n"):
        MemberRecord.decode("/weftdb/c/members/n", value)
