"""Vectors over shards: graphs find no less than one graph over everything; matrices, texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.cluster.search.fleet import Fleet
from weftdb.core.objects import ObjectState
from weftdb.core.query import Combination, Hybrid, Move, NearText, NearVector, Search, Target
from weftdb.core.types import UNNAMED, ObjectId, Rows, VectorName, Version
from weftdb.storage.object_codec import stored_id

pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")

DIMENSIONS = 24
VECTORS = 3_000
GRAPH = {"vectorIndexConfig": {"distance": "l2-squared", "flatSearchCutoff": 0, "ef": 32}}


def state(random: np.random.Generator, vectors: dict[VectorName, Any]) -> ObjectState:
    return ObjectState(ObjectId(random.bytes(16)), Version(1), False, 1, 1, {}, vectors)


def test_recall_is_not_below_one_graph(tmp_path: Path) -> None:
    """Three graphs of a third each, against one of all, with the same settings."""
    random = np.random.default_rng(7)
    fleet = Fleet(tmp_path / "fleet", {"class": "Doc", "vectorizer": "none", **GRAPH}, shards=3)
    rows = random.normal(size=(VECTORS, DIMENSIONS)).astype(np.float32)
    states = [state(random, {UNNAMED: row}) for row in rows]
    fleet.apply(states)
    for local in (fleet.whole, *fleet.replicas.values()):
        assert local.wait_indexed(60)
    found = {"one": 0, "shards": 0}
    for query in random.normal(size=(60, DIMENSIONS)).astype(np.float32):
        true = np.argsort(((rows - query) ** 2).sum(axis=1))[:10]
        wanted = {states[int(at)].id for at in true}
        asked = Search("Doc", limit=10, near=NearVector((Target(UNNAMED, query),)))
        for name, hits in (("one", fleet.whole.search(asked)), ("shards", fleet.search(asked))):
            found[name] += len(wanted & set(map(stored_id, hits.stored)))
    assert found["shards"] >= found["one"]
    assert found["shards"] >= 0.95 * 600
    fleet.close()


def test_matrices(tmp_path: Path) -> None:
    """Multi-vectors, alone and beside a plain vector."""
    definition = {
        "class": "Doc",
        "vectorConfig": {
            "rows": {
                "vectorIndexType": "hnsw",
                "vectorIndexConfig": {"multivector": {"enabled": True}},
                "vectorizer": {"none": {}},
            },
            "plain": {"vectorIndexType": "hnsw", "vectorizer": {"none": {}}},
        },
    }
    random = np.random.default_rng(3)
    fleet = Fleet(tmp_path / "fleet", definition, shards=3)
    rows, plain = VectorName("rows"), VectorName("plain")

    def matrix() -> NDArray[np.float32]:
        return random.normal(size=(int(random.integers(1, 5)), 8)).astype(np.float32)

    def row() -> NDArray[np.float32]:
        return random.normal(size=8).astype(np.float32)

    fleet.apply([state(random, {rows: matrix(), plain: row()}) for _ in range(60)])
    for targets in (
        (Target(rows, matrix()),),
        (Target(rows, matrix(), 0.4), Target(plain, row(), 0.6)),
    ):
        for combination in Combination:
            asked = Search("Doc", limit=8, near=NearVector(targets, combination), vectors=(rows,))
            whole, found = fleet.whole.search(asked), fleet.search(asked)
            assert list(map(stored_id, found.stored)) == list(map(stored_id, whole.stored))
            assert found.distances == whole.distances
            for left, right in zip(found.vectors[rows], whole.vectors[rows], strict=True):
                assert left is not None
                assert right is not None
                assert left.tolist() == right.tolist()
    fleet.close()


class Letters:
    """Embeds a text as how often it has some letters, and counts what it was asked."""

    name = "text2vec-model2vec"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Anything goes."""

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        """Counts, and a little that no text is without."""
        self.asked += texts
        counts = [[text.count(letter) for letter in "aeiourst"] for text in texts]
        return np.array(counts, dtype=np.float32) + 0.01

    def meta(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def get(self, name: str) -> Letters:
        """Itself, whatever is asked."""
        return self

    def names(self) -> Sequence[str]:
        """It only."""
        return [self.name]


def test_texts_are_embedded_once(tmp_path: Path) -> None:
    """By the coordinator; objects that the query names are found in whatever shard."""
    letters = Letters()
    definition = {
        "class": "Doc",
        "vectorizer": "text2vec-model2vec",
        "properties": [{"name": "title", "dataType": ["text"]}],
    }
    fleet = Fleet(tmp_path / "fleet", definition, shards=3, vectorizers=letters)
    random = np.random.default_rng(5)
    titles = ["".join(random.choice(list("aeiou rst"), size=12)) for _ in range(40)]
    vectors = letters.embed(titles, {}, is_query=False)
    states = [
        replace(state(random, {UNNAMED: row}), properties={"title": title})
        for title, row in zip(titles, vectors, strict=True)
    ]
    fleet.apply(states)
    move = Move(0.4, ("rust",), (states[3].id, states[17].id))
    letters.asked.clear()
    for query in (
        Search("Doc", limit=6, near=NearText(("tea", "stereo"), move_to=move)),
        Search("Doc", limit=6, hybrid=Hybrid("tea rest")),
        Search("Doc", limit=6, hybrid=Hybrid("tea rest", NearText(("tea",), move_away=move))),
    ):
        whole = fleet.whole.search(query)
        asked = list(letters.asked)
        letters.asked.clear()
        found = fleet.search(query)
        assert list(map(stored_id, found.stored)) == list(map(stored_id, whole.stored))
        assert (found.distances, found.scores) == (whole.distances, whole.scores)
        assert letters.asked == asked
        letters.asked.clear()
    fleet.close()
