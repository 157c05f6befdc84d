"""Tokens decide which shard holds an object: these never change.

The numbers are those of `mmh3.hash64(id, seed=0, x64arch=True, signed=False)[0]`, mmh3 5.3.
"""

from __future__ import annotations

import pytest

from weftdb.core.hashing import token, tokens
from weftdb.core.types import ObjectId

TOKENS = {
    "00000000000000000000000000000000": 0x4BBD1BF27DA918D6,
    "ffffffffffffffffffffffffffffffff": 0xD8CE73D7A39A46E6,
    "000102030405060708090a0b0c0d0e0f": 0x444924B591903F30,
    "00112233445566778899aabbccddeeff": 0x4F4BA54A31295B4F,
    "6ba7b8109dad11d180b400c04fd430c8": 0xA22A25CEF54F894F,
}


@pytest.mark.parametrize("digits", TOKENS)
def test_an_id_has_its_token_for_ever(digits: str) -> None:
    assert token(ObjectId(bytes.fromhex(digits))) == TOKENS[digits]


def test_a_column_of_ids_has_the_same_tokens() -> None:
    ids = [ObjectId(bytes.fromhex(digits)) for digits in TOKENS]
    assert tokens(ids).tolist() == list(TOKENS.values())
