"""Holds the inverted index against plain dicts: writes, deletes, seals, merges, reopening."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import HealthCheck, event, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from pyroaring import BitMap

from weftdb.core.query import TermOperator
from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId, ShardId
from weftdb.index.allow_list import AllowList
from weftdb.index.analysis import NOT_CUT
from weftdb.index.bm25 import KeywordGroup, KeywordPlan
from weftdb.index.fields import value_field
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.inverted.inverted_index import InvertedIndex, TermCache
from weftdb.index.live_docs import LiveDocs
from weftdb.index.tokenizer import tokenizer
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.segments import StoredSegments

WORDS = ("ash", "birch", "cedar", "elm", "fir", "oak", "Linde", "Ölbaum", "杉木")
FIELDS = ("title", "body")
VALUES = (b"", b"a", b"ab", b"abc", b"b", b"\x00", b"\xff\xff")
NUMBERS = b"n\x00v"
K1, B = 1.2, 0.75

cut = tokenizer(Tokenization.WORD)
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@dataclass
class ModelDoc:
    values: frozenset[bytes]
    terms: dict[str, list[str]] = field(default_factory=dict)


docs = st.tuples(
    st.frozensets(st.sampled_from(VALUES), max_size=3),
    st.tuples(texts, texts),
    st.integers(1, 5000),
)
queries = st.lists(st.sampled_from([*cut(" ".join(WORDS)), "zebra"]), min_size=1, max_size=4)


class IndexAndModel(RuleBasedStateMachine):
    """The same operations on both."""

    @initialize()
    def start(self) -> None:
        self.store = MemoryStore()
        self.stored = [
            StoredSegments(self.store, ShardId(3), family)
            for family in (Family.FILTERABLE, Family.SEARCHABLE)
        ]
        self.model: dict[int, ModelDoc] = {}
        self.dead: set[int] = set()
        self.end = 0
        self.cache = TermCache(20_000)
        self.index = InvertedIndex(*self.stored, self.cache)

    @rule(batch=st.lists(docs, min_size=1, max_size=6))
    def write(self, batch: list[tuple[frozenset[bytes], tuple[str, str], int]]) -> None:
        writer = DeltaWriter()
        first = DocId(self.end)
        for values, pair, gap in batch:
            doc_id = self.end
            self.end += 1
            writer.add_values(NUMBERS, [doc_id] * len(values), sorted(values))
            doc = ModelDoc(values)
            for name, text in zip(FIELDS, pair, strict=True):
                doc.terms[name] = cut(text)
                key = value_field(name)
                if writer.add_text(key, Tokenization.WORD, [doc_id], [text])[0] == NOT_CUT:
                    writer.add_terms(key, [doc_id], [doc.terms[name]])
            self.model[doc_id] = doc
            # Ids that were given out and not written: docs spread over several windows.
            self.dead.update(range(self.end, self.end + gap))
            self.end += gap
        delta = writer.finish(first)
        write = WriteBatch()
        self.stored[0].put_delta(write, first, delta.filterable)
        self.stored[1].put_delta(write, first, delta.searchable)
        self.store.write(write)
        self.index.publish(delta)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if self.model:
            doc_id = data.draw(st.sampled_from(sorted(self.model)))
            del self.model[doc_id]
            self.dead.add(doc_id)

    @rule(batches=st.lists(st.lists(docs, min_size=1, max_size=3), min_size=1, max_size=3))
    def write_and_seal(
        self, batches: list[list[tuple[frozenset[bytes], tuple[str, str], int]]]
    ) -> None:
        for batch in batches:
            self.write(batch)
            self.apply(0, force_seal=True)
            self.apply(1, force_seal=True)

    @rule(side=st.integers(0, 1))
    def merge_or_sweep(self, side: int) -> None:
        self.apply(side, force_seal=False)

    @rule(side=st.integers(0, 1))
    def fail_to_change(self, side: int) -> None:
        change = self.index.sides[side].prepare_change(self.live_docs, force_seal=True)
        if change is not None:
            self.index.sides[side].abandon(change)

    @rule()
    def reopen(self) -> None:
        self.index = InvertedIndex(*self.stored, self.cache)

    def apply(self, side: int, *, force_seal: bool) -> None:
        held = self.index.sides[side]
        change = held.prepare_change(self.live_docs, force_seal=force_seal)
        if change is None:
            return
        event(f"merged: {bool(change.merged)}, swept: {bool(change.segments_gone)}")
        write = WriteBatch()
        self.stored[side].put_change(
            write,
            segment=change.segment,
            blocks=change.blocks,
            deltas_gone=change.deltas,
            segments_gone=change.segments_gone,
            manifest=change.manifest,
        )
        self.store.write(write)
        held.install(change)

    @property
    def live_docs(self) -> LiveDocs:
        return LiveDocs(BitMap(self.model), self.end)

    def live_of(self, found: BitMap) -> set[int]:
        return set(found) - self.dead

    @rule(values=st.lists(st.sampled_from(VALUES), max_size=3))
    def find_values(self, values: list[bytes]) -> None:
        found = self.index.filterable.docs_any(NUMBERS, values)
        expected = {doc for doc, held in self.model.items() if held.values & set(values)}
        assert self.live_of(found) == expected

    @rule(
        low=st.none() | st.sampled_from(VALUES),
        high=st.none() | st.sampled_from(VALUES),
        low_inclusive=st.booleans(),
        high_inclusive=st.booleans(),
    )
    def find_between(
        self, low: bytes | None, high: bytes | None, *, low_inclusive: bool, high_inclusive: bool
    ) -> None:
        found = self.index.filterable.docs_between(
            NUMBERS, low, high, low_inclusive=low_inclusive, high_inclusive=high_inclusive
        )

        def fits(value: bytes) -> bool:
            above = low is None or value > low or (low_inclusive and value == low)
            return above and (high is None or value < high or (high_inclusive and value == high))

        expected = {doc for doc, held in self.model.items() if any(map(fits, held.values))}
        assert self.live_of(found) == expected

    @rule(prefix=st.sampled_from((b"", b"a", b"ab", b"x")))
    def list_values(self, prefix: bytes) -> None:
        found = list(self.index.filterable.values(NUMBERS, prefix))
        assert found == sorted(set(found))
        assert all(value.startswith(prefix) for value in found)
        held = {value for doc in self.model.values() for value in doc.values}
        assert {value for value in held if value.startswith(prefix)} <= set(found)

    @rule(
        words=queries,
        k=st.integers(1, 4),
        operator=st.sampled_from(TermOperator),
        terms_min=st.integers(1, 3),
        fields=st.sampled_from((FIELDS, ("title",), ("body",))),
        boost=st.sampled_from((1.0, 2.5, 0.5)),
        share=st.sampled_from((None, 1, 2, 3)),
    )
    def search(
        self,
        words: list[str],
        k: int,
        operator: TermOperator,
        terms_min: int,
        fields: tuple[str, ...],
        boost: float,
        share: int | None,
    ) -> None:
        counts = Counter(words)
        boosts = {name: boost if at == 0 else 1.0 for at, name in enumerate(fields)}
        group = KeywordGroup(
            tuple(boosts.items()),
            tuple(counts),
            tuple(word.encode() for word in counts),
            tuple(counts.values()),
        )
        allowed = {doc for doc in self.model if share is None or doc % share == 0}
        found = self.index.search(
            KeywordPlan((group,), operator, terms_min),
            k,
            live=self.live_docs,
            mean_lengths={name: self.mean(name) for name in fields},
            k1=K1,
            b=B,
            allow=None if share is None else AllowList(BitMap(allowed)),
        )
        expected = self.scores(counts, boosts, operator, terms_min)
        expected = {doc: score for doc, score in expected.items() if doc in allowed}
        check_top(
            dict(zip(found.doc_ids.tolist(), found.scores.tolist(), strict=True)), expected, k
        )

    def mean(self, name: str) -> float:
        lengths = [len(doc.terms[name]) for doc in self.model.values()]
        return sum(lengths) / len(lengths) if lengths and sum(lengths) else 40.0

    def scores(
        self,
        counts: Counter[str],
        boosts: dict[str, float],
        operator: TermOperator,
        terms_min: int,
    ) -> dict[int, float]:
        idf = {}
        for word in counts:
            with_word = [
                sum(word in doc.terms[name] for doc in self.model.values()) for name in boosts
            ]
            some = [number for number in with_word if number]
            n = sum(some) // len(some) if some else 0
            idf[word] = math.log(1 + (len(self.model) - n + 0.5) / (n + 0.5))
        needed = {TermOperator.OR: terms_min, TermOperator.AND: len(counts)}.get(operator, 0)
        totals = {}
        for doc_id, doc in self.model.items():
            total, seen = 0.0, set()
            for name, boost in boosts.items():
                terms = Counter(doc.terms[name])
                matched = [word for word in counts if terms[word]]
                seen.update(matched)
                if len(matched) < needed:
                    continue
                norm = K1 * (1 - B + B * len(doc.terms[name]) / self.mean(name))
                total += boost * sum(
                    counts[word] * idf[word] * terms[word] / (terms[word] + norm)
                    for word in matched
                )
            if total and (operator is not TermOperator.AND_CROSS or len(seen) == len(counts)):
                totals[doc_id] = total
        return totals


def check_top(found: dict[int, float], expected: dict[int, float], k: int) -> None:
    """The best k and what ties with the k-th; doubtful are only scores equal up to rounding."""
    best = sorted(expected.values(), reverse=True)
    last = best[min(k, len(best)) - 1] if best else 0.0
    for doc_id, score in found.items():
        assert math.isclose(score, expected[doc_id], rel_tol=1e-5), (doc_id, score)
        assert score >= last * (1 - 1e-5)
    missed = {doc_id for doc_id, score in expected.items() if score > last * (1 + 1e-5)} - set(
        found
    )
    assert not missed, missed
    assert len(found) >= min(k, len(expected))


TestIndexAndModel = IndexAndModel.TestCase
TestIndexAndModel.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
