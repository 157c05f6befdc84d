"""HashTree: what a shard holds in hashes, so that two replicas find where they differ.

    item  := blake2b-128(uuid:16 version:16 is_deleted:u8)      # storage/state_rows.py
    leaf  := XOR of the items whose token begins with the leaf's number in `height` bits
    inner := 16 zero bytes if both children are, else blake2b-128(left right)

The root is level 0, position 0; the children of (level, p) are (level + 1, 2p) and (level + 1,
2p + 1); leaves are at level `height`. XOR has no order, so a change is put in by the item that goes
and the item that comes, whatever was counted before, and a tree that is derived from rows while
writes go on ends right. Replicas compare, so these definitions never change.

Concurrency: any thread. Inner nodes are hashed when they are asked for, from leaves as they were at
one moment; writers do not wait for that.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from weftdb.core.errors import InvalidRequest
from weftdb.core.hashing import TOKEN_BITS, Token
from weftdb.core.limits import HASH_TREE_HEIGHT_MAX

HASH_BYTES = 16
_NOTHING = bytes(HASH_BYTES)


def item_hash(item: bytes | bytearray) -> bytes:
    """The hash of one `state_item`, or of two nodes."""
    return blake2b(item, digest_size=HASH_BYTES).digest()


def leaf_tokens(height: int, position: int) -> tuple[Token, Token]:
    """The tokens of a leaf: first, and one past the last."""
    shift = TOKEN_BITS - height
    return position << shift, (position + 1) << shift


class HashTree:
    """Of one shard; empty when it is made. 16 bytes a leaf, and 48 more once somebody asks."""

    def __init__(self, height: int) -> None:
        assert 1 <= height <= HASH_TREE_HEIGHT_MAX, height
        self.height = height
        self._lock = threading.Lock()
        self._low = np.zeros(1 << height, dtype="<u8")
        self._high = np.zeros(1 << height, dtype="<u8")
        self._changed = np.zeros(1 << height, dtype=np.bool_)
        self._reading = threading.Lock()
        self._levels: list[bytearray] = []

    @property
    def memory_bytes(self) -> int:
        """Resident bytes."""
        return (1 << self.height) * (HASH_BYTES + 1) + sum(map(len, self._levels))

    def toggle(self, at: Sequence[Token] | NDArray[np.uint64], items: Sequence[bytes]) -> None:
        """Put items in that are not counted, and take out those that are. `at` are their tokens."""
        if not items:
            return
        shift = np.uint64(TOKEN_BITS - self.height)
        positions = (np.asarray(at, dtype=np.uint64) >> shift).astype(np.int64)
        hashes = np.frombuffer(b"".join(map(item_hash, items)), dtype="<u8")
        with self._lock:
            np.bitwise_xor.at(self._low, positions, hashes[0::2])
            np.bitwise_xor.at(self._high, positions, hashes[1::2])
            self._changed[positions] = True

    def nodes(self, level: int, positions: Sequence[int]) -> list[bytes]:
        """The hashes at `positions` of a level. Raises InvalidRequest for one that is not there.

        O(leaves that changed since the last call).
        """
        if not 0 <= level <= self.height:
            raise InvalidRequest(f"a hash tree of height {self.height} has no level {level}")
        for position in positions:
            if not 0 <= position < 1 << level:
                raise InvalidRequest(f"level {level} of a hash tree has no position {position}")
        with self._reading:
            self._bring_up()
            row = self._levels[level]
            return [bytes(row[HASH_BYTES * at : HASH_BYTES * (at + 1)]) for at in positions]

    @property
    def root(self) -> bytes:
        """The hash of everything."""
        return self.nodes(0, [0])[0]

    def _bring_up(self) -> None:
        """Hash again what lies above leaves that changed. Requires: `_reading` is held."""
        if not self._levels:
            self._levels = [bytearray(HASH_BYTES << level) for level in range(self.height + 1)]
        with self._lock:
            changed = np.flatnonzero(self._changed)
            if not len(changed):
                return
            self._changed[changed] = False
            words = np.stack((self._low[changed], self._high[changed]), axis=1)
        leaves = np.frombuffer(self._levels[self.height], dtype="<u8").reshape(-1, 2)
        leaves[changed] = words
        for level in range(self.height - 1, -1, -1):
            changed = np.unique(changed >> 1)
            self._hash_level(level, changed.tolist())

    def _hash_level(self, level: int, positions: Sequence[int]) -> None:
        row, below = self._levels[level], self._levels[level + 1]
        nothing = _NOTHING + _NOTHING
        for at in positions:
            children = below[2 * HASH_BYTES * at : 2 * HASH_BYTES * (at + 1)]
            found = _NOTHING if children == nothing else item_hash(children)
            row[HASH_BYTES * at : HASH_BYTES * (at + 1)] = found
