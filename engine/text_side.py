"""TextSide: the inverted index of one shard: filters and keyword search, and its upkeep.

The entries of a write are a delta in the write's own batch; deltas become sealed segments in the
background (`SegmentChore`). All of it is derived from the objects: if a part is damaged, it is
dropped and made anew from them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.env import go_on
from weftdb.core.errors import CorruptData, WeftError
from weftdb.core.partial import KeywordStatistics, PropertyLength
from weftdb.core.query import Filter, Keyword
from weftdb.core.schema import Collection
from weftdb.core.types import ShardId
from weftdb.engine.ranked import Ranked
from weftdb.index.allow_list import AllowList
from weftdb.index.analysis import CollectionAnalysis, Entry
from weftdb.index.bm25 import KeywordPlanner
from weftdb.index.fields import value_field
from weftdb.index.filter_plan import FilterReaders
from weftdb.index.filters import evaluate
from weftdb.index.inverted.change import SideChange
from weftdb.index.inverted.delta import Delta, DeltaWriter
from weftdb.index.inverted.inverted_index import InvertedIndex, TermCache
from weftdb.index.live_docs import LiveDocs
from weftdb.storage.doc_ids import DocIdTable
from weftdb.storage.id_cache import IdCache
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.object_codec import decode_object
from weftdb.storage.objects import ObjectStore
from weftdb.storage.segments import StoredSegments

log = logging.getLogger("weftdb.text")

FILTERS_CACHED_MAX = 32
"""Answers of filters kept until the next write."""
ANALYSED_AT_ONCE = 32
"""Objects whose entries are made before somebody else may go first: 80 microseconds."""
REBUILD_DOCS = 1_000
"""Objects analysed at once when the index is made anew."""
TIES_ORDERED_MAX = 10_000
"""Docs of one equal score are ordered by object id up to this many, beyond it by doc id (the order
of writing), so that a query that matches everything alike need not read everything."""

_FAMILIES = (Family.FILTERABLE, Family.SEARCHABLE)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The entries of one write batch, and the terms of each object by searchable property."""

    delta: Delta
    lengths: Mapping[str, NDArray[np.uint32]]


class TextSide:
    """Concurrency: `encode`, `stage`, `publish` come from the shard's writer; reads from anyone;
    changes from the maintenance."""

    def __init__(
        self,
        shard_id: ShardId,
        schema: Collection,
        store: KeyValueStore,
        docs: DocIdTable,
        ids: IdCache,
        cache: TermCache,
    ) -> None:
        """Open; what is damaged is made anew from the objects."""
        self._store = store
        self._docs = docs
        self._ids = ids
        self._cache = cache
        self._objects = ObjectStore(store, shard_id)
        self._segments = {family: StoredSegments(store, shard_id, family) for family in _FAMILIES}
        self._name = schema.name
        self.reconfigure(schema)
        self.docs_changed()
        try:
            self.index = self._open()
        except CorruptData as error:
            log.warning("inverted index of %s is made anew: %s", schema.name, error)
            self.index = self._rebuilt()

    def reconfigure(self, schema: Collection) -> None:
        """Take a changed definition."""
        self._schema = schema
        self._analysis = CollectionAnalysis(schema)
        self._planner = KeywordPlanner(schema)
        self._numbers = {item.name: at for at, item in enumerate(schema.properties)}
        self._filters: dict[Filter, AllowList] = {}

    def number_of(self, name: str) -> int:
        """The number of a property in LENGTHS rows: its position, which never changes."""
        return self._numbers[name]

    def name_of(self, number: int) -> str:
        """The property of a number."""
        return self._schema.properties[number].name

    # Writing.

    def encode(self, entries: Sequence[Entry], give_way: Callable[[], None] = go_on) -> TextDelta:
        """Analyse a batch (ascending doc ids, at least one); nothing is changed. `give_way` is
        called every few objects.

        Raises InvalidRequest for text that is not valid Unicode.
        """
        writer = DeltaWriter()
        parts = []
        for start in range(0, len(entries), ANALYSED_AT_ONCE):
            give_way()
            parts.append(self._analysis.write(entries[start : start + ANALYSED_AT_ONCE], writer))
        give_way()
        lengths = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return TextDelta(writer.finish(entries[0].doc_id), lengths)

    def stage(self, batch: WriteBatch, text: TextDelta) -> None:
        """Put a delta's bytes into `batch`."""
        delta = text.delta
        for family, data in zip(_FAMILIES, (delta.filterable, delta.searchable), strict=True):
            self._segments[family].put_delta(batch, delta.first_doc, data)

    def publish(self, text: TextDelta) -> None:
        """Make a written delta visible."""
        self.index.publish(text.delta)

    def docs_changed(self) -> None:
        """Look at the live docs anew. Requires: nobody changes them meanwhile."""
        self._live = LiveDocs(self._docs.live, self._docs.end)
        self._filters = {}

    # Reading.

    def filter(self, condition: Filter) -> AllowList:
        """The live docs that pass. Raises RequestError for what the filter asks wrongly."""
        answers = self._filters
        known = answers.get(condition)
        if known is None:
            live, index = self._live.live.bitmap, self.index
            readers = FilterReaders(index.filterable, index.searchable, self._objects, live)
            known = AllowList(evaluate(condition, self._schema, readers))
            if len(answers) < FILTERS_CACHED_MAX:
                answers[condition] = known
        return known

    def counts(self, name: str, docs: AllowList) -> tuple[bytes, NDArray[np.uint64]]:
        """The distinct values of a property among `docs`, encoded, ascending and joined, and how
        many of these docs have each. Requires: one value an object, of a type of fixed length."""
        return self.index.filterable.counts(value_field(name), docs)

    def search(
        self,
        keyword: Keyword,
        depth: int,
        allow: AllowList | None,
        *,
        is_explained: bool,
        is_ordered: bool = True,
        statistics: KeywordStatistics | None = None,
    ) -> Ranked:
        """The `depth` best docs by BM25; equal scores by ascending object id.

        Without `is_ordered` equal scores come in any order; which docs are there stays the same.
        `statistics` of a collection with more shards than this one replace its own.
        """
        plan = self._planner.plan(keyword)
        if not plan.groups:
            return Ranked([], scores=[], explanations=[] if is_explained else None)
        inverted = self._schema.inverted
        found = self.index.search(
            plan,
            depth,
            live=self._live,
            mean_lengths={name: total.mean for name, total in self._docs.lengths.items()},
            k1=inverted.k1,
            b=inverted.b,
            allow=allow,
            explain=is_explained,
            statistics=statistics,
        )
        ranked = Ranked(
            found.doc_ids.tolist(),
            scores=found.scores.tolist(),
            explanations=list(found.explanations) if is_explained else None,
        )
        return self._ties_in_order(ranked, depth, is_ordered=is_ordered)

    def statistics(self, keyword: Keyword, owned: BitMap | None = None) -> KeywordStatistics:
        """What this shard contributes to the statistics of a keyword search. Of `owned` docs only,
        if given; but lengths are those of all. Raises as `search` does."""
        plan, docs = self._planner.plan(keyword), self._live
        if owned is not None:
            docs = LiveDocs(docs.live.bitmap & owned, docs.end)
        names = {name for group in plan.groups for name, _ in group.properties}
        lengths = {
            name: PropertyLength(total.docs, total.terms)
            for name, total in self._docs.lengths.items()
            if name in names
        }
        frequencies = self.index.frequencies(plan, docs) if plan.groups else {}
        return KeywordStatistics(docs.count, lengths, frequencies)

    def _ties_in_order(self, ranked: Ranked, depth: int, *, is_ordered: bool) -> Ranked:
        scores, count = ranked.scores, len(ranked)
        assert scores is not None
        if len(set(scores)) == count:
            return ranked if count <= depth else ranked.slice(0, depth)
        order: list[int] = []
        while len(order) < min(count, depth):
            start = stop = len(order)
            while stop < count and scores[stop] == scores[start]:
                stop += 1
            tied = list(range(start, stop))
            matters = is_ordered or stop > depth  # Who is cut off depends on it.
            if matters and 1 < len(tied) <= TIES_ORDERED_MAX:
                ids = dict(zip(tied, self._ids.get_many(ranked.doc_ids[start:stop]), strict=True))
                tied.sort(key=ids.__getitem__)
            order += tied
        return ranked.pick(order[:depth])

    # Upkeep.

    @property
    def is_change_due(self) -> bool:
        """Whether `change` would find something to do."""
        return any(side.is_change_due(self._live) for side in self.index.sides)

    def change(self) -> bool:
        """Seal, merge or sweep what is due, one change a side; tell whether there was any."""
        worked = False
        for family, side in zip(_FAMILIES, self.index.sides, strict=True):
            docs = self._live
            change = side.prepare_change(docs) if side.is_change_due(docs) else None
            if change is None:
                continue
            try:
                self._write_change(family, change)
            except WeftError:
                side.abandon(change)
                raise
            side.install(change)
            worked = True
        return worked

    def _write_change(self, family: Family, change: SideChange) -> None:
        batch = WriteBatch()
        self._segments[family].put_change(
            batch,
            segment=change.segment,
            blocks=change.blocks,
            deltas_gone=change.deltas,
            segments_gone=change.segments_gone,
            manifest=change.manifest,
        )
        self._store.wait_durable(self._store.write(batch))

    def memory_bytes(self) -> int:
        """Resident bytes without the term cache, object ids included."""
        return self.index.memory_bytes() + self._ids.memory_bytes

    def _open(self) -> InvertedIndex:
        filterable, searchable = (self._segments[family] for family in _FAMILIES)
        return InvertedIndex(filterable, searchable, self._cache)

    def _rebuilt(self) -> InvertedIndex:
        """Drop both families and feed all objects again, in batches. O(objects)."""
        batch = WriteBatch()
        for segments in self._segments.values():
            segments.clear(batch)
        self._store.write(batch)
        self.index = self._open()
        entries: list[Entry] = []
        for doc_id, stored in self._objects.scan():
            found = decode_object(stored)
            entries.append(Entry(doc_id, found.properties, found.created_ms, found.updated_ms))
            if len(entries) == REBUILD_DOCS:
                self._feed(entries)
                entries = []
        if entries:
            self._feed(entries)
        return self.index

    def _feed(self, entries: Sequence[Entry]) -> None:
        text, batch = self.encode(entries), WriteBatch()
        self.stage(batch, text)
        self._store.wait_durable(self._store.write(batch))
        self.publish(text)
