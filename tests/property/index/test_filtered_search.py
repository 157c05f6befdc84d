"""Any filter over any deletes: min(k, matches) allowed docs, the distances exact, recall close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyroaring import BitMap

from tests.sizes import EF_CONSTRUCTION, SANITIZER
from weftdb.core.config import IndexConfig
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex

DOCS, DIMENSIONS = 6000, 10
PLANS = {"plain", "sweeping", "two-hop", "exact"}


def built(*, gap: int, deleted: float) -> tuple[HnswIndex, NDArray[np.uint32], NDArray[np.float32]]:
    """An index, its live docs and the rows of all docs by doc id. A gap moves docs off slots."""
    random = np.random.default_rng(gap)
    centres = random.normal(size=(60, DIMENSIONS)) * 3
    rows = (centres[random.integers(0, 60, DOCS)] + random.normal(size=(DOCS, DIMENSIONS))).astype(
        np.float32
    )
    hnsw = HnswSettings(ef_construction=EF_CONSTRUCTION)
    config = VectorConfig(UNNAMED, metric=Metric.L2_SQUARED, hnsw=hnsw)
    index = HnswIndex(config, IndexConfig(threads=2))
    docs = np.arange(DOCS, dtype=np.uint32)
    docs[DOCS // 2 :] += np.uint32(gap)
    index.add(docs, rows)
    assert index.wait_indexed(60)
    gone = random.random(DOCS) < deleted
    index.delete(docs[gone])
    by_doc = np.full((DOCS + gap, DIMENSIONS), np.nan, dtype=np.float32)
    by_doc[docs] = rows
    return index, docs[~gone], by_doc


@pytest.fixture(scope="module", params=[(0, 0.0), (0, 0.1), (77, 0.1)], ids=str)
def made(
    request: pytest.FixtureRequest,
) -> tuple[HnswIndex, NDArray[np.uint32], NDArray[np.float32]]:
    gap, deleted = request.param
    return built(gap=gap, deleted=deleted)


@settings(max_examples=40, deadline=None)
@given(
    share=st.sampled_from([0.0, 0.001, 0.03, 0.1, 0.5, 0.9, 0.99, 1.0]),
    relation=st.sampled_from(["independent", "near", "far"]),
    k=st.integers(1, 40),
    bounds=st.sampled_from(
        [
            {},
            {"flat_search_cutoff": 0},
            {"flat_search_cutoff": 100_000},
            {"flat_search_cutoff": 0, "filter_strategy": "sweeping"},
            {"filter_strategy": "sweeping"},
        ]
    ),
    dead_too=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_count_and_recall(
    made: tuple[HnswIndex, NDArray[np.uint32], NDArray[np.float32]],
    share: float,
    relation: str,
    k: int,
    bounds: dict[str, int | str],
    dead_too: bool,
    seed: int,
) -> None:
    index, live, rows = made
    index.configure(HnswSettings(ef=128, **bounds))  # type: ignore[arg-type]
    random = np.random.default_rng(seed)
    query = rows[random.choice(live)] + random.normal(size=DIMENSIONS).astype(np.float32) * 0.3
    true = ((rows - query) ** 2).sum(axis=1)
    order = live[np.argsort(true[live])]
    wanted = round(len(live) * share)
    allowed = {
        "independent": random.permutation(live)[:wanted],
        "near": order[:wanted],
        "far": order[len(order) - wanted :],
    }[relation]
    # Docs that are not there any more, or never were, may stand in a filter.
    extra = set(range(len(rows))) - set(live.tolist()) | {len(rows) + 5} if dead_too else set()
    found = index.search(query, k, allow=AllowList(BitMap(allowed) | BitMap(extra)))
    assert found.explanation is not None
    assert found.explanation.plan in PLANS
    assert len(found.doc_ids) == min(k, len(allowed))
    assert set(found.doc_ids.tolist()) <= set(allowed.tolist())
    assert len(set(found.doc_ids.tolist())) == len(found.doc_ids)
    np.testing.assert_allclose(found.distances, true[found.doc_ids], rtol=1e-3, atol=1e-3)
    assert (np.diff(found.distances) >= 0).all()
    nearest = np.sort(true[allowed])[:k]
    if len(nearest):
        hits = (found.distances <= nearest[-1] * (1 + 1e-4) + 1e-4).mean()
        wanted_share = 0.5 if relation == "far" else 0.8
        assert hits >= wanted_share or SANITIZER, found.explanation.plan
    if bounds.get("flat_search_cutoff") == 100_000:
        assert found.explanation.plan == "exact"


def test_a_set_cutoff_and_strategy_are_obeyed() -> None:
    index, live, rows = built(gap=0, deleted=0.0)
    half = AllowList(BitMap(live[::2]))
    plans = {}
    for name, bounds in {
        "free": {},
        "exact": {"flat_search_cutoff": 3001},
        "at the cutoff": {"flat_search_cutoff": 3000},
        "sweeping": {"flat_search_cutoff": 0, "filter_strategy": "sweeping"},
    }.items():
        index.configure(HnswSettings(ef=16, **bounds))  # type: ignore[arg-type]
        explanation = index.search(rows[1], 5, allow=half).explanation
        assert explanation is not None
        plans[name] = (explanation.plan, explanation.gave_up)
        assert explanation.ef == 16
        assert explanation.overrides == ""
        assert explanation.distances > 0
    assert plans == {
        "free": ("two-hop", False),
        "exact": ("exact", False),
        "at the cutoff": ("two-hop", False),
        "sweeping": ("sweeping", False),
    }


def test_filters_far_from_the_query_override_ef_and_say_so() -> None:
    index, _, rows = built(gap=0, deleted=0.0)
    index.configure(HnswSettings(ef=16, flat_search_cutoff=0))
    query = rows[0]
    order = np.argsort(((rows - query) ** 2).sum(axis=1))
    explanation = index.search(query, 5, allow=AllowList(BitMap(order[2000:]))).explanation
    assert explanation is not None
    assert explanation.overrides == "ef: what is allowed lies far from the query"
    assert explanation.ef == 256


def test_as_many_allowed_as_live_but_not_the_same() -> None:
    index, _, rows = built(gap=0, deleted=0.0)
    index.delete(np.arange(1000, dtype=np.uint32))
    allow = AllowList(BitMap(range(5000)))  # 4000 of them live, 5000 live ones in all
    found = index.search(rows[5500], 10, allow=allow)
    assert len(found.doc_ids) == 10
    assert found.doc_ids.max() < 5000
    assert found.doc_ids.min() >= 1000
