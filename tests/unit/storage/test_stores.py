"""What every KeyValueStore does; runs on MemoryStore and RocksStore."""

from __future__ import annotations

from pathlib import Path

import pytest

from weftdb.core.errors import Closed, Unsupported
from weftdb.storage.kv import Family, KeyValueStore, Ticket, WriteBatch
from weftdb.storage.memory import MemoryStore

O = Family.OBJECTS  # noqa: E741  # In nearly every line below.
V = Family.VECTORS


def put(store: KeyValueStore, pairs: dict[bytes, bytes], family: Family = O) -> Ticket:
    batch = WriteBatch()
    for key, value in pairs.items():
        batch.put(family, key, value)
    ticket = store.write(batch)
    store.wait_durable(ticket)
    return ticket


def numbered(count: int, value: bytes = b"v") -> dict[bytes, bytes]:
    return {b"\0\0\0\x01%06d" % i: value for i in range(count)}


def test_get(store: KeyValueStore) -> None:
    put(store, {b"a": b"1", b"empty": b""})
    assert store.get(O, b"a") == b"1"
    assert store.get(O, b"empty") == b""
    assert store.get(O, b"b") is None
    assert store.get(Family.IDS, b"a") is None, "families are apart"


def test_get_many_keeps_the_order(store: KeyValueStore) -> None:
    put(store, {b"a": b"1", b"c": b"3"})
    assert store.get_many(O, [b"c", b"b", b"a", b"c"]) == [b"3", None, b"1", b"3"]
    assert store.get_many(O, []) == []


@pytest.mark.parametrize("family", list(Family))
def test_scan_bounds(store: KeyValueStore, family: Family) -> None:
    keys = [b"\0\0\0\1", b"\0\0\0\1\0", b"\0\0\0\1a", b"\0\0\0\1\xff", b"\0\0\0\2", b"\0\0\0\2a"]
    put(store, {key: key for key in keys}, family)
    assert [k for k, _ in store.scan(family, b"\0\0\0\1", b"\0\0\0\2")] == keys[:4]
    assert [k for k, _ in store.scan(family, b"\0\0\0\1a", b"\0\0\0\2a")] == keys[2:5]
    assert [k for k, _ in store.scan(family, b"", b"\xff")] == keys
    assert list(store.scan(family, b"\0\0\0\3", b"\0\0\0\4")) == []
    assert list(store.scan(family, b"\0\0\0\2", b"\0\0\0\2")) == []


def test_scan_backwards(store: KeyValueStore) -> None:
    pairs = numbered(700)
    put(store, pairs)
    start, end = b"\0\0\0\x01%06d" % 10, b"\0\0\0\x01%06d" % 690
    forward = list(store.scan(O, start, end))
    assert len(forward) == 680
    assert list(store.scan(O, start, end, reverse=True)) == forward[::-1]


def test_a_scan_keeps_its_bounds(store: KeyValueStore) -> None:
    put(store, {b"\0\0\0" + bytes((i // 250,)) + b"%04d" % i: b"v" for i in range(1000)})
    running = [
        store.scan(O, b"\0\0\0" + bytes((i,)), b"\0\0\0" + bytes((i + 1,))) for i in range(4)
    ]
    overwrite_freed_memory = [bytes((255,)) * 4 for _ in range(1000)]
    assert [len(list(scan)) for scan in running] == [250] * 4
    del overwrite_freed_memory


def test_scan_of_big_values(store: KeyValueStore) -> None:
    pairs = numbered(40, b"x" * 200_000)
    put(store, pairs, V)
    assert dict(store.scan(V, b"", b"\xff")) == pairs


def test_scan_sees_its_first_moment(store: KeyValueStore) -> None:
    before = numbered(1000)
    put(store, before)
    running = store.scan(O, b"", b"\xff")
    batch = WriteBatch()
    batch.delete_range(O, b"", b"\xff")
    batch.put(O, b"\0\0\0\x01000000x", b"new")
    store.write(batch)
    assert dict(running) == before
    assert len(list(store.scan(O, b"", b"\xff"))) == 1


def test_a_scan_may_be_left(store: KeyValueStore) -> None:
    put(store, numbered(1000))
    running = store.scan(O, b"", b"\xff")
    assert next(running)[0] == b"\0\0\0\x01000000"
    del running
    store.scan(O, b"", b"\xff")  # Never begun.


def test_a_batch_is_in_order(store: KeyValueStore) -> None:
    put(store, {b"a": b"1", b"b": b"2", b"c": b"3"})
    batch = WriteBatch()
    batch.put(O, b"b", b"twice")
    batch.delete_range(O, b"a", b"c")
    batch.put(O, b"a", b"again")
    batch.delete(O, b"a")
    batch.put(O, b"a", b"last")
    batch.delete(O, b"missing")
    batch.delete_range(V, b"x", b"x")
    store.write(batch)
    assert list(store.scan(O, b"", b"\xff")) == [(b"a", b"last"), (b"c", b"3")]


def test_a_batch_counts_its_bytes() -> None:
    batch = WriteBatch()
    batch.put(O, b"ab", b"cde")
    batch.delete(O, b"ab")
    batch.delete_range(O, b"a", b"b")
    assert batch.bytes == 5 + 2 + 2
    with pytest.raises(AssertionError):
        batch.delete_range(O, b"b", b"a")


def test_tickets_grow(store: KeyValueStore) -> None:
    tickets = [store.write(WriteBatch()) for _ in range(3)]
    assert tickets == sorted(set(tickets))
    store.wait_durable(tickets[-1])
    store.wait_durable(tickets[0])
    with pytest.raises(AssertionError, match="future"):
        store.wait_durable(Ticket(tickets[-1] + 1))


def test_compact_keeps_what_is_there(store: KeyValueStore) -> None:
    pairs = numbered(500)
    put(store, pairs)
    store.compact(O, b"\0\0\0\1", b"\0\0\0\2")
    assert dict(store.scan(O, b"", b"\xff")) == pairs


def test_metrics(store: KeyValueStore) -> None:
    put(store, {b"a": b"1"})
    metrics = store.metrics()
    assert metrics["writes"] == 1
    assert metrics["syncs"] >= 1


def test_closed(store: KeyValueStore, tmp_path: Path) -> None:
    put(store, numbered(1000))
    running = store.scan(O, b"", b"\xff")
    next(running)
    store.close()
    store.close()
    with pytest.raises(Closed):
        store.get(O, b"a")
    with pytest.raises(Closed):
        store.get_many(O, [b"a"])
    with pytest.raises(Closed):
        list(store.scan(O, b"", b"\xff"))
    with pytest.raises(Closed):
        store.write(WriteBatch())
    with pytest.raises(Closed):
        store.compact(O, b"", b"\xff")
    with pytest.raises(Closed):
        store.checkpoint(tmp_path / "copy")
    with pytest.raises(Closed):
        store.metrics()
    with pytest.raises(Closed):
        list(running)


def test_a_scan_outlives_the_bytes_of_its_bounds(store: KeyValueStore) -> None:
    batch = WriteBatch()
    for number in range(3):
        batch.put(Family.FILTERABLE, bytes((0, 0, 0, 1, 1, number)), b"v")
    store.write(batch)
    for _ in range(50):
        # Nobody else holds the bounds; what is made next may take their place in memory.
        pairs = store.scan(
            Family.FILTERABLE, bytes((0, 0, 0, 1)) + bytes([1]), bytes((0, 0, 0, 1)) + bytes([2])
        )
        others = [bytes((0, 0, 0, 1)) + bytes([number % 2]) for number in range(40)]
        for other in others[:5]:
            store.scan(Family.FILTERABLE, other[:4] + bytes([0]), other[:4] + bytes([1]))
        assert len(list(pairs)) == 3


def test_a_memory_store_has_no_files_to_copy(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="copy"):
        MemoryStore().checkpoint(tmp_path / "copy")
