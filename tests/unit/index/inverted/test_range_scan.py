"""Ranges over many distinct values: exact whatever is in memory, sealed, merged, cached or dead."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from pyroaring import BitMap

from weftdb.core.codec import encode_int
from weftdb.index.fields import value_field
from weftdb.index.inverted.delta import DeltaWriter

from .inverted_shard import InvertedShard

FIELDS = [value_field(name) for name in ("m", "n", "o")]
NUMBER = FIELDS[1]
VALUES = 40_000
HOT = 777
"""Nearly every doc has it: its docs lie in overflow blocks."""


class Model:
    """A shard beside a dict of each doc's numbers."""

    def __init__(self, cache_bytes: int) -> None:
        self.shard = InvertedShard(cache_bytes)
        self.random = random.Random(4)
        self.numbers: dict[int, set[int]] = {}
        self.dead = BitMap()
        self.end = 0

    def write(self, count: int) -> None:
        """Docs of up to three numbers; the neighbours have all of them, too."""
        writer = DeltaWriter()
        doc_ids, values = [], []
        for doc in range(self.end, self.end + count):
            found = {self.random.randrange(VALUES) for _ in range(self.random.randrange(4))}
            if self.random.random() < 0.9:
                found.add(HOT)
            self.numbers[doc] = found
            doc_ids += [doc] * len(found)
            values += [encode_int(value) for value in found]
        for field in FIELDS:
            writer.add_values(field, doc_ids, values)
        self.shard.write(writer, self.end)
        self.end += count

    def kill(self, share: float) -> None:
        for doc in list(self.numbers):
            if self.random.random() < share:
                del self.numbers[doc]
                self.dead.add(doc)

    def merge(self) -> None:
        side = self.shard.index.filterable
        while self.shard.change(side, self.dead):
            pass

    def check(self, low: int | None, high: int | None, *, low_in: bool, high_in: bool) -> None:
        found = self.shard.index.filterable.docs_between(
            NUMBER,
            None if low is None else encode_int(low),
            None if high is None else encode_int(high),
            low_inclusive=low_in,
            high_inclusive=high_in,
        )
        first = -1 if low is None else low if low_in else low + 1
        last = VALUES if high is None else high if high_in else high - 1
        wanted = {
            doc
            for doc, numbers in self.numbers.items()
            if any(first <= number <= last for number in numbers)
        }
        assert set(found) - set(self.dead) == wanted, (low, high, low_in, high_in)

    def check_many(self, times: int = 12) -> None:
        for _ in range(times):
            ends = sorted(self.random.randrange(-10, VALUES + 10) for _ in range(2))
            low, high = (None if self.random.random() < 0.2 else end for end in ends)
            low_in, high_in = self.random.random() < 0.5, self.random.random() < 0.5
            self.check(low, high, low_in=low_in, high_in=high_in)
        self.check(HOT, HOT, low_in=True, high_in=True)
        self.check(HOT, None, low_in=False, high_in=True)
        self.check(HOT, HOT - 1, low_in=True, high_in=True)


@pytest.mark.parametrize("cache_bytes", [0, 100_000, 1 << 24])
def test_ranges_are_exact_through_a_whole_life(cache_bytes: int) -> None:
    model = Model(cache_bytes)
    for step in range(5):
        model.write(4_000)
        model.check_many(3)
        if step != 2:
            model.shard.seal(model.dead)
        model.check_many()
        model.kill(0.2)
        model.check_many(3)
    model.merge()
    model.check_many()
    model.write(1_000)
    model.kill(0.3)
    model.check_many()
    model.shard.reopen()
    model.check_many()


def blocks_read(model: Model) -> Iterator[int]:
    """How many blocks each wide range reads from the store."""
    stored, reads = model.shard.stored[0], []
    read_block = stored.block
    stored.block = lambda segment, block: reads.append(block) or read_block(segment, block)
    side = model.shard.index.filterable
    for low in range(0, VALUES // 3, 1000):
        reads.clear()
        side.docs_between(NUMBER, encode_int(low), None, low_inclusive=True, high_inclusive=True)
        yield len(reads)


def test_after_the_first_a_wide_range_reads_its_two_ends() -> None:
    model = Model(1 << 24)
    model.write(20_000)
    model.shard.seal()
    first, *later = blocks_read(model)
    assert first > 20
    assert max(later) <= 3  # The two ends, and the overflow block of the hot value.


def test_a_column_that_would_fill_the_cache_is_not_kept() -> None:
    model = Model(200_000)
    model.write(20_000)
    model.shard.seal()
    assert min(blocks_read(model)) > 10
