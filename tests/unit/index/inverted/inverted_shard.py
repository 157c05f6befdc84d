"""InvertedShard: an inverted index over an in-memory store, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from pyroaring import BitMap

from weftdb.core.query import TermOperator
from weftdb.core.types import DocId, ShardId
from weftdb.index.bm25 import KeywordGroup, KeywordPlan
from weftdb.index.inverted.delta import Delta, DeltaWriter
from weftdb.index.inverted.inverted_index import InvertedIndex, TermCache
from weftdb.index.inverted.side import InvertedSide
from weftdb.index.live_docs import LiveDocs
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.segments import StoredSegments

FAMILIES = (Family.FILTERABLE, Family.SEARCHABLE)
SHARD = ShardId(5)
DOCS_MAX = 100_000
"""Changes take every doc below this for live unless it is dead."""


class InvertedShard:
    """What the engine does around an inverted index, without objects."""

    def __init__(self, cache_bytes: int = 1 << 20) -> None:
        self.store = MemoryStore()
        self.stored = [StoredSegments(self.store, SHARD, family) for family in FAMILIES]
        self.cache_bytes = cache_bytes
        self.reopen()

    def reopen(self) -> None:
        self.index = InvertedIndex(*self.stored, TermCache(self.cache_bytes))

    def write(self, writer: DeltaWriter, first_doc: int) -> Delta:
        delta = writer.finish(DocId(first_doc))
        batch = WriteBatch()
        self.stored[0].put_delta(batch, delta.first_doc, delta.filterable)
        self.stored[1].put_delta(batch, delta.first_doc, delta.searchable)
        self.store.write(batch)
        self.index.publish(delta)
        return delta

    def change(
        self, side: InvertedSide, dead: BitMap, *, force_seal: bool = False, end: int = DOCS_MAX
    ) -> bool:
        docs = LiveDocs(BitMap(range(end)) - dead, end)
        change = side.prepare_change(docs, force_seal=force_seal)
        if change is None:
            return False
        batch = WriteBatch()
        self.stored[self.index.sides.index(side)].put_change(
            batch,
            segment=change.segment,
            blocks=change.blocks,
            deltas_gone=change.deltas,
            segments_gone=change.segments_gone,
            manifest=change.manifest,
        )
        self.store.write(batch)
        side.install(change)
        return True

    def seal(self, dead: Sequence[int] = (), *, end: int = DOCS_MAX) -> None:
        for side in self.index.sides:
            self.change(side, BitMap(dead), force_seal=True, end=end)

    def overwrite(self, family: Family, key: bytes, value: bytes) -> None:
        batch = WriteBatch()
        batch.put(family, key, value)
        self.store.write(batch)

    def rows(self, family: Family) -> list[tuple[bytes, bytes]]:
        return list(self.store.scan(family, b"", b"\xff" * 16))


def plan_of(
    terms: dict[str, int],
    fields: dict[str, float],
    operator: TermOperator = TermOperator.OR,
    terms_min: int = 1,
) -> KeywordPlan:
    group = KeywordGroup(
        tuple(fields.items()),
        tuple(terms),
        tuple(term.encode() for term in terms),
        tuple(terms.values()),
    )
    return KeywordPlan((group,), operator, terms_min)
