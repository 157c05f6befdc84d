"""Damaged bytes of an inverted index are reported, never believed, and never end the process."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from pyroaring import BitMap

from weftdb.core.errors import CorruptData
from weftdb.core.limits import TERM_BYTES_MAX
from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId
from weftdb.index.fields import value_field
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.kernels import _native
from weftdb.index.live_docs import LiveDocs
from weftdb.storage import keys
from weftdb.storage.kv import Family, WriteBatch

from .inverted_shard import FAMILIES, SHARD, InvertedShard, plan_of

NUMBER = value_field("n")
TEXT = value_field("t")
DOCS = 6000


def filled(*, sealed: bool) -> InvertedShard:
    """Values and terms that fill inline, roaring and overflow postings."""
    shard = InvertedShard()
    writer = DeltaWriter()
    doc_ids = list(range(DOCS))
    writer.add_values(NUMBER, doc_ids, [b"even" if doc % 2 else b"odd" for doc in doc_ids])
    writer.add_values(NUMBER, doc_ids, [b"%05d" % (doc // 3) for doc in doc_ids])
    writer.add_text(
        TEXT, Tokenization.WORD, doc_ids, [f"all some{doc % 7} own{doc}" for doc in doc_ids]
    )
    shard.write(writer, 0)
    if sealed:
        shard.seal()
    return shard


def read_everything(shard: InvertedShard) -> None:
    shard.reopen()
    for value in (b"even", b"00001", b"nothing"):
        shard.index.filterable.docs_equal(NUMBER, value)
    shard.index.filterable.docs_between(
        NUMBER, b"00010", None, low_inclusive=True, high_inclusive=True
    )
    list(shard.index.filterable.values(NUMBER))
    shard.index.searchable.docs_present(TEXT)
    shard.index.search(
        plan_of({"all": 1, "some3": 1, "own17": 1}, {"t": 1.0}),
        10,
        live=LiveDocs(BitMap(range(DOCS)), DOCS),
        mean_lengths={"t": 3.0},
        k1=1.2,
        b=0.75,
    )


def damages(value: bytes, chance: random.Random, rounds: int) -> Iterator[bytes]:
    for _ in range(rounds):
        at = chance.randrange(len(value))
        yield value[:at] + bytes([value[at] ^ (1 << chance.randrange(8))]) + value[at + 1 :]
        yield value[:at]
    yield b""
    yield value + b"\x00"


@pytest.mark.parametrize("sealed", [False, True], ids=["delta", "sealed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_damage_is_noticed(family: Family, *, sealed: bool) -> None:
    shard = filled(sealed=sealed)
    read_everything(shard)
    chance = random.Random(3)
    rows = shard.rows(family)
    kinds = set()
    for key, value in chance.sample(rows, min(8, len(rows))):
        kinds.add(key[4])
        for damaged in damages(value, chance, 4):
            shard.overwrite(family, key, damaged)
            with pytest.raises(CorruptData):
                read_all_blocks(shard, family)
            shard.overwrite(family, key, value)
    read_everything(shard)
    assert kinds


def read_all_blocks(shard: InvertedShard, family: Family) -> None:
    """Touch every row of a family; a search need not meet each block."""
    read_everything(shard)
    for key, value in shard.rows(family):
        if key[4] != 0:
            try:
                _native.check_block(value)
            except _native.Damaged as error:
                raise CorruptData(str(error)) from None


def test_the_error_names_segment_and_block() -> None:
    shard = filled(sealed=True)
    key = keys.block_key(SHARD, 0, 0)
    value = shard.store.get(Family.SEARCHABLE, key)
    assert value is not None
    shard.overwrite(Family.SEARCHABLE, key, value[:-1] + b"\x00")
    with pytest.raises(CorruptData, match="searchable segment 0, block 0: "):
        read_everything(shard)


def test_a_missing_block_is_reported() -> None:
    shard = filled(sealed=True)
    batch = WriteBatch()
    batch.delete(Family.SEARCHABLE, keys.block_key(SHARD, 0, 0))
    shard.store.write(batch)
    with pytest.raises(CorruptData, match="segment 0, block 0 is missing"):
        read_everything(shard)


def test_a_segment_of_the_other_side_is_refused() -> None:
    shard = filled(sealed=True)
    shard.stored[1] = shard.stored[0]
    shard.reopen()
    with pytest.raises(CorruptData, match="other side"):
        shard.index.searchable.docs_equal(NUMBER, b"even")


def test_bytes_with_a_right_checksum_are_checked_too() -> None:
    """Whoever forges the checksum still cannot make native code read past its bytes."""
    import zlib

    writer = DeltaWriter()
    writer.add_text(TEXT, Tokenization.WORD, [1, 2, 300], ["a a b", "b c", "a d"])
    writer.add_values(NUMBER, list(range(500)), [b"x"] * 500)
    delta = writer.finish(DocId(1))
    chance = random.Random(5)
    outcomes = set()
    for side, good in ((False, delta.filterable), (True, delta.searchable)):
        for _ in range(3000):
            body = bytearray(good[:-4])
            for _ in range(chance.randrange(1, 4)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            forged = bytes(body) + zlib.crc32(body).to_bytes(4, "little")
            posting_side = _native.PostingSide(side, _native.TermCache(1000))
            try:
                posting_side.publish(1, forged)
                outcomes.add("taken")
            except _native.Damaged:
                outcomes.add("refused")
    assert outcomes == {"taken", "refused"}


def test_a_delta_of_the_other_side_is_refused() -> None:
    writer = DeltaWriter()
    writer.add_values(NUMBER, [1], [b"x"])
    delta = writer.finish(DocId(1))
    shard = InvertedShard()
    with pytest.raises(CorruptData, match="other side"):
        shard.index.searchable.publish(DocId(1), delta.filterable)


def test_wrong_use_of_the_writer_is_refused() -> None:
    writer = DeltaWriter()
    with pytest.raises(ValueError, match="differ in length"):
        writer.add_values(NUMBER, [1, 2], [b"x"])
    with pytest.raises(ValueError, match="32 KiB"):
        writer.add_values(NUMBER, [1], [b"x" * (TERM_BYTES_MAX + 1)])
    with pytest.raises(ValueError, match="too large"):
        writer.add_values(NUMBER, [2**32 - 1], [b"x"])
    with pytest.raises(TypeError):
        writer.add_values(NUMBER, [1], ["x"])


def test_half_a_surrogate_pair_is_refused() -> None:
    from weftdb.core.errors import InvalidRequest

    writer = DeltaWriter()
    with pytest.raises(InvalidRequest, match="surrogate"):
        writer.add_terms(TEXT, [1], [["\ud800"]])
    with pytest.raises(InvalidRequest, match="surrogate"):
        writer.add_terms(TEXT, [1], [["x" * TERM_BYTES_MAX + "\ud800"]])
