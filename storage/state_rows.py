"""StateRows: which version of every object, or of its deletion, a replicated shard holds.

    STATES row     := version:16 is_deleted:u8          # under (token, uuid); versions.py
    tombstone row  := version:16                        # METADATA 0x03 uuid, of a deletion
    filled row     := doc_id:u32                        # METADATA 0x07, big-endian

A row of STATES stands beside every object of the shard and for every deletion that is remembered,
in the order of tokens: a leaf of the hash tree is a range of rows, and so is a virtual shard. The
tombstone row repeats a deletion, so that the old ones are found without a look at the objects.

A shard that becomes replicated while it has objects gets their rows afterwards: objects of docs
below `doc_id` have theirs, and `ALL_FILLED` says that every object has. Shards that are not
replicated have no rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import CorruptData
from weftdb.core.hashing import ID_BYTES, Token, token, tokens
from weftdb.core.objects import Digest
from weftdb.core.types import DocId, ObjectId, ShardId, Version
from weftdb.storage import keys
from weftdb.storage.kv import Family, Reader, WriteBatch
from weftdb.storage.versions import VERSION_BYTES, decode_version, encode_version

ALL_FILLED = DocId(2**32 - 1)
FEW_IDS = 12
"""Up to this many ids, tokens are cheaper one by one than in a column."""
ROWS_PER_CHUNK = 8_192
_DOC_ID = struct.Struct(">I")
_FLAGS = (b"\x00", b"\x01")
_TOKEN_AT, _ID_AT = 4, 12
_KEY_BYTES = _ID_AT + ID_BYTES
_VALUE_BYTES = VERSION_BYTES + 1
ITEM_BYTES = ID_BYTES + _VALUE_BYTES


def state_item(object_id: ObjectId, digest: Digest) -> bytes:
    """What a hash tree counts of a state: uuid:16 version:16 is_deleted:u8."""
    return object_id + encode_digest(digest)


def encode_digest(digest: Digest) -> bytes:
    """The value of a STATES row."""
    return encode_version(digest.version) + _FLAGS[digest.is_deleted]


def decode_digest(value: bytes) -> Digest:
    """Read `encode_digest` back. Raises CorruptData."""
    if len(value) != _VALUE_BYTES or value[-1] > 1:
        raise CorruptData(f"a state row reads {value.hex()}")
    return Digest(decode_version(value[:VERSION_BYTES]), value[-1] == 1)


def tokens_of(ids: Sequence[ObjectId]) -> list[Token]:
    """The tokens of ids, few or many."""
    if len(ids) <= FEW_IDS:
        return [token(object_id) for object_id in ids]
    found: list[Token] = tokens(ids).tolist()
    return found


class StateRows:
    """Reads through a `Reader`; writes go into the caller's `WriteBatch`."""

    def __init__(self, reader: Reader, shard: ShardId) -> None:
        self._reader = reader
        self._shard = shard

    # Reading.

    def get_many(
        self, ids: Sequence[ObjectId], at: Sequence[Token] | None = None
    ) -> list[Digest | None]:
        """What is held of each id; None without a row. `at` are the tokens if they are known."""
        at = tokens_of(ids) if at is None else at
        wanted = [keys.state_key(self._shard, *pair) for pair in zip(at, ids, strict=True)]
        values = self._reader.get_many(Family.STATES, wanted)
        return [None if value is None else decode_digest(value) for value in values]

    def in_range(self, first: Token, end: Token) -> list[tuple[ObjectId, Digest]]:
        """Everything with first <= token < end, by id."""
        pairs = self._reader.scan(Family.STATES, *keys.state_range(self._shard, first, end))
        found = [(ObjectId(key[_ID_AT:]), decode_digest(value)) for key, value in pairs]
        return sorted(found, key=lambda held: held[0])

    def some_in(self, first: Token, end: Token, limit: int) -> list[ObjectId]:
        """Ids with first <= token < end, deleted or not; at most `limit`, by token."""
        pairs = self._reader.scan(Family.STATES, *keys.state_range(self._shard, first, end))
        return [ObjectId(key[_ID_AT:]) for key, _ in islice(pairs, limit)]

    def items(self) -> Iterator[tuple[NDArray[np.uint64], list[bytes]]]:
        """Every row as of this call, in chunks: tokens uint64[n] ascending, and the items that a
        hash tree counts. Raises CorruptData."""
        start, end = keys.shard_range(self._shard)
        return _chunks(iter(self._reader.scan(Family.STATES, start, end)))

    def tombstones(self) -> Iterator[tuple[ObjectId, Version]]:
        """Every deletion that is remembered, by id."""
        start, end = keys.tombstone_range(self._shard)
        for key, value in self._reader.scan(Family.METADATA, start, end):
            yield ObjectId(key[len(start) :]), decode_version(value)

    def filled_to(self) -> DocId | None:
        """Docs below this one have their rows; None where rows were never asked for."""
        value = self._reader.get(Family.METADATA, keys.states_filled_key(self._shard))
        return None if value is None else DocId(_DOC_ID.unpack(value)[0])

    # Writing.

    def put(self, batch: WriteBatch, at: Token, object_id: ObjectId, digest: Digest) -> None:
        """Remember a state. Requires: the tombstone row of an earlier one is removed apart."""
        key = keys.state_key(self._shard, at, object_id)
        batch.put(Family.STATES, key, encode_digest(digest))
        if digest.is_deleted:
            key = keys.tombstone_key(self._shard, object_id)
            batch.put(Family.METADATA, key, encode_version(digest.version))

    def remove_tombstone(self, batch: WriteBatch, object_id: ObjectId) -> None:
        """Remove the tombstone row of a deletion that a newer object replaces."""
        batch.delete(Family.METADATA, keys.tombstone_key(self._shard, object_id))

    def forget(self, batch: WriteBatch, at: Token, object_id: ObjectId) -> None:
        """Remove both rows of a deletion."""
        batch.delete(Family.STATES, keys.state_key(self._shard, at, object_id))
        self.remove_tombstone(batch, object_id)

    def mark_filled(self, batch: WriteBatch, to: DocId) -> None:
        """Say that docs below `to` have their rows, or `ALL_FILLED`."""
        batch.put(Family.METADATA, keys.states_filled_key(self._shard), _DOC_ID.pack(to))

    def clear_states(self, batch: WriteBatch) -> None:
        """Remove the rows of STATES; those of tombstones stay."""
        batch.delete_range(Family.STATES, *keys.shard_range(self._shard))

    def clear(self, batch: WriteBatch) -> None:
        """Remove all rows: the shard is not replicated any more."""
        self.clear_states(batch)
        batch.delete_range(Family.METADATA, *keys.tombstone_range(self._shard))
        batch.delete(Family.METADATA, keys.states_filled_key(self._shard))


def _chunks(
    pairs: Iterator[tuple[bytes, bytes]],
) -> Iterator[tuple[NDArray[np.uint64], list[bytes]]]:
    while chunk := list(islice(pairs, ROWS_PER_CHUNK)):
        joined = b"".join([key[_TOKEN_AT:_ID_AT] for key, _ in chunk])
        items = [key[_ID_AT:] + value for key, value in chunk]
        if set(map(len, items)) != {ITEM_BYTES}:
            raise CorruptData("a state row is not of its length")
        yield np.frombuffer(joined, dtype=">u8").astype(np.uint64), items
