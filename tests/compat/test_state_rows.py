"""Rows of states are on disk, and their hashes are compared between nodes: these never change."""

from __future__ import annotations

from weftdb.core.hashing import token
from weftdb.core.objects import Digest
from weftdb.core.types import DocId, ObjectId, ShardId, Version
from weftdb.storage import keys
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.state_rows import ALL_FILLED, StateRows, state_item

SHARD = ShardId(0x01020304)
ID = ObjectId(bytes(range(16)))
VERSION = Version(1_700_000_000_123, 5, 77)
STATE_KEY = "01020304" + "444924b591903f30" + "000102030405060708090a0b0c0d0e0f"
STAMP = "018bcfe5687b0005000000000000004d"


def test_keys() -> None:
    assert keys.state_key(SHARD, token(ID), ID).hex() == STATE_KEY
    assert keys.tombstone_key(SHARD, ID).hex() == "0102030403" + ID.hex()
    assert keys.states_filled_key(SHARD).hex() == "0102030407"
    everything = keys.state_range(SHARD, 0, 2**64)
    assert [key.hex() for key in everything] == ["010203040000000000000000", "01020305"]
    part = keys.state_range(SHARD, 2**60, 2**61)
    assert [key.hex() for key in part] == ["010203041000000000000000", "010203042000000000000000"]


def test_rows() -> None:
    store, batch = MemoryStore(), WriteBatch()
    rows = StateRows(store, SHARD)
    rows.put(batch, token(ID), ID, Digest(VERSION, is_deleted=True))
    rows.mark_filled(batch, DocId(258))
    store.write(batch)
    state = store.get(Family.STATES, bytes.fromhex(STATE_KEY))
    tombstone = store.get(Family.METADATA, keys.tombstone_key(SHARD, ID))
    filled = store.get(Family.METADATA, keys.states_filled_key(SHARD))
    assert [row.hex() for row in (state, tombstone, filled) if row] == [
        STAMP + "01", STAMP, "00000102",
    ]  # fmt: skip
    assert rows.get_many([ID]) == [Digest(VERSION, is_deleted=True)]
    assert list(rows.tombstones()) == [(ID, VERSION)]
    assert rows.filled_to() == 258
    assert ALL_FILLED == 2**32 - 1


def test_what_a_hash_tree_counts() -> None:
    assert state_item(ID, Digest(VERSION)).hex() == ID.hex() + STAMP + "00"
    assert state_item(ID, Digest(VERSION, is_deleted=True)).hex() == ID.hex() + STAMP + "01"
