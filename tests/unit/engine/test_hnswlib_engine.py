"""A node whose graphs are hnswlib's: objects in, searches, a restart, refusals before a write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.config import Config, IndexConfig
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import SchemaViolation, UnknownCollection
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.index.hnswlib_index import HnswlibIndex
from weftdb.modules.registry import Registry
from weftdb.storage.kv import KeyValueStore
from weftdb.storage.object_codec import stored_id

pytest.importorskip("hnswlib", reason="no package hnswlib")

ROWS = np.random.default_rng(6).normal(size=(1_500, 8)).astype(np.float32)


@pytest.fixture
def open_hnswlib(tmp_path: Path, store: KeyValueStore) -> Iterator[Callable[[], Database]]:
    """Opens the store again and again, with the engine hnswlib."""
    config, opened = Config(index=IndexConfig(engine="hnswlib")), []

    def open_it() -> Database:
        env = Env(ManualClock(), seed=1)
        opened.append(Database(tmp_path, store, config=config, vectorizers=Registry(), env=env))
        return opened[-1]

    yield open_it
    for database in opened:
        database.close()


def nearest(docs: LocalCollection, row: int) -> bytes:
    near = NearVector((Target(UNNAMED, ROWS[row]),))
    return stored_id(docs.search(Search("Doc", near=near, limit=1)).stored[0])


def test_objects_searches_and_a_restart(open_hnswlib: Callable[[], Database]) -> None:
    docs = open_hnswlib().create_collection(parse_collection(DOC))
    docs.put([draft(n, vector=row.tolist()) for n, row in enumerate(ROWS)])
    index = docs.shard.vectors[UNNAMED]
    assert isinstance(index, HnswlibIndex)
    assert nearest(docs, 700) == uid(700)
    docs.delete([uid(700)])
    assert nearest(docs, 700) != uid(700)
    for chore in docs.chores:
        chore.finish()
    again = open_hnswlib().collection("Doc")
    assert again.shard.vectors[UNNAMED].count == 1_499
    assert nearest(again, 701) == uid(701)


def test_a_graph_of_the_other_engine_is_built_anew(
    open_database: Callable[[], Database], open_hnswlib: Callable[[], Database]
) -> None:
    docs = open_database().create_collection(parse_collection(DOC))
    docs.put([draft(n, vector=row.tolist()) for n, row in enumerate(ROWS)])
    for chore in docs.chores:
        chore.finish()
    again = open_hnswlib().collection("Doc")
    assert isinstance(again.shard.vectors[UNNAMED], HnswlibIndex)
    assert nearest(again, 3) == uid(3)


def test_what_it_cannot_serve_is_refused_before_anything_is_written(
    open_hnswlib: Callable[[], Database],
) -> None:
    database = open_hnswlib()
    body = {**DOC, "vectorIndexConfig": {"distance": "manhattan"}}
    with pytest.raises(SchemaViolation, match="manhattan"):
        database.create_collection(parse_collection(body))
    with pytest.raises(UnknownCollection):
        database.collection("Doc")
    assert open_hnswlib().collections() == []
