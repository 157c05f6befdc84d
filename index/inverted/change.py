"""SideChange: how sealing and merging change what one side has in the store; and when to do it.

Pure: sizes and docs in, decision out. Lifecycle of a change: `InvertedSide.prepare_change`, the
engine puts it into one atomic batch and writes that, then `install` (or `abandon`, when the write
failed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from weftdb.core.limits import KiB, MiB
from weftdb.core.types import DocId
from weftdb.index.inverted.manifest import Manifest, SegmentRow

SEAL_POSTINGS_MIN = 1_000_000
"""About 16k docs of 60 terms: what memory holds per side, and what is merged again at opening."""
SEAL_DELTAS_MIN = 16_384
"""Deltas of single objects are small, but each is a row to read at opening."""
MERGE_SEGMENTS_MIN = 4
"""So many segments of one tier become one; a posting is rewritten once a tier."""
MERGE_BYTES_MAX = 256 * MiB
"""A merge holds its input and its output in memory; larger segments stay as they are."""
DEAD_SHARE_MAX = 1 / 3
"""A segment of which more has died is written anew without them. At most half as much again is kept
as is alive, and a posting that lives is rewritten at most twice for each that died."""
_TIER_BYTES = 256 * KiB

assert MERGE_SEGMENTS_MIN >= 2


@dataclass(frozen=True, slots=True)
class SideChange:
    """One atomic change: put `blocks` (by number) as `segment`, delete `deltas` and the blocks of
    `segments_gone`, put `manifest`. Without blocks nothing is put but the manifest."""

    segment: int
    blocks: Sequence[bytes]
    deltas: tuple[DocId, ...]
    segments_gone: tuple[int, ...]
    manifest: bytes
    after: Manifest
    merged: tuple[int, ...] = ()


def is_seal_due(*, postings: int, deltas: int) -> bool:
    """Whether the deltas have grown enough to become a segment."""
    return postings >= SEAL_POSTINGS_MIN or deltas >= SEAL_DELTAS_MIN


def merge_candidates(segments: Sequence[SegmentRow], live: BitMap) -> tuple[SegmentRow, ...]:
    """The segments to merge now: the smallest tier that has enough, else one of which too much has
    died since it was written; none if there is neither."""
    tiers: dict[int, list[SegmentRow]] = {}
    for row in segments:
        tiers.setdefault(_tier(row.bytes), []).append(row)
    for tier in sorted(tiers):
        rows = tiers[tier]
        if len(rows) >= MERGE_SEGMENTS_MIN and sum(row.bytes for row in rows) <= MERGE_BYTES_MAX:
            return tuple(rows)
    for row in segments:
        if row.bytes <= MERGE_BYTES_MAX and row.dead_share(live) > DEAD_SHARE_MAX:
            return (row,)
    return ()


def _tier(size: int) -> int:
    tier = 0
    while size >= _TIER_BYTES:
        size //= MERGE_SEGMENTS_MIN
        tier += 1
    return tier
