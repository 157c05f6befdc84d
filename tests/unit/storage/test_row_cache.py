"""RowCache: what is kept, how much, and that a row which goes away is not given out again."""

from __future__ import annotations

from weftdb.core.types import DocId, ShardId
from weftdb.storage.row_cache import RowCache, ShardRows


class Rows:
    """A store of rows that counts what is asked of it."""

    def __init__(self, count: int, size: int = 100) -> None:
        self.rows = {DocId(n): bytes([n % 256]) * size for n in range(count)}
        self.asked: list[DocId] = []

    def load(self, doc_ids: list[DocId]) -> list[bytes | None]:
        self.asked += doc_ids
        return [self.rows.get(doc_id) for doc_id in doc_ids]


def docs(*numbers: int) -> list[DocId]:
    return [DocId(number) for number in numbers]


def test_rows_are_read_once() -> None:
    source = Rows(10)
    rows = ShardRows(RowCache(100_000), ShardId(1), source.load)

    first = rows.read(docs(1, 2, 3))
    assert rows.read(docs(3, 1)) == [first[2], first[0]]
    assert rows.read(docs(2, 4)) == [source.rows[DocId(2)], source.rows[DocId(4)]]
    assert source.asked == docs(1, 2, 3, 4)


def test_missing_rows_are_asked_for_again() -> None:
    source = Rows(2)
    rows = ShardRows(RowCache(100_000), ShardId(1), source.load)

    assert rows.read(docs(1, 7)) == [source.rows[DocId(1)], None]
    source.rows[DocId(7)] = b"new"
    assert rows.read(docs(1, 7)) == [source.rows[DocId(1)], b"new"]


def test_shards_do_not_mix() -> None:
    cache, left, right = RowCache(100_000), Rows(3), Rows(3, size=7)
    one, two = ShardRows(cache, ShardId(1), left.load), ShardRows(cache, ShardId(2), right.load)

    assert one.read(docs(1)) == [left.rows[DocId(1)]]
    assert two.read(docs(1)) == [right.rows[DocId(1)]]


def test_memory_is_bounded_and_the_recently_used_stays() -> None:
    source, cache = Rows(1_000), RowCache(26_000)
    rows = ShardRows(cache, ShardId(1), source.load)
    for number in range(1, 1_000):
        rows.read(docs(0))
        rows.read(docs(number))
        assert cache.bytes_held <= 26_000 + 260
    assert source.asked.count(DocId(0)) == 1
    rows.read(docs(5))
    assert source.asked.count(DocId(5)) == 2


def test_without_a_budget_nothing_is_kept() -> None:
    source, cache = Rows(3), RowCache(0)
    rows = ShardRows(cache, ShardId(1), source.load)
    rows.read(docs(1))
    rows.read(docs(1))
    assert source.asked == docs(1, 1)
    assert cache.bytes_held == 0


def test_a_removed_row_is_forgotten_and_readers_meanwhile_ask_the_store() -> None:
    source, cache = Rows(5), RowCache(100_000)
    rows = ShardRows(cache, ShardId(1), source.load)
    rows.read(docs(1, 2))
    held = cache.bytes_held

    rows.begin_change()
    del source.rows[DocId(1)]
    assert rows.read(docs(1, 2)) == [None, source.rows[DocId(2)]], "not from the cache"
    rows.end_change(docs(1))
    assert rows.read(docs(1, 2)) == [None, source.rows[DocId(2)]]
    assert cache.bytes_held == held // 2


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    source, cache = Rows(5), RowCache(100_000)

    def load(doc_ids: list[DocId]) -> list[bytes | None]:
        found = source.load(doc_ids)
        rows.begin_change()  # A writer replaces doc 1 while the reader holds its row.
        source.rows.pop(DocId(1), None)
        rows.end_change(docs(1))
        return found

    rows = ShardRows(cache, ShardId(1), load)
    assert rows.read(docs(1)) != [None]
    assert cache.bytes_held == 0
    assert rows.read(docs(1)) == [None]
