"""Keyword search in-process beside tantivy: index time, searches per second, one thread each.

    python -m benchmarks.text [--copies N]

Texts: summaries and descriptions of Debian packages (`WEFTDB_SHARED`), N times with their words
shuffled. Queries: 1, 2 and 5 words drawn from a text, stop words left out; both sides get parsed
queries and give back the ids of the ten best.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tantivy
from pyroaring import BitMap

from weftdb.core.query import TermOperator
from weftdb.core.schema import Tokenization
from weftdb.core.types import DocId, ShardId
from weftdb.index.analysis import NOT_CUT
from weftdb.index.bm25 import KeywordGroup, KeywordPlan
from weftdb.index.fields import value_field
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.inverted.inverted_index import InvertedIndex, TermCache
from weftdb.index.live_docs import LiveDocs
from weftdb.index.stopwords import ENGLISH
from weftdb.index.tokenizer import tokenizer
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.segments import StoredSegments

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).resolve().parents[2] / "shared"))
BATCH = 1000
QUERIES = 2000
ROUNDS = 3
K = 10
FIELD = value_field("text")

cut = tokenizer(Tokenization.WORD)


def load_texts(copies: int) -> list[str]:
    """Read the texts; copies after the first have their words shuffled."""
    path = SHARED / "data" / "text" / "debian_packages.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    texts = [f"{row['summary']} {row['description']}" for row in rows]
    chance = random.Random(5)
    more = []
    for _ in range(copies - 1):
        for text in texts:
            words = text.split()
            more.append(" ".join(chance.sample(words, len(words))))
    return texts + more


def draw_queries(texts: Sequence[str], terms: int) -> list[list[str]]:
    """Different words of one text each."""
    chance = random.Random(terms)
    queries: list[list[str]] = []
    while len(queries) < QUERIES:
        words = [word for word in dict.fromkeys(cut(chance.choice(texts))) if word not in ENGLISH]
        if len(words) >= terms:
            queries.append(chance.sample(words, terms))
    return queries


class OurIndex:
    """The inverted index over an in-memory store, sealed and merged as the engine would."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._stored = [
            StoredSegments(self._store, ShardId(1), family)
            for family in (Family.FILTERABLE, Family.SEARCHABLE)
        ]
        self._index = InvertedIndex(*self._stored, TermCache(256 << 20))
        self._terms = 0
        self._docs = 0

    def add(self, texts: Sequence[str]) -> None:
        """Index one batch."""
        first = self._docs
        doc_ids = range(first, first + len(texts))
        writer = DeltaWriter()
        counts = writer.add_text(FIELD, Tokenization.WORD, doc_ids, texts)
        rows = np.flatnonzero(counts == NOT_CUT).tolist()
        terms = [cut(texts[row]) for row in rows]
        writer.add_terms(FIELD, [first + row for row in rows], terms)
        self._terms += int(counts[counts != NOT_CUT].sum()) + sum(map(len, terms))
        self._docs += len(texts)
        self._index.publish(writer.finish(DocId(first)))
        self._change(force_seal=False)

    def finish(self) -> None:
        """Seal what is left."""
        self._change(force_seal=True)
        self._live = LiveDocs(BitMap(range(self._docs)), self._docs)

    def _change(self, *, force_seal: bool) -> None:
        for side, stored in zip(self._index.sides, self._stored, strict=True):
            docs = LiveDocs(BitMap(range(self._docs)), self._docs)
            while change := side.prepare_change(docs, force_seal=force_seal):
                batch = WriteBatch()
                stored.put_change(
                    batch,
                    segment=change.segment,
                    blocks=change.blocks,
                    deltas_gone=change.deltas,
                    segments_gone=change.segments_gone,
                    manifest=change.manifest,
                )
                self._store.write(batch)
                side.install(change)

    def parse(self, words: Sequence[str]) -> KeywordPlan:
        """A query as the planner makes it."""
        keys = tuple(word.encode() for word in words)
        group = KeywordGroup((("text", 1.0),), tuple(words), keys, (1,) * len(words))
        return KeywordPlan((group,), TermOperator.OR, 1)

    def search(self, plan: KeywordPlan) -> int:
        """How many docs were found; ties with the last are among them."""
        found = self._index.search(
            plan,
            K,
            live=self._live,
            mean_lengths={"text": self._terms / self._docs},
            k1=1.2,
            b=0.75,
        )
        return len(found.doc_ids)


class Tantivy:
    """tantivy in memory, one writer thread."""

    def __init__(self) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("text", stored=False, index_option="freq")
        builder.add_integer_field("number", stored=True, indexed=False)
        self._index = tantivy.Index(builder.build())
        self._writer = self._index.writer(heap_size=256 << 20, num_threads=1)

    def add(self, texts: Sequence[str]) -> None:
        """Index one batch."""
        for text in texts:
            self._writer.add_document(tantivy.Document(text=text, number=0))

    def finish(self) -> None:
        """Commit and merge."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def parse(self, words: Sequence[str]) -> tantivy.Query:
        """A query, any word."""
        return self._index.parse_query(" ".join(words), ["text"])

    def search(self, query: tantivy.Query) -> int:
        """How many docs were found."""
        return len(self._searcher.search(query, K).hits)


def fill(index: OurIndex | Tantivy, texts: Sequence[str]) -> float:
    """Seconds until all texts are indexed."""
    began = time.perf_counter()
    for first in range(0, len(texts), BATCH):
        index.add(texts[first : first + BATCH])
    index.finish()
    return time.perf_counter() - began


def rate(run: Callable[[], None]) -> float:
    """Searches per second, the best of some rounds."""
    run()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return QUERIES / min(seconds)


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=1)
    texts = load_texts(parser.parse_args().copies)
    ours, peer = OurIndex(), Tantivy()
    print(f"{len(texts)} texts, {sum(map(len, texts)) / len(texts):.0f} characters each")
    print(f"index: ours {fill(ours, texts):.1f} s, tantivy {fill(peer, texts):.1f} s")
    for terms in (1, 2, 5):
        queries = draw_queries(texts, terms)
        plans = [ours.parse(words) for words in queries]
        parsed = [peer.parse(words) for words in queries]
        ours_per_s = rate(lambda plans=plans: [ours.search(plan) for plan in plans] and None)
        peer_per_s = rate(lambda parsed=parsed: [peer.search(query) for query in parsed] and None)
        print(
            f"{terms} terms: ours {ours_per_s:.0f}/s, tantivy {peer_per_s:.0f}/s, "
            f"ratio {ours_per_s / peer_per_s:.2f}"
        )


if __name__ == "__main__":
    main()
