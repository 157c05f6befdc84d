"""Hints: what a replica missed, kept durably by the coordinator until that replica is back.

Hints of one target form a queue in the order in which they were kept:

    key    := target_bytes:u8 target:utf8 sequence:u64be           # big-endian: keys sort in order
    hint   := crc32:u32 format:u8 kept_ms:u64 collection shard states:u32 state*
    state  := bytes:u32 encoded          # a whole state, versioned and checksummed by its own codec
    collection, shard := bytes:u16 utf8

Little-endian but for the key; crc32 is zlib's, over the rest. `format` is 1; others are refused.

A queue is bounded three ways, and what leaves it undelivered is counted, never silent:

- *Full* (bytes or count): the oldest goes first. Anti-entropy finds what it said.
- *Old*: past `age_ms_max` anti-entropy is cheaper than replay. The bound must be well below the
  grace of tombstones (`tombstones.Grace.check`): a hint of an object that outlives the memory of
  its deletion would bring the object back.
- *Final*: the target says that it will never take it (the shard is gone there).

A hint that cannot be stored at all, and one that is found damaged, are counted, too.

The queue's numbers are in memory, at about a hundred bytes a hint; `restore` reads them from the
keys at start. `hint_replay.py` decides when hints are sent.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.errors import CorruptData
from weftdb.core.limits import MiB
from weftdb.core.types import CollectionName, NodeName, ShardName

FORMAT = 1
_CRC = struct.Struct("<I")
_HEAD = struct.Struct("<BQ")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_SEQUENCE = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Hint:
    """States of one shard that a target missed, encoded; `kept_ms` is wall-clock."""

    shard: ShardRef
    kept_ms: int
    states: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HintBounds:
    """How much of one target is kept, and for how long."""

    bytes_max: int = 256 * MiB
    count_max: int = 100_000
    age_ms_max: int = 3 * 3600 * 1000


def encode_key(target: NodeName, sequence: int) -> bytes:
    """Where a hint lies: keys of one target sort by sequence."""
    return key_prefix(target) + _SEQUENCE.pack(sequence)


def key_prefix(target: NodeName) -> bytes:
    """What all keys of one target begin with, and no key of another."""
    name = target.encode()
    assert 1 <= len(name) <= 255, target
    return bytes((len(name),)) + name


def decode_key(key: bytes) -> tuple[NodeName, int]:
    """Read `encode_key` back. Raises CorruptData."""
    end = 1 + key[0] if key else 0
    if len(key) != end + _SEQUENCE.size:
        raise CorruptData(f"a hint's key has {len(key)} bytes: {key.hex()}")
    return NodeName(_text(key[1:end])), _SEQUENCE.unpack_from(key, end)[0]


def encode_hint(hint: Hint) -> bytes:
    """Write a hint."""
    parts = [_HEAD.pack(FORMAT, hint.kept_ms)]
    for name in (hint.shard.collection, hint.shard.shard):
        encoded = name.encode()
        parts += [_U16.pack(len(encoded)), encoded]
    parts.append(_U32.pack(len(hint.states)))
    for state in hint.states:
        parts += [_U32.pack(len(state)), state]
    body = b"".join(parts)
    return _CRC.pack(zlib.crc32(body)) + body


def decode_hint(value: bytes) -> Hint:
    """Read `encode_hint` back. Raises CorruptData."""
    body = memoryview(value)[_CRC.size :]
    if len(value) <= _CRC.size + _HEAD.size or value[: _CRC.size] != _CRC.pack(zlib.crc32(body)):
        raise CorruptData("a hint fails its checksum")
    form, kept_ms = _HEAD.unpack_from(body)
    if form != FORMAT:
        raise CorruptData(f"a hint has format {form}, this build reads {FORMAT}")
    try:
        collection, at = _sized(body, _HEAD.size, _U16)
        shard, at = _sized(body, at, _U16)
        (count,) = _U32.unpack_from(body, at)
        at += _U32.size
        states = []
        for _ in range(count):
            state, at = _sized(body, at, _U32)
            states.append(state)
    except struct.error as error:
        raise CorruptData(f"a hint of {len(value)} bytes ends too early") from error
    if at != len(body):
        raise CorruptData(f"a hint has {len(body) - at} bytes too many")
    where = ShardRef(CollectionName(_text(collection)), ShardName(_text(shard)))
    return Hint(where, kept_ms, tuple(states))


def head_of(value: bytes) -> tuple[ShardRef, int]:
    """Shard and `kept_ms` of a hint, without a look at its states. Raises CorruptData where these
    cannot be read; other damage is `decode_hint`'s to find."""
    try:
        form, kept_ms = _HEAD.unpack_from(value, _CRC.size)
        collection, at = _sized(memoryview(value), _CRC.size + _HEAD.size, _U16)
        shard, _ = _sized(memoryview(value), at, _U16)
    except struct.error as error:
        raise CorruptData(f"a hint of {len(value)} bytes ends too early") from error
    if form != FORMAT:
        raise CorruptData(f"a hint has format {form}, this build reads {FORMAT}")
    return ShardRef(CollectionName(_text(collection)), ShardName(_text(shard))), kept_ms


def _sized(body: memoryview, at: int, size: struct.Struct) -> tuple[bytes, int]:
    (length,) = size.unpack_from(body, at)
    start = at + size.size
    part = bytes(body[start : start + length])
    if len(part) != length:
        raise CorruptData("a hint ends too early")
    return part, start + length


def _text(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError as error:
        raise CorruptData(f"a name in a hint is no UTF-8: {encoded.hex()}") from error


@dataclass(frozen=True, slots=True)
class Entry:
    """One hint as its queue knows it."""

    sequence: int
    size_bytes: int
    kept_ms: int


@dataclass(frozen=True, slots=True)
class Admission:
    """Where to store a hint (None: nowhere, it is larger than the bound), and which to delete."""

    sequence: int | None
    dropped: tuple[int, ...]


@dataclass(slots=True)
class HintTally:
    """What became of hints since the start; for metrics."""

    kept: int = 0
    delivered: int = 0
    dropped_full: int = 0
    dropped_old: int = 0
    dropped_final: int = 0
    dropped_unstored: int = 0
    dropped_damaged: int = 0


@dataclass(slots=True)
class HintQueue:
    """The rules of one target's queue. Says what to store and delete; the driver does it.

    Concurrency: one caller at a time.
    """

    bounds: HintBounds
    tally: HintTally = field(default_factory=HintTally)
    size_bytes: int = 0
    _entries: deque[Entry] = field(default_factory=deque)
    _next: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> int:
        """The sequence of the oldest hint, or of the next one that will be kept."""
        return self._entries[0].sequence if self._entries else self._next

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest hint was kept; None without hints."""
        return self._entries[0].kept_ms if self._entries else None

    def restore(self, entries: Iterable[Entry]) -> None:
        """Take over what is stored, in ascending order. Requires: a fresh queue."""
        assert self._next == 0, "restore comes first"
        for entry in entries:
            assert entry.sequence >= self._next, entry
            self._entries.append(entry)
            self.size_bytes += entry.size_bytes
            self._next = entry.sequence + 1

    def admit(self, size_bytes: int, now_ms: int) -> Admission:
        """Find a place for a hint of `size_bytes`; the oldest make room."""
        if size_bytes > self.bounds.bytes_max:
            self.tally.dropped_full += 1
            return Admission(None, ())
        dropped = list(self.expire(now_ms))
        while self._entries and not self._has_room(size_bytes):
            dropped.append(self._drop_oldest())
            self.tally.dropped_full += 1
        sequence = self._next
        self._next += 1
        self._entries.append(Entry(sequence, size_bytes, now_ms))
        self.size_bytes += size_bytes
        self.tally.kept += 1
        return Admission(sequence, tuple(dropped))

    def withdraw(self, sequence: int) -> None:
        """Take back what `admit` gave out last, for it could not be stored. Of several the last
        comes first; one that was dropped since is gone already."""
        self.tally.dropped_unstored += 1
        if not self._entries or self._entries[-1].sequence != sequence:
            return
        self.size_bytes -= self._entries.pop().size_bytes
        self.tally.kept -= 1

    def expire(self, now_ms: int) -> tuple[int, ...]:
        """Let go of the hints that are too old; the sequences to delete."""
        dropped = []
        while self._entries and self.is_old(self._entries[0].kept_ms, now_ms):
            dropped.append(self._drop_oldest())
            self.tally.dropped_old += 1
        return tuple(dropped)

    def is_old(self, kept_ms: int, now_ms: int) -> bool:
        """Whether a hint may not be replayed any more."""
        return now_ms - kept_ms > self.bounds.age_ms_max

    def forget_through(self, sequence: int, *, is_final: bool = False) -> tuple[int, ...]:
        """Let go of the hints up to `sequence`: delivered, or refused for good."""
        gone = []
        while self._entries and self._entries[0].sequence <= sequence:
            gone.append(self._drop_oldest())
        if is_final:
            self.tally.dropped_final += len(gone)
        else:
            self.tally.delivered += len(gone)
        return tuple(gone)

    def _has_room(self, size_bytes: int) -> bool:
        fits = self.size_bytes + size_bytes <= self.bounds.bytes_max
        return fits and len(self._entries) < self.bounds.count_max

    def _drop_oldest(self) -> int:
        entry = self._entries.popleft()
        self.size_bytes -= entry.size_bytes
        return entry.sequence
