"""Tokens: one id and a column of ids agree, and ids spread evenly over the ring."""

from __future__ import annotations

import random

import numpy as np
import pytest

from weftdb.core.hashing import TOKEN_BITS, token, tokens
from weftdb.core.types import ObjectId


def test_one_id_and_a_column_agree() -> None:
    source = random.Random(7)
    ids = [ObjectId(source.randbytes(16)) for _ in range(500)]
    column = tokens(ids)
    assert column.dtype == np.uint64
    assert column.tolist() == [token(object_id) for object_id in ids]


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
