"""Recall on real vectors, with default settings, against their published neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sizes import measures
from weftdb.core.config import IndexConfig
from weftdb.core.schema import Metric, VectorConfig
from weftdb.core.types import UNNAMED, Rows
from weftdb.index.factory import make_index
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

pytestmark = measures


def _floats(path: Path) -> Rows:
    raw = np.fromfile(path, dtype=np.int32)
    return raw.reshape(-1, raw[0] + 1)[:, 1:].view(np.float32).copy()


def _ints(path: Path) -> NDArray[np.int32]:
    raw = np.fromfile(path, dtype=np.int32)
    return raw.reshape(-1, raw[0] + 1)[:, 1:]


def _mnist(folder: Path) -> tuple[Rows, Rows, NDArray[np.int32]]:
    base, queries = np.load(folder / "base.npy"), np.load(folder / "query.npy")
    truth = np.load(folder / "groundtruth_l2_ids.npy")
    return base.astype(np.float32), queries.astype(np.float32), truth


def _bigann(folder: Path) -> tuple[Rows, Rows, NDArray[np.int32]]:
    base = _floats(folder / "holdout500_base.fvecs")
    queries = _floats(folder / "holdout500_query.fvecs")
    return base, queries, _ints(folder / "holdout500_groundtruth.ivecs")


@pytest.mark.parametrize(("name", "read"), [("mnist10k", _mnist), ("bigann10k", _bigann)])
def test_recall_at_ten_on_published_neighbours(name: str, read: object, shared: Path) -> None:
    assert callable(read)
    base, queries, truth = read(shared / "data" / "ann" / name)
    index = make_index(VectorConfig(UNNAMED, metric=Metric.L2_SQUARED), IndexConfig())
    index.add(np.arange(len(base), dtype=np.uint32), base)
    assert index.wait_indexed(120)
    hits = 0
    for query, wanted in zip(queries, truth, strict=True):
        found = index.search(query, 10)
        assert len(found.doc_ids) == 10
        hits += len(set(found.doc_ids.tolist()) & set(wanted[:10].tolist()))
    assert hits / (10 * len(queries)) >= 0.95


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.MANHATTAN])
def test_recall_at_ten_on_other_metrics(metric: Metric, shared: Path) -> None:
    base, queries, _ = _bigann(shared / "data" / "ann" / "bigann10k")
    config = VectorConfig(UNNAMED, metric=metric)
    index = make_index(config, IndexConfig())
    exact = FlatIndex(config, load_kernels("native"))
    for target in (index, exact):
        target.add(np.arange(len(base), dtype=np.uint32), base)
    assert index.wait_indexed(120)
    hits = 0
    for query in queries[:100]:
        wanted = set(exact.search(query, 10).doc_ids.tolist())
        hits += len(set(index.search(query, 10).doc_ids.tolist()) & wanted)
    assert hits / 1000 >= 0.95
