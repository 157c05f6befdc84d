"""Rows of states: in the order of tokens, alone in their shard, and refused where damaged."""

from __future__ import annotations

import random

import pytest

from weftdb.core.errors import CorruptData
from weftdb.core.hashing import token, tokens
from weftdb.core.objects import Digest
from weftdb.core.types import ObjectId, ShardId, Version
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.state_rows import (
    FEW_IDS,
    StateRows,
    decode_digest,
    encode_digest,
    state_item,
    tokens_of,
)

IDS = [ObjectId(random.Random(n).randbytes(16)) for n in range(200)]
DIGESTS = {one: Digest(Version(n, n % 3, 1), n % 5 == 0) for n, one in enumerate(IDS)}
SHARD, NEXT = ShardId(7), ShardId(8)


def filled(store: KeyValueStore, shard: ShardId = SHARD) -> StateRows:
    """Rows of all ids."""
    rows, batch = StateRows(store, shard), WriteBatch()
    for one, digest in DIGESTS.items():
        rows.put(batch, token(one), one, digest)
    store.write(batch)
    return rows


def test_what_is_put_is_found(store: KeyValueStore) -> None:
    rows = filled(store)
    unknown = ObjectId(bytes(16))
    assert rows.get_many([*IDS, unknown]) == [*DIGESTS.values(), None]
    assert rows.get_many(IDS[:2], tokens_of(IDS[:2])) == [DIGESTS[one] for one in IDS[:2]]
    assert rows.get_many([]) == []
    deleted = sorted(one for one, digest in DIGESTS.items() if digest.is_deleted)
    assert list(rows.tombstones()) == [(one, DIGESTS[one].version) for one in deleted]


def test_a_range_of_tokens(store: KeyValueStore) -> None:
    rows = filled(store)
    filled(store, NEXT)
    assert rows.in_range(0, 2**64) == [(one, DIGESTS[one]) for one in sorted(IDS)]
    middle = sorted(one for one in IDS if 2**62 <= token(one) < 2**63)
    assert [one for one, _ in rows.in_range(2**62, 2**63)] == middle
    assert rows.in_range(0, 0) == []


def test_items_come_by_token(store: KeyValueStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weftdb.storage.state_rows.ROWS_PER_CHUNK", 64)
    chunks = list(filled(store).items())
    assert [len(items) for _, items in chunks] == [64, 64, 64, 8]
    at = [int(one) for column, _ in chunks for one in column]
    assert at == sorted(map(token, IDS))
    items = [item for _, chunk in chunks for item in chunk]
    assert items == [state_item(one, DIGESTS[one]) for one in sorted(IDS, key=token)]


def test_a_forgotten_deletion_leaves_nothing(store: KeyValueStore) -> None:
    rows, batch = filled(store), WriteBatch()
    rows.forget(batch, token(IDS[0]), IDS[0])
    rows.remove_tombstone(batch, IDS[5])
    store.write(batch)
    assert rows.get_many([IDS[0], IDS[5]]) == [None, DIGESTS[IDS[5]]]
    assert not {IDS[0], IDS[5]} & {one for one, _ in rows.tombstones()}


def test_clearing_ends_at_the_shard(store: KeyValueStore) -> None:
    rows, other, batch = filled(store), filled(store, NEXT), WriteBatch()
    rows.clear(batch)
    store.write(batch)
    assert rows.in_range(0, 2**64) == []
    assert list(rows.tombstones()) == []
    assert rows.filled_to() is None
    assert len(other.in_range(0, 2**64)) == len(IDS)


@pytest.mark.parametrize("count", [0, 1, FEW_IDS, FEW_IDS + 1, 100])
def test_tokens_of_few_and_many(count: int) -> None:
    assert tokens_of(IDS[:count]) == tokens(IDS[:count]).tolist() == list(map(token, IDS[:count]))


def test_damaged_rows_are_refused(store: KeyValueStore) -> None:
    good = encode_digest(Digest(Version(5)))
    assert decode_digest(good) == Digest(Version(5))
    for bad in (b"", good[:-1], good + b"\x00", good[:-1] + b"\x02"):
        with pytest.raises(CorruptData):
            decode_digest(bad)
    rows, batch = filled(store), WriteBatch()
    batch.put(Family.STATES, keys.state_key(SHARD, token(IDS[3]), IDS[3]), good[:-1])
    store.write(batch)
    with pytest.raises(CorruptData):
        rows.get_many([IDS[3]])
    with pytest.raises(CorruptData):
        list(rows.items())
