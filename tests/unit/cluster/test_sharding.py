"""Sharding states: where ids lie, the steps from state to state, and damage that is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from weftdb.cluster.sharding import (
    PlacedShard,
    ShardingState,
    VirtualMove,
    decode_sharding,
    encode_sharding,
)
from weftdb.core.errors import CorruptData
from weftdb.core.types import NodeName, ObjectId, ShardName

N1, N2, N3, N4 = (NodeName(f"n{number}") for number in range(1, 5))
A, B, C = (ShardName(name) for name in "ABC")


def three_shards() -> ShardingState:
    placed = (
        PlacedShard(A, (N1, N2)),
        PlacedShard(B, (N2, N3)),
        PlacedShard(C, (N3, N1)),
    )
    return ShardingState.create(placed, factor=2)


def ids(count: int) -> list[ObjectId]:
    source = random.Random(11)
    return [ObjectId(source.randbytes(16)) for _ in range(count)]


def test_a_batch_is_grouped_as_its_ids_lie() -> None:
    state, batch = three_shards(), ids(300)
    groups = state.shards_of(batch)
    assert sorted(groups) == [A, B, C]
    assert sorted(at for positions in groups.values() for at in positions.tolist()) == list(
        range(300)
    )
    for name, positions in groups.items():
        assert positions.tolist() == sorted(positions.tolist())
        assert all(state.shard_of(batch[at]).name == name for at in positions)
        assert 70 < len(positions) < 130
    assert state.shards_of([]) == {}
    assert list(state.shards_of(batch[:1])) == [state.shard_of(batch[0]).name]


def test_a_row_that_moves_is_written_in_both_shards_and_read_in_one() -> None:
    state, batch = three_shards(), ids(300)
    move = VirtualMove(first=64, length=64, target=1)
    moving = state.with_moving(move)
    tokens = state.moving_range(move)
    before, reads, writes = (
        state.shards_of(batch),
        moving.shards_of(batch),
        moving.write_shards_of(batch),
    )
    assert {name: found.tolist() for name, found in reads.items()} == {
        name: found.tolist() for name, found in before.items()
    }
    gained = sorted(set(writes[B].tolist()) - set(reads[B].tolist()))
    assert gained
    assert set(gained) <= set(reads[A].tolist())
    assert writes[A].tolist() == reads[A].tolist()

    moved = moving.with_moved(move)
    assert moved.moving == (VirtualMove(first=64, length=64, target=0),)
    assert moved.shards_of(batch)[B].tolist() == sorted(writes[B].tolist())
    assert moved.ranges_of(B)[0].start == tokens.start
    assert moved.ranges_of(A)[0].stop == tokens.start
    assert replace(moving.without_moving(move), may_stray=False) == state
    assert state.write_shards_of(batch).keys() == state.shards_of(batch).keys()
    assert moving.write_shards_of([]) == {}


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (VirtualMove(100, 60, 2), "has the owners"),
        (VirtualMove(0, 10, 0), "has arrived"),
        (VirtualMove(60, 10, 2), "meets a row"),
    ],
)
def test_rows_that_cannot_move_are_refused(move: VirtualMove, reason: str) -> None:
    state = three_shards().with_moving(VirtualMove(64, 64, 1))
    with pytest.raises(AssertionError, match=reason):
        state.with_moving(move)


def test_a_replica_joins_counts_and_leaves() -> None:
    state = three_shards().with_joining(A, N3)
    shard = state.shard(A)
    assert shard == PlacedShard(A, (N1, N2), (N3,))
    assert shard is not None
    assert shard.holders == (N1, N2, N3)
    assert shard.write_groups == ((N1, N2), (N1, N2, N3))
    assert [held.name for held in state.held_on(N3)] == [A, B, C]
    state = state.with_joined(A, N3)
    assert state.shard(A) == PlacedShard(A, (N1, N2, N3))
    assert PlacedShard(A, (N1, N2, N3)).write_groups == ((N1, N2, N3),)
    state = state.without_node(A, N1)
    assert state.shard(A) == PlacedShard(A, (N2, N3))
    assert state.replica_counts() == {N1: 1, N2: 2, N3: 3}


def test_a_shard_keeps_its_last_replica() -> None:
    state = three_shards().without_node(A, N1)
    with pytest.raises(AssertionError, match="no replica"):
        state.without_node(A, N2)
    with pytest.raises(AssertionError, match="holds nothing"):
        state.without_node(A, N4)
    with pytest.raises(AssertionError, match="has data"):
        state.with_joining(A, N2)
    with pytest.raises(AssertionError, match="does not join"):
        state.with_joined(A, N4)


def test_shards_come_and_go() -> None:
    added = PlacedShard(ShardName("D"), (N4, N1))
    state = three_shards().with_shard_added(added).with_desired_count(4)
    assert state.sharding_counts() == {
        "virtualPerPhysical": 128,
        "desiredCount": 4,
        "actualCount": 4,
        "desiredVirtualCount": 512,
        "actualVirtualCount": 384,
    }
    assert state.ranges_of(added.name) == ()
    row = VirtualMove(0, 128, 3)
    emptied = state.with_moving(row).with_moved(row).without_moving(VirtualMove(0, 128, 0))
    gone = emptied.with_moving(VirtualMove(128, 1, 2)).without_shard(A)
    assert [shard.name for shard in gone.shards] == [B, C, "D"]
    assert gone.moving == (VirtualMove(128, 1, 1),)
    assert gone.shard(A) is None
    assert gone.table.runs[0] == (2, 128)
    with pytest.raises(AssertionError, match="cannot go"):
        gone.without_shard(B)
    with pytest.raises(AssertionError, match="being given"):
        state.with_moving(VirtualMove(0, 1, 3)).without_shard(added.name)


def test_what_a_replica_may_hold_while_a_row_moves() -> None:
    state = three_shards()
    assert not state.may_stray
    move = VirtualMove(first=64, length=64, target=1)
    back = VirtualMove(first=64, length=64, target=0)
    moving = state.with_moving(move)
    moved = moving.with_moved(move)
    settled = moved.without_moving(back)
    row = moving.moving_range(move)
    assert moving.kept_ranges(A) == state.ranges_of(A)
    assert moving.kept_ranges(B) == (row, *state.ranges_of(B))
    assert row in moved.kept_ranges(A), "it is written to until all know that it has moved"
    assert settled.kept_ranges(A) == settled.ranges_of(A)
    assert sum(each.share for each in settled.kept_ranges(A)) == pytest.approx(1 / 6)
    assert state.kept_ranges(ShardName("gone")) == ()
    for each in (moving, moved, settled, moving.without_moving(move)):
        assert each.may_stray, "a replica that is away may have what is not its shard's"
        assert decode_sharding(encode_sharding(each), collection="Doc") == each
    assert b"mayStray" not in encode_sharding(state)


def test_cutting_virtual_shards_keeps_what_moves() -> None:
    state = three_shards().with_moving(VirtualMove(64, 32, 1))
    assert state.refined(2).moving == (VirtualMove(128, 64, 1),)
    assert state.refined(2).moving_range(VirtualMove(128, 64, 1)) == state.moving_range(
        state.moving[0]
    )


def test_a_state_comes_back_from_its_json() -> None:
    state = three_shards().with_joining(B, N1).with_moving(VirtualMove(200, 10, 0)).with_factor(3)
    assert decode_sharding(encode_sharding(state), collection="Doc") == state


def damaged(**changes: Any) -> bytes:
    body = json.loads(encode_sharding(three_shards().with_moving(VirtualMove(0, 9, 1))))
    return json.dumps({key: value for key, value in {**body, **changes}.items() if value != "gone"
    }).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "no JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff{", "no JSON"),
        (damaged(format=2), "format 2, and this build reads 1"),
        (damaged(format="gone"), "format None"),
        (damaged(factor=0), "factor is 0"),
        (damaged(factor=True), "factor is True"),
        (damaged(desiredCount="gone"), "desiredCount is None"),
        (damaged(virtualPerPhysical="128"), "virtualPerPhysical is '128'"),
        (damaged(nodes="n1"), "nodes is 'n1'"),
        (damaged(nodes=["n1", "n2", "n2"]), "nodes names something twice"),
        (damaged(nodes=["n1", "", "n3"]), "no name"),
        (damaged(shards=[]), "no shards"),
        (damaged(shards=[["A"]]), "a shard is"),
        (damaged(shards=[["", [0]]]), "called ''"),
        (damaged(shards=[["A", []]]), "A has no replicas"),
        (damaged(shards=[["A", [0, 0]]]), "the replicas of A names something twice"),
        (damaged(shards=[["A", [3]]]), "the replicas of A is 3, and 3 are there"),
        (damaged(shards=[["A", [-1]]]), "at least 0"),
        (damaged(shards=[["A", [0], [0]]]), "a replica that joins"),
        (damaged(shards=[["A", [0]], ["A", [1]], ["C", [1]]]), "one name"),
        (damaged(runs=[]), "no virtual shards"),
        (damaged(runs=[[3, 1]]), "the owner of a run is 3"),
        (damaged(runs=[[0, 0]]), "the length of a run is 0"),
        (damaged(runs=[[0, 1], [0, 1]]), "two runs of shard 0 touch"),
        (damaged(runs=[[0, 2**40]]), "1048576 are allowed"),
        (damaged(runs=[[0, 1.5]]), "not a whole number"),
        (damaged(moving=[[0, 0, 1]]), "the length of a moving row"),
        (damaged(moving=[[380, 5, 1]]), "the length of a moving row"),
        (damaged(moving=[[0, 1, 0]]), "goes to its owner"),
        (damaged(moving=[[100, 50, 2]]), "several owners"),
        (damaged(moving=[[0, 4, 1], [3, 2, 2]]), "meets another"),
        (damaged(mayStray=1), "not true or false"),
        (damaged(moving=[[0, 4, 9]]), "the target of a moving row"),
    ],
)
def test_a_damaged_state_is_refused_with_the_reason(value: bytes, reason: str) -> None:
    with pytest.raises(CorruptData, match=reason) as caught:
        decode_sharding(value, collection="Doc")
    assert "the sharding state of Doc is damaged" in str(caught.value)
