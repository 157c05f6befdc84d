"""The key layout: order, ranges, and no two meanings for one key."""

from __future__ import annotations

import itertools

from weftdb.core.types import UNNAMED, DocId, ObjectId, ShardId, VectorName
from weftdb.storage import keys

SHARDS = [ShardId(number) for number in (1, 2, 255, 256, 65_536, 2**32 - 2)]
DOCS = [DocId(number) for number in (0, 1, 255, 256, 65_535, 65_536, 2**32 - 2)]


def test_byte_order_is_number_order() -> None:
    made = [keys.object_key(shard, doc) for shard, doc in itertools.product(SHARDS, DOCS)]
    assert made == sorted(made)
    assert keys.object_keys(SHARDS[0], DOCS) == made[: len(DOCS)]
    assert [keys.doc_id_of(key) for key in made[: len(DOCS)]] == DOCS


def test_a_shard_range_holds_the_shard_and_nothing_else() -> None:
    for shard in SHARDS:
        start, end = keys.shard_range(shard)
        inside = [
            keys.object_key(shard, DocId(2**32 - 1)),
            keys.id_key(shard, ObjectId(b"\xff" * 16)),
            keys.vector_key(keys.vector_prefix(shard, VectorName("ü" * 100)), DocId(2**32 - 1)),
            keys.block_key(shard, 2**32 - 1, 2**32 - 1),
            keys.manifest_key(shard),
            keys.counters_key(shard),
            keys.live_key(shard, 2**20 - 1),
            keys.tombstone_key(shard, ObjectId(b"\xff" * 16)),
            keys.clock_key(shard),
        ]
        assert all(start <= key < end for key in inside)
        for other in SHARDS:
            if other != shard:
                assert not start <= keys.object_key(other, DocId(0)) < end


def test_vector_names_do_not_run_into_each_other() -> None:
    names = [UNNAMED, VectorName("a"), VectorName("ab"), VectorName("a\0"), VectorName("é")]
    prefixes = [keys.vector_prefix(ShardId(1), name) for name in names]
    for one, two in itertools.permutations(prefixes, 2):
        assert not two.startswith(one)


def test_segments_lie_in_their_ranges() -> None:
    shard = ShardId(7)
    start, end = keys.delta_range(shard)
    assert start <= keys.delta_key(shard, DocId(0)) < keys.delta_key(shard, DocId(2**32 - 1)) < end
    assert not start <= keys.manifest_key(shard) < end
    assert not start <= keys.block_key(shard, 0, 0) < end
    start, end = keys.segment_range(shard, 3)
    assert start <= keys.block_key(shard, 3, 0) < keys.block_key(shard, 3, 2**32 - 1) < end
    assert not start <= keys.block_key(shard, 4, 0) < end
    assert not start <= keys.block_key(shard, 2, 2**32 - 1) < end


def test_metadata_rows_are_apart() -> None:
    start, end = keys.live_range(ShardId(1))
    assert start <= keys.live_key(ShardId(1), 0) < keys.live_key(ShardId(1), 2**20 - 1) < end
    assert keys.chunk_of(keys.live_key(ShardId(1), 77)) == 77
    assert not start <= keys.counters_key(ShardId(1)) < end
    start, end = keys.collection_range()
    assert start <= keys.collection_key("Ärger") < end
    for key in (keys.FORMAT_KEY, keys.NEXT_SHARD_KEY):
        assert not start <= key < end
