"""Keyword search over many docs: pruning must find what scoring everything finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.query import TermOperator
from weftdb.core.schema import Tokenization
from weftdb.index.allow_list import AllowList
from weftdb.index.fields import value_field
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.live_docs import LiveDocs

from .inverted_shard import InvertedShard, plan_of

DOCS = 30_000
TERMS = 60
K1, B = 1.2, 0.75


class Corpus:
    """Random docs: term `t<i>` is the rarer the higher i, lengths vary."""

    def __init__(self) -> None:
        random = np.random.default_rng(11)
        chance = 0.6 / (1 + np.arange(TERMS)) ** 1.1
        self.frequencies = random.binomial(4, chance, size=(DOCS, TERMS)).astype(np.int64)
        self.padding = random.integers(0, 30, DOCS)
        self.lengths = self.frequencies.sum(axis=1) + self.padding

    def text(self, doc: int) -> str:
        words = [f"t{term} " * int(self.frequencies[doc, term]) for term in range(TERMS)]
        return "".join(words) + "pad " * int(self.padding[doc])

    def scores(self, terms: dict[str, int], live: NDArray[np.bool_]) -> NDArray[np.float64]:
        total = np.zeros(DOCS)
        mean = self.lengths[live].mean()
        for word, times in terms.items():
            column = self.frequencies[:, int(word[1:])]
            n = int(((column > 0) & live).sum())
            if n == 0:
                continue
            idf = np.log(1 + (live.sum() - n + 0.5) / (n + 0.5))
            total += times * idf * column / (column + K1 * (1 - B + B * self.lengths / mean))
        return np.where(live, total, 0)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus()


@pytest.fixture(scope="module")
def shard(corpus: Corpus) -> InvertedShard:
    """Two sealed segments and runs after them; terms of the first fill overflow blocks."""
    made = InvertedShard(1 << 24)
    field = value_field("text")
    for first in range(0, DOCS, 3000):
        writer = DeltaWriter()
        doc_ids = range(first, first + 3000)
        counts = writer.add_text(
            field, Tokenization.WORD, doc_ids, [corpus.text(doc) for doc in doc_ids]
        )
        assert (counts == corpus.lengths[first : first + 3000]).all()
        made.write(writer, first)
        if first in (12_000, 21_000):
            made.seal()
    assert len(made.index.searchable.manifest.segments) == 2
    return made


def search(
    shard: InvertedShard,
    corpus: Corpus,
    terms: dict[str, int],
    k: int,
    live: NDArray[np.bool_],
    allow: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    found = shard.index.search(
        plan_of(terms, {"text": 1.0}),
        k,
        live=LiveDocs(BitMap(np.flatnonzero(live).tolist()), DOCS),
        mean_lengths={"text": float(corpus.lengths[live].mean())},
        k1=K1,
        b=B,
        allow=None if allow is None else AllowList(BitMap(np.flatnonzero(allow).tolist())),
    )
    return found.doc_ids, found.scores


@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("dead_share", [0.0, 0.0002, 0.3])
def test_the_best_docs_are_found(
    shard: InvertedShard, corpus: Corpus, k: int, dead_share: float
) -> None:
    random = np.random.default_rng(int(k + 1000 * dead_share))
    live = random.random(DOCS) >= dead_share
    for allow_share in (None, 0.5, 0.01, 0.0005):
        allow = None if allow_share is None else random.random(DOCS) < allow_share
        for _ in range(6):
            count = int(random.integers(1, 6))
            chosen = random.choice(TERMS, count, replace=False)
            terms = {f"t{term}": int(random.integers(1, 3)) for term in chosen}
            docs, scores = search(shard, corpus, terms, k, live, allow)
            expected = corpus.scores(terms, live)
            if allow is not None:
                expected = np.where(allow, expected, 0)
            matching = int((expected > 0).sum())
            assert len(docs) >= min(k, matching)
            np.testing.assert_allclose(scores, expected[docs], rtol=1e-5)
            assert (np.diff(scores) <= 0).all()
            if matching > k:
                kth = np.sort(expected)[-k]
                missed = np.setdiff1d(np.flatnonzero(expected > kth * (1 + 1e-5)), docs)
                assert len(missed) == 0
                tied = np.flatnonzero(np.isclose(expected, kth, rtol=1e-9, atol=0))
                assert np.isin(tied, docs).all(), "docs that tie with the last are all given"


def test_all_terms_must_match(shard: InvertedShard, corpus: Corpus) -> None:
    found = shard.index.search(
        plan_of({"t3": 1, "t5": 1, "t40": 1}, {"text": 1.0}, TermOperator.AND),
        DOCS,
        live=LiveDocs(BitMap(range(DOCS)), DOCS),
        mean_lengths={"text": float(corpus.lengths.mean())},
        k1=K1,
        b=B,
    )
    matches = np.flatnonzero((corpus.frequencies[:, [3, 5, 40]] > 0).all(axis=1))
    assert np.array_equal(np.sort(found.doc_ids), matches)
    expected = corpus.scores({"t3": 1, "t5": 1, "t40": 1}, np.ones(DOCS, dtype=bool))
    np.testing.assert_allclose(found.scores, expected[found.doc_ids], rtol=1e-5)


def test_docs_of_searchable_terms_can_be_filtered(shard: InvertedShard, corpus: Corpus) -> None:
    for term in (0, 7, 59):
        docs = shard.index.searchable.docs_equal(value_field("text"), f"t{term}".encode())
        assert docs == BitMap(np.flatnonzero(corpus.frequencies[:, term]).tolist())
    present = shard.index.searchable.docs_present(value_field("text"))
    assert present == BitMap(np.flatnonzero(corpus.lengths).tolist())


def test_frequencies_and_lengths_beyond_16_bits_are_exact() -> None:
    made = InvertedShard()
    writer = DeltaWriter()
    field = value_field("text")
    writer.add_terms(field, [0, 1], [["a"] * 70_000 + ["b"], ["a", "b"]])
    made.write(writer, 0)
    plan = plan_of({"a": 1}, {"text": 1.0})
    for _ in range(2):
        found = made.index.search(
            plan,
            5,
            live=LiveDocs(BitMap([0, 1]), 2),
            mean_lengths={"text": 35_001.5},
            k1=K1,
            b=B,
            explain=True,
        )
        texts = dict(zip(found.doc_ids.tolist(), found.explanations, strict=True))
        assert texts[0] == ", BM25F_a_frequency:70000, BM25F_a_propLength:70001"
        made.seal()
        made.reopen()
