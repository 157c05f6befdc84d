"""TextSide: the inverted indexes of one shard, filterable and searchable."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.config import Config
from weftdb.core.errors import InvalidRequest
from weftdb.core.query import Filter, Keyword, TermOperator
from weftdb.core.schema import Collection, Tokenization
from weftdb.core.types import DocId, ShardId
from weftdb.engine.ranked import Ranked
from weftdb.index.allow_list import AllowList
from weftdb.index.analysis import NOT_CUT, CollectionAnalysis, Entry
from weftdb.index.fields import value_field
from weftdb.index.filter_plan import FilterReaders
from weftdb.index.filters import evaluate
from weftdb.index.stopwords import property_stopwords
from weftdb.index.tokenizer import tokenizer_of
from weftdb.storage.doc_ids import DocIdTable
from weftdb.storage.kv import KeyValueStore, WriteBatch
from weftdb.storage.object_codec import decode_object, stored_id
from weftdb.storage.objects import ObjectStore


@dataclass(slots=True)
class TextDelta:
    """Entries of one write batch, until they are published."""

    values: list[tuple[bytes, Sequence[int], Sequence[bytes]]] = field(default_factory=list)
    terms: list[tuple[bytes, Sequence[int], Sequence[Sequence[str]]]] = field(default_factory=list)
    lengths: Mapping[str, NDArray[np.uint32]] = field(default_factory=dict)

    def add_values(self, name: bytes, doc_ids: Sequence[int], values: Sequence[bytes]) -> None:
        self.values.append((name, doc_ids, values))

    def add_terms(
        self, name: bytes, doc_ids: Sequence[int], terms: Sequence[Sequence[str]]
    ) -> None:
        self.terms.append((name, doc_ids, terms))

    def add_text(
        self, name: bytes, tokenization: Tokenization, doc_ids: Sequence[int], texts: Sequence[str]
    ) -> NDArray[np.uint32]:
        return np.full(len(texts), NOT_CUT, dtype=np.uint32)


class TextSide:
    """In memory, rebuilt from the objects when the shard opens."""

    def __init__(
        self,
        shard_id: ShardId,
        schema: Collection,
        store: KeyValueStore,
        docs: DocIdTable,
        config: Config,
    ) -> None:
        self._docs = docs
        self._objects = ObjectStore(store, shard_id)
        self._sets: dict[bytes, dict[bytes, BitMap]] = defaultdict(lambda: defaultdict(BitMap))
        self.postings: dict[bytes, dict[str, dict[int, int]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self.doc_lengths: dict[bytes, dict[int, int]] = defaultdict(dict)
        self.reconfigure(schema)
        entries = []
        for doc_id, stored in self._objects.scan():
            found = decode_object(stored)
            entries.append(Entry(doc_id, found.properties, found.created_ms, found.updated_ms))
        if entries:
            self.publish(self.encode(entries))

    def reconfigure(self, schema: Collection) -> None:
        """Take a changed definition."""
        self._schema = schema
        self._analysis = CollectionAnalysis(schema)
        self._numbers = {item.name: at for at, item in enumerate(schema.properties)}

    def number_of(self, name: str) -> int:
        """The number of a property in LENGTHS rows: its position, which never changes."""
        return self._numbers[name]

    def name_of(self, number: int) -> str:
        """The property of a number."""
        return self._schema.properties[number].name

    def encode(self, entries: Sequence[Entry]) -> TextDelta:
        """Analyse a batch; nothing is changed."""
        delta = TextDelta()
        delta.lengths = self._analysis.write(entries, delta)
        return delta

    def stage(self, batch: WriteBatch, delta: TextDelta) -> None:
        """Put the delta's bytes into `batch`."""

    def publish(self, delta: TextDelta) -> None:
        """Make the delta visible."""
        for name, doc_ids, values in delta.values:
            for doc_id, value in zip(doc_ids, values, strict=True):
                self._sets[name][value].add(doc_id)
        for name, doc_ids, terms in delta.terms:
            for doc_id, words in zip(doc_ids, terms, strict=True):
                for word, count in Counter(words).items():
                    self.postings[name][word][doc_id] = count
                    self._sets[name][word.encode()].add(doc_id)
                self.doc_lengths[name][doc_id] = len(words)

    def docs_changed(self) -> None:
        """The live docs changed."""

    # FieldReader.

    def docs_equal(self, name: bytes, value: bytes) -> BitMap:
        return BitMap(self._sets.get(name, {}).get(value, BitMap()))

    def docs_any(self, name: bytes, values: Sequence[bytes]) -> BitMap:
        return BitMap.union(BitMap(), *[self.docs_equal(name, value) for value in values])

    def docs_between(
        self,
        name: bytes,
        low: bytes | None,
        high: bytes | None,
        *,
        low_inclusive: bool,
        high_inclusive: bool,
    ) -> BitMap:
        found = BitMap()
        for value, docs in list(self._sets.get(name, {}).items()):
            above = low is None or value > low or (low_inclusive and value == low)
            below = high is None or value < high or (high_inclusive and value == high)
            if above and below:
                found |= docs
        return found

    def values(self, name: bytes, prefix: bytes = b"") -> Iterator[bytes]:
        return iter(sorted(v for v in self._sets.get(name, {}) if v.startswith(prefix)))

    def docs_present(self, name: bytes) -> BitMap:
        return BitMap.union(BitMap(), *self._sets.get(name, {}).values())

    def filter(self, condition: Filter) -> AllowList:
        """The live docs that pass."""
        readers = FilterReaders(self, self, self._objects, self._docs.live)
        return AllowList(evaluate(condition, self._schema, readers))

    def search(
        self, keyword: Keyword, depth: int, allow: AllowList | None, *, is_explained: bool
    ) -> Ranked:
        """BM25 over the searched properties, best first."""
        boosts: dict[str, float] = dict(keyword.properties) or {
            item.name: 1.0 for item in self._schema.properties if item.searchable
        }
        live = self._docs.live if allow is None else allow.bitmap
        total = len(self._docs.live)
        queries: dict[str, Counter[str]] = {}
        for name in boosts:
            item = self._schema.property_by_name.get(name)
            if item is None or not item.searchable:
                raise InvalidRequest(
                    f"Searching by property '{name}' requires inverted index. Is `indexSearchable` "
                    f"option of property '{name}' enabled? Set it to `true` or leave empty"
                )
            stopwords = property_stopwords(self._schema, item)
            words = [w for w in tokenizer_of(item)(keyword.query) if w not in stopwords]
            queries[name] = Counter(words)
        means = [self._docs.lengths[n].mean for n in boosts if n in self._docs.lengths]
        mean = sum(means) / len(means) if means else 40.0
        k1, b = self._schema.inverted.k1, self._schema.inverted.b
        scores: dict[int, float] = defaultdict(float)
        matches: dict[tuple[int, str], int] = defaultdict(int)
        for word in {w for words in queries.values() for w in words}:
            found = {
                name: {
                    d: tf
                    for d, tf in self.postings[value_field(name)].get(word, {}).items()
                    if d in self._docs.live
                }
                for name in boosts
                if word in queries[name]
            }
            frequencies = [len(docs) for docs in found.values() if docs]
            if not frequencies:
                continue
            df = sum(frequencies) / len(frequencies)
            idf = math.log(1 + (total - df + 0.5) / (df + 0.5))
            for name, docs in found.items():
                lengths = self.doc_lengths[value_field(name)]
                for doc, tf in docs.items():
                    if doc not in live:
                        continue
                    norm = tf / (tf + k1 * (1 - b + b * lengths[doc] / mean))
                    scores[doc] += boosts[name] * queries[name][word] * idf * norm
                    matches[doc, name] += 1
        needed = {
            name: len(words) if keyword.operator is TermOperator.AND else keyword.minimum_match
            for name, words in queries.items()
        }
        kept = [d for d in scores if any(matches[d, n] >= needed[n] for n in boosts)]
        kept.sort(
            key=lambda doc: (-scores[doc], stored_id(self._objects.get(DocId(doc)) or bytes(99)))
        )
        kept = kept[:depth]
        return Ranked(
            [DocId(d) for d in kept],
            scores=[scores[d] for d in kept],
            explanations=["" for _ in kept] if is_explained else None,
        )
