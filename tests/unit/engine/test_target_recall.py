"""targetRecall of a collection: searches are measured by a chore and reported."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from tests.sizes import sized
from tests.unit.engine.samples import uid
from weftdb.core.definition import parse_collection, update_collection
from weftdb.core.env import ManualClock
from weftdb.core.errors import SchemaViolation
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import NearVector, RecallTarget, Search, Target
from weftdb.core.types import UNNAMED, Row
from weftdb.engine.database import Database
from weftdb.engine.steps import VectorCall
from weftdb.engine.vector_search import VectorSpaces, search_vectors

DIM, COUNT = 16, 3_000


def definition(**index: Any) -> dict[str, Any]:
    return {"class": "Doc", "vectorIndexConfig": {"distance": "l2-squared", **index}}


def test_it_is_an_extension_that_shows_only_where_it_was_asked_for() -> None:
    plain = parse_collection(definition())
    assert "targetRecall" not in plain.definition["vectorIndexConfig"]
    asked = update_collection(plain, definition(targetRecall=0.95))
    assert asked.vectors[0].hnsw.target_recall == 0.95
    assert asked.definition["vectorIndexConfig"]["targetRecall"] == 0.95
    assert update_collection(asked, definition()).vectors[0].hnsw.target_recall == 0.0


@pytest.mark.parametrize("value", [1.0, -0.1, 95])
def test_what_is_no_recall(value: float) -> None:
    with pytest.raises(SchemaViolation, match="targetRecall must be"):
        parse_collection(definition(targetRecall=value))


def test_a_collection_measures_itself(database: Database, clock: ManualClock) -> None:
    settings = {"targetRecall": 0.9, "maxConnections": 8, "efConstruction": 32}
    docs = database.create_collection(parse_collection(definition(**settings)))
    rows = np.random.default_rng(1).standard_normal((COUNT, DIM)).astype(np.float32)
    docs.put([ObjectDraft(uid(n), {}, {UNNAMED: row}) for n, row in enumerate(rows)])
    assert docs.wait_indexed(60)
    assert docs.figures.recalls(10)[UNNAMED].queries == 0
    for row in rows[:64] + np.float32(0.3):
        docs.search(Search("Doc", near=NearVector((Target(UNNAMED, row),)), limit=10))
    until = time.monotonic() + sized(60, sanitized=600)
    while docs.figures.recalls(10)[UNNAMED].queries < 64:
        clock.advance(60_000)
        for chore in docs.chores:
            if chore.name.startswith("recall of"):
                chore.run_if_due()
        time.sleep(0.002)
        assert time.monotonic() < until
    report = docs.figures.recalls(10)[UNNAMED]
    assert report.achieved is not None
    assert report.achieved >= 0.9
    assert (report.k, report.target) == (10, 0.9)


def test_a_single_search_may_ask(database: Database, clock: ManualClock) -> None:
    settings = {"ef": 20, "maxConnections": 8, "efConstruction": 32}
    docs = database.create_collection(parse_collection(definition(**settings)))
    rows = np.random.default_rng(1).standard_normal((COUNT, DIM)).astype(np.float32)
    docs.put([ObjectDraft(uid(n), {}, {UNNAMED: row}) for n, row in enumerate(rows)])
    assert docs.wait_indexed(60)

    def search(row: Row) -> int:
        near = NearVector((Target(UNNAMED, row),))
        hits = docs.search(Search("Doc", near=near, limit=10, ef=RecallTarget(0.98)))
        (how,) = hits.vector_searches
        return how.ef

    assert search(rows[0]) == 20, "nothing is known yet: as configured"
    for row in rows[:64] + np.float32(0.3):
        search(row)
    until = time.monotonic() + sized(60, sanitized=600)
    while docs.figures.recalls(10, 0.98)[UNNAMED].queries < 64:
        clock.advance(60_000)
        for chore in docs.chores:
            if chore.name.startswith("recall of"):
                chore.run_if_due()
        time.sleep(0.002)
        assert time.monotonic() < until
    assert search(rows[0]) == docs.figures.recalls(10, 0.98)[UNNAMED].ef > 20
    assert docs.figures.recalls(10) == {}


def test_a_search_over_multi_vectors_may_ask() -> None:
    class Spaces:
        schema = parse_collection(definition())
        vectors: ClassVar = {UNNAMED: SimpleNamespace(reaching=lambda recall: f"reaches {recall}")}

    near = NearVector((Target(UNNAMED, np.ones((2, DIM), dtype=np.float32)),))
    call = next(search_vectors(cast(VectorSpaces, Spaces()), near, 10, None, RecallTarget(0.9)))
    assert isinstance(call, VectorCall)
    assert (call.index, call.ef) == ("reaches 0.9", None)
