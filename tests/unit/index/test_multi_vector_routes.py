"""Which way a multi-vector search goes, how many docs it measures, and what it tells of that."""

from __future__ import annotations

import numpy as np
import pytest
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION, recall_floor
from weftdb.core.config import IndexConfig
from weftdb.core.errors import Closed
from weftdb.core.schema import Compression, HnswSettings, Muvera, Quantizer, VectorConfig
from weftdb.core.search_explanation import CandidateExplanation
from weftdb.core.types import Rows, VectorName
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Compactable, Quantizable, RecallBound

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.multi_vector import MultiVectorIndex, Route

DIM = 24
DOCS = 3_000
K = 10
ways = pytest.mark.parametrize("muvera", [None, Muvera()], ids=["rows", "muvera"])


def make(muvera: Muvera | None, **settings: object) -> MultiVectorIndex:
    chosen = {"ef_construction": EF_CONSTRUCTION, **settings}
    config = VectorConfig(
        VectorName("m"), multi_vector=True, muvera=muvera, hnsw=HnswSettings(**chosen)
    )
    return MultiVectorIndex(config, IndexConfig())


def corpus(count: int) -> list[Rows]:
    """Docs about topics: rows near one of thirty directions."""
    random = np.random.default_rng(11)
    topics = random.normal(size=(30, DIM))
    docs = []
    for topic in random.integers(0, 30, size=count).tolist():
        rows = 0.6 * topics[topic] + random.normal(size=(int(random.integers(2, 7)), DIM))
        docs.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    return docs


def filled(muvera: Muvera | None, count: int = DOCS, **settings: object) -> MultiVectorIndex:
    index, docs = make(muvera, **settings), corpus(count)
    ids = np.repeat(np.arange(count, dtype=np.uint32), [len(rows) for rows in docs])
    index.add(ids, np.concatenate(docs))
    assert index.wait_indexed(120)
    return index


def queries(count: int, seed: int = 5) -> list[Rows]:
    random = np.random.default_rng(seed)
    docs = corpus(DOCS)
    chosen = [docs[number] for number in random.integers(0, DOCS, size=count).tolist()]
    return [(rows + 0.2 * random.normal(size=rows.shape)).astype(np.float32) for rows in chosen]


def explained(index: MultiVectorIndex, query: Rows, **how: object) -> CandidateExplanation:
    found = index.search(query, K, **how)  # type: ignore[arg-type]
    assert isinstance(found.explanation, CandidateExplanation)
    return found.explanation


@pytest.fixture(scope="module", params=[None, Muvera()], ids=["rows", "muvera"])
def index(request: pytest.FixtureRequest) -> MultiVectorIndex:
    return filled(request.param)


def test_few_docs_are_all_measured() -> None:
    index = filled(Muvera(), 500)
    said = explained(index, queries(1)[0])
    assert (said.plan, said.distances, said.expected_recall) == ("exact", 500, 1.0)
    assert said.reason == "so few docs that no graph is kept"


def test_recall_is_reached_and_told(index: MultiVectorIndex) -> None:
    for query in queries(60, seed=6):
        index.search(query, K, route=Route.CANDIDATES)  # What follows is learned from these.
    hits, expected = 0, []
    for query in queries(60):
        exact = index.search(query, K, route=Route.EXACT)
        near = index.search(query, K, route=Route.CANDIDATES)
        hits += len(set(exact.doc_ids.tolist()) & set(near.doc_ids.tolist()))
        assert isinstance(near.explanation, CandidateExplanation)
        expected.append(near.explanation.expected_recall)
    recall = hits / (60 * K)
    assert recall >= 0.96
    assert abs(recall - np.mean(expected)) < 0.04


def test_an_ef_that_is_set_is_obeyed(index: MultiVectorIndex) -> None:
    is_encoded = explained(index, queries(1)[0], route=Route.CANDIDATES).plan == "muvera"
    for query in queries(5):
        for ef in (20, 100):
            said = explained(index, query, ef=ef, route=Route.CANDIDATES)
            assert said.ef == ef
            assert said.distances <= (4 * ef if is_encoded else max(ef, 4 * K))
            assert said.overrides == ""


def test_few_allowed_are_all_measured(index: MultiVectorIndex) -> None:
    allow = AllowList(BitMap(range(0, DOCS, 300)))
    said = explained(index, queries(1)[0], allow=allow)
    assert (said.plan, said.distances) == ("exact", DOCS // 300)
    assert said.reason == "no more docs are eligible than would be measured anyway"


def test_cheaper_routes_win(index: MultiVectorIndex) -> None:
    """Either is taken with a reason, and both are tried now and then."""
    for query in queries(70):
        said = explained(index, query)
        assert said.reason
        assert said.distances <= DOCS
        assert said.plan != "exact" or said.distances == DOCS


def test_target_recall_is_what_is_aimed_at() -> None:
    index, measured = filled(Muvera(), 1_500), {}
    for target in (0.8, 0.99):
        index.configure(HnswSettings(target_recall=target))
        for query in queries(40):
            index.search(query, K, route=Route.CANDIDATES)
        measured[target] = sum(
            explained(index, query, route=Route.CANDIDATES).distances for query in queries(40)
        )
    assert measured[0.8] < measured[0.99]


def test_a_query_may_ask_for_another_recall() -> None:
    index = filled(Muvera(), 1_500, ef=30)
    for query in queries(40):
        index.reaching(0.9).search(query, K, route=Route.CANDIDATES)
    measured = {
        target: [
            explained(index.reaching(target), query, route=Route.CANDIDATES)
            for query in queries(40)
        ]
        for target in (0.7, 0.99)
    }
    mean = {
        target: np.mean([said.distances for said in all_said])
        for target, all_said in measured.items()
    }
    assert mean[0.7] < mean[0.99]
    assert np.mean([said.expected_recall for said in measured[0.99]]) >= recall_floor(0.95)
    assert isinstance(index, RecallBound)
    assert explained(index, queries(1)[0], route=Route.CANDIDATES).ef == 30, "as it was set"


@ways
def test_quantizers_change_under_way(muvera: Muvera | None) -> None:
    index = filled(muvera, 1_500)
    assert isinstance(index, Quantizable)
    assert isinstance(index, Compactable)
    for kind in (Compression.BINARY, Compression.SCALAR, None, Compression.ROTATIONAL):
        quantizer = None if kind is None else Quantizer(kind)
        index.quantize(
            VectorConfig(VectorName("m"), multi_vector=True, muvera=muvera, quantizer=quantizer)
        )
        assert index.wait_indexed(60)
        assert index.quantizer_fault == ""
        query = queries(1)[0]
        found = index.search(query, K, ef=200, route=Route.CANDIDATES)
        assert index.distances(query, found.doc_ids).tolist() == found.distances.tolist()
        exact = index.search(query, K, route=Route.EXACT)
        assert len(set(found.doc_ids.tolist()) & set(exact.doc_ids.tolist())) >= 8


def found_of_exact(index: MultiVectorIndex, count: int = 40) -> float:
    """Recall of candidates."""
    hits = 0
    for query in queries(count):
        exact = index.search(query, K, route=Route.EXACT)
        near = index.search(query, K, ef=100, route=Route.CANDIDATES)
        hits += len(set(exact.doc_ids.tolist()) & set(near.doc_ids.tolist()))
    return hits / (count * K)


@ways
def test_half_deleted_is_as_good_as_fresh(muvera: Muvera | None) -> None:
    """Recall within 0.01 of a fresh build's, memory within 1.2 times."""
    worn, docs = filled(muvera), corpus(DOCS)
    gone = np.random.default_rng(3).permutation(DOCS)[: DOCS // 2].astype(np.uint32)
    worn.delete(np.sort(gone))
    left = np.setdiff1d(np.arange(DOCS, dtype=np.uint32), gone)
    fresh = make(muvera)
    rows = [docs[doc] for doc in left.tolist()]
    fresh.add(np.repeat(left, [len(one) for one in rows]), np.concatenate(rows))
    assert worn.wait_indexed(120)
    assert fresh.wait_indexed(120)
    assert found_of_exact(worn) >= found_of_exact(fresh) - 0.01
    assert worn.memory_bytes() <= 1.2 * fresh.memory_bytes()


@ways
def test_a_large_compaction_waits_until_it_is_asked_for(muvera: Muvera | None) -> None:
    index = filled(muvera)
    index.leave_large_compactions(0)
    assert index.compaction_room(1 / 7) == (0, 0)
    full = index.memory_bytes()
    index.delete(np.arange(DOCS // 2, dtype=np.uint32))
    assert index.wait_indexed(120)
    assert (index.compactions, index.memory_bytes()) == (0, full)
    memory, disk = index.compaction_room(1 / 7)
    assert (0.3 * full < memory < 0.7 * full, disk) == (True, 0)
    index.compact(1 / 7)
    assert index.wait_indexed(120)
    assert index.compactions == 1
    assert index.memory_bytes() < 0.75 * full
    assert index.compaction_room(1 / 7) == (0, 0)
    docs = corpus(DOCS)
    found = index.search(docs[DOCS - 1], 1)
    assert found.doc_ids.tolist() == [DOCS - 1]
    index.close()
    with pytest.raises(Closed):
        index.compaction_room(0.0)


@ways
def test_flat_search_cutoff_binds(muvera: Muvera | None) -> None:
    index = filled(muvera, 1_500)
    allow = AllowList(BitMap(range(0, 1_500, 3)))
    for cutoff, plan in ((501, "exact"), (400, "muvera" if muvera else "rows")):
        index.configure(HnswSettings(flat_search_cutoff=cutoff))
        said = explained(index, queries(1)[0], allow=allow)
        assert (said.plan, "flatSearchCutoff" in said.reason) == (plan, True)
