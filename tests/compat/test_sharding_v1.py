"""Sharding states, tenant pages and plans that were written once are read for ever, and ids lie
where they lay."""

from __future__ import annotations

import pytest

from weftdb.cluster.rebalance.plan import decode_plan, encode_plan
from weftdb.cluster.ring import range_of
from weftdb.cluster.sharding import decode_sharding, encode_sharding
from weftdb.cluster.tenant_pages import bits_of, decode_page, encode_page
from weftdb.core.types import ObjectId, ShardName

STATE = (
    b'{"format":1,"factor":2,"virtualPerPhysical":128,"desiredCount":3,"nodes":["n1","n2","n3"],'
    b'"shards":[["A",[0,1]],["B",[1,2],[0]],["C",[2,0]]],"runs":[[0,128],[1,120],[2,136]],'
    b'"moving":[[100,28,2]]}'
)
PAGE = (
    b'{"format":1,"bits":"","nodes":["n1","n2"],"sets":[[0,1],[1]],'
    b'"tenants":{"COLD":[["b"],[]],"HOT":[["a"],["c"]]}}'
)
PLAN = (
    b'{"format":1,"purpose":"p","notes":["n"],"steps":['
    b'{"kind":"AddShard","collection":"C","shard":"S","replicas":["n1","n2"],'
    b'"bytes":0,"objects":0,"after":[],"why":"","state":"READY"},'
    b'{"kind":"MoveReplica","collection":"C","shard":"S","source":"n1","leaving":"n1",'
    b'"target":"n3","bytes":7,"objects":2,"after":[0],"why":"w","state":"HYDRATING"}]}'
)
LIES_IN = {
    "00000000000000000000000000000000": "A",
    "ffffffffffffffffffffffffffffffff": "C",
    "000102030405060708090a0b0c0d0e0f": "A",
    "6ba7b8109dad11d180b400c04fd430c8": "B",
}


def test_a_sharding_state_is_read_and_written_as_ever() -> None:
    assert encode_sharding(decode_sharding(STATE, collection="C")) == STATE


@pytest.mark.parametrize(("digits", "shard"), LIES_IN.items())
def test_an_id_lies_where_it_lay(digits: str, shard: str) -> None:
    state = decode_sharding(STATE, collection="C")
    assert state.shard_of(ObjectId(bytes.fromhex(digits))).name == shard


def test_virtual_shards_are_the_ranges_that_they_were() -> None:
    assert (range_of(1, 384).start, range_of(1, 384).stop) == (
        48_038_396_025_285_291,
        96_076_792_050_570_582,
    )


def test_a_tenant_page_is_read_and_written_as_ever() -> None:
    assert encode_page(decode_page(PAGE, collection="C")) == PAGE
    assert bits_of(ShardName("tenant-ü"))[:16] == "1001000001111110"


def test_a_plan_is_read_and_written_as_ever() -> None:
    assert encode_plan(decode_plan(PLAN)) == PLAN
