"""LogDamage: where RocksDB's write-ahead log cannot be read, and whether whole records follow.

A crash tears the end of the log: what is unreadable there was never synced, thus never
acknowledged. If whole records follow the unreadable place, the log was damaged after it was written
(a disk, a copy, an editor), and acknowledged writes may be lost. RocksDB cannot be asked: it stops
at the first bad record without looking at what follows. Format (rocksdb/wiki, "Write Ahead Log File
Format"):

    log    := block*                                # of 32 KiB, the last one may be shorter
    block  := record* zero:bytes[0..6]              # a record does not cross blocks
    record := crc:u32 size:u16 type:u8 (log:u32)? payload[size]   # log number: recycled logs
    type   := 1 whole | 2 first | 3 middle | 4 last | 5-8 the same with log number
            | 9 and above: records about the log, without data

The crc is a masked CRC-32C over all after `size`. Reading is slow (some MB/s); it happens only when
RocksDB has refused a log.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK_BYTES = 32 * 1024
_HEAD = struct.Struct("<IHB")
_LOG_NUMBER_BYTES = 4
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_RECYCLED = {5: _WHOLE, 6: _FIRST, 7: _MIDDLE, 8: _LAST}
_RECYCLED_OTHERS = {11, 131}
_CRC_MASK = 0xA282EAD8
_CRC_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True, slots=True)
class LogDamage:
    """The first unreadable place, and the whole records that come after it in this log and in
    later ones."""

    path: Path
    offset: int
    records_after: int
    bytes_after: int

    @property
    def is_torn_end(self) -> bool:
        """Whether nothing readable follows: what a crash leaves."""
        return self.records_after == 0


def find_damage(logs: Sequence[Path]) -> LogDamage | None:
    """Read logs in the order of their numbers; None if all of it can be read. O(bytes)."""
    first: tuple[Path, int] | None = None
    records = size = 0
    for path in logs:
        for piece in _pieces(path.read_bytes()):
            if not piece.is_good:
                first = first or (path, piece.offset)
            elif first is not None:
                records += 1
                size += piece.size
    return None if first is None else LogDamage(*first, records, size)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A whole record, in one or more fragments, or a place that is none."""

    offset: int
    size: int
    is_good: bool


def _pieces(data: bytes) -> Iterator[_Piece]:
    begun = -1  # Where the record began whose fragments are being read.
    size = at = 0
    is_searched = False
    while at < len(data):
        room = _BLOCK_BYTES - at % _BLOCK_BYTES
        if room < _HEAD.size:
            at += room
            continue
        kind, end = _fragment(data, at)
        if kind is None:
            yield _Piece(at if begun < 0 else begun, 0, is_good=False)
            # Once, the rest of the block is searched byte by byte; RocksDB would leave it out.
            begun, at = -1, at + room if is_searched else _next_fragment(data, at, at + room)
            is_searched = True
            continue
        if kind in (_WHOLE, _FIRST) and begun >= 0:
            yield _Piece(begun, 0, is_good=False)
            begun = -1
        if kind == _WHOLE:
            yield _Piece(at, end - at, is_good=True)
        elif kind == _FIRST:
            begun, size = at, end - at
        elif kind in (_MIDDLE, _LAST) and begun >= 0:
            size += end - at
            if kind == _LAST:
                yield _Piece(begun, size, is_good=True)
                begun = -1
        elif kind in (_MIDDLE, _LAST):
            yield _Piece(at, 0, is_good=False)
        at = end
    if begun >= 0:
        yield _Piece(begun, 0, is_good=False)


def _next_fragment(data: bytes, at: int, end: int) -> int:
    """Where the next good fragment before `end` begins after a bad one at `at`; or `end`."""
    for start in range(at + 1, min(end, len(data)) - _HEAD.size):
        if 0 < data[start + _HEAD.size - 1] <= max(_RECYCLED):
            kind, _ = _fragment(data, start)
            if kind is not None:
                return start
    return end


def _fragment(data: bytes, at: int) -> tuple[int | None, int]:
    """The type of the fragment at `at` (None if it is damaged or cut off), and its end."""
    if at + _HEAD.size > len(data):
        return None, at
    masked, size, kind = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size - 1  # The crc begins with the type.
    end = at + _HEAD.size + size
    if kind in _RECYCLED or kind in _RECYCLED_OTHERS:
        end += _LOG_NUMBER_BYTES
    if kind == 0 or end > len(data) or end - at > _BLOCK_BYTES - at % _BLOCK_BYTES:
        return None, at
    if _masked(_crc32c(data[start:end])) != masked:
        return None, at
    return _RECYCLED.get(kind, kind), end


def _make_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CRC_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _make_table()


def _crc32c(data: bytes) -> int:
    crc, table = 0xFFFFFFFF, _CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    rotated = (crc >> 15) | (crc << 17) & 0xFFFFFFFF
    return (rotated + _CRC_MASK) & 0xFFFFFFFF
