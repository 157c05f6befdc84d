"""Hints as bytes, and the rules of their queue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weftdb.cluster.replication.hints import (
    Entry,
    Hint,
    HintBounds,
    HintQueue,
    decode_hint,
    decode_key,
    encode_hint,
    encode_key,
    key_prefix,
)
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, NodeName, ShardName

HINT = Hint(ShardRef(CollectionName("Cafe"), ShardName("größe")), 1_700_000_000_000, (b"one", b""))


def test_a_hint_survives_its_bytes() -> None:
    assert decode_hint(encode_hint(HINT)) == HINT


def test_golden_bytes() -> None:
    assert encode_hint(Hint(ShardRef(CollectionName("C"), ShardName("s")), 5, (b"xy",))).hex() == (
        "663bb4e1" "01" "0500000000000000" "010043" "010073" "01000000" "02000000" "7879"
    )  # fmt: skip


@given(st.data())
def test_damage_is_noticed(data: st.DataObject) -> None:
    encoded = bytearray(encode_hint(HINT))
    if data.draw(st.booleans()):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del encoded[data.draw(st.integers(0, len(encoded) - 1)) :]
    with pytest.raises(CorruptData):
        decode_hint(bytes(encoded))


def test_keys_sort_in_the_order_of_arrival() -> None:
    keys = [encode_key(NodeName("n1"), number) for number in (0, 1, 255, 256, 2**40)]
    assert keys == sorted(keys)
    assert [decode_key(key) for key in keys][3] == ("n1", 256)
    assert not encode_key(NodeName("n12"), 0).startswith(key_prefix(NodeName("n1")))
    for broken in (b"", b"\x02n1", keys[0] + b"x", b"\x01\xff" + bytes(8)):
        with pytest.raises(CorruptData):
            decode_key(broken)


def queue(**bounds: int) -> HintQueue:
    return HintQueue(HintBounds(**bounds))


def test_the_oldest_make_room_and_are_counted() -> None:
    hints = queue(bytes_max=100)
    assert hints.admit(60, 0).sequence == 0
    assert hints.admit(40, 1).sequence == 1
    admission = hints.admit(50, 2)
    assert (admission.sequence, admission.dropped) == (2, (0,))
    assert (len(hints), hints.size_bytes, hints.oldest_ms) == (2, 90, 1)
    assert hints.tally.dropped_full == 1
    assert hints.admit(101, 3).sequence is None
    assert hints.tally.dropped_full == 2
    assert len(hints) == 2, "what cannot fit drives nobody out"


def test_the_number_is_bounded() -> None:
    hints = queue(count_max=2)
    assert [hints.admit(1, 0).dropped for _ in range(4)] == [(), (), (0,), (1,)]


def test_the_old_go() -> None:
    hints = queue(age_ms_max=10)
    hints.admit(1, 0)
    hints.admit(1, 5)
    assert hints.expire(10) == ()
    assert hints.expire(11) == (0,)
    assert hints.admit(1, 16).dropped == (1,)
    assert (hints.tally.dropped_old, hints.tally.kept, len(hints)) == (2, 3, 1)


def test_what_is_delivered_or_refused_is_forgotten() -> None:
    hints = queue()
    for _ in range(4):
        hints.admit(5, 0)
    assert hints.forget_through(1) == (0, 1)
    assert hints.forget_through(2, is_final=True) == (2,)
    assert hints.forget_through(2) == ()
    assert (hints.tally.delivered, hints.tally.dropped_final, hints.size_bytes) == (2, 1, 5)


def test_a_queue_goes_on_after_a_restart() -> None:
    hints = queue()
    hints.restore([Entry(7, 10, 100), Entry(9, 20, 200)])
    assert (len(hints), hints.size_bytes, hints.oldest_ms) == (2, 30, 100)
    assert hints.admit(1, 300).sequence == 10
    with pytest.raises(AssertionError):
        hints.restore([])
