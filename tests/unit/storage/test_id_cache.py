"""IdCache: a column below its bound, a cache above it, and never a wrong id."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from weftdb.core.types import DocId, ObjectId, Version
from weftdb.storage.id_cache import SLOT_BYTES, IdCache
from weftdb.storage.object_codec import encode_object


def id_of(doc: int) -> ObjectId:
    return ObjectId((doc * 7919 + 1).to_bytes(16, "big"))


def docs(*numbers: int) -> list[DocId]:
    return [DocId(number) for number in numbers]


class Rows:
    """A store of encoded objects that counts what is read."""

    def __init__(self, gone: Sequence[int] = ()) -> None:
        self.gone = set(gone)
        self.read: list[int] = []

    def __call__(self, doc_ids: list[DocId]) -> list[bytes | None]:
        self.read += doc_ids
        return [None if doc in self.gone else self.row(doc) for doc in doc_ids]

    def row(self, doc: DocId) -> bytes:
        return encode_object(
            doc_id=doc,
            object_id=id_of(doc),
            created_ms=1,
            updated_ms=1,
            version=Version(1, 0),
            properties=b"",
        )


def test_what_was_put_is_not_read() -> None:
    rows = Rows()
    cache = IdCache(rows, 1 << 20)
    cache.put(docs(0, 5, 9_000), [id_of(0), id_of(5), id_of(9_000)])
    assert cache.get_many(docs(9_000, 0, 5)) == [id_of(9_000), id_of(0), id_of(5)]
    assert rows.read == []
    assert cache.get_many([]) == []
    cache.put([], [])


def test_the_others_are_read_once() -> None:
    rows = Rows(gone=[7])
    cache = IdCache(rows, 1 << 20)
    cache.put(docs(1), [id_of(1)])
    assert cache.get_many(docs(1, 2, 7)) == [id_of(1), id_of(2), ObjectId(bytes(16))]
    assert cache.get_many(docs(2, 1)) == [id_of(2), id_of(1)]
    assert rows.read == [2, 7]


def test_an_object_whose_id_is_zero_is_known() -> None:
    rows = Rows()
    cache = IdCache(rows, 1 << 20)
    cache.put(docs(0), [ObjectId(bytes(16))])
    assert cache.get_many(docs(0)) == [ObjectId(bytes(16))]
    assert rows.read == []


@pytest.mark.parametrize("bytes_max", [0, 1024 * SLOT_BYTES, 5000 * SLOT_BYTES])
def test_memory_stays_below_its_bound_and_answers_stay_right(bytes_max: int) -> None:
    cache = IdCache(Rows(), bytes_max)
    for first in range(0, 20_000, 500):
        batch = docs(*range(first, first + 500))
        cache.put(batch, [id_of(doc) for doc in batch])
        assert cache.memory_bytes <= max(bytes_max, 1024 * SLOT_BYTES)
    wanted = docs(*range(0, 20_000, 37), 4_294_967_293)
    assert cache.get_many(wanted) == [id_of(doc) for doc in wanted]
    assert cache.get_many(wanted) == [id_of(doc) for doc in wanted]


def test_readers_beside_a_writer_never_see_half_an_entry() -> None:
    cache = IdCache(Rows(), 0)  # 1,024 slots: nearly every put takes one away.
    stop, wrong = threading.Event(), []

    def read() -> None:
        at = 0
        while not stop.is_set():
            at = (at + 977) % 50_000
            wanted = docs(*range(at, at + 20))
            if cache.get_many(wanted) != [id_of(doc) for doc in wanted]:
                wrong.append(at)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for first in range(0, 50_000, 100):
        batch = docs(*range(first, first + 100))
        cache.put(batch, [id_of(doc) for doc in batch])
    stop.set()
    for reader in readers:
        reader.join(timeout=30)
    assert wrong == []
