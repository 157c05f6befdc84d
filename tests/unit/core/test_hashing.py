"""Tokens: one id and a column of ids agree, and ids spread evenly over the ring."""

from __future__ import annotations

import random

import numpy as np
import pytest

from weftdb.core.hashing import TOKEN_BITS, token, tokens
from weftdb.core.types import ObjectId

SMHASHER_VERIFICATION = 0x6384BA69
"""Of MurmurHash3_x64_128, as its author publishes it in SMHasher's list of hashes."""


def test_one_id_and_a_column_agree() -> None:
    source = random.Random(7)
    ids = [ObjectId(source.randbytes(16)) for _ in range(500)]
    column = tokens(ids)
    assert column.dtype == np.uint64
    assert column.tolist() == [token(object_id) for object_id in ids]


def test_tokens_are_those_of_another_implementation() -> None:
    """And that one is MurmurHash3 as published: it passes SMHasher's own check (keys 0, 01, 0102, …
    with falling seeds, hashed together)."""
    mmh3 = pytest.importorskip("mmh3", reason="mmh3 (extra dev) is the other implementation")
    hashes = [mmh3.hash_bytes(bytes(range(size)), 256 - size, True) for size in range(256)]
    together = mmh3.hash_bytes(b"".join(hashes), 0, True)
    assert int.from_bytes(together[:4], "little") == SMHASHER_VERIFICATION
    source = random.Random(8)
    ids = [ObjectId(source.randbytes(16)) for _ in range(500)]
    said = [mmh3.hash64(object_id, seed=0, x64arch=True, signed=False)[0] for object_id in ids]
    assert tokens(ids).tolist() == said


def test_no_ids_have_no_tokens() -> None:
    assert tokens([]).tolist() == []


def test_ids_that_count_up_spread_evenly() -> None:
    ids = [ObjectId(number.to_bytes(16, "big")) for number in range(64_000)]
    counts = np.bincount((tokens(ids) >> np.uint64(TOKEN_BITS - 6)).astype(np.int64))
    assert len(counts) == 64
    assert counts.min() > 850  # 1,000 expected, with a deviation of 31
    assert counts.max() < 1_150


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(AssertionError):
        token(ObjectId(b"short"))
    with pytest.raises(AssertionError):
        tokens([ObjectId(b"short")])
