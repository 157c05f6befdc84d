"""Tenant pages: tenants find their page however often pages were split."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weftdb.cluster.sharding import PlacedShard
from weftdb.cluster.tenant_pages import (
    ROOT,
    Tenant,
    TenantPage,
    bits_of,
    covers_all,
    decode_page,
    encode_page,
    page_of,
)
from weftdb.core.errors import CorruptData
from weftdb.core.limits import TENANTS_PER_PAGE_MAX
from weftdb.core.types import NodeName, ShardName

N1, N2, N3 = NodeName("n1"), NodeName("n2"), NodeName("n3")


def tenant(name: str, *replicas: NodeName, status: str = "HOT") -> Tenant:
    return Tenant(ShardName(name), replicas or (N1, N2), status)


def many(count: int) -> TenantPage:
    return TenantPage(ROOT, {}).with_tenants(tenant(f"tenant-{at}") for at in range(count))


def test_a_page_splits_when_it_is_full_and_keeps_every_tenant() -> None:
    assert many(TENANTS_PER_PAGE_MAX).split() == (many(TENANTS_PER_PAGE_MAX),)
    pages = many(5_000).split()
    bits = {page.bits for page in pages}
    assert len(pages) > 8
    assert covers_all(bits)
    assert max(len(page.tenants) for page in pages) <= TENANTS_PER_PAGE_MAX
    by_bits = {page.bits: page for page in pages}
    for at in range(5_000):
        found = page_of(ShardName(f"tenant-{at}"), bits)
        assert found is not None
        assert f"tenant-{at}" in by_bits[found].tenants


def test_pages_that_leave_a_gap_or_overlap_are_told() -> None:
    assert covers_all([""])
    assert covers_all(["0", "10", "11"])
    assert not covers_all(["0", "10"])
    assert not covers_all(["0", "1", "10"])
    assert not covers_all([])
    assert page_of(ShardName("a"), set()) is None


def test_tenants_change_and_go() -> None:
    page = many(3).with_tenants([tenant("tenant-1", N3, status="COLD")])
    assert page.tenants[ShardName("tenant-1")].shard == PlacedShard(ShardName("tenant-1"), (N3,))
    assert list(page.without({ShardName("tenant-0")}).tenants) == ["tenant-1", "tenant-2"]
    assert len(page.tenants) == 3
    other = "1" if bits_of(ShardName("x"))[0] == "0" else "0"
    with pytest.raises(AssertionError, match="another page"):
        TenantPage(other, {}).with_tenants([tenant("x")])


def test_a_page_comes_back_from_its_json() -> None:
    page = many(40).with_tenants([tenant("ü", N3, N1, status="COLD"), tenant("y", N2)])
    value = encode_page(page)
    assert decode_page(value, collection="Doc") == page
    assert encode_page(decode_page(value, collection="Doc")) == value
    empty = TenantPage("01", {})
    assert decode_page(encode_page(empty), collection="Doc") == empty


def damaged(**changes: Any) -> bytes:
    body = json.loads(encode_page(TenantPage(ROOT, {}).with_tenants([tenant("a"), tenant("b")])))
    return json.dumps({**body, **changes}).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "no JSON"),
        (damaged(format=9), "format 9"),
        (damaged(bits="012"), "its bits are '012'"),
        (damaged(bits=7), "bits is 7"),
        (damaged(sets=[[]]), "no replicas"),
        (damaged(sets=[[0, 5]]), "a replica set is 5"),
        (damaged(tenants=[]), "tenants is \\[\\]"),
        (damaged(tenants={"": [["a"]]}), "no status"),
        (damaged(tenants={"HOT": []}), "the tenants that are HOT"),
        (damaged(tenants={"HOT": ["a"]}), "the tenants that are HOT"),
        (damaged(tenants={"HOT": [["a", 3]]}), "called 3"),
        (damaged(tenants={"HOT": [["a"]], "COLD": [["a"]]}), "in it twice"),
        (damaged(bits=("1" if bits_of(ShardName("a"))[0] == "0" else "0")), "another page"),
    ],
)
def test_a_damaged_page_is_refused_with_the_reason(value: bytes, reason: str) -> None:
    with pytest.raises(CorruptData, match=reason):
        decode_page(value, collection="Doc")
