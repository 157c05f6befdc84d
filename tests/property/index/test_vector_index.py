"""Any sequence of adds, deletes, rebuilds and snapshots: the index answers like the exact scan."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.schema import HnswSettings, IndexKind, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.factory import make_index
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

NATIVE = IndexConfig(kernels="native")
SERVED_BY = [("native", IndexKind.HNSW), ("native", IndexKind.DYNAMIC), ("native", IndexKind.FLAT)]
if find_spec("hnswlib") is not None:
    SERVED_BY.append(("hnswlib", IndexKind.HNSW))

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 1500)),
        st.tuples(st.just("delete"), st.floats(0, 1)),
        st.tuples(st.just("wait"), st.just(0)),
        st.tuples(st.just("reopen"), st.integers(0, 3)),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(
    steps=STEPS,
    metric=st.sampled_from([Metric.COSINE, Metric.L2_SQUARED, Metric.DOT, Metric.MANHATTAN]),
    dimensions=st.integers(2, 20),
    seed=st.integers(0, 2**32 - 1),
    cutoff=st.sampled_from([0, 40_000]),
    served_by=st.sampled_from(SERVED_BY),
)
def test_every_index_answers_like_the_scan(
    steps: list[tuple[str, float]],
    metric: Metric,
    dimensions: int,
    seed: int,
    cutoff: int,
    served_by: tuple[str, IndexKind],
) -> None:
    engine, kind = served_by
    if engine == "hnswlib" and metric is Metric.MANHATTAN:
        metric = Metric.L2_SQUARED  # It has no other.
    node = replace(NATIVE, engine=engine)
    random = np.random.default_rng(seed)
    config = VectorConfig(
        UNNAMED,
        index=kind,
        metric=metric,
        hnsw=HnswSettings(flat_search_cutoff=cutoff),
        dynamic_threshold=1_200,
    )
    index = make_index(config, node)
    model = FlatIndex(config, load_kernels("reference"))
    live: list[int] = []
    next_doc = 0
    for verb, amount in steps:
        if verb == "add":
            rows = random.normal(size=(int(amount), dimensions)).astype(np.float32)
            docs = np.arange(next_doc, next_doc + int(amount), dtype=np.uint32)
            next_doc += int(amount) + int(random.integers(0, 3))
            for target in (index, model):
                target.add(docs, rows)
            live.extend(docs.tolist())
        elif verb == "delete":
            gone = [doc for doc in live if random.random() < amount]
            for target in (index, model):
                target.delete(np.array(gone, dtype=np.uint32))
            live = sorted(set(live) - set(gone))
        elif verb == "wait":
            assert index.wait_indexed(60)
        else:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "snapshot"
                index.save(path)
                index.close()
                index = make_index(config, node)
                if path.exists():  # An empty index leaves no file.
                    assert index.load(path, AllowList(BitMap(live))).tolist() == []
        assert index.count == model.count == len(live)
    _check_searches(index, model, live, random, dimensions)
    index.close()


def _check_searches(
    index: object, model: FlatIndex, live: list[int], random: np.random.Generator, dimensions: int
) -> None:
    assert hasattr(index, "search")
    assert hasattr(index, "distances")
    hits = wanted_total = 0
    for _ in range(6):
        query = random.normal(size=dimensions).astype(np.float32)
        share = random.choice([0.02, 0.5, 1.0])
        allow = AllowList(BitMap([doc for doc in live if random.random() < share]))
        k = int(random.integers(1, 40))
        wanted = model.search(query, k, allow=allow)
        found = index.search(query, k, allow=allow)
        assert len(found.doc_ids) == len(wanted.doc_ids) == min(k, allow.count)
        assert len(set(found.doc_ids.tolist())) == len(found.doc_ids)
        assert set(found.doc_ids.tolist()) <= set(allow.bitmap)
        exact = model.distances(query, found.doc_ids)
        np.testing.assert_allclose(found.distances, exact, rtol=1e-4, atol=1e-5)
        assert (np.diff(found.distances) >= 0).all()
        hits += len(set(found.doc_ids.tolist()) & set(wanted.doc_ids.tolist()))
        wanted_total += len(wanted.doc_ids)
    assert hits >= 0.9 * wanted_total
