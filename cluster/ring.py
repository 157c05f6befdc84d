"""VirtualTable: which shard owns which part of the ring of tokens.

The ring is cut into `count` equal virtual shards: an object with `token` lies in virtual shard
`token * count >> 64`, so a virtual shard is one contiguous range of tokens. A table says which
shard owns each. Shards are numbers here, their positions in `sharding.ShardingState.shards`.

    table := run (owner, length) …          # neighbours with the same owner are one run

Runs keep a table small: a collection that was never resharded has one for each shard. Cutting each
virtual shard into k (`refined`) changes no object's owner, because the finer ranges nest exactly:
(token * (count * k) >> 64) // k = token * count >> 64. So a collection may grow to any number of
shards, and its objects move only where a virtual shard gets another owner.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from weftdb.core.hashing import TOKEN_BITS, Token
from weftdb.core.limits import VIRTUAL_SHARDS_MAX
from weftdb.core.partial import TokenRanges

Run: TypeAlias = tuple[int, int]
"""(owner, number of virtual shards in a row that it owns)"""
Tokens: TypeAlias = NDArray[np.uint64]
Owners: TypeAlias = NDArray[np.int32]
"""The owner of each of some objects or virtual shards."""

_TOKENS = float(2**TOKEN_BITS)
_HALF_BITS = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)


@dataclass(frozen=True, slots=True, order=True)
class TokenRange:
    """The tokens from `start` on, before `stop`."""

    start: Token
    stop: Token
    """At most 2**64, which is no token itself."""

    @property
    def share(self) -> float:
        """Which part of all tokens lies in the range: an estimate of its part of the objects."""
        return (self.stop - self.start) / _TOKENS

    def __contains__(self, token: Token) -> bool:
        return self.start <= token < self.stop


def meets(ranges: TokenRanges, start: Token, stop: Token) -> bool:
    """Whether any token from `start` on, before `stop`, lies in `ranges`, which are in order."""
    at = bisect_right(ranges, start, key=_stop)
    return at < len(ranges) and ranges[at][0] < stop


def contains(ranges: TokenRanges, start: Token, stop: Token) -> bool:
    """Whether all tokens from `start` on, before `stop`, lie in one of `ranges`, in order."""
    at = bisect_right(ranges, start, key=_stop)
    return at < len(ranges) and ranges[at][0] <= start and stop <= ranges[at][1]


def common(left: TokenRanges, right: TokenRanges) -> TokenRanges:
    """The tokens that lie in both, in order."""
    found = [
        (max(mine[0], other[0]), min(mine[1], other[1]))
        for mine in left
        for other in right
        if mine[0] < other[1] and other[0] < mine[1]
    ]
    return tuple(sorted(found))


def _stop(each: tuple[Token, Token]) -> Token:
    return each[1]


def virtual_of(token: Token, count: int) -> int:
    """The virtual shard of a token, of `count`."""
    return token * count >> TOKEN_BITS


def virtuals_of(tokens: Tokens, count: int) -> NDArray[np.int64]:
    """The virtual shard of each token: the upper half of a product of 64 by at most 32 bits."""
    assert count <= VIRTUAL_SHARDS_MAX, count
    wide = np.uint64(count)
    carry = (tokens & _LOW_HALF) * wide >> _HALF_BITS
    virtuals = (tokens >> _HALF_BITS) * wide + carry >> _HALF_BITS
    return virtuals.astype(np.int64, copy=False)


def range_of(first: int, count: int, *, length: int = 1) -> TokenRange:
    """The tokens of `length` virtual shards in a row, from `first` on, of `count`."""
    assert 0 <= first < first + length <= count, (first, length, count)
    return TokenRange(_first_token(first, count), _first_token(first + length, count))


def _first_token(virtual: int, count: int) -> int:
    return -(-(virtual << TOKEN_BITS) // count)  # Rounded up.


@dataclass(frozen=True, slots=True)
class VirtualTable:
    """The owner of every virtual shard; equal tables have equal runs."""

    runs: tuple[Run, ...]
    _owners: Owners = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owners = np.array([owner for owner, _ in self.runs], dtype=np.int32)
        lengths = np.array([length for _, length in self.runs], dtype=np.int64)
        assert len(self.runs) > 0, "a table has at least one virtual shard"
        assert owners.min() >= 0, self.runs
        assert lengths.min() > 0, self.runs
        assert lengths.sum() <= VIRTUAL_SHARDS_MAX, int(lengths.sum())
        assert not (owners[1:] == owners[:-1]).any(), f"runs that are one: {self.runs}"
        expanded = np.repeat(owners, lengths)
        expanded.flags.writeable = False
        object.__setattr__(self, "_owners", expanded)

    @classmethod
    def even(cls, shards: int, *, virtual_per_shard: int) -> VirtualTable:
        """The table of a new collection: shard i owns the i-th row of virtual shards."""
        return cls(tuple((owner, virtual_per_shard) for owner in range(shards)))

    @classmethod
    def of_owners(cls, owners: Iterable[int]) -> VirtualTable:
        """The table in which virtual shard i is owned by the i-th of `owners`."""
        return cls(tuple((int(owner), len(list(same))) for owner, same in groupby(owners)))

    @property
    def count(self) -> int:
        """How many virtual shards there are."""
        return len(self._owners)

    @property
    def owners(self) -> Owners:
        """The owner of every virtual shard, int32[count], read-only."""
        return self._owners

    def owner_of(self, token: Token) -> int:
        """The owner of one token."""
        return int(self._owners[virtual_of(token, self.count)])

    def owners_of(self, tokens: Tokens) -> Owners:
        """The owner of each token."""
        return self._owners[virtuals_of(tokens, self.count)]

    def ranges_of(self, owner: int) -> tuple[TokenRange, ...]:
        """The tokens that `owner` has, as ranges that do not touch, in their order."""
        ranges = []
        first = 0
        for held_by, length in self.runs:
            if held_by == owner:
                ranges.append(range_of(first, self.count, length=length))
            first += length
        return tuple(ranges)

    def counts(self, shards: int) -> list[int]:
        """How many virtual shards each of `shards` owners has."""
        return [int(count) for count in np.bincount(self._owners, minlength=shards)]

    def refined(self, factor: int) -> VirtualTable:
        """The same ring, each virtual shard cut into `factor`."""
        assert factor >= 1, factor
        return VirtualTable(tuple((owner, length * factor) for owner, length in self.runs))

    def with_owner(self, first: int, owner: int, *, length: int) -> VirtualTable:
        """The table after `owner` took over `length` virtual shards from `first` on."""
        assert 0 <= first < first + length <= self.count, (first, length)
        owners = self._owners.copy()
        owners[first : first + length] = owner
        return VirtualTable.of_owners(owners.tolist())

    def renumbered(self, positions: Sequence[int | None]) -> VirtualTable:
        """The table after shards got new positions; those that are gone (None) own nothing."""
        return VirtualTable.of_owners(_known(positions[owner]) for owner in self._owners.tolist())


def _known(position: int | None) -> int:
    assert position is not None, "a shard that owns virtual shards cannot go"
    return position
