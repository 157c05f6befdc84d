"""Manifest: which sealed segments one side of an inverted index has.

    manifest := "WFMF" version:u8 next_segment:u32 counts segment* gone* crc32:u32
    counts   := segments:u32 gone:u32
    segment  := number:u32 blocks:u32 bytes:u64 first_doc:u32 end_doc:u32 docs:u32
    gone     := number:u32             # replaced; its blocks are deleted by the next change

Little-endian; the crc covers all before it. Version 2 is written; version 1 had no docs in its
segments and is read. A replaced segment stays one change longer, so that a
reader that began before the change finds its blocks.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple, dataclass, replace

from pyroaring import BitMap

from weftdb.core.errors import CorruptData

_MAGIC = b"WFMF"
_VERSION = 2
_HEAD = struct.Struct("<4sBIII")
_SEGMENTS = {1: struct.Struct("<IIQ"), 2: struct.Struct("<IIQIII")}
_SEGMENT = _SEGMENTS[_VERSION]
_NUMBER = struct.Struct("<I")
DOC_ID_END = 2**32 - 1
"""Beyond every doc id."""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One sealed segment: blocks 0 to `blocks - 1`, `bytes` together.

    Its entries are of docs in [first_doc, end_doc), of which `docs` were live when it was written
    (0: not known, or none).
    """

    number: int
    blocks: int
    bytes: int
    first_doc: int = 0
    end_doc: int = DOC_ID_END
    docs: int = 0

    def dead_share(self, live: BitMap) -> float:
        """Which share of its docs has died since it was written, about. In [0, 1]."""
        if self.docs == 0:
            return 0.0
        left: int = live.range_cardinality(self.first_doc, self.end_doc)
        return max(0.0, 1.0 - left / self.docs)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The segments in force and those to be deleted. Segment numbers are never used again."""

    next_segment: int = 0
    segments: tuple[SegmentRow, ...] = ()
    gone: tuple[int, ...] = ()

    def with_sealed(self, row: SegmentRow) -> Manifest:
        """After a seal: one more segment, and the gone ones deleted."""
        assert row.number == self.next_segment, (row, self.next_segment)
        return replace(self, next_segment=row.number + 1, segments=(*self.segments, row), gone=())

    def with_merged(self, row: SegmentRow, merged: tuple[int, ...]) -> Manifest:
        """After a merge: `row` stands where the first of `merged` stood."""
        assert row.number == self.next_segment, (row, self.next_segment)
        rows: list[SegmentRow] = []
        for held in self.segments:
            if held.number == merged[0]:
                rows.append(row)
            if held.number not in merged:
                rows.append(held)
        return Manifest(row.number + 1, tuple(rows), merged)

    def swept(self) -> Manifest:
        """After the gone segments were deleted."""
        return replace(self, gone=())

    def row(self, number: int) -> SegmentRow:
        """The segment of that number. Requires: it is there."""
        return next(row for row in self.segments if row.number == number)


def encode_manifest(manifest: Manifest) -> bytes:
    """Write the grammar above."""
    out = bytearray(
        _HEAD.pack(
            _MAGIC, _VERSION, manifest.next_segment, len(manifest.segments), len(manifest.gone)
        )
    )
    for row in manifest.segments:
        out += _SEGMENT.pack(*astuple(row))
    for number in manifest.gone:
        out += _NUMBER.pack(number)
    return bytes(out + _NUMBER.pack(zlib.crc32(out)))


def decode_manifest(data: bytes) -> Manifest:
    """Read the grammar above. Raises CorruptData."""
    if len(data) < _HEAD.size + 4 or data[:4] != _MAGIC:
        raise CorruptData("manifest of an inverted index: not one")
    if zlib.crc32(data[:-4]) != _NUMBER.unpack(data[-4:])[0]:
        raise CorruptData("manifest of an inverted index: checksum is wrong")
    _, version, next_segment, segments, gone = _HEAD.unpack_from(data)
    segment = _SEGMENTS.get(version)
    if segment is None:
        raise CorruptData(f"manifest of an inverted index: version {version}, known is {_VERSION}")
    start = _HEAD.size
    middle = start + segments * segment.size
    if len(data) != middle + 4 * gone + 4:
        raise CorruptData("manifest of an inverted index: wrong size")
    rows = tuple(SegmentRow(*item) for item in segment.iter_unpack(data[start:middle]))
    numbers = tuple(item[0] for item in _NUMBER.iter_unpack(data[middle:-4]))
    if any(number >= next_segment for number in (*numbers, *(row.number for row in rows))):
        raise CorruptData("manifest of an inverted index: a segment from the future")
    return Manifest(next_segment, rows, numbers)
