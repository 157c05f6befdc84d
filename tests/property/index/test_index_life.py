"""Any life of a vector index: it answers as the exact scan does, whatever its files have lost.

Adds, updates, deletes, filters, saves, compactions, quantizers and kinds switched, crashes (the
process forgets everything and reads the files as they are), cut, damaged, swapped, lost, outdated
and foreign files, reopenings.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray
from pyroaring import BitMap

from tests.property.damage import VERBS, damage
from weftdb.core.config import IndexConfig
from weftdb.core.errors import CorruptData
from weftdb.core.schema import (
    Compression,
    HnswSettings,
    IndexKind,
    Metric,
    Quantizer,
    VectorConfig,
)
from weftdb.core.types import UNNAMED
from weftdb.index.allow_list import AllowList
from weftdb.index.factory import make_index
from weftdb.index.flat import FlatIndex
from weftdb.index.kernels import load_kernels

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

from weftdb.index.hnsw.graph import HnswIndex

NATIVE = IndexConfig(kernels="native")
DIMENSIONS = 16
SHARES = st.sampled_from([0.02, 0.2, 0.5, 0.9])
KINDS = st.sampled_from([IndexKind.HNSW, IndexKind.FLAT, IndexKind.DYNAMIC])
OURS, THEIRS = 1, 2
ROTATIONAL = Compression.ROTATIONAL
QUANTIZERS = {
    "none": None,
    "rq8": Quantizer(ROTATIONAL, rescore_limit=20),
    "rq4": Quantizer(ROTATIONAL, rescore_limit=20, bits=4),
    "rq1": Quantizer(ROTATIONAL, rescore_limit=512, bits=1),
    "sq": Quantizer(Compression.SCALAR, rescore_limit=20, training_limit=500),
    "bq": Quantizer(Compression.BINARY),
    "pq": Quantizer(Compression.PRODUCT, segments=8, centroids=32, training_limit=500),
}
RECALL = {"none": 0.9, "rq8": 0.9, "rq4": 0.85, "rq1": 0.7, "sq": 0.9, "bq": 0.7, "pq": 0.7}
"""Of 16 dimensions; more bits a vector tell more (tests/unit/index/hnsw/test_quantizers.py)."""


class IndexLife(RuleBasedStateMachine):
    """An index, the rows that are live (the store), and the exact scan of them."""

    @initialize(
        seed=st.integers(0, 2**32 - 1),
        metric=st.sampled_from([Metric.COSINE, Metric.L2_SQUARED]),
        count=st.sampled_from([0, 900, 1400]),
        kind=KINDS,
        quantizer=st.sampled_from(sorted(QUANTIZERS)),
    )
    def begin(self, seed: int, metric: Metric, count: int, kind: IndexKind, quantizer: str) -> None:
        self.random = np.random.default_rng(seed)
        self.quantizer = quantizer
        self.config = VectorConfig(
            UNNAMED,
            index=kind,
            metric=metric,
            hnsw=HnswSettings(flat_search_cutoff=0, max_connections=16, ef_construction=64),
            quantizer=QUANTIZERS[quantizer],
            flat_quantizer=QUANTIZERS[quantizer],
            dynamic_threshold=1_200,
        )
        self.folder = Path(mkdtemp(prefix="weftdb-index-"))
        self.path = self.folder / "s"
        self.index = self.opened()
        self.model = FlatIndex(self.config, load_kernels("reference"))
        self.rows: dict[int, NDArray[np.float32]] = {}
        self.next_doc = 0
        self.earlier: dict[str, bytes] = {}
        self.add(count)

    def opened(self, owner: int = OURS) -> HnswIndex:
        index = make_index(self.config, NATIVE, owner=owner)
        assert isinstance(index, HnswIndex)
        return index

    @rule(count=st.integers(1, 300))
    def add(self, count: int) -> None:
        if count == 0:
            return
        rows = self.random.normal(size=(count, DIMENSIONS)).astype(np.float32)
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
        self.earlier = {file.name: file.read_bytes() for file in self.folder.iterdir()}
        self.index.save(self.path)

    @rule()
    def compact(self) -> None:
        self.index.compact(0.0)

    @rule(quantizer=st.sampled_from(sorted(QUANTIZERS)))
    def quantize(self, quantizer: str) -> None:
        self.quantizer = quantizer
        chosen = QUANTIZERS[quantizer]
        self.config = replace(self.config, quantizer=chosen, flat_quantizer=chosen)
        self.index.quantize(self.config)

    @rule()
    def crash(self) -> None:
        self.index.close()
        self.index = self.opened()
        missing = np.array(sorted(self.rows), dtype=np.uint32)
        if self.path.exists():
            try:
                missing = self.index.load(self.path, AllowList(BitMap(self.rows)))
            except CorruptData:
                self.index.close()
                self.index = self.opened()
        if len(missing):
            rows = np.array([self.rows[doc] for doc in missing.tolist()])
            self.index.add(missing, rows)

    @rule(kind=KINDS)
    def reopen_as(self, kind: IndexKind) -> None:
        self.index.save(self.path)
        self.config = replace(self.config, index=kind)
        self.crash()

    @rule(verb=st.sampled_from(VERBS), which=st.integers(0, 9))
    def damage(self, verb: str, which: int) -> None:
        damage(self.folder, verb, which, random=self.random, earlier=self.earlier)
        self.crash()

    @rule(which=st.integers(0, 3))
    def take_files_of_another(self, which: int) -> None:
        """All of them, or one. Its docs have the same numbers, its vectors are others."""
        if not self.rows:
            return
        other, beside = self.opened(THEIRS), Path(mkdtemp(prefix="weftdb-other-"))
        docs = np.array(sorted(self.rows), dtype=np.uint32)
        rows = self.random.normal(size=(len(docs), DIMENSIONS)).astype(np.float32)
        other.add(docs, rows)
        assert other.wait_indexed(60)
        other.save(beside / "s")
        other.close()
        theirs = sorted(beside.iterdir())
        for file in theirs if which == 3 else theirs[which : which + 1]:
            file.replace(self.folder / file.name)
        shutil.rmtree(beside)
        self.crash()

    @rule(share=st.sampled_from([0.02, 0.5, 1.0]), k=st.integers(1, 30))
    def search(self, share: float, k: int) -> None:
        hits = wanted_total = 0
        for _ in range(4):
            query = self.random.normal(size=DIMENSIONS).astype(np.float32)
            allow = AllowList(BitMap([doc for doc in self.rows if self.random.random() < share]))
            wanted = self.model.search(query, k, allow=allow)
            found = self.index.search(query, k, allow=allow, ef=150)
            docs = found.doc_ids.tolist()
            assert len(docs) == len(set(docs)) == len(wanted.doc_ids) == min(k, allow.count)
            assert set(docs) <= set(allow.bitmap)
            exact = self.model.distances(query, found.doc_ids)
            np.testing.assert_allclose(found.distances, exact, rtol=1e-4, atol=1e-5)
            hits += len(set(docs) & set(wanted.doc_ids.tolist()))
            wanted_total += len(docs)
        assert hits >= RECALL[self.quantizer] * wanted_total - 1, self.quantizer

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


IndexLife.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
test_index_life = IndexLife.TestCase
