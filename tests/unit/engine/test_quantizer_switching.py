"""Quantizers through the engine: a definition switches them, and a restart brings them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.definition import drop_vector_index, parse_collection, update_collection
from weftdb.core.definition.surroundings import Surroundings
from weftdb.core.errors import SchemaViolation
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.index.hnsw.dynamic import DynamicIndex
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.storage.object_codec import stored_id

COUNT = 3_000
ROWS = np.random.default_rng(5).normal(size=(COUNT, 64)).astype(np.float32)
WAIT_S = 60


def definition(**settings: Any) -> Mapping[str, Any]:
    return {**DOC, "vectorIndexConfig": {"distance": "l2-squared", **settings}}


def fill(docs: LocalCollection) -> None:
    errors = docs.put([draft(n, vector=ROWS[n].tolist()) for n in range(COUNT)])
    assert errors == [None] * COUNT
    assert docs.wait_indexed(WAIT_S)


def nearest(docs: LocalCollection, row: NDArray[np.float32]) -> bytes:
    near = NearVector((Target(UNNAMED, row),))
    return stored_id(docs.search(Search("Doc", near=near, limit=1)).stored[0])


def index_of(docs: LocalCollection) -> HnswIndex:
    index = docs.shard.vectors[UNNAMED]
    assert isinstance(index, HnswIndex)
    return index


def test_a_definition_switches_it_on_and_off(database: Database) -> None:
    docs = database.create_collection(parse_collection(definition()))
    fill(docs)
    full = index_of(docs).memory_bytes()
    for settings, size in (({"rq": {"enabled": True}}, 80), ({"rq": {"enabled": False}}, 0)):
        database.update_collection(update_collection(docs.schema, definition(**settings)))
        assert docs.wait_indexed(WAIT_S)
        assert index_of(docs).code_bytes == size
        assert nearest(docs, ROWS[77]) == uid(77)
    assert index_of(docs).memory_bytes() == pytest.approx(full, rel=0.02)


def test_a_restart_brings_the_codes_back(open_database: Callable[[], Database]) -> None:
    database = open_database()
    docs = database.create_collection(
        parse_collection(definition(sq={"enabled": True, "trainingLimit": 2_000}))
    )
    fill(docs)
    assert index_of(docs).code_bytes == 80
    for chore in docs.chores:
        chore.finish()
    docs = open_database().collection("Doc")
    assert index_of(docs).code_bytes == 80  # At once: they come from their file.
    assert docs.wait_indexed(WAIT_S)
    assert nearest(docs, ROWS[2_999]) == uid(2_999)


def test_a_dynamic_index_takes_the_quantizer_of_the_half_that_serves(database: Database) -> None:
    given = {
        **DOC,
        "vectorIndexType": "dynamic",
        "vectorIndexConfig": {
            "distance": "l2-squared",
            "threshold": 2_000,
            "hnsw": {"rq": {"enabled": True}},
            "flat": {"bq": {"enabled": True}},
        },
    }
    docs = database.create_collection(
        parse_collection(given, surroundings=Surroundings(async_indexing=True))
    )
    docs.put([draft(n, vector=ROWS[n].tolist()) for n in range(500)])
    assert docs.wait_indexed(WAIT_S)
    index = index_of(docs)
    assert isinstance(index, DynamicIndex)
    assert (index.is_upgraded, index.code_bytes) == (False, 8)
    fill(docs)
    assert index.is_upgraded
    for chore in docs.chores:
        chore.run_if_due()
    assert docs.wait_indexed(WAIT_S)
    assert index.code_bytes == 80
    assert nearest(docs, ROWS[77]) == uid(77)


@pytest.mark.parametrize("metric", ["manhattan", "hamming"])
@pytest.mark.parametrize("kind", ["rq", "sq", "bq", "pq"])
def test_other_metrics_are_refused_when_the_definition_is_read(metric: str, kind: str) -> None:
    settings = {"distance": metric, kind: {"enabled": True}}
    with pytest.raises(SchemaViolation, match=f"{kind} does not support the distance '{metric}'"):
        parse_collection({**DOC, "vectorIndexConfig": settings})


@pytest.mark.parametrize("kind", ["sq", "pq"])
def test_a_training_limit_is_positive(kind: str) -> None:
    settings = {kind: {"enabled": True, "trainingLimit": 0}}
    with pytest.raises(SchemaViolation, match="trainingLimit must be a positive integer"):
        parse_collection({**DOC, "vectorIndexConfig": settings})


def test_a_switched_quantizer_is_saved(open_database: Callable[[], Database]) -> None:
    """Although no vector came since the last snapshot."""
    database = open_database()
    docs = database.create_collection(parse_collection(definition()))
    fill(docs)
    for chore in docs.chores:
        chore.finish()
    given = definition(sq={"enabled": True, "trainingLimit": 2_000})
    database.update_collection(update_collection(docs.schema, given))
    assert docs.wait_indexed(WAIT_S)
    for chore in docs.chores:
        chore.finish()
    docs = open_database().collection("Doc")
    assert index_of(docs).code_bytes == 80
    assert nearest(docs, ROWS[7]) == uid(7)


@pytest.mark.parametrize("encoder", ["kmeans", "tile"])
def test_segments_that_do_not_divide_are_refused_before_anything_is_written(
    database: Database, encoder: str
) -> None:
    pq = {"enabled": True, "segments": 7, "encoder": {"type": encoder}}
    docs = database.create_collection(parse_collection(definition(pq=pq)))
    errors = docs.put([draft(1, vector=ROWS[1].tolist()), draft(2)])
    assert isinstance(errors[0], SchemaViolation)
    assert "7 segments, vectors of length 64" in str(errors[0])
    assert errors[1] is None
    assert docs.count() == 1
    fixed = definition(pq={**pq, "segments": 64})
    database.update_collection(update_collection(docs.schema, fixed))
    assert docs.put([draft(1, vector=ROWS[1].tolist())]) == [None]
    with pytest.raises(SchemaViolation, match="7 segments, vectors of length 64"):
        database.update_collection(update_collection(docs.schema, definition(pq=pq)))
    assert (
        docs.schema.vector_by_name[UNNAMED].quantizer
        == parse_collection(fixed).vector_by_name[UNNAMED].quantizer
    )


def test_a_dropped_index_leaves_the_vectors(
    open_database: Callable[[], Database],
) -> None:
    database = open_database()
    docs = database.create_collection(parse_collection(definition(rq={"enabled": True})))
    fill(docs)
    for chore in docs.chores:
        chore.finish()
    assert len(list(docs.shard.directory.glob("vector-*"))) == 2
    database.update_collection(drop_vector_index(docs.schema, UNNAMED))
    assert list(docs.shard.directory.glob("vector-*")) == []
    with pytest.raises(SchemaViolation, match="is not indexed"):
        nearest(docs, ROWS[7])
    docs = open_database().collection("Doc")
    vector = docs.shard.vector_of(uid(7), UNNAMED)
    assert vector is not None
    np.testing.assert_array_equal(vector, ROWS[7])
    database = open_database()
    docs = database.collection("Doc")
    database.update_collection(
        update_collection(docs.schema, definition(rq={"enabled": True}, skip=False))
    )
    assert nearest(docs, ROWS[7]) == uid(7)
