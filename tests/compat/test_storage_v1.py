"""Golden bytes of the storage formats, version 1: what was written once opens forever.

`v1/storage.json` maps a name to hex. A build must still write the same bytes (until it writes a
new version) and must always read them. A new format gets new entries; these never change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyroaring import BitMap

from weftdb.core.schema import Collection, DataType, Property
from weftdb.core.types import UNNAMED, DocId, ObjectId, ShardId, VectorName, Version
from weftdb.storage import keys
from weftdb.storage.doc_ids import DocIdTable, LengthSum, decode_lengths, encode_lengths
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import decode_object, encode_object
from weftdb.storage.property_codec import PropertyEncoder, decode_properties
from weftdb.storage.vector_codec import decode_vector, encode_vector
from weftdb.storage.versions import decode_version, encode_version

GOLDEN: dict[str, str] = json.loads(
    (Path(__file__).parent / "v1" / "storage.json").read_text(encoding="utf-8")
)
SHARD = ShardId(0x01020304)
DOC = DocId(0x0A0B0C0D)
ID = ObjectId(bytes(range(16)))
VERSION = Version(1_700_000_000_123, 5, 77)
NESTED = (Property("x", DataType.INT),)
PROPERTIES: dict[str, tuple[Property, Any]] = {
    item.name: (item, value)
    for item, value in [
        (Property("text", DataType.TEXT), "Grüße"),
        (Property("int", DataType.INT), -300),
        (Property("number", DataType.NUMBER), 1.5),
        (Property("boolean", DataType.BOOLEAN), True),
        (Property("date", DataType.DATE), "2024-02-29T12:00:00Z"),
        (Property("uuid", DataType.UUID), "12345678-1234-1234-1234-123456789abc"),
        (Property("blob", DataType.BLOB), "aGk="),
        (Property("geo", DataType.GEO), {"latitude": 52.52, "longitude": 13.405}),
        (
            Property("phone", DataType.PHONE),
            {
                "countryCode": 49,
                "defaultCountry": "DE",
                "input": "030 1",
                "internationalFormatted": "+49 30 1",
                "national": 301,
                "nationalFormatted": "030 1",
                "valid": True,
            },
        ),
        (Property("object", DataType.OBJECT, nested=NESTED), {"x": 7}),
        (Property("texts", DataType.TEXT, is_array=True), ["a", ""]),
        (Property("ints", DataType.INT, is_array=True), [1, -2]),
        (Property("numbers", DataType.NUMBER, is_array=True), [0.5]),
        (Property("booleans", DataType.BOOLEAN, is_array=True), [True, False]),
        (Property("dates", DataType.DATE, is_array=True), ["2024-02-29T12:00:00Z"]),
        (
            Property("uuids", DataType.UUID, is_array=True),
            ["12345678-1234-1234-1234-123456789abc"],
        ),
        (Property("objects", DataType.OBJECT, is_array=True, nested=NESTED), [{"x": 1}, {}]),
    ]
}
ROW = np.array([1.0, -2.5, 0.0], dtype=np.float32)
ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)


def golden(name: str, written: bytes) -> bytes:
    """The golden bytes called `name`, which `written` must equal."""
    assert GOLDEN[name] == written.hex(), f"{name} is written in another way"
    return bytes.fromhex(GOLDEN[name])


def encoded_property(name: str) -> bytes:
    item, value = PROPERTIES[name]
    return PropertyEncoder(Collection("A", (item,))).encode({name: value})


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name: str) -> None:
    read = decode_properties(golden(f"property {name}", encoded_property(name)))
    assert read == {name: PROPERTIES[name][1]}


def test_object() -> None:
    written = encode_object(
        doc_id=DOC,
        object_id=ID,
        created_ms=1_700_000_000_000,
        updated_ms=1_700_000_000_123,
        version=VERSION,
        properties=encoded_property("text"),
    )
    found = decode_object(golden("object", written))
    assert (found.doc_id, found.id, found.version) == (DOC, ID, VERSION)
    assert (found.created_ms, found.updated_ms) == (1_700_000_000_000, 1_700_000_000_123)
    assert found.properties == {"text": "Grüße"}


def test_vectors() -> None:
    assert np.array_equal(decode_vector(golden("vector", encode_vector(ROW))), ROW)
    assert np.array_equal(decode_vector(golden("multi-vector", encode_vector(ROWS))), ROWS)


def test_version() -> None:
    assert decode_version(golden("version", encode_version(VERSION))) == VERSION


def test_lengths() -> None:
    pairs = [(0, 12), (700, 70_000)]
    assert decode_lengths(golden("lengths", encode_lengths(pairs))) == pairs


def test_doc_ids() -> None:
    store = MemoryStore()
    table = DocIdTable(store, SHARD)
    batch, added = WriteBatch(), [DocId(doc) for doc in table.allocate(10_000)]
    gone = [DocId(doc) for doc in (0, 9_999, *range(4096, 8192, 3))]
    table.stage(batch, added, gone, {"title": (3, 14), "ü": (1, 2)})
    store.write(batch)
    rows = {
        "counters": keys.counters_key(SHARD),
        "live chunk, roaring": keys.live_key(SHARD, 0),
        "live chunk, bits": keys.live_key(SHARD, 1),
        "live chunk, last": keys.live_key(SHARD, 2),
    }
    again = WriteBatch()
    for name, key in rows.items():
        again.put(Family.METADATA, key, golden(name, store.get(Family.METADATA, key) or b""))
    old = MemoryStore()
    old.write(again)
    read = DocIdTable(old, SHARD)
    assert read.live == BitMap(added) - BitMap(gone)
    assert read.next_doc_id == 10_000
    assert read.lengths == {"title": LengthSum(3, 14), "ü": LengthSum(1, 2)}


def test_keys() -> None:
    prefix = keys.vector_prefix(SHARD, VectorName("tï"))
    written = {
        "object": keys.object_key(SHARD, DOC),
        "id": keys.id_key(SHARD, ID),
        "vector": keys.vector_key(prefix, DOC),
        "unnamed vector": keys.vector_key(keys.vector_prefix(SHARD, UNNAMED), DOC),
        "manifest": keys.manifest_key(SHARD),
        "delta": keys.delta_key(SHARD, DOC),
        "block": keys.block_key(SHARD, 5, 6),
        "counters": keys.counters_key(SHARD),
        "live": keys.live_key(SHARD, 9),
        "tombstone": keys.tombstone_key(SHARD, ID),
        "format": keys.FORMAT_KEY,
        "next shard": keys.NEXT_SHARD_KEY,
        "collection": keys.collection_key("Über"),
        "clock": keys.clock_key(SHARD),
    }
    assert {name: key.hex() for name, key in written.items()} == {
        name.removeprefix("key "): value
        for name, value in GOLDEN.items()
        if name.startswith("key ")
    }


def test_family_names() -> None:
    assert [family.value for family in Family] == [
        "objects", "ids", "vectors", "filterable", "searchable", "lengths", "metadata", "states",
        "hints",
    ]  # fmt: skip
