"""MUVERA: encodings as the paper defines them, and candidates that hold the nearest docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import InvalidRequest
from weftdb.core.schema import Compression, Metric, Muvera, Quantizer, VectorConfig
from weftdb.core.types import Rows, VectorName
from weftdb.index.allow_list import AllowList

_native = pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.multi_vector import MultiVectorIndex, Route  # noqa: E402  # Needs the extension.

DOCS, DIM, WORDS, TOPICS = 1_500, 64, 400, 40


def unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)


class Corpus:
    """Docs about topics: tokens are words of their topic, bent towards it, with noise."""

    def __init__(self) -> None:
        random = np.random.default_rng(11)
        words = unit(random.normal(size=(WORDS, DIM)))
        topics = unit(random.normal(size=(TOPICS, DIM)))
        vocabulary = random.integers(0, WORDS, size=(TOPICS, 30))

        def noise(count: int, share: float) -> Rows:
            return np.asarray(share / np.sqrt(DIM) * random.normal(size=(count, DIM)), np.float32)

        self.docs: list[Rows] = []
        for _ in range(DOCS):
            topic, count = int(random.integers(TOPICS)), int(random.integers(8, 25))
            chosen = words[random.choice(vocabulary[topic], size=count)]
            self.docs.append(unit(chosen + 0.4 * topics[topic] + noise(count, 0.5)))
        self.queries: list[Rows] = []
        for _ in range(40):
            doc = self.docs[int(random.integers(DOCS))]
            self.queries.append(unit(doc[random.integers(len(doc), size=10)] + noise(10, 0.7)))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus()


def make(muvera: Muvera | None) -> MultiVectorIndex:
    config = VectorConfig(VectorName("m"), metric=Metric.COSINE, multi_vector=True, muvera=muvera)
    return MultiVectorIndex(config, IndexConfig(), candidate_docs_min=1)


def add(index: MultiVectorIndex, docs: Sequence[Rows], first: int = 0) -> None:
    ids = np.arange(first, first + len(docs), dtype=np.uint32)
    index.add(np.repeat(ids, [len(rows) for rows in docs]), np.concatenate(docs))


KINDS = {"muvera": Muvera(), "rows": None}


@pytest.fixture(scope="module", params=list(KINDS))
def filled(request: pytest.FixtureRequest, corpus: Corpus) -> MultiVectorIndex:
    index = make(KINDS[request.param])
    add(index, corpus.docs)
    assert index.wait_indexed(120)
    return index


def recall(index: MultiVectorIndex, queries: Sequence[Rows], allow: AllowList | None) -> float:
    shares = []
    for query in queries:
        truth = index.search(query, 10, allow=allow, route=Route.EXACT)
        found = index.search(query, 10, allow=allow, route=Route.CANDIDATES)
        assert len(found.doc_ids) == len(truth.doc_ids)
        exact = index.distances(query, found.doc_ids)
        assert exact.tolist() == found.distances.tolist()
        shares.append(len(set(found.doc_ids) & set(truth.doc_ids)) / max(1, len(truth.doc_ids)))
    return float(np.mean(shares))


def test_candidates_hold_the_nearest(filled: MultiVectorIndex, corpus: Corpus) -> None:
    assert recall(filled, corpus.queries, None) >= 0.95


@pytest.mark.parametrize("share", [2, 10, 100])
def test_filtered(filled: MultiVectorIndex, corpus: Corpus, share: int) -> None:
    allow = AllowList(BitMap(range(0, DOCS, share)))
    assert recall(filled, corpus.queries[:15], allow) >= 0.95


def test_always_as_many_as_there_are(filled: MultiVectorIndex, corpus: Corpus) -> None:
    few = AllowList(BitMap([3, 700, 5_000]))
    for route in Route:
        found = filled.search(corpus.queries[0], 10, allow=few, route=route)
        assert sorted(found.doc_ids.tolist()) == [3, 700]
        assert len(filled.search(corpus.queries[0], 1_000, route=route).doc_ids) == 1_000


def test_a_threshold_cuts_candidates_too(filled: MultiVectorIndex, corpus: Corpus) -> None:
    best = filled.search(corpus.queries[0], 10, route=Route.CANDIDATES)
    limit = float(best.distances[4])
    cut = filled.search(corpus.queries[0], 10, route=Route.CANDIDATES, distance_max=limit)
    assert cut.doc_ids.tolist() == best.doc_ids[:5].tolist()


@pytest.mark.parametrize("kind", ["muvera", "rows"])
def test_deleted_docs_are_no_candidates(kind: str, corpus: Corpus) -> None:
    index = make(KINDS[kind])
    add(index, corpus.docs)
    index.delete(np.arange(0, DOCS, 2, dtype=np.uint32))
    index.delete(np.arange(1, DOCS // 2, 2, dtype=np.uint32))
    add(index, corpus.docs[:100], first=DOCS)
    assert index.wait_indexed(120)
    assert index.count == DOCS // 4 + 100
    for query in corpus.queries[:10]:
        found = index.search(query, 10, route=Route.CANDIDATES).doc_ids
        assert all(doc >= DOCS // 2 and (doc >= DOCS or doc % 2) for doc in found)
    assert recall(index, corpus.queries, None) >= 0.95
    index.delete(np.arange(0, 2 * DOCS, dtype=np.uint32))
    assert (index.count, index.pending, index.dimensions) == (0, 0, None)


@pytest.mark.parametrize(
    ("kind", "count", "compression"),
    [("rows", 100, Compression.ROTATIONAL), *(("muvera", 1_100, kind) for kind in Compression)],
)
def test_quantizers_change_no_distance(
    kind: str, count: int, compression: Compression, corpus: Corpus
) -> None:
    """They are switched on and off while the index lives; hits are measured by their rows."""
    index = make(KINDS[kind])
    add(index, corpus.docs[:count])
    quantizer = Quantizer(compression, segments=64 if kind == "muvera" else 0)
    config = VectorConfig(
        VectorName("m"), multi_vector=True, muvera=KINDS[kind], quantizer=quantizer
    )
    index.quantize(config)
    assert index.wait_indexed(120)
    assert index.quantizer_fault == ""
    assert recall(index, corpus.queries[:20], None) >= 0.9
    index.quantize(replace(config, quantizer=None))
    add(index, corpus.docs[count : count + 20], first=count)
    assert index.wait_indexed(120)
    assert recall(index, corpus.queries[:20], None) >= 0.95


def test_few_docs_keep_no_graph() -> None:
    config = VectorConfig(VectorName("m"), multi_vector=True, muvera=Muvera())
    small, large = (
        MultiVectorIndex(config, IndexConfig(), candidate_docs_min=least) for least in (11, 10)
    )
    docs = [np.ones((2, 8), np.float32)] * 10
    for index in (small, large):
        add(index, docs)
    assert large.memory_bytes() > small.memory_bytes() + 10 * 2_560


# --- the encoding -------------------------------------------------------------------------------


def encoded(rows: Rows, settings: tuple[int, int, int], *, is_query: bool) -> Rows:
    return _native.muvera_encoded(np.asarray(rows, np.float32), settings, is_query)


def test_one_row_alone_fills_every_part(corpus: Corpus) -> None:
    """A doc of one row has it everywhere; a query has it in one part a repetition."""
    row = corpus.docs[0][:1]
    doc = encoded(row, (3, 16, 5), is_query=False).reshape(5, 8, 16)
    query = encoded(row, (3, 16, 5), is_query=True).reshape(5, 8, 16)
    for repetition in range(5):
        assert (doc[repetition] == doc[repetition, 0]).all()
        filled_parts = np.flatnonzero(np.abs(query[repetition]).sum(axis=1))
        assert len(filled_parts) == 1
        assert np.allclose(query[repetition, filled_parts[0]], doc[repetition, 0])


def test_queries_sum_and_docs_average(corpus: Corpus) -> None:
    row, settings = corpus.docs[0][:1], (4, 16, 10)
    twice = np.concatenate([row, row])
    assert np.allclose(
        encoded(twice, settings, is_query=True), 2 * encoded(row, settings, is_query=True)
    )
    assert np.allclose(
        encoded(twice, settings, is_query=False), encoded(row, settings, is_query=False)
    )


def test_without_projection_one_row_each_is_their_product(corpus: Corpus) -> None:
    """As many projections as dimensions leave the rows as they are."""
    query, doc = corpus.docs[0][:1], corpus.docs[1][:1]
    left = encoded(query, (4, DIM, 7), is_query=True)
    right = encoded(doc, (4, DIM, 7), is_query=False)
    assert len(left) == 7 * 16 * DIM
    assert float(left @ right) == pytest.approx(7 * float(query[0] @ doc[0]), rel=1e-4)


@pytest.mark.parametrize("settings", [(4, 16, 40), (6, 16, 20)])
def test_products_follow_max_sim(corpus: Corpus, settings: tuple[int, int, int]) -> None:
    counts = np.array([len(rows) for rows in corpus.docs[:300]], np.uint32)
    query, rows = corpus.queries[0], np.concatenate(corpus.docs[:300])
    exact = -_native.max_sim(query, rows, counts)
    left = encoded(query, settings, is_query=True)
    products = [left @ encoded(rows, settings, is_query=False) for rows in corpus.docs[:300]]
    assert np.corrcoef(exact, products)[0, 1] > 0.75


def test_long_encodings_are_folded(corpus: Corpus) -> None:
    """262,144 values become 65,536, products stay up to the noise of a sketch (about 0.5 here)."""
    row, other = corpus.docs[0][:1], corpus.docs[1][:1]
    query = encoded(row, (10, DIM, 4), is_query=True)
    assert len(query) == 65_536
    for doc in (row, other):
        product = float(query @ encoded(doc, (10, DIM, 4), is_query=False))
        assert product == pytest.approx(4 * float(row[0] @ doc[0]), abs=2.0)


@pytest.mark.parametrize("settings", [Muvera(ksim=0), Muvera(ksim=11), Muvera(repetitions=0)])
def test_settings_that_encode_nothing(settings: Muvera) -> None:
    with pytest.raises(InvalidRequest):
        make(settings)
