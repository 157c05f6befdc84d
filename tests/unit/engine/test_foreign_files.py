"""Files that are whole, but not this shard's, or of a later state than the store: built anew."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.engine.samples import uid
from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import VectorName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.recovery import snapshot_path
from weftdb.modules.registry import Registry
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import stored_id

COUNT = 1_200
ONE, MANY = VectorName("one"), VectorName("many")
NO_MODULE = {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}
BODY = {
    "class": "Doc",
    "vectorConfig": {
        ONE: {
            **NO_MODULE,
            "vectorIndexConfig": {"distance": "l2-squared", "sq": {"enabled": True}},
        },
        MANY: {**NO_MODULE, "vectorIndexConfig": {"multivector": {"enabled": True}}},
    },
}


class Node:
    """A data directory, and the store of it, that databases open one after the other."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.store, self.seed = path, MemoryStore(), seed
        self.random = np.random.default_rng(seed)
        self.opened: list[Database] = []

    def open(self) -> Database:
        env = Env(ManualClock(), seed=self.seed)
        database = Database(self.path, self.store, config=Config(), vectorizers=Registry(), env=env)
        self.opened.append(database)
        return database

    def write(self, docs: LocalCollection, first: int, count: int) -> None:
        rows = self.random.normal(size=(count, 3, 8)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=2, keepdims=True)  # Nothing is closer to it than itself.
        drafts = [
            ObjectDraft(uid(first + n), {}, {ONE: rows[n, 0], MANY: rows[n]}) for n in range(count)
        ]
        assert docs.put(drafts) == [None] * count
        assert docs.wait_indexed(60)


def save(docs: LocalCollection) -> list[Path]:
    for name, index in docs.shard.vectors.items():
        path = snapshot_path(docs.shard, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        index.save(path)
    return sorted(docs.shard.directory.iterdir())


def check(docs: LocalCollection) -> None:
    """Every vector is found where it is stored."""
    assert docs.wait_indexed(60)
    for number in range(1, COUNT, 97):
        found = docs.get(uid(number), with_vectors=True)
        assert found is not None
        for name in (ONE, MANY):
            assert nearest(docs, name, found.vectors[name]) == uid(number)


def nearest(docs: LocalCollection, name: VectorName, row: NDArray[np.float32]) -> Any:
    near = NearVector((Target(name, row),))
    return stored_id(docs.search(Search("Doc", near=near, limit=1)).stored[0])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "ours", 1)
    yield made
    for database in made.opened:
        database.close()


def test_files_of_another_shard(
    node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Node(tmp_path / "theirs", 2)
    for one in (node, other):
        docs = one.open().create_collection(parse_collection(BODY))
        one.write(docs, 1, COUNT)
        files = save(docs)
    ours = node.opened[0].collection("Doc").shard.directory
    shutil.rmtree(ours)
    shutil.copytree(files[0].parent, ours)
    with caplog.at_level(logging.WARNING):
        docs = node.open().collection("Doc")
    assert caplog.text.count("is not used, the index is rebuilt") == 2
    assert list(ours.iterdir()) == [], "what cannot be used does not lie around"
    check(docs)
    other.opened[0].close()


def test_a_store_that_was_put_back(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    docs = node.open().create_collection(parse_collection(BODY))
    node.write(docs, 1, COUNT - 100)
    before = {
        family: (list(keys), dict(values)) for family, (keys, values) in
        node.store._families.items()
    }  # fmt: skip
    node.write(docs, COUNT - 99, 100)
    save(docs)
    node.store._families.update(before)
    with caplog.at_level(logging.WARNING):
        docs = node.open().collection("Doc")
    assert caplog.text.count("was put back to an earlier state") == 2
    # The doc ids are given out again, for other vectors; a crash leaves no newer files.
    node.write(docs, COUNT - 99, 100)
    check(node.open().collection("Doc"))
