"""The ring, any table: one owner for each token, ranges without gap or overlap."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.ring import VirtualTable, range_of, virtual_of, virtuals_of
from weftdb.cluster.sharding import (
    PlacedShard,
    ShardingState,
    VirtualMove,
    decode_sharding,
    encode_sharding,
)
from weftdb.core.types import NodeName, ShardName

TOKENS = st.integers(0, 2**64 - 1)
OWNERS = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=20), st.integers(1, 2**20))
def test_one_token_and_a_column_agree(tokens: list[int], count: int) -> None:
    found = virtuals_of(np.array(tokens, dtype=np.uint64), count).tolist()
    assert found == [virtual_of(token, count) for token in tokens]
    assert all(
        token in range_of(virtual, count) for token, virtual in zip(tokens, found, strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(OWNERS, TOKENS, st.integers(1, 9))
def test_a_token_has_one_owner_and_keeps_it_when_parts_are_cut(
    owners: list[int], token: int, factor: int
) -> None:
    table = VirtualTable.of_owners(owners)
    assert [int(owner) for owner in table.owners] == owners
    owner = table.owner_of(token)
    holders = [each for each in range(6) if any(token in held for held in table.ranges_of(each))]
    assert holders == [owner]
    assert table.refined(factor).owner_of(token) == owner
    assert table.refined(factor).ranges_of(owner) == table.ranges_of(owner)


@settings(max_examples=100, deadline=None)
@given(OWNERS)
def test_ranges_cover_the_ring(owners: list[int]) -> None:
    table = VirtualTable.of_owners(owners)
    ranges = sorted(held for owner in range(6) for held in table.ranges_of(owner))
    assert ranges[0].start == 0
    assert ranges[-1].stop == 2**64
    assert all(left.stop == right.start for left, right in pairwise(ranges))


@settings(max_examples=100, deadline=None)
@given(OWNERS, st.data())
def test_any_state_comes_back_from_its_json(owners: list[int], data: st.DataObject) -> None:
    names = st.lists(
        st.sampled_from([NodeName(f"n{number}") for number in range(7)]),
        min_size=1, max_size=5, unique=True,
    )  # fmt: skip
    shards = []
    for number in range(6):
        nodes = data.draw(names)
        cut = data.draw(st.integers(1, len(nodes)))
        shards.append(PlacedShard(ShardName(f"s{number}"), tuple(nodes[:cut]), tuple(nodes[cut:])))
    table = VirtualTable.of_owners(owners)
    first = data.draw(st.integers(0, len(owners) - 1))
    target = data.draw(st.sampled_from([at for at in range(6) if at != owners[first]]))
    state = ShardingState(tuple(shards), data.draw(st.integers(1, 9)), table, 6)
    state = state.with_moving(VirtualMove(first, 1, target))
    assert decode_sharding(encode_sharding(state), collection="C") == state
