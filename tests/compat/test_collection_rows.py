"""Rows of collections: those of format 1 are read for ever, and written as format 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from weftdb.core.config import Config
from weftdb.core.definition import add_property, parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import CorruptData
from weftdb.core.types import ShardId, ShardName
from weftdb.engine.collection_row import CollectionRow, ShardEntry, read_row
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.storage import keys
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore

ROW_1 = (
    b'{"format":1,"shard":7,"shard_name":"doc_abcdefghijkl",'
    b'"definition":{"class":"Doc","note":"\xc3\xbc"}}'
)
ROW_2 = (
    b'{"format":2,"shards":[{"number":7,"name":"A","files":"doc_abcdefghijkl"},'
    b'{"number":9,"name":"B","files":"doc_b"}],"definition":{"class":"Doc","note":"\xc3\xbc"}}'
)
ENTRIES = [
    ShardEntry(ShardId(7), ShardName("A"), "doc_abcdefghijkl"),
    ShardEntry(ShardId(9), ShardName("B"), "doc_b"),
]
DEFINITION = {"class": "Doc", "note": "ü"}


def test_rows() -> None:
    assert read_row(ROW_2) == CollectionRow(ENTRIES, DEFINITION)
    assert CollectionRow(ENTRIES, DEFINITION).encoded() == ROW_2
    name = "doc_abcdefghijkl"
    assert read_row(ROW_1) == CollectionRow(
        [ShardEntry(ShardId(7), ShardName(name), name)], DEFINITION
    )


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format":3,"shards":[],"definition":{}}',
        b'{"format":1,"definition":{}}',
        b'{"format":2,"shards":7,"definition":{}}',
        b'{"format":2,"shards":[{"number":7}],"definition":{}}',
        b'{"format":2,"shards":[]}',
    ],
)
def test_what_is_no_row(row: bytes) -> None:
    with pytest.raises(CorruptData, match="a collection row"):
        read_row(row)


class LastingStore(MemoryStore):
    """Keeps its rows when it is closed, as a directory does."""

    def close(self) -> None:
        """Stay open."""


def test_a_directory_with_a_row_of_format_1_opens(tmp_path: Path) -> None:
    store, batch = LastingStore(), WriteBatch()
    body = {"class": "Doc", "vectorizer": "none", "properties": []}
    definition = parse_collection(body)
    row = CollectionRow([], definition.definition).encoded()
    one = b'"shard":7,"shard_name":"doc_abcdefghijkl"'
    row = row.replace(b'"format":2', b'"format":1').replace(b'"shards":[]', one)
    batch.put(Family.METADATA, keys.collection_key("Doc"), row)
    batch.put(Family.METADATA, keys.NEXT_SHARD_KEY, b"\0\0\0\x08")
    store.write(batch)

    def opened() -> Database:
        env = Env(ManualClock(), seed=1)
        return Database(tmp_path, store, config=Config(), vectorizers=Registry(), env=env)

    database = opened()
    shard = database.collection("Doc").only
    assert (shard.number, shard.name, shard.shard.name) == (7, *["doc_abcdefghijkl"] * 2)
    assert store.get(Family.METADATA, keys.collection_key("Doc")) == row, "opening writes nothing"
    database.update_collection(add_property(definition, {"name": "x", "dataType": ["int"]}))
    stored = store.get(Family.METADATA, keys.collection_key("Doc"))
    assert stored is not None
    assert stored.startswith(b'{"format":2,"shards":[{"number":7,"name":"doc_abcdefghijkl",')
    database.close()
    database = opened()
    assert database.collection("Doc").only.name == "doc_abcdefghijkl"
    assert database.add_shard("Doc", ShardName("B")).number == 8
    database.close()
