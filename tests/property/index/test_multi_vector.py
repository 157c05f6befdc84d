"""Any sequence of adds, replacements, deletes, saves and crashes: multi-vectors answer as NumPy
does."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.schema import Metric, Muvera, VectorConfig
from weftdb.core.types import Rows, VectorName
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels.reference import ReferenceKernels
from weftdb.index.multi_vector_scan import MultiVectorScan

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.multi_vector import MultiVectorIndex, Route

MUVERA = Muvera(ksim=2, dprojections=4, repetitions=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 400)),
        st.tuples(st.just("replace"), st.floats(0, 0.5)),
        st.tuples(st.just("delete"), st.floats(0, 1)),
        st.tuples(st.sampled_from(["wait", "save", "crash"]), st.just(0)),
    ),
    min_size=1,
    max_size=10,
)


def matrices(random: np.random.Generator, count: int, dimensions: int) -> list[Rows]:
    sizes = random.integers(1, 12, size=count)
    return [random.normal(size=(int(n), dimensions)).astype(np.float32) for n in sizes]


def add(index: MultiVectorIndex | MultiVectorScan, first: int, docs: list[Rows]) -> None:
    ids = np.arange(first, first + len(docs), dtype=np.uint32)
    index.add(np.repeat(ids, [len(rows) for rows in docs]), np.concatenate(docs))


@settings(max_examples=25, deadline=None)
@given(
    steps=STEPS,
    metric=st.sampled_from([Metric.COSINE, Metric.DOT]),
    muvera=st.sampled_from([None, MUVERA]),
    candidate_docs_min=st.sampled_from([1, 300]),
    dimensions=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_multi_vectors_answer_like_the_scan(
    steps: list[tuple[str, float]],
    metric: Metric,
    muvera: Muvera | None,
    candidate_docs_min: int,
    dimensions: int,
    seed: int,
) -> None:
    config = VectorConfig(VectorName("m"), metric=metric, multi_vector=True, muvera=muvera)
    with tempfile.TemporaryDirectory() as directory:
        space = Space(config, candidate_docs_min, Path(directory) / "v", dimensions, seed)
        for verb, amount in steps:
            space.take(verb, amount)
            check(space.index, space.model, space.live, space.random, dimensions)
        space.index.close()


class Space:
    """An index, its model, and the matrices that the store would have."""

    def __init__(
        self, config: VectorConfig, docs_min: int, path: Path, dimensions: int, seed: int
    ) -> None:
        self.config, self.docs_min, self.path = config, docs_min, path
        self.dimensions = dimensions
        self.random = np.random.default_rng(seed)
        self.model = MultiVectorScan(config, ReferenceKernels())
        self.stored: dict[int, Rows] = {}
        self.index = self.make()
        self.next_doc = 0

    def make(self) -> MultiVectorIndex:
        return MultiVectorIndex(self.config, IndexConfig(), candidate_docs_min=self.docs_min)

    @property
    def live(self) -> list[int]:
        return list(self.stored)

    def take(self, verb: str, amount: float) -> None:
        gone: list[int] = []
        match verb:
            case "wait":
                assert self.index.wait_indexed(60)
            case "save":
                self.index.save(self.path)
            case "crash":
                self.reopen()
            case "replace" | "delete":
                gone = self.random.permutation(self.live)[: int(amount * len(self.live))].tolist()
        new = int(amount) if verb == "add" else len(gone) if verb == "replace" else 0
        if new:
            docs = matrices(self.random, new, self.dimensions)
            for target in (self.index, self.model):
                add(target, self.next_doc, docs)
            self.stored |= dict(enumerate(docs, self.next_doc))
            self.next_doc += new + int(self.random.integers(0, 3))
        for target in (self.index, self.model):
            target.delete(np.array(sorted(gone), dtype=np.uint32))
        for doc in gone:
            del self.stored[int(doc)]

    def reopen(self) -> None:
        """What was saved last, and from the store what that lacks."""
        self.index.close()
        self.index = self.make()
        missing = sorted(self.stored)
        if self.path.exists():
            missing = self.index.load(self.path, AllowList(BitMap(missing))).tolist()
            assert self.index.log_fault == ""
        for doc in missing:
            add(self.index, doc, [self.stored[doc]])


def check(
    index: MultiVectorIndex,
    model: MultiVectorScan,
    live: list[int],
    random: np.random.Generator,
    dimensions: int,
) -> None:
    assert index.count == model.count == len(live)
    assert index.row_count == model.row_count
    assert index.dimensions == model.dimensions
    (query,) = matrices(random, 1, dimensions)
    some = BitMap([*random.permutation(live)[: len(live) // 3].astype(np.uint32).tolist(), 10**6])
    for allow in (None, AllowList(some)):
        truth = model.search(query, 10, allow=allow)
        found = index.search(query, 10, allow=allow, route=Route.EXACT)
        assert np.allclose(found.distances, truth.distances, rtol=1e-4, atol=1e-4)
        measured = model.distances(query, found.doc_ids)
        assert np.allclose(found.distances, measured, rtol=1e-4, atol=1e-4)
        for route in (Route.CANDIDATES, Route.CHEAPEST):
            near = index.search(query, 10, allow=allow, route=route)
            assert len(near.doc_ids) == len(truth.doc_ids)
            assert len(set(near.doc_ids.tolist())) == len(near.doc_ids)
            assert set(near.doc_ids.tolist()) <= (set(live) if allow is None else set(some))
            assert index.distances(query, near.doc_ids).tolist() == near.distances.tolist()
            assert (np.diff(near.distances) >= 0).all()


@pytest.mark.parametrize("muvera", [None, MUVERA], ids=["rows", "muvera"])
def test_searches_run_beside_writes(muvera: Muvera | None) -> None:
    """No search fails or returns a doc that was gone before it began (checked under TSan, too)."""
    random = np.random.default_rng(5)
    config = VectorConfig(VectorName("m"), multi_vector=True, muvera=muvera)
    index = MultiVectorIndex(config, IndexConfig(), candidate_docs_min=50)
    docs = matrices(random, 10_000, 8)
    queries = matrices(random, 20, 8)
    add(index, 0, docs[:100])
    written, failures = threading.Event(), []
    gone = 0

    def search() -> None:
        try:
            turn = 0
            while not written.is_set():
                before = gone
                route = (Route.EXACT, Route.CANDIDATES, Route.CHEAPEST)[turn % 3]
                found = index.search(queries[turn % 20], 5, route=route)
                assert (found.doc_ids >= before).all()
                assert len(found.doc_ids) == 5
                turn += 1
        except Exception as error:  # noqa: BLE001  # The test fails with it, below.
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for first in range(100, 10_000, 20):
        add(index, first, docs[first : first + 20])
        index.delete(np.arange(first - 100, first - 80, dtype=np.uint32))
        gone = first - 80
    written.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert index.count == 100
