"""Any life of a collection: it answers as a dict of its objects does, scanned exactly.

Inserts, updates, deletes by id and by filter, searches with and without filters, quantizers and
`skip` switched, upkeep, clean reopenings, crashes (no farewell; the store and the files are taken
as they are), damaged, swapped, lost, outdated and foreign files, and a store that is put back to an
earlier state under the files of a later one.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from tests.property.damage import VERBS, damage
from weftdb.core.config import Config
from weftdb.core.definition import parse_collection, update_collection
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import SchemaViolation
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import Comparison, NearVector, Operator, Search, Target, ValueKind
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine import chores
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import stored_id

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

DIMENSIONS = 16
SIZES = 100
"""Objects have a size below this, which filters ask for."""
SHARES = st.sampled_from([0.02, 0.3, 0.9])
KINDS = st.sampled_from(["hnsw", "flat", "dynamic"])
QUANTIZERS: Mapping[str, Mapping[str, Any]] = {
    "none": {"rq": {"enabled": False}, "skipDefaultQuantization": True},
    "rq8": {"rq": {"enabled": True, "bits": 8}},
    "rq4": {"rq": {"enabled": True, "bits": 4}},
    "rq1": {"rq": {"enabled": True, "bits": 1, "rescoreLimit": 512}},
    "sq": {"sq": {"enabled": True, "trainingLimit": 500}},
    "bq": {"bq": {"enabled": True, "rescoreLimit": 400}},
    "pq": {"pq": {"enabled": True, "segments": 8, "centroids": 32, "trainingLimit": 500}},
}
RECALL = {"none": 0.9, "rq8": 0.9, "rq4": 0.85, "rq1": 0.7, "sq": 0.9, "bq": 0.7, "pq": 0.7}
WAIT_S = 60


@dataclass(frozen=True)
class Known:
    """What an object was written as."""

    size: int
    vector: NDArray[np.float32] | None


def uid(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(16, "big"))


class CollectionLife(RuleBasedStateMachine):
    """A collection over a store in memory, which outlives the crashes, and a dict."""

    @initialize(
        seed=st.integers(0, 2**32 - 1),
        kind=KINDS,
        distance=st.sampled_from(["cosine", "l2-squared"]),
        quantizer=st.sampled_from(sorted(QUANTIZERS)),
        count=st.sampled_from([0, 1300]),
    )
    def begin(self, seed: int, kind: str, distance: str, quantizer: str, count: int) -> None:
        self.random = np.random.default_rng(seed)
        self.folder = Path(mkdtemp(prefix="weftdb-collection-"))
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.kind, self.distance, self.quantizer, self.skips = kind, distance, "none", False
        self.known: dict[ObjectId, Known] = {}
        self.next_id = 1
        self.earlier: dict[str, bytes] = {}
        self.open()
        self.docs = self.database.create_collection(
            parse_collection(self.definition(), surroundings=Surroundings(async_indexing=True))
        )
        self.mark()
        self.switch(quantizer)
        self.insert(count)

    def definition(self, **changes: Any) -> Mapping[str, Any]:
        quantizer = QUANTIZERS[self.quantizer]
        given: dict[str, Any] = {"distance": self.distance}
        if self.kind == "dynamic":
            given |= {"threshold": 1_100, "hnsw": {**given, **quantizer}}
            given["flat"] = {"distance": self.distance, **QUANTIZERS["none"]}
        else:
            given |= quantizer
        if self.kind == "hnsw":
            given |= {"flatSearchCutoff": 0, "skip": self.skips}
        return {
            "class": "Doc",
            "properties": [{"name": "size", "dataType": ["int"]}],
            "vectorIndexType": self.kind,
            "vectorIndexConfig": given,
            **changes,
        }

    def open(self) -> None:
        self.database = Database(
            self.folder,
            self.store,
            config=Config(),
            vectorizers=Registry(),
            env=Env(self.clock, seed=int(self.random.integers(2**32))),
        )
        self.database.maintenance.stop()  # `upkeep` does its work, at moments that repeat.
        if self.database.collections():
            self.docs: LocalCollection = self.database.collection("Doc")

    # What happens to it.

    @rule(count=st.integers(1, 200))
    def insert(self, count: int) -> None:
        self.write([uid(self.next_id + n) for n in range(count)])
        self.next_id += count

    @rule(share=SHARES)
    def update(self, share: float) -> None:
        self.write([one for one in self.known if self.random.random() < share])

    def write(self, ids: list[ObjectId]) -> None:
        drafts = []
        for object_id in ids:
            size = int(self.random.integers(SIZES))
            vector = None
            if self.random.random() < 0.95:
                vector = self.random.normal(size=DIMENSIONS).astype(np.float32)
            self.known[object_id] = Known(size, vector)
            vectors = {} if vector is None else {UNNAMED: vector}
            drafts.append(ObjectDraft(object_id, {"size": size}, vectors))
        assert self.docs.put(drafts) == [None] * len(ids)

    @rule(share=SHARES)
    def delete(self, share: float) -> None:
        gone = [one for one in self.known if self.random.random() < share]
        assert self.docs.delete(gone) == [True] * len(gone)
        for object_id in gone:
            del self.known[object_id]

    @rule(below=st.integers(0, SIZES))
    def delete_where(self, below: int) -> None:
        gone = [object_id for object_id, one in self.known.items() if one.size < below]
        assert self.docs.delete_where(smaller_than(below)).deleted == len(gone)
        for object_id in gone:
            del self.known[object_id]

    @rule(quantizer=st.sampled_from(sorted(QUANTIZERS)))
    def switch(self, quantizer: str) -> None:
        before, self.quantizer = self.quantizer, quantizer
        is_refused = self.kind == "flat" and quantizer in ("sq", "pq")
        try:
            self.reconfigure(self.definition())
        except SchemaViolation:
            assert is_refused
            self.quantizer = before
        else:
            assert not is_refused

    @rule()
    def skip_or_build(self) -> None:
        if self.kind == "hnsw":
            self.skips = not self.skips
            self.reconfigure(self.definition())

    @rule(kind=KINDS)
    def refuse_another_kind(self, kind: str) -> None:
        if kind == self.kind:
            return
        with pytest.raises(SchemaViolation):
            self.reconfigure(self.definition(vectorIndexType=kind, vectorIndexConfig={}))

    def reconfigure(self, definition: Mapping[str, Any]) -> None:
        around = Surroundings(async_indexing=True)
        new = update_collection(self.docs.schema, definition, surroundings=around)
        self.database.update_collection(new)

    @rule()
    def upkeep(self) -> None:
        self.earlier = {path.name: path.read_bytes() for path in self.files()}
        self.clock.advance(400_000)
        before, chores.NEW_DOCS_MIN = chores.NEW_DOCS_MIN, 20
        try:
            for chore in self.docs.chores:
                chore.run_if_due()
        finally:
            chores.NEW_DOCS_MIN = before

    @rule()
    def wait(self) -> None:
        if not self.is_building():
            assert self.docs.wait_indexed(WAIT_S)

    def is_building(self) -> bool:
        return type(self.docs.shard.vectors[UNNAMED]).__name__ == "BuildingIndex"

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @rule()
    def crash(self) -> None:
        """Nothing is saved, the store is not closed."""
        self.docs.retire()
        self.open()

    @rule()
    def reopen(self) -> None:
        before, chores.NEW_DOCS_MIN = chores.NEW_DOCS_MIN, 20
        store = copy_of(self.store)
        try:
            self.database.close()
        finally:
            chores.NEW_DOCS_MIN = before
        self.store = store
        self.open()

    @rule(verb=st.sampled_from(VERBS), which=st.integers(0, 9))
    def damage(self, verb: str, which: int) -> None:
        damage(self.folder, verb, which, random=self.random, earlier=self.earlier)
        self.crash()

    @rule()
    def take_files_of_another(self) -> None:
        """Those of a collection as large, of another database, with the same shard number."""
        ours, self.folder = self.folder, Path(mkdtemp(prefix="weftdb-other-"))
        mine = (self.database, self.docs, self.store, self.known, self.next_id, self.skips)
        self.store, self.known, self.next_id, self.skips = MemoryStore(), {}, 1, False
        self.open()
        self.docs = self.database.create_collection(
            parse_collection(self.definition(), surroundings=Surroundings(async_indexing=True))
        )
        self.insert(max(len(mine[3]), 1))
        self.reopen()
        self.docs.retire()
        theirs, self.folder = self.folder, ours
        self.database, self.docs, self.store, self.known, self.next_id, self.skips = mine
        shutil.rmtree(ours, ignore_errors=True)
        theirs.rename(ours)
        self.crash()

    @rule()
    def mark(self) -> None:
        """A moment to which the store may be put back."""
        state = (self.known, self.quantizer, self.skips)
        self.marked = (copy_of(self.store), copy.copy(state[0]), *state[1:])

    @rule()
    def put_back(self) -> None:
        """A backup comes back, or the disk has lost its last writes; the files are newer."""
        self.docs.retire()
        store, known, self.quantizer, self.skips = self.marked
        self.store, self.known = copy_of(store), dict(known)
        self.open()

    # What it answers.

    @rule(below=st.sampled_from([0, 2, 50, SIZES]), k=st.integers(1, 30))
    def search(self, below: int, k: int) -> None:
        hits = wanted_total = 0
        for _ in range(3):
            query = self.random.normal(size=DIMENSIONS).astype(np.float32)
            near = NearVector((Target(UNNAMED, query),))
            condition = None if below == SIZES else smaller_than(below)
            asked = Search("Doc", near=near, filter=condition, limit=k, ef=150)
            if self.skips:
                with pytest.raises(SchemaViolation, match="not indexed"):
                    self.docs.search(asked)
                return
            found = self.docs.search(asked)
            exact = self.distances(query, below)
            ids = [stored_id(row) for row in found.stored]
            assert len(ids) == len(set(ids)) == min(k, len(exact))
            assert set(ids) <= exact.keys()
            assert found.distances is not None
            measured = [exact[one] for one in ids]
            np.testing.assert_allclose(found.distances, measured, rtol=1e-4, atol=1e-5)
            assert found.distances == sorted(found.distances)
            best = sorted(exact, key=exact.__getitem__)[:k]
            hits += len(set(ids) & set(best))
            wanted_total += len(ids)
        assert hits >= RECALL[self.quantizer] * wanted_total - 1, self.quantizer

    def distances(self, query: NDArray[np.float32], below: int) -> dict[ObjectId, float]:
        """To every object with a vector and a size below a bound."""
        chosen = {i: one.vector for i, one in self.known.items() if one.size < below}
        rows = {i: vector for i, vector in chosen.items() if vector is not None}
        if not rows:
            return {}
        table, asked = np.array(list(rows.values()), dtype=np.float64), query.astype(np.float64)
        if self.distance == "cosine":
            table /= np.linalg.norm(table, axis=1)[:, None]
            measured = 1 - table @ (asked / np.linalg.norm(asked))
        else:
            measured = ((table - asked) ** 2).sum(axis=1)
        return dict(zip(rows, measured.tolist(), strict=True))

    @rule(below=st.integers(0, SIZES))
    def read(self, below: int) -> None:
        wanted = [i for i, one in self.known.items() if one.size < below]
        assert self.docs.count(smaller_than(below)) == len(wanted)
        for object_id in wanted[:5]:
            found = self.docs.get(object_id, with_vectors=True)
            assert found is not None
            assert found.properties == {"size": self.known[object_id].size}
            vector = self.known[object_id].vector
            assert (vector is None) == (UNNAMED not in found.vectors)
            assert vector is None or found.vectors[UNNAMED].tolist() == vector.tolist()

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "docs"):
            return
        assert self.docs.count() == len(self.known)
        if not self.skips and not self.is_building():
            vectors = sum(one.vector is not None for one in self.known.values())
            assert self.docs.shard.vectors[UNNAMED].count == vectors

    def teardown(self) -> None:
        if hasattr(self, "docs"):
            self.crash()
            self.search(SIZES, 10)
            self.docs.retire()
            shutil.rmtree(self.folder, ignore_errors=True)


def smaller_than(bound: int) -> Comparison:
    return Comparison(Operator.LESS_THAN, ("size",), bound, ValueKind.INT)


def copy_of(store: MemoryStore) -> MemoryStore:
    """The same rows, in a store of their own."""
    fresh = MemoryStore()
    for family, (keys, values) in store._families.items():
        fresh._families[family][0].extend(keys)
        fresh._families[family][1].update(values)
    return fresh


CollectionLife.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
test_collection_life = CollectionLife.TestCase
