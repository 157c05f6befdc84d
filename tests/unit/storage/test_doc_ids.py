"""Doc ids, live docs and length sums: what is staged is what the next opening finds."""

from __future__ import annotations

import pytest
from pyroaring import BitMap

from weftdb.core.errors import CorruptData, LimitExceeded
from weftdb.core.limits import DOC_IDS_PER_SHARD_MAX
from weftdb.core.types import DocId, ShardId
from weftdb.storage import keys
from weftdb.storage.doc_ids import DocIdTable, decode_lengths, encode_lengths
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.memory import MemoryStore

SHARD = ShardId(3)


def change(
    store: KeyValueStore,
    table: DocIdTable,
    count: int,
    removed: list[int],
    lengths: dict[str, tuple[int, int]] | None = None,
) -> WriteBatch:
    """One write: `count` new docs, `removed` gone."""
    batch, added = WriteBatch(), [DocId(doc) for doc in table.allocate(count)]
    gone = [DocId(doc) for doc in removed]
    table.stage(batch, added, gone, lengths or {})
    store.write(batch)
    table.publish(added, gone, lengths or {})
    return batch


def test_an_empty_shard() -> None:
    table = DocIdTable(MemoryStore(), SHARD)
    assert (table.next_doc_id, table.end, len(table.live), table.lengths) == (0, 0, 0, {})


def test_what_is_written_is_found_again(store: KeyValueStore) -> None:
    table = DocIdTable(store, SHARD)
    change(store, table, 5000, [], {"title": (5000, 20_000), "text": (10, 400)})
    change(store, table, 70_000, [0, 4095, 4096, 4999], {"title": (-4, -16)})
    change(store, table, 1, list(range(70_000, 75_000)))
    change(store, table, 0, [10])
    again = DocIdTable(store, SHARD)
    assert again.live == table.live
    expected = BitMap(range(75_001)) - BitMap([0, 10, 4095, 4096, 4999])
    assert again.live == expected - BitMap(range(70_000, 75_000))
    assert (again.next_doc_id, again.end) == (75_001, 75_001)
    assert again.lengths == table.lengths
    assert again.lengths["title"].docs == 4996
    assert again.lengths["text"].mean == 40.0


def test_memory_moves_only_with_publish() -> None:
    store = MemoryStore()
    table = DocIdTable(store, SHARD)
    change(store, table, 10, [])
    before = table.live
    batch, added = WriteBatch(), [DocId(doc) for doc in table.allocate(5)]
    table.stage(batch, added, [DocId(0)], {"t": (1, 1)})
    assert table.live is before
    assert (len(table.live), table.end, table.lengths) == (10, 10, {})
    table.publish(added, [DocId(0)], {"t": (1, 1)})
    assert before == BitMap(range(10)), "readers keep the bitmap that they took"
    assert (len(table.live), table.end) == (14, 15)


def test_a_write_that_failed_leaves_a_gap_and_no_reuse() -> None:
    store = MemoryStore()
    table = DocIdTable(store, SHARD)
    lost = table.allocate(3)
    change(store, table, 2, [])
    assert list(table.live) == [3, 4]
    assert not set(lost) & set(DocIdTable(store, SHARD).allocate(10))


def test_a_write_writes_small_chunks() -> None:
    store = MemoryStore()
    table = DocIdTable(store, SHARD)
    change(store, table, 100_000, [])
    change(store, table, 0, list(range(1, 100_000, 2)))
    batch = change(store, table, 1, [50_000])
    assert batch.bytes < 2 * 600 + 100


def test_a_full_shard_is_refused() -> None:
    table = DocIdTable(MemoryStore(), SHARD)
    table.next_doc_id = DOC_IDS_PER_SHARD_MAX - 2
    assert list(table.allocate(2)) == [DOC_IDS_PER_SHARD_MAX - 2, DOC_IDS_PER_SHARD_MAX - 1]
    with pytest.raises(LimitExceeded, match="copy the collection"):
        table.allocate(1)


def damaged(key: bytes, edit: int | bytes) -> KeyValueStore:
    """A store whose row `key` has a flipped byte (or another value)."""
    store = MemoryStore()
    change(store, DocIdTable(store, SHARD), 5000, [7], {"title": (1, 2)})
    value = bytearray(store.get(Family.METADATA, key) or b"")
    assert value
    if isinstance(edit, int):
        value[edit] ^= 1
    else:
        value[:] = edit
    batch = WriteBatch()
    batch.put(Family.METADATA, key, bytes(value))
    store.write(batch)
    return store


@pytest.mark.parametrize("edit", [0, 5, -1, b"", b"\0\0\0\0", b"abc"])
@pytest.mark.parametrize("key", [keys.counters_key(SHARD), keys.live_key(SHARD, 1)])
def test_damage_is_found(key: bytes, edit: int | bytes) -> None:
    store = damaged(key, edit)
    with pytest.raises(CorruptData):
        DocIdTable(store, SHARD)


def test_rows_that_contradict_each_other_are_found() -> None:
    store = MemoryStore()
    change(store, DocIdTable(store, SHARD), 5000, [])
    chunk = store.get(Family.METADATA, keys.live_key(SHARD, 1)) or b""
    moved = WriteBatch()
    moved.put(Family.METADATA, keys.live_key(SHARD, 2), chunk)
    store.write(moved)
    with pytest.raises(CorruptData, match="another chunk"):
        DocIdTable(store, SHARD)
    lost = WriteBatch()
    lost.delete(Family.METADATA, keys.live_key(SHARD, 2))
    lost.delete(Family.METADATA, keys.counters_key(SHARD))
    store.write(lost)
    with pytest.raises(CorruptData, match="given out"):
        DocIdTable(store, SHARD)


def test_lengths_row() -> None:
    pairs = [(0, 1), (300, 2**32 - 1)]
    assert decode_lengths(encode_lengths(pairs)) == pairs
    assert decode_lengths(b"") == []
    with pytest.raises(CorruptData, match="5 bytes"):
        decode_lengths(b"12345")
