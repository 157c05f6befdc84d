"""`skip`: vectors without an index, and an index that is built for them later, online."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.definition import parse_collection, update_collection
from weftdb.core.errors import DimensionMismatch, Overloaded, SchemaViolation
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.index.building import BuildingIndex
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.index.skipped import SkippedIndex
from weftdb.storage.object_codec import stored_id

ROWS = np.random.default_rng(5).normal(size=(3_000, 8)).astype(np.float32)


def settings(**changes: Any) -> Mapping[str, Any]:
    return {**DOC, "vectorIndexConfig": {"distance": "l2-squared", **changes}}


def fill(docs: LocalCollection, start: int, stop: int) -> None:
    errors = docs.put([draft(n, vector=ROWS[n].tolist()) for n in range(start, stop)])
    assert errors == [None] * (stop - start)


def nearest(docs: LocalCollection, row: NDArray[np.float32], limit: int = 1) -> list[bytes]:
    near = NearVector((Target(UNNAMED, row),))
    return [stored_id(one) for one in docs.search(Search("Doc", near=near, limit=limit)).stored]


def switch(database: Database, docs: LocalCollection, **changes: Any) -> None:
    database.update_collection(update_collection(docs.schema, settings(**changes)))


@pytest.fixture
def skipped(database: Database) -> LocalCollection:
    """A collection without a vector index, 2,000 objects in it."""
    docs = database.create_collection(parse_collection(settings(skip=True)))
    fill(docs, 0, 2_000)
    return docs


@pytest.fixture
def still(database: Database) -> Database:
    """The maintenance does not run by itself."""
    database.maintenance.stop()
    database.maintenance._stopping = False  # `run_once` goes on
    return database


def test_vectors_are_stored_and_returned_but_not_searched(skipped: LocalCollection) -> None:
    found = skipped.get(uid(7), with_vectors=True)
    assert found is not None
    assert found.vectors[UNNAMED].tolist() == ROWS[7].tolist()
    with pytest.raises(SchemaViolation, match="not indexed"):
        nearest(skipped, ROWS[7])


def test_one_length_for_all_although_there_is_no_index(
    skipped: LocalCollection, open_database: Callable[[], Database]
) -> None:
    (error,) = skipped.put([draft(1, vector=[1.0, 2.0])])
    assert isinstance(error, DimensionMismatch)
    again = open_database().collection("Doc")
    (error,) = again.put([draft(1, vector=[1.0, 2.0])])
    assert isinstance(error, DimensionMismatch), "a restart does not forget the length"


def test_switched_on_it_answers_at_once_and_all_the_while(
    still: Database, skipped: LocalCollection
) -> None:
    switch(still, skipped, skip=False)
    index = skipped.shard.vectors[UNNAMED]
    assert isinstance(index, BuildingIndex)
    assert nearest(skipped, ROWS[1_234]) == [uid(1_234)]

    # Writes of every kind while it builds.
    fill(skipped, 2_000, 2_100)
    assert nearest(skipped, ROWS[2_050]) == [uid(2_050)]
    skipped.put([draft(10, vector=ROWS[2_500].tolist())])
    assert nearest(skipped, ROWS[2_500]) == [uid(10)]
    skipped.delete([uid(11)])
    assert uid(11) not in nearest(skipped, ROWS[11], 5)

    turns = 0
    while isinstance(skipped.shard.vectors[UNNAMED], BuildingIndex):
        assert still.maintenance.run_once()
        turns += 1
        assert turns < 20
        assert nearest(skipped, ROWS[1_999]) == [uid(1_999)]
    assert isinstance(skipped.shard.vectors[UNNAMED], HnswIndex)
    assert skipped.wait_indexed(30)
    assert skipped.shard.vectors[UNNAMED].count == 2_099
    assert nearest(skipped, ROWS[2_500]) == [uid(10)]
    assert uid(11) not in nearest(skipped, ROWS[11], 5)
    for n in (0, 500, 1_999, 2_099):
        assert nearest(skipped, ROWS[n]) == [uid(n)]


def test_pages_and_distances_during_the_build_equal_those_after_it(
    still: Database, skipped: LocalCollection
) -> None:
    switch(still, skipped, skip=False)
    index = skipped.shard.vectors[UNNAMED]
    assert isinstance(index, BuildingIndex)
    found = index.search(ROWS[2_700], 50)
    distances = index.distances(ROWS[2_700], np.array([3, 9_999, 1_500], dtype=np.uint32))
    while isinstance(skipped.shard.vectors[UNNAMED], BuildingIndex):
        still.maintenance.run_once()
    after = skipped.shard.vectors[UNNAMED]
    wanted = after.search(ROWS[2_700], 50, ef=2_000)
    assert found.doc_ids.tolist() == wanted.doc_ids.tolist()
    assert np.allclose(found.distances, wanted.distances, rtol=1e-5)
    assert np.isnan(distances[1])
    known = after.distances(ROWS[2_700], np.array([3, 1_500], dtype=np.uint32))
    assert np.allclose(distances[[0, 2]], known, rtol=1e-5)


def test_the_maintenance_finishes_the_build_by_itself(
    database: Database, skipped: LocalCollection
) -> None:
    switch(database, skipped, skip=False)
    assert skipped.wait_indexed(30)
    assert nearest(skipped, ROWS[77]) == [uid(77)]


def test_a_restart_in_the_middle_finds_everything(
    still: Database, skipped: LocalCollection, open_database: Callable[[], Database]
) -> None:
    switch(still, skipped, skip=False)
    again = open_database().collection("Doc")
    assert again.shard.vectors[UNNAMED].count == 2_000
    assert nearest(again, ROWS[5]) == [uid(5)]


def test_switched_off_it_gives_the_memory_back_and_on_again_it_builds(
    database: Database, docs: LocalCollection
) -> None:
    database.delete_collection("Doc")
    docs = database.create_collection(parse_collection(settings()))
    fill(docs, 0, 1_500)
    switch(database, docs, skip=True)
    assert isinstance(docs.shard.vectors[UNNAMED], SkippedIndex)
    assert docs.shard.vectors[UNNAMED].memory_bytes() == 0
    with pytest.raises(SchemaViolation):
        nearest(docs, ROWS[3])
    switch(database, docs, skip=False)
    assert docs.wait_indexed(30)
    assert nearest(docs, ROWS[3]) == [uid(3)]


def test_an_empty_collection_needs_no_build(database: Database) -> None:
    docs = database.create_collection(parse_collection(settings(skip=True)))
    switch(database, docs, skip=False)
    assert isinstance(docs.shard.vectors[UNNAMED], HnswIndex)


def test_chores_follow_the_definition(database: Database) -> None:
    named = {**DOC, "vectorConfig": {"a": {"vectorizer": {"none": {}}}}}
    docs = database.create_collection(parse_collection(named))
    before = {chore.name: chore for chore in docs.chores}
    body = {**DOC, "vectorConfig": {**named["vectorConfig"], "b": {"vectorizer": {"none": {}}}}}
    database.update_collection(update_collection(docs.schema, body))
    after = {chore.name: chore for chore in docs.chores}
    assert set(after) - set(before) == {
        f"{what} of Doc b" for what in ("links", "snapshot", "compaction")
    }
    assert all(after[name] is chore for name, chore in before.items())
    assert replace(docs.schema) == docs.schema


def test_a_build_without_room_is_refused_and_changes_nothing(
    database: Database, skipped: LocalCollection
) -> None:
    memory = database.admission.memory
    memory.budget_bytes = 1
    wanted = update_collection(skipped.schema, settings(skip=False))
    with pytest.raises(Overloaded):
        database.update_collection(wanted)
    assert isinstance(skipped.shard.vectors[UNNAMED], SkippedIndex)
    assert skipped.schema.vectors[0].hnsw.skip
    memory.budget_bytes = 0
    database.update_collection(wanted)
    assert skipped.wait_indexed(30)


def test_the_queue_follows_the_indexes(still: Database, skipped: LocalCollection) -> None:
    assert skipped.pending == 0
    switch(still, skipped, skip=False)
    assert skipped.pending == 2_000, "all that is to be carried over"
    while isinstance(skipped.shard.vectors[UNNAMED], BuildingIndex):
        still.maintenance.run_once()
    assert skipped.wait_indexed(30)
    assert skipped.pending == 0
