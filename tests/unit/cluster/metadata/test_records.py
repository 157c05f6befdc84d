"""Records come back as they were, and anything else is named and refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.metadata import records
from weftdb.cluster.metadata.records import (
    AliasRecord,
    CollectionRecord,
    MemberRecord,
    MemberState,
    NodeRecord,
    OperationRecord,
    TenantRecord,
    TenantStatus,
)
from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, NodeName

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**63)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, plain, max_size=4)
CODECS: list[tuple[Callable[[Any], bytes], Callable[[str, bytes], Any], st.SearchStrategy[Any]]] = [
    (
        records.encode_collection,
        records.decode_collection,
        st.builds(CollectionRecord, objects, counts),
    ),
    (records.encode_alias, records.decode_alias, st.builds(AliasRecord, texts)),
    (
        records.encode_tenant,
        records.decode_tenant,
        st.builds(TenantRecord, st.sampled_from(TenantStatus), st.lists(texts).map(tuple)),
    ),
    (
        records.encode_member,
        records.decode_member,
        st.builds(MemberRecord, counts, st.sampled_from(MemberState), texts),
    ),
    (
        records.encode_node,
        records.decode_node,
        st.builds(NodeRecord, texts, texts, counts, counts),
    ),
    (
        records.encode_operation,
        records.decode_operation,
        st.builds(OperationRecord, texts, texts, counts, counts, objects),
    ),
]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    encode, decode, made = data.draw(st.sampled_from(CODECS))
    record = data.draw(made)
    assert decode("/k", encode(record)) == record


def test_the_stored_form() -> None:
    """Golden: what was written once is read forever."""
    tenant = TenantRecord(TenantStatus.ACTIVE, (NodeName("n1"), NodeName("n2")))
    assert records.encode_tenant(tenant) == (
        b'{"format":1,"status":"ACTIVE","replicas":["n1","n2"]}'
    )
    assert records.encode_alias(AliasRecord(CollectionName("Ä"))) == (
        '{"format":1,"collection":"Ä"}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no 'format'"),
        (b'{"format":2}', "format 2"),
        (b'{"format":true}', "no whole number"),
        (b'{"format":1,"replicas":[]}', "no 'status'"),
        (b'{"format":1,"status":"HOT","replicas":[]}', "'HOT' as 'status'"),
        (b'{"format":1,"status":"ACTIVE","replicas":[1]}', "no list of texts"),
        (b'{"format":1,"status":"ACTIVE","replicas":[],"more":1}', "nobody knows: ['more']"),
    ],
)
def test_what_is_no_record_is_corrupt(value: bytes, why: str) -> None:
    with pytest.raises(CorruptData) as raised:
        records.decode_tenant("/weftdb/c/tenants/A/t", value)
    assert "/weftdb/c/tenants/A/t" in str(raised.value)
    assert why in str(raised.value)
