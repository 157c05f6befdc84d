"""Which doc ids of a shard are given out, which are live, and the sums that BM25 needs.

    counters     := crc32:u32 version:u8 next_doc_id:u32 fields:u16 field*
    field        := name_len:u8 name:utf8 docs:u64 terms:u64     # docs that have it, their terms
    lengths      := (property:u16 terms:u32)*                    # LENGTHS row of a doc
    live chunk   := crc32:u32 kind:u8 members                    # one a 4,096 doc ids
    members      := kind 1: the live doc ids, portable roaring format
                  | kind 2: 512 bytes, one bit a doc id of the chunk, lowest first

Little-endian; a crc covers what follows it. Everything changes in the batch of the write that
causes it, so a crash leaves it true. A doc id that was given out and not written is simply skipped.
A chunk is small because a write writes every chunk that it touches: at most 517 bytes each.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from weftdb.core.errors import CorruptData, LimitExceeded
from weftdb.core.limits import DOC_IDS_PER_SHARD_MAX
from weftdb.core.types import DocId, ShardId
from weftdb.storage import keys
from weftdb.storage.kv import Family, Reader, WriteBatch

_FORMAT = 1
_CHUNK_BITS = 12
_HEAD = struct.Struct("<IBIH")
_SUMS = struct.Struct("<QQ")
_LENGTH = struct.Struct("<HI")
_CRC = struct.Struct("<I")
_CONTAINER_BITS = 16
_CHUNK_BYTES = (1 << _CHUNK_BITS) // 8
_ROARING, _BITS = b"\x01", b"\x02"


@dataclass(slots=True)
class LengthSum:
    """Of one searchable property: docs that have it, and their terms together."""

    docs: int = 0
    terms: int = 0

    @property
    def mean(self) -> float:
        """Mean number of terms, 0 without docs."""
        return self.terms / self.docs if self.docs else 0.0


class DocIdTable:
    """Doc ids and sums of one shard. Concurrency: one writer; readers see whole operations."""

    def __init__(self, reader: Reader, shard: ShardId) -> None:
        self._shard = shard
        self.live = BitMap()
        self.next_doc_id = 0
        self.end = 0
        """One past the highest doc id that a published write has; every lower one that is not live
        is dead, while ids from here on may be on their way."""
        self.lengths: dict[str, LengthSum] = {}
        self._load(reader)

    def allocate(self, count: int) -> range:
        """Give out `count` new doc ids. Raises LimitExceeded when the shard is full."""
        first = self.next_doc_id
        if first + count > DOC_IDS_PER_SHARD_MAX:
            raise LimitExceeded(
                f"the shard has given out {first} of {DOC_IDS_PER_SHARD_MAX} doc ids; "
                "copy the collection into a new one to number its objects afresh"
            )
        self.next_doc_id = first + count
        return range(first, first + count)

    def stage(
        self,
        batch: WriteBatch,
        added: Iterable[DocId],
        removed: Iterable[DocId],
        lengths: Mapping[str, tuple[int, int]],
    ) -> None:
        """Put the outcome into `batch`; memory is not changed until `publish`.

        `lengths` gives the change of (docs, terms) by property.
        """
        incoming, outgoing = BitMap(added), BitMap(removed)
        for chunk in sorted({doc >> _CHUNK_BITS for doc in incoming | outgoing}):
            span = BitMap(range(chunk << _CHUNK_BITS, (chunk + 1) << _CHUNK_BITS))
            members = ((self.live & span) | (incoming & span)) - outgoing
            batch.put(
                Family.METADATA, keys.live_key(self._shard, chunk), _encode_chunk(chunk, members)
            )
        sums = {
            name: LengthSum(
                self.lengths.get(name, LengthSum()).docs + lengths.get(name, (0, 0))[0],
                self.lengths.get(name, LengthSum()).terms + lengths.get(name, (0, 0))[1],
            )
            for name in self.lengths.keys() | lengths.keys()
        }
        counters = _encode_counters(self.next_doc_id, sums)
        batch.put(Family.METADATA, keys.counters_key(self._shard), counters)

    def publish(
        self,
        added: Iterable[DocId],
        removed: Iterable[DocId],
        lengths: Mapping[str, tuple[int, int]],
    ) -> None:
        """Make visible what `stage` wrote."""
        incoming = BitMap(added)
        live = self.live | incoming
        live -= BitMap(removed)
        if incoming and incoming[0] >> _CONTAINER_BITS != self.next_doc_id >> _CONTAINER_BITS:
            live.run_optimize()  # A filled container shrinks: every write copies the bitmap.
        self.live = live
        self.end = self.next_doc_id
        for name, (docs, terms) in lengths.items():
            total = self.lengths.setdefault(name, LengthSum())
            total.docs += docs
            total.terms += terms

    def _load(self, reader: Reader) -> None:
        counters = reader.get(Family.METADATA, keys.counters_key(self._shard))
        if counters is not None:
            self.next_doc_id, self.lengths = _decode_counters(counters)
            self.end = self.next_doc_id
        chunks = [
            _decode_chunk(keys.chunk_of(key), value)
            for key, value in reader.scan(Family.METADATA, *keys.live_range(self._shard))
        ]
        self.live = BitMap.union(*chunks) if chunks else BitMap()
        self.live.run_optimize()
        if self.live and self.live.max() >= self.next_doc_id:
            raise CorruptData(
                f"doc {self.live.max()} is live, but only {self.next_doc_id} were given out"
            )


def _encode_chunk(chunk: int, members: BitMap) -> bytes:
    members.run_optimize()
    body = _ROARING + members.serialize()
    if len(body) > len(_BITS) + _CHUNK_BYTES:
        bits = np.zeros(_CHUNK_BYTES * 8, dtype=np.bool_)
        bits[np.asarray(members.to_array(), dtype=np.int64) - (chunk << _CHUNK_BITS)] = True
        body = _BITS + np.packbits(bits, bitorder="little").tobytes()
    return _CRC.pack(zlib.crc32(body)) + body


def _decode_chunk(chunk: int, value: bytes) -> BitMap:
    body = value[_CRC.size :]
    if not body or zlib.crc32(body) != _CRC.unpack_from(value)[0]:
        raise CorruptData(f"chunk {chunk} of the live docs fails its checksum")
    kind, members = body[:1], body[1:]
    if kind == _BITS and len(members) == _CHUNK_BYTES:
        bits = np.unpackbits(np.frombuffer(members, dtype=np.uint8), bitorder="little")
        return BitMap((np.flatnonzero(bits) + (chunk << _CHUNK_BITS)).astype(np.uint32))
    if kind != _ROARING:
        raise CorruptData(f"chunk {chunk} of the live docs is of unknown kind {kind.hex()}")
    found = BitMap.deserialize(members)
    if found and {found.min() >> _CHUNK_BITS, found.max() >> _CHUNK_BITS} != {chunk}:
        raise CorruptData(f"chunk {chunk} of the live docs holds docs of another chunk")
    return found


def _encode_counters(next_doc_id: int, sums: Mapping[str, LengthSum]) -> bytes:
    body = _HEAD.pack(0, _FORMAT, next_doc_id, len(sums))[4:]
    for name, total in sorted(sums.items()):
        encoded = name.encode()
        body += bytes((len(encoded),)) + encoded + _SUMS.pack(total.docs, total.terms)
    return struct.pack("<I", zlib.crc32(body)) + body


def _decode_counters(value: bytes) -> tuple[int, dict[str, LengthSum]]:
    if len(value) < _HEAD.size or zlib.crc32(value[4:]) != _HEAD.unpack_from(value)[0]:
        raise CorruptData("the counters of a shard fail their checksum")
    _, version, next_doc_id, count = _HEAD.unpack_from(value)
    if version != _FORMAT:
        raise CorruptData(f"shard counters have format {version}, this build reads {_FORMAT}")
    sums, at = {}, _HEAD.size
    for _ in range(count):
        name = value[at + 1 : at + 1 + value[at]].decode()
        at += 1 + value[at]
        sums[name] = LengthSum(*_SUMS.unpack_from(value, at))
        at += _SUMS.size
    return next_doc_id, sums


def encode_lengths(lengths: Sequence[tuple[int, int]]) -> bytes:
    """The LENGTHS row of a doc: (number of the searchable property, terms) pairs."""
    return b"".join([_LENGTH.pack(number, terms) for number, terms in lengths])


def decode_lengths(value: bytes) -> list[tuple[int, int]]:
    """Read `encode_lengths` back. Raises CorruptData."""
    if len(value) % _LENGTH.size:
        raise CorruptData(f"a lengths row has {len(value)} bytes")
    return list(_LENGTH.iter_unpack(value))
