"""InvertedSide: one side (filterable or searchable) of one shard's inverted index.

Deltas are kept in memory, sealed segments in the store. Native code finds postings and says which
blocks it misses; here they are fetched. Satisfies `FieldReader`.

Concurrency: `publish` and changes come from one thread at a time each; readers run beside both and
see a delta whole or not at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.errors import CorruptData
from weftdb.core.types import DocId
from weftdb.index.allow_list import AllowList
from weftdb.index.inverted.change import SideChange, is_seal_due, merge_candidates
from weftdb.index.inverted.manifest import (
    Manifest,
    SegmentRow,
    decode_manifest,
    encode_manifest,
)
from weftdb.index.kernels import _native
from weftdb.index.live_docs import LiveDocs
from weftdb.index.ports import SegmentStore

_READ_ATTEMPTS = 8
"""A read starts anew when a change took its segments away; each attempt needs a change."""


class SideKind(Enum):
    """Which side; the value names it in errors."""

    FILTERABLE = "filterable"
    SEARCHABLE = "searchable"


class BlockReader(Protocol):
    """Native code that reads blocks: says what it misses and is fed."""

    def missing(self) -> list[tuple[int, int]]: ...

    def feed(self, segment: int, block: int, data: bytes, /) -> None: ...


R = TypeVar("R", bound=BlockReader)


class InvertedSide:
    """See the module."""

    def __init__(self, kind: SideKind, store: SegmentStore, cache: _native.TermCache) -> None:
        """Read the manifest and the deltas. Raises CorruptData."""
        self.kind = kind
        self._store = store
        self._native = _native.PostingSide(kind is SideKind.SEARCHABLE, cache)
        self._lock = threading.Lock()
        self._change: SideChange | None = None
        self._is_changing = False
        data = store.manifest()
        self._manifest = Manifest() if data is None else decode_manifest(data)
        self._native.load_segments([row.number for row in self._manifest.segments])
        for first_doc, delta in store.deltas():
            self.publish(first_doc, delta)

    @property
    def manifest(self) -> Manifest:
        """The segments in force."""
        return self._manifest

    @property
    def delta_count(self) -> int:
        """Deltas that no segment has taken in."""
        return int(self._native.delta_count)

    def memory_bytes(self) -> int:
        """Resident bytes of deltas and directories; the term cache is counted apart."""
        return int(self._native.bytes)

    def publish(self, first_doc: DocId, delta: bytes) -> None:
        """Make a delta visible. Empty bytes do nothing. Raises CorruptData."""
        if not delta:
            return
        try:
            self._native.publish(first_doc, delta)
        except _native.Damaged as error:
            raise CorruptData(f"{self.kind.value} delta {first_doc}: {error}") from None

    # Reading.

    def docs_equal(self, field: bytes, value: bytes) -> BitMap:
        """Docs whose field holds exactly `value`."""
        return self.docs_any(field, (value,))

    def docs_any(self, field: bytes, values: Sequence[bytes]) -> BitMap:
        """Docs whose field holds any of `values`."""
        wanted = list(values)
        lookup = self.fetch(lambda: _native.Lookup(self._native, field, wanted))
        parts = [BitMap.deserialize(part) for part in lookup.docs()]
        if len(parts) == 1:
            return parts[0]
        return BitMap.union(*parts) if parts else BitMap()

    def docs_between(
        self,
        field: bytes,
        low: bytes | None,
        high: bytes | None,
        *,
        low_inclusive: bool,
        high_inclusive: bool,
    ) -> BitMap:
        """Docs with a value in the interval; None is open."""
        scan = self.fetch(
            lambda: _native.RangeScan(
                self._native,
                field,
                low,
                high,
                low_inclusive=low_inclusive,
                high_inclusive=high_inclusive,
            )
        )
        return BitMap.deserialize(scan.docs())

    def values(self, field: bytes, prefix: bytes = b"") -> Iterator[bytes]:
        """Distinct values that start with `prefix`, ascending."""
        scan = self.fetch(
            lambda: _native.RangeScan(self._native, field, None, None, prefix=prefix, values=True)
        )
        return iter(scan.values())

    def counts(self, field: bytes, docs: AllowList) -> tuple[bytes, NDArray[np.uint64]]:
        """The distinct values of a field among `docs`, ascending and joined, and how many of these
        docs have each. Requires: all values of the field have one length."""
        words = docs.words()
        return self.fetch(lambda: _native.count_scan(self._native, field, words)).counts()

    def docs_present(self, field: bytes) -> BitMap:
        """Docs that have any value in the field."""
        return self.docs_between(field, None, None, low_inclusive=True, high_inclusive=True)

    def keyword_query(
        self, groups: list[tuple[list[tuple[bytes, float, float]], list[tuple[bytes, float]]]]
    ) -> _native.KeywordQuery:
        """The terms of a keyword search with all their postings (index/bm25.py)."""
        return self.fetch(lambda: _native.KeywordQuery(self._native, groups))

    def fetch(self, make: Callable[[], R]) -> R:
        """A reader that misses nothing. Raises CorruptData naming segment and block."""
        for _ in range(_READ_ATTEMPTS):
            before = self._manifest
            reader = make()
            try:
                self._feed(reader)
            except CorruptData:
                if self._manifest is before:
                    raise
                continue
            return reader
        raise CorruptData(f"{self.kind.value} index: blocks vanish while they are read")

    def _feed(self, reader: BlockReader) -> None:
        while missing := reader.missing():
            for segment, block in missing:
                data = self._store.block(segment, block)
                try:
                    reader.feed(segment, block, data)
                except _native.Damaged as error:
                    raise CorruptData(
                        f"{self.kind.value} segment {segment}, block {block}: {error}"
                    ) from None

    # Changing.

    def is_change_due(self, docs: LiveDocs) -> bool:
        """Whether `prepare_change` would find something to do."""
        return (
            self._is_seal_due() or bool(self._manifest.gone) or self._merge_candidates(docs) != ()
        ) and not self._is_changing

    def prepare_change(self, docs: LiveDocs, *, force_seal: bool = False) -> SideChange | None:
        """Seal, else merge, else sweep what was replaced; None if nothing is due.

        Docs that were given out and are not live are left out. The engine writes the change and
        then calls `install`, or `abandon`. Raises CorruptData.
        """
        with self._lock:
            assert not self._is_changing, "a change is under way already"
            self._is_changing = True
        try:
            if self._is_seal_due() or (force_seal and self.delta_count > 0):
                self._change = self._seal(docs)
            elif rows := self._merge_candidates(docs):
                self._change = self._merge(rows, docs)
            elif self._manifest.gone:
                after = self._manifest.swept()
                self._change = SideChange(
                    0, (), (), self._manifest.gone, encode_manifest(after), after
                )
        finally:
            self._is_changing = self._change is not None
        return self._change

    def install(self, change: SideChange) -> None:
        """Read from the new segment from now on. Durability: the change is written."""
        assert change is self._change, "this change was not prepared here"
        if change.merged:
            self._native.install_merged(list(change.merged), change.segment)
        elif change.blocks:
            self._native.install_sealed(change.segment)
        self._manifest = change.after
        self._change = None
        self._is_changing = False

    def abandon(self, change: SideChange) -> None:
        """Forget a change that could not be written."""
        assert change is self._change, "this change was not prepared here"
        if change.blocks and not change.merged:
            self._native.abandon()
        self._change = None
        self._is_changing = False

    def _is_seal_due(self) -> bool:
        return is_seal_due(
            postings=int(self._native.delta_postings), deltas=int(self._native.delta_count)
        )

    def _merge_candidates(self, docs: LiveDocs) -> tuple[SegmentRow, ...]:
        return merge_candidates(self._manifest.segments, docs.live.bitmap)

    def _seal(self, docs: LiveDocs) -> SideChange:
        blocks, deltas = self._native.seal(docs.dead_bitmap().serialize())
        number = self._manifest.next_segment
        first, last = min(deltas, default=0), max(deltas, default=0)
        row = _row(number, blocks, docs, first, max(docs.end, last + 1))
        after = self._manifest.with_sealed(row)
        return SideChange(
            number,
            blocks,
            tuple(DocId(first) for first in deltas),
            self._manifest.gone,
            encode_manifest(after),
            after,
        )

    def _merge(self, rows: tuple[SegmentRow, ...], docs: LiveDocs) -> SideChange:
        inputs = [[self._store.block(row.number, at) for at in range(row.blocks)] for row in rows]
        merged = tuple(row.number for row in rows)
        try:
            blocks = _native.merge_blocks(
                inputs, self.kind is SideKind.SEARCHABLE, docs.dead_bitmap().serialize()
            )
        except _native.Damaged as error:
            raise CorruptData(f"{self.kind.value} segments {merged}: {error}") from None
        number = self._manifest.next_segment
        first, end = min(row.first_doc for row in rows), max(row.end_doc for row in rows)
        after = self._manifest.with_merged(_row(number, blocks, docs, first, end), merged)
        return SideChange(
            number, blocks, (), self._manifest.gone, encode_manifest(after), after, merged
        )


def _row(
    number: int, blocks: Sequence[bytes], docs: LiveDocs, first_doc: int, end_doc: int
) -> SegmentRow:
    live = docs.live.bitmap.range_cardinality(first_doc, end_doc)
    size = sum(len(block) for block in blocks)
    return SegmentRow(number, len(blocks), size, first_doc, end_doc, live)
