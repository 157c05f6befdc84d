"""One side of an inverted index: sealing, merging, sweeping, reading meanwhile."""

from __future__ import annotations

import threading

import pytest
from pyroaring import BitMap

from weftdb.core.codec import encode_int
from weftdb.core.errors import CorruptData
from weftdb.core.limits import KiB, MiB
from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId
from weftdb.index.fields import value_field
from weftdb.index.inverted import change
from weftdb.index.inverted.change import is_seal_due, merge_candidates
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.inverted.manifest import (
    Manifest,
    SegmentRow,
    decode_manifest,
    encode_manifest,
)
from weftdb.index.live_docs import LiveDocs
from weftdb.storage.kv import Family

from .inverted_shard import InvertedShard, plan_of

NUMBER = value_field("n")
TEXT = value_field("t")


def write(shard: InvertedShard, first: int, count: int = 4) -> None:
    writer = DeltaWriter()
    doc_ids = list(range(first, first + count))
    writer.add_values(NUMBER, doc_ids, [b"v"] * count)
    writer.add_text(TEXT, Tokenization.WORD, doc_ids, ["one two"] * count)
    shard.write(writer, first)


def live(count: int) -> LiveDocs:
    return LiveDocs(BitMap(range(count)), count)


def test_deltas_that_come_during_a_seal_stay() -> None:
    shard = InvertedShard()
    side = shard.index.filterable
    write(shard, 0)
    change = side.prepare_change(live(4), force_seal=True)
    assert change is not None
    for first in range(4, 80, 4):
        write(shard, first)
    assert side.docs_equal(NUMBER, b"v") == BitMap(range(80))
    assert change.deltas == (0,)
    side.install(change)
    assert side.delta_count == 19


def test_a_change_that_failed_can_be_made_again() -> None:
    shard = InvertedShard()
    side = shard.index.filterable
    write(shard, 0)
    change = side.prepare_change(live(4), force_seal=True)
    assert change is not None
    assert not side.is_change_due(live(4))
    side.abandon(change)
    shard.seal()
    assert side.delta_count == 0
    assert side.docs_equal(NUMBER, b"v") == BitMap(range(4))


def test_dead_docs_leave_with_a_seal_and_a_merge() -> None:
    shard = InvertedShard()
    for first in range(0, 16, 4):
        write(shard, first)
        shard.seal(dead=[0])
    side = shard.index.filterable
    assert side.docs_equal(NUMBER, b"v") == BitMap(range(1, 16))
    assert side.is_change_due(live(16))
    assert shard.change(side, BitMap([0, 5]))
    assert side.docs_equal(NUMBER, b"v") == BitMap(range(1, 16)) - BitMap([5])
    assert len(side.manifest.segments) == 1


def test_replaced_segments_are_read_until_they_are_swept() -> None:
    shard = InvertedShard(cache_bytes=0)
    for first in range(0, 16, 4):
        write(shard, first)
        shard.seal(end=first + 4)
    side = shard.index.filterable
    before = len(shard.rows(Family.FILTERABLE))
    shard.change(side, BitMap(), end=16)
    assert side.manifest.gone == (0, 1, 2, 3)
    assert len(shard.rows(Family.FILTERABLE)) > before
    shard.change(side, BitMap(), end=16)
    assert side.manifest.gone == ()
    assert len(shard.rows(Family.FILTERABLE)) == 3
    assert not side.is_change_due(live(16))
    shard.reopen()
    assert shard.index.filterable.docs_equal(NUMBER, b"v") == BitMap(range(16))


def test_a_seal_of_only_dead_docs_leaves_an_empty_segment() -> None:
    shard = InvertedShard()
    write(shard, 0)
    shard.seal(dead=range(4))
    assert shard.index.filterable.docs_equal(NUMBER, b"v") == BitMap()
    assert shard.index.filterable.docs_present(NUMBER) == BitMap()
    assert list(shard.index.filterable.values(NUMBER)) == []


def test_a_delta_cannot_be_published_twice() -> None:
    shard = InvertedShard()
    write(shard, 0)
    writer = DeltaWriter()
    writer.add_values(NUMBER, [0], [b"v"])
    with pytest.raises(ValueError, match="there already"):
        shard.index.publish(writer.finish(DocId(0)))


def test_readers_see_whole_deltas_while_all_changes_go_on() -> None:
    """Each delta adds four docs to a value and to a term: any count between is a torn read."""
    shard = InvertedShard(cache_bytes=4000)
    rounds, failures, stop = 400, [], threading.Event()

    def read() -> None:
        seen = 0
        while not stop.is_set():
            docs = len(shard.index.filterable.docs_equal(NUMBER, b"v"))
            found = shard.index.search(
                plan_of({"one": 1}, {"t": 1.0}),
                10_000,
                live=live(4 * rounds),
                mean_lengths={"t": 2.0},
                k1=1.2,
                b=0.75,
            )
            if docs % 4 or docs < seen or len(found.doc_ids) % 4:
                failures.append((docs, seen, len(found.doc_ids)))
            seen = docs

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for at in range(rounds):
        write(shard, 4 * at)
        if at % 10 == 9:
            shard.seal()
        elif at % 5 == 4:
            for side in shard.index.sides:
                shard.change(side, BitMap())
    stop.set()
    for reader in readers:
        reader.join(timeout=30)
    assert failures == []
    assert len(shard.index.filterable.docs_equal(NUMBER, b"v")) == 4 * rounds


def test_docs_that_the_live_docs_do_not_know_yet_are_not_found() -> None:
    shard = InvertedShard()
    write(shard, 0, 70)
    write(shard, 70, 10)
    for words in ({"one": 1}, {"one": 1, "two": 1}):
        for known in (1, 64, 70):
            found = shard.index.search(
                plan_of(words, {"t": 1.0}),
                100,
                live=live(known),
                mean_lengths={"t": 2.0},
                k1=1.2,
                b=0.75,
            )
            assert sorted(found.doc_ids) == list(range(known))


def test_when_to_seal_and_merge() -> None:
    assert not is_seal_due(postings=10_000, deltas=10)
    assert is_seal_due(postings=2_000_000, deltas=10)
    assert is_seal_due(postings=20_000, deltas=20_000)
    small = [SegmentRow(number, 2, 100 * KiB) for number in range(4)]
    assert merge_candidates(small[:3], BitMap()) == ()
    assert merge_candidates([SegmentRow(9, 2, 3 * MiB), *small], BitMap()) == tuple(small)
    huge = [SegmentRow(number, 2, 100 * MiB) for number in range(4)]
    assert merge_candidates(huge, BitMap()) == ()


def test_a_segment_is_due_when_a_third_of_it_has_died() -> None:
    def due(row: SegmentRow, live: range) -> bool:
        return merge_candidates([row], BitMap(live)) == (row,)

    row = SegmentRow(1, 2, 3 * MiB, first_doc=100, end_doc=400, docs=300)
    assert not due(row, range(1000))
    assert not due(row, range(199, 1000))
    assert due(row, range(202, 1000))
    assert due(row, range(400, 1000))
    assert not due(SegmentRow(1, 2, 3 * MiB), range(0))  # Of version 1: nothing is known.
    assert not due(SegmentRow(1, 2, 300 * MiB, 100, 400, 300), range(0))


def test_updates_without_end_leave_segments_below_twice_the_live_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each round replaces every object; the docs of the round before die one by one."""
    monkeypatch.setattr(change, "_TIER_BYTES", 8 * KiB)  # Several tiers of a few docs.

    def sealed_bytes(shard: InvertedShard) -> list[int]:
        return [sum(row.bytes for row in side.manifest.segments) for side in shard.index.sides]

    def write_round(shard: InvertedShard, first: int, dead: set[int]) -> None:
        for start in range(first, first + count, batch):
            writer, doc_ids = DeltaWriter(), list(range(start, start + batch))
            writer.add_values(NUMBER, doc_ids, [encode_int(7 * doc % 1000) for doc in doc_ids])
            texts = [f"one two{doc % 50} three{doc % 400}" for doc in doc_ids]
            writer.add_text(TEXT, Tokenization.WORD, doc_ids, texts)
            shard.write(writer, start)
            if first == 0 and start + batch < count:
                continue  # The import is sealed at once, updates as they come.
            dead.update(range(start - count, start - count + batch) if start >= count else ())
            shard.seal(sorted(dead), end=start + batch)
            for side in shard.index.sides:
                while shard.change(side, BitMap(dead), end=start + batch):
                    pass

    count, batch = 16_000, 1_000
    shard, dead = InvertedShard(), set[int]()
    write_round(shard, 0, dead)
    fresh = sealed_bytes(shard)
    rounds = 6
    for turn in range(1, rounds):
        write_round(shard, turn * count, dead)
        for size, wanted in zip(sealed_bytes(shard), fresh, strict=True):
            assert size < 2 * wanted, turn
    shard.reopen()
    found = shard.index.filterable.docs_present(NUMBER) - BitMap(dead)
    assert found == BitMap(range((rounds - 1) * count, rounds * count))
    stored = sum(len(value) for _, value in shard.rows(Family.FILTERABLE))
    assert stored < 2.1 * fresh[0]


def test_the_manifest_is_read_as_written_and_checked() -> None:
    manifest = Manifest(8, (SegmentRow(3, 10, 5000), SegmentRow(7, 1, 2**40, 5, 9, 3)), (1, 2))
    data = encode_manifest(manifest)
    assert decode_manifest(data) == manifest
    for at in range(len(data)):
        with pytest.raises(CorruptData):
            decode_manifest(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(CorruptData):
            decode_manifest(data[:at])
