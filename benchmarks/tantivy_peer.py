"""tantivy in-process on the same texts: BM25 with five terms, one thread."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass

import numpy as np
import tantivy

from .material import K, Texts


@dataclass(frozen=True)
class TantivyResult:
    """Searches per second and the median of one."""

    index_s: float
    searches_per_s: float
    p50_ms: float


def measure_tantivy(texts: Texts, *, seconds: float) -> TantivyResult:
    """Index the texts on disk, then ask the five-term queries for about `seconds`."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=False)
    builder.add_unsigned_field("number", stored=True)
    with tempfile.TemporaryDirectory(prefix="weft-tantivy-") as folder:
        began = time.perf_counter()
        index = tantivy.Index(builder.build(), path=folder)
        writer = index.writer(heap_size=128 * 2**20, num_threads=1)
        for number, document in enumerate(texts.documents):
            writer.add_document(tantivy.Document(text=document["text"], number=number))
        writer.commit()
        writer.wait_merging_threads()
        index_s = time.perf_counter() - began
        index.reload()
        searcher = index.searcher()
        latencies = _search(index, searcher, texts.term_queries, seconds)
    return TantivyResult(
        index_s, len(latencies) / sum(latencies), float(np.median(latencies)) * 1e3
    )


def _search(
    index: tantivy.Index, searcher: tantivy.Searcher, queries: list[str], seconds: float
) -> list[float]:
    """Seconds of each search, queries parsed and two stored fields' worth of hits read."""
    latencies: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for text in queries:
            at = time.perf_counter()
            hits = searcher.search(index.parse_query(text, ["text"]), K).hits
            for _, address in hits:
                searcher.doc(address)
            latencies.append(time.perf_counter() - at)
    return latencies
