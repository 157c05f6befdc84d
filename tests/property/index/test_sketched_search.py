"""Searches through sketches: any filter over any deletes, beside writes and switches of codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyroaring import BitMap

from tests.sizes import sized
from weftdb.core.config import IndexConfig
from weftdb.core.schema import Compression, HnswSettings, Metric, Quantizer, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex

DOCS, DIMENSIONS = 9000, 64
Floats = NDArray[np.float32]
METRICS = [Metric.L2_SQUARED, Metric.COSINE, Metric.DOT]
LINKED = HnswSettings(ef_construction=sized(32, sanitized=16))


def rows_of(count: int, seed: int) -> Floats:
    """Clustered rows away from the origin."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, DIMENSIONS)) + 0.5
    noise = random.normal(size=(count, DIMENSIONS)) * 0.6
    return (centres[random.integers(0, 40, count)] + noise).astype(np.float32)


def true_distances(metric: Metric, rows: Floats, query: Floats) -> Floats:
    """From the query to each row."""
    if metric is Metric.L2_SQUARED:
        return np.asarray(((rows - query) ** 2).sum(axis=1), dtype=np.float32)
    if metric is Metric.DOT:
        return np.asarray(-(rows @ query), dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    return np.asarray(1 - (rows @ query) / lengths, dtype=np.float32)


Made = tuple[Metric, HnswIndex, NDArray[np.uint32], Floats]


@pytest.fixture(scope="module", params=[(0, 0.0), (1, 0.1), (2, 0.1)], ids=str)
def made(request: pytest.FixtureRequest) -> Made:
    """A metric each; the gap moves docs off their slots, some docs are deleted."""
    number, deleted = request.param
    gap = 33 * number
    rows = rows_of(DOCS, number)
    config = VectorConfig(UNNAMED, metric=METRICS[number], hnsw=LINKED)
    index = HnswIndex(config, IndexConfig(threads=2))
    docs = np.arange(DOCS, dtype=np.uint32)
    docs[DOCS // 2 :] += np.uint32(gap)
    index.add(docs, rows)
    assert index.wait_indexed(120)
    gone = np.random.default_rng(number).random(DOCS) < deleted
    index.delete(docs[gone])
    by_doc = np.full((DOCS + gap, DIMENSIONS), np.nan, dtype=np.float32)
    by_doc[docs] = rows
    return METRICS[number], index, docs[~gone], by_doc


def most_broken(wanted: int, relation: str) -> float:
    """How many of so many may break their promise before it is no chance any more: the mean and
    four deviations. Far from a query all are at the edge of what is promised."""
    share = 0.1 if relation == "far" else 0.03
    return share * wanted + 4 * (share * (1 - share) * wanted) ** 0.5


@settings(max_examples=40, deadline=None)
@given(
    share=st.sampled_from([0.0, 0.001, 0.02, 0.1, 0.3, 0.5, 0.9, 1.0]),
    relation=st.sampled_from(["independent", "near", "far"]),
    k=st.sampled_from([1, 10, 40, 300]),
    dead_too=st.booleans(),
    is_bounded=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_count_and_recall(
    made: Made,
    share: float,
    relation: str,
    k: int,
    dead_too: bool,
    is_bounded: bool,
    seed: int,
) -> None:
    metric, index, live, rows = made
    # Walks are dear with such an ef, so that sketches are looked through.
    index.configure(HnswSettings(ef=512))
    random = np.random.default_rng(seed)
    query = rows[random.choice(live)] + random.normal(size=DIMENSIONS).astype(np.float32) * 0.3
    true = true_distances(metric, rows, query)
    order = live[np.argsort(true[live])]
    wanted = round(len(live) * share)
    allowed = {
        "independent": random.permutation(live)[:wanted],
        "near": order[:wanted],
        "far": order[len(order) - wanted :],
    }[relation]
    extra = set(range(len(rows))) - set(live.tolist()) | {len(rows) + 5} if dead_too else set()
    nearest = np.sort(true[allowed])[:k]
    limit = float(nearest[len(nearest) // 2]) if is_bounded and len(nearest) else None
    found = index.search(
        query, k, allow=AllowList(BitMap(allowed) | BitMap(extra)), distance_max=limit
    )
    assert found.explanation is not None
    if wanted > 1000 and wanted < len(live) // 2:
        assert found.explanation.plan == "sketched"
        assert found.explanation.ef == 512
        assert found.explanation.overrides == ""
        assert found.explanation.distances > 0
    if limit is None:
        assert len(found.doc_ids) == min(k, len(allowed))
    else:
        assert (found.distances <= limit).all()
    assert set(found.doc_ids.tolist()) <= set(allowed.tolist())
    assert len(set(found.doc_ids.tolist())) == len(found.doc_ids)
    np.testing.assert_allclose(found.distances, true[found.doc_ids], rtol=1e-3, atol=1e-3)
    assert (np.diff(found.distances) >= 0).all()
    expected = nearest if limit is None else nearest[nearest <= limit]
    if len(expected):
        worst = expected[-1] + abs(expected[-1]) * 1e-4 + 1e-4
        missed = len(expected) - (found.distances <= worst).sum()
        is_scan = found.explanation.plan in {"sketched", "exact"}  # Walks have tests of their own.
        if is_scan and len(expected) >= 20:
            assert missed <= most_broken(len(expected), relation)


def test_recall_over_many_queries(made: Made) -> None:
    metric, index, live, rows = made
    index.configure(HnswSettings(ef=512))
    random = np.random.default_rng(5)
    hits = wanted = 0
    for _ in range(sized(100, sanitized=20)):
        query = rows[random.choice(live)] + random.normal(size=DIMENSIONS).astype(np.float32) * 0.3
        allowed = random.permutation(live)[:2000]
        true = true_distances(metric, rows, query)
        found = index.search(query, 10, allow=AllowList(BitMap(allowed)))
        assert found.explanation is not None
        assert found.explanation.plan == "sketched"
        hits += len(set(found.doc_ids.tolist()) & set(allowed[np.argsort(true[allowed])[:10]]))
        wanted += 10
    assert hits / wanted >= 0.98


def test_docs_that_come_later_are_found_and_codes_take_over() -> None:
    rows = rows_of(DOCS + 500, 9)
    config = VectorConfig(UNNAMED, metric=Metric.COSINE, hnsw=LINKED)
    index = HnswIndex(config, IndexConfig(threads=2))
    index.add(np.arange(DOCS, dtype=np.uint32), rows[:DOCS])
    assert index.wait_indexed(120)
    index.configure(HnswSettings(ef=512))
    before = index.memory_bytes()
    allow = AllowList(BitMap(range(1, DOCS + 500, 4)))
    for step in range(5):
        first = DOCS + 100 * step
        index.add(np.arange(first, first + 100, dtype=np.uint32), rows[first : first + 100])
        # What was just added may not be linked yet, nor sketched.
        for doc in (first + 1, first + 97):
            found = index.search(rows[doc], 3, allow=allow)
            assert found.explanation is not None
            assert found.explanation.plan == "sketched"
            assert found.doc_ids[0] == doc
        index.delete(np.array([first + 1], dtype=np.uint32))
        assert first + 1 not in index.search(rows[first + 1], 3, allow=allow).doc_ids
    assert index.wait_indexed(120)
    assert index.memory_bytes() > before
    coded = VectorConfig(UNNAMED, metric=Metric.COSINE, quantizer=Quantizer(Compression.ROTATIONAL))
    index.quantize(coded)
    assert index.wait_indexed(120)
    found = index.search(rows[5], 3, allow=allow)
    assert found.explanation is not None
    assert found.explanation.plan != "sketched"
    assert found.doc_ids[0] == 5
    index.quantize(config)
    assert index.wait_indexed(120)
    found = index.search(rows[5], 3, allow=allow)
    assert found.explanation is not None
    assert found.explanation.plan == "sketched"
    assert found.doc_ids[0] == 5
    index.close()
    with pytest.raises(Exception, match="closed"):
        index.search(rows[5], 3, allow=allow)


def test_dots_with_vectors_of_any_length() -> None:
    random = np.random.default_rng(3)
    rows = rows_of(DOCS, 4) * random.lognormal(0, 1, size=(DOCS, 1)).astype(np.float32)
    rows[::50] = 0
    index = HnswIndex(VectorConfig(UNNAMED, metric=Metric.DOT, hnsw=LINKED), IndexConfig(threads=2))
    index.add(np.arange(DOCS, dtype=np.uint32), rows)
    assert index.wait_indexed(120)
    index.configure(HnswSettings(ef=512))
    allowed = np.arange(0, DOCS, 3)
    hits = 0
    for number in range(50):
        query = rows[number * 7 + 1]
        found = index.search(query, 10, allow=AllowList(BitMap(allowed)))
        best = allowed[np.argsort(-(rows[allowed] @ query))[:10]]
        hits += len(set(found.doc_ids.tolist()) & set(best.tolist()))
    assert hits >= 490
    index.close()
