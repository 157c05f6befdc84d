"""The ring: virtual shards are equal ranges of tokens, and a table gives each an owner."""

from __future__ import annotations

import numpy as np
import pytest

from weftdb.cluster.ring import VirtualTable, range_of, virtual_of, virtuals_of
from weftdb.core.limits import VIRTUAL_SHARDS_MAX

LAST = 2**64 - 1


def test_virtual_shards_cut_the_ring_into_equal_parts() -> None:
    assert [virtual_of(token, 4) for token in (0, 2**62 - 1, 2**62, LAST)] == [0, 0, 1, 3]
    assert range_of(0, 4).start == 0
    assert range_of(3, 4).stop == 2**64
    assert range_of(1, 4, length=2).share == 0.5


@pytest.mark.parametrize("count", [1, 3, 384, 1000, VIRTUAL_SHARDS_MAX])
def test_a_range_holds_exactly_the_tokens_of_its_virtual_shard(count: int) -> None:
    for virtual in {0, count // 3, count - 1}:
        tokens = range_of(virtual, count)
        assert virtual_of(tokens.start, count) == virtual
        assert virtual_of(tokens.stop - 1, count) == virtual
        assert tokens.start == 0 or virtual_of(tokens.start - 1, count) == virtual - 1
        assert tokens.start in tokens
        assert tokens.stop not in tokens


@pytest.mark.parametrize("count", [1, 3, 384, VIRTUAL_SHARDS_MAX])
def test_a_column_has_the_virtual_shards_of_its_tokens(count: int) -> None:
    edges = [range_of(virtual, count).start for virtual in {0, count // 2, count - 1}]
    wanted = [0, 1, LAST, 2**32, 2**63, *edges, *(max(0, edge - 1) for edge in edges)]
    found = virtuals_of(np.array(wanted, dtype=np.uint64), count)
    assert found.tolist() == [virtual_of(token, count) for token in wanted]


def test_an_even_table_gives_each_shard_a_row() -> None:
    table = VirtualTable.even(3, virtual_per_shard=128)
    assert table.runs == ((0, 128), (1, 128), (2, 128))
    assert table.counts(4) == [128, 128, 128, 0]
    assert table.owner_of(0) == 0
    assert table.owner_of(LAST) == 2
    assert table.owners_of(np.array([LAST, 0], dtype=np.uint64)).tolist() == [2, 0]


def test_neighbours_of_one_owner_are_one_run() -> None:
    table = VirtualTable.of_owners([0, 0, 1, 0])
    assert table.runs == ((0, 2), (1, 1), (0, 1))
    assert table.with_owner(2, 0, length=1).runs == ((0, 4),)
    first, second = table.ranges_of(0)
    assert (first.start, first.stop, second.stop) == (0, 2**63, 2**64)


def test_cutting_virtual_shards_moves_nothing() -> None:
    table = VirtualTable.of_owners([0, 2, 1])
    tokens = np.random.default_rng(3).integers(0, 2**64, 500, dtype=np.uint64)
    assert table.refined(7).count == 21
    assert table.refined(7).owners_of(tokens).tolist() == table.owners_of(tokens).tolist()


def test_shards_get_new_numbers() -> None:
    table = VirtualTable.of_owners([0, 2, 0])
    assert table.renumbered([0, None, 1]).runs == ((0, 1), (1, 1), (0, 1))
    with pytest.raises(AssertionError, match="cannot go"):
        table.renumbered([0, 1, None])


def test_the_owners_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        VirtualTable.even(1, virtual_per_shard=1).owners[0] = 1
