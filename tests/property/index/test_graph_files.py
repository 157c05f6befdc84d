"""Any life of a graph with its files: it answers as the exact scan, whatever the files have lost.

Adds, updates, deletes, filters, saves, compactions, crashes (the process forgets everything and
reads the files as they are), cut and damaged files, reopenings.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pyroaring import BitMap

from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import HnswSettings, Metric, VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex

NATIVE = IndexConfig(kernels="native")
SHARES = st.sampled_from([0.02, 0.2, 0.5, 0.9])


class GraphLife(RuleBasedStateMachine):
    """A graph, the rows that are live (the store), and the exact scan of them."""

    @initialize(
        seed=st.integers(0, 2**32 - 1),
        metric=st.sampled_from([Metric.COSINE, Metric.L2_SQUARED]),
        count=st.sampled_from([0, 900, 1400]),
    )
    def begin(self, seed: int, metric: Metric, count: int) -> None:
        self.random = np.random.default_rng(seed)
        hnsw = HnswSettings(flat_search_cutoff=0, max_connections=16, ef_construction=64)
        self.config = VectorConfig(UNNAMED, metric=metric, hnsw=hnsw)
        self.folder = Path(mkdtemp(prefix="weftdb-graph-"))
        self.path = self.folder / "s"
        self.index = HnswIndex(self.config, NATIVE)
        self.model = FlatIndex(self.config, load_kernels("reference"))
        self.rows: dict[int, np.ndarray[tuple[int], np.dtype[np.float32]]] = {}
        self.next_doc = 0
        self.add(count)

    @rule(count=st.integers(1, 300))
    def add(self, count: int) -> None:
        if count == 0:
            return
        rows = self.random.normal(size=(count, 6)).astype(np.float32)
        docs = np.arange(self.next_doc, self.next_doc + count, dtype=np.uint32)
        self.next_doc += count + int(self.random.integers(0, 3))
        self.index.add(docs, rows)
        self.model.add(docs, rows)
        self.rows.update(zip(docs.tolist(), rows, strict=True))

    @rule(share=SHARES)
    def delete(self, share: float) -> None:
        gone = [doc for doc in self.rows if self.random.random() < share]
        for target in (self.index, self.model):
            target.delete(np.array(gone, dtype=np.uint32))
        for doc in gone:
            del self.rows[doc]

    @rule(share=SHARES)
    def update(self, share: float) -> None:
        before = len(self.rows)
        self.delete(share)
        self.add(before - len(self.rows))

    @rule()
    def wait(self) -> None:
        assert self.index.wait_indexed(60)

    @rule()
    def save(self) -> None:
        self.index.save(self.path)

    @rule()
    def compact(self) -> None:
        self.index.compact(0.0)

    @rule()
    def crash(self) -> None:
        self.index.close()
        self.index = HnswIndex(self.config, NATIVE)
        missing = np.array(sorted(self.rows), dtype=np.uint32)
        if self.path.exists():
            try:
                missing = self.index.load(self.path, AllowList(BitMap(self.rows)))
            except CorruptData:
                self.index.close()
                self.index = HnswIndex(self.config, NATIVE)
        if len(missing):
            rows = np.array([self.rows[doc] for doc in missing.tolist()])
            self.index.add(missing, rows)

    @rule(which=st.sampled_from(["s", "s.log"]), verb=st.sampled_from(["cut", "flip", "lose"]))
    def damage(self, which: str, verb: str) -> None:
        file = self.folder / which
        if not file.exists():
            return
        content = bytearray(file.read_bytes())
        spot = int(self.random.integers(0, len(content)))
        if verb == "lose":
            file.unlink()
        elif verb == "cut":
            file.write_bytes(content[:spot])
        else:
            content[spot] ^= 1 << int(self.random.integers(0, 8))
            file.write_bytes(content)
        self.crash()

    @rule(share=st.sampled_from([0.02, 0.5, 1.0]), k=st.integers(1, 30))
    def search(self, share: float, k: int) -> None:
        hits = wanted_total = 0
        for _ in range(4):
            query = self.random.normal(size=6).astype(np.float32)
            allow = AllowList(BitMap([doc for doc in self.rows if self.random.random() < share]))
            wanted = self.model.search(query, k, allow=allow)
            found = self.index.search(query, k, allow=allow, ef=80)
            docs = found.doc_ids.tolist()
            assert len(docs) == len(set(docs)) == len(wanted.doc_ids) == min(k, allow.count)
            assert set(docs) <= set(allow.bitmap)
            exact = self.model.distances(query, found.doc_ids)
            np.testing.assert_allclose(found.distances, exact, rtol=1e-4, atol=1e-5)
            hits += len(set(docs) & set(wanted.doc_ids.tolist()))
            wanted_total += len(docs)
        assert hits >= 0.9 * wanted_total

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "index"):
            assert self.index.count == self.model.count == len(self.rows)

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.crash()
            self.search(1.0, 10)
            self.index.close()
            shutil.rmtree(self.folder, ignore_errors=True)


GraphLife.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_graph_life = GraphLife.TestCase
