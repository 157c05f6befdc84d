"""ObjectStore: the rows of one shard, beside those of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from weftdb.core.errors import CorruptData, Overloaded
from weftdb.core.types import UNNAMED, DocId, ObjectId, ShardId, VectorName, Version
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import encode_object, stored_id
from weftdb.storage.objects import VECTORS_PER_CHUNK, ObjectStore

SHARD = ShardId(5)


def oid(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(16, "big"))


def stored(doc: int, number: int) -> bytes:
    return encode_object(
        doc_id=DocId(doc),
        object_id=oid(number),
        created_ms=1,
        updated_ms=2,
        version=Version(2),
        properties=b"",
    )


def fill(store: KeyValueStore, count: int, shard: ShardId = SHARD) -> ObjectStore:
    """Docs 0, 1, ... hold the objects count, count - 1, ... down to 1."""
    objects, batch = ObjectStore(store, shard), WriteBatch()
    for doc in range(count):
        objects.put(batch, DocId(doc), oid(count - doc), stored(doc, count - doc))
    store.write(batch)
    return objects


def test_by_doc_and_by_id(store: KeyValueStore) -> None:
    objects = fill(store, 10)
    fill(store, 30, ShardId(4))
    fill(store, 30, ShardId(6))
    assert stored_id(objects.get(DocId(0)) or b"") == oid(10)
    assert objects.get(DocId(10)) is None
    found = objects.get_many([DocId(9), DocId(77), DocId(0)])
    assert [value and stored_id(value) for value in found] == [oid(1), None, oid(10)]
    assert objects.doc_id_of(oid(10)) == 0
    assert objects.doc_id_of(oid(11)) is None
    assert objects.doc_ids_of([oid(1), oid(11), oid(10)]) == [9, None, 0]
    assert [doc for doc, _ in objects.scan()] == list(range(10))


class MovingStore(MemoryStore):
    """Every object has just been replaced when its row is looked for, `moves` times."""

    moves = 0

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """The rows, or that they are gone."""
        if family is Family.OBJECTS and self.moves:
            self.moves -= 1
            return [None] * len(keys)
        return super().get_many(family, keys)


def test_versions_of_ids() -> None:
    store = MovingStore()
    objects = fill(store, 10)
    wanted = [Version(2), None, Version(2)]
    assert objects.versions_of([oid(1), oid(99), oid(10)]) == wanted
    assert objects.versions_of([]) == []
    store.moves = 3
    assert objects.versions_of([oid(1), oid(99), oid(10)]) == wanted
    store.moves = 10_000
    with pytest.raises(Overloaded, match="2 objects are replaced"):
        objects.versions_of([oid(1), oid(99), oid(10)])


def test_cursor_over_ids(store: KeyValueStore) -> None:
    objects = fill(store, 10)
    fill(store, 30, ShardId(6))
    first = objects.ids_after(None, skip=0, count=4)
    assert first == [(oid(n), 10 - n) for n in range(1, 5)]
    assert objects.ids_after(first[-1][0], skip=1, count=3) == [(oid(n), 10 - n) for n in (6, 7, 8)]
    assert objects.ids_after(oid(10), skip=0, count=5) == []
    assert [i for i, _ in objects.scan_ids(oid(9))] == [oid(9), oid(10)]


def test_an_update_moves_the_object(store: KeyValueStore) -> None:
    objects = fill(store, 3)
    batch = WriteBatch()
    objects.put_vector(batch, UNNAMED, DocId(0), np.ones(4, dtype=np.float32))
    store.write(batch)
    batch = WriteBatch()
    objects.put(batch, DocId(3), oid(3), stored(3, 3))
    objects.remove_doc(batch, DocId(0), [UNNAMED])
    store.write(batch)
    assert objects.doc_id_of(oid(3)) == 3
    assert objects.get(DocId(0)) is None
    assert objects.vector(UNNAMED, DocId(0)) is None
    batch = WriteBatch()
    objects.remove_doc(batch, DocId(3), [])
    objects.remove_id(batch, oid(3))
    store.write(batch)
    assert objects.doc_id_of(oid(3)) is None
    assert [doc for doc, _ in objects.scan()] == [1, 2]


def test_vectors_by_name(store: KeyValueStore) -> None:
    objects, batch = ObjectStore(store, SHARD), WriteBatch()
    rows = np.random.default_rng(1).random((4, 8), dtype=np.float32)
    for doc in range(4):
        objects.put_vector(batch, VectorName("a"), DocId(doc), rows[doc])
    objects.put_vector(batch, VectorName("ab"), DocId(2), rows[:3])
    store.write(batch)
    one = objects.vector(VectorName("a"), DocId(1))
    assert one is not None
    assert one.tolist() == rows[1].tolist()
    many = objects.vectors(VectorName("a"), [DocId(3), DocId(9)])
    assert many[0] is not None
    assert many[0].tolist() == rows[3].tolist()
    assert many[1] is None
    multi = objects.vector(VectorName("ab"), DocId(2))
    assert multi is not None
    assert multi.tolist() == rows[:3].tolist()


def test_scan_of_vectors_in_chunks(store: KeyValueStore) -> None:
    count = VECTORS_PER_CHUNK + 100
    rows = np.random.default_rng(2).random((count, 4), dtype=np.float32)
    objects, batch = ObjectStore(store, SHARD), WriteBatch()
    for doc in range(count):
        objects.put_vector(batch, UNNAMED, DocId(doc), rows[doc])
    objects.put_vector(batch, VectorName("other"), DocId(0), rows[0])
    ObjectStore(store, ShardId(6)).put_vector(batch, UNNAMED, DocId(0), rows[0])
    store.write(batch)
    chunks = list(objects.scan_vectors(UNNAMED, DocId(50)))
    doc_ids = np.concatenate([ids for ids, _ in chunks])
    assert doc_ids.dtype == np.uint32
    assert doc_ids.tolist() == list(range(50, count))
    assert np.array_equal(np.concatenate([part for _, part in chunks]), rows[50:])
    assert list(objects.scan_vectors(VectorName("none"), DocId(0))) == []


def damage(store: KeyValueStore, family: Family, key: bytes) -> None:
    value = bytearray(store.get(family, key) or b"")
    value[-6] ^= 1
    batch = WriteBatch()
    batch.put(family, key, bytes(value))
    store.write(batch)


def test_damage_names_the_doc(store: KeyValueStore) -> None:
    objects, batch = fill(store, 3), WriteBatch()
    for doc in range(3):
        objects.put_vector(batch, UNNAMED, DocId(doc), np.ones(4, dtype=np.float32))
    store.write(batch)
    damage(store, Family.OBJECTS, keys.object_key(SHARD, DocId(1)))
    damage(store, Family.VECTORS, keys.vector_key(keys.vector_prefix(SHARD, UNNAMED), DocId(1)))
    assert objects.get(DocId(0)) is not None
    with pytest.raises(CorruptData, match="doc 1 in shard 5"):
        objects.get(DocId(1))
    with pytest.raises(CorruptData, match="doc 1 in shard 5"):
        list(objects.scan())
    with pytest.raises(CorruptData, match="doc 1 in shard 5"):
        objects.vector(UNNAMED, DocId(1))
    with pytest.raises(CorruptData, match="doc 1 in shard 5"):
        objects.vectors(UNNAMED, [DocId(0), DocId(1)])
    with pytest.raises(CorruptData, match="doc 1 in shard 5"):
        list(objects.scan_vectors(UNNAMED, DocId(0)))
