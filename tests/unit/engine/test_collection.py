"""LocalCollection: writes, their refusals, and what reads see afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.engine.samples import draft, uid
from weftdb.core.env import ManualClock
from weftdb.core.errors import (
    Closed,
    DimensionMismatch,
    ObjectExists,
    ObjectNotFound,
    UnknownTenant,
)
from weftdb.core.query import (
    Comparison,
    Keyword,
    NearObject,
    NearVector,
    Operator,
    Search,
    Target,
    ValueKind,
)
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine import change
from weftdb.engine.collection import LocalCollection, PutMode
from weftdb.engine.database import Database
from weftdb.index.hnsw.graph import HnswIndex
from weftdb.storage.object_codec import stored_id


def near(vector: list[float], limit: int = 10) -> Search:
    return Search(
        "Doc",
        near=NearVector((Target(UNNAMED, np.array(vector, dtype=np.float32)),)),
        limit=limit,
    )


def titled(word: str) -> Comparison:
    return Comparison(Operator.EQUAL, ("title",), word, ValueKind.TEXT)


def ids_of(collection: LocalCollection, query: Search) -> list[ObjectId]:
    return [stored_id(value) for value in collection.search(query).stored]


def test_changed_search_settings_reach_the_open_index(docs: LocalCollection) -> None:
    pytest.importorskip("weftdb.index.kernels._native")
    vector = docs.schema.vectors[0]
    changed = replace(vector, hnsw=replace(vector.hnsw, ef=24))
    docs.reconfigure(replace(docs.schema, vectors=(changed,)))
    index = docs.shard.vectors[UNNAMED]
    assert isinstance(index, HnswIndex)
    assert index.settings.ef == 24


def test_put_is_found_by_id_vector_and_filter(docs: LocalCollection) -> None:
    assert docs.put([draft(1, "red apple", [1, 0]), draft(2, "green pear", [0, 1])]) == [None, None]

    found = docs.get(uid(1), with_vectors=True)
    assert found is not None
    assert found.properties == {"title": "red apple", "size": 1}
    assert found.vectors[UNNAMED].tolist() == [1, 0]
    assert ids_of(docs, near([0, 1], 1)) == [uid(2)]
    assert ids_of(docs, Search("Doc", filter=titled("pear"))) == [uid(2)]
    assert ids_of(docs, Search("Doc", keyword=Keyword("apple"))) == [uid(1)]


def test_replacing_leaves_nothing_of_the_old_state(docs: LocalCollection) -> None:
    docs.put([draft(1, "red apple", [1, 0])])
    docs.put([draft(1, "green pear", [0, 1])])

    assert docs.count() == 1
    assert ids_of(docs, Search("Doc", filter=titled("apple"))) == []
    assert ids_of(docs, Search("Doc", keyword=Keyword("apple"))) == []
    hits = docs.search(near([1, 0]))
    assert len(hits.stored) == 1
    assert hits.distances == [pytest.approx(1.0)]


def test_replacing_keeps_the_creation_time(docs: LocalCollection, clock: ManualClock) -> None:
    docs.put([draft(1)])
    before = docs.get(uid(1))
    clock.advance(5_000)
    docs.put([draft(1)])
    after = docs.get(uid(1))

    assert before is not None
    assert after is not None
    assert after.created_ms == before.created_ms
    assert after.updated_ms == before.updated_ms + 5_000
    assert after.version > before.version


def test_of_the_same_id_twice_the_last_wins(docs: LocalCollection) -> None:
    assert docs.put([draft(1, "first", [1, 0]), draft(1, "second", [0, 1])]) == [None, None]

    assert docs.count() == 1
    found = docs.get(uid(1))
    assert found is not None
    assert found.properties["title"] == "second"


def test_insert_refuses_a_taken_id(docs: LocalCollection) -> None:
    docs.put([draft(1, "first")])
    errors = docs.put([draft(1, "second"), draft(2)], PutMode.INSERT)

    assert isinstance(errors[0], ObjectExists)
    assert errors[1] is None
    found = docs.get(uid(1))
    assert found is not None
    assert found.properties["title"] == "first"


def test_replace_refuses_a_free_id(docs: LocalCollection) -> None:
    errors = docs.put([draft(1)], PutMode.REPLACE)

    assert isinstance(errors[0], ObjectNotFound)
    assert docs.count() == 0


def test_another_dimension_is_refused_item_by_item(docs: LocalCollection) -> None:
    errors = docs.put([draft(1, "a", [1, 0]), draft(2, "b", [1, 0, 0]), draft(3, "c", [0, 1])])

    assert [type(error) for error in errors] == [type(None), DimensionMismatch, type(None)]
    assert docs.count() == 2
    assert not docs.exists(uid(2))


def test_merge_changes_removes_and_keeps(docs: LocalCollection) -> None:
    docs.put([draft(1, "red apple", [1, 0])])
    docs.merge(uid(1), {"title": "blue plum", "size": None}, {})

    found = docs.get(uid(1), with_vectors=True)
    assert found is not None
    assert found.properties == {"title": "blue plum"}
    assert found.vectors[UNNAMED].tolist() == [1, 0]
    assert ids_of(docs, Search("Doc", filter=titled("plum"))) == [uid(1)]
    assert ids_of(docs, near([1, 0])) == [uid(1)]


def test_merge_of_a_missing_object_fails(docs: LocalCollection) -> None:
    with pytest.raises(ObjectNotFound):
        docs.merge(uid(1), {"title": "x"}, {})


def test_delete_tells_what_was_there(docs: LocalCollection) -> None:
    docs.put([draft(1, "red", [1, 0]), draft(2, "blue", [0, 1])])

    assert docs.delete([uid(1), uid(9), uid(1)]) == [True, False, False]
    assert docs.count() == 1
    assert docs.get(uid(1)) is None
    assert ids_of(docs, near([1, 0])) == [uid(2)]
    assert ids_of(docs, Search("Doc", filter=titled("red"))) == []


def test_delete_where_counts_without_and_with_doing_it(docs: LocalCollection) -> None:
    docs.put([draft(n, "red" if n % 2 else "blue") for n in range(1, 10)])

    rehearsal = docs.delete_where(titled("red"), dry_run=True)
    assert (rehearsal.matches, rehearsal.deleted, docs.count()) == (5, 0, 9)
    report = docs.delete_where(titled("red"))
    assert (report.matches, report.deleted, docs.count()) == (5, 5, 4)
    assert set(report.ids) == {uid(n) for n in (1, 3, 5, 7, 9)}


def test_near_an_object_finds_itself_first(docs: LocalCollection) -> None:
    docs.put([draft(1, "a", [1, 0]), draft(2, "b", [0.9, 0.1]), draft(3, "c", [0, 1])])

    assert ids_of(docs, Search("Doc", near=NearObject(uid(2)), limit=2)) == [uid(2), uid(1)]
    with pytest.raises(ObjectNotFound):
        docs.search(Search("Doc", near=NearObject(uid(9))))


def test_lists_ascend_by_id_and_follow_a_cursor(docs: LocalCollection) -> None:
    docs.put([draft(n) for n in (5, 3, 1, 4, 2)])

    assert ids_of(docs, Search("Doc")) == [uid(n) for n in (1, 2, 3, 4, 5)]
    assert ids_of(docs, Search("Doc", limit=2, offset=1)) == [uid(2), uid(3)]
    assert ids_of(docs, Search("Doc", limit=2, after=uid(3))) == [uid(4), uid(5)]
    assert ids_of(docs, Search("Doc", limit=0)) == []


def test_tenants_are_refused_where_there_are_none(docs: LocalCollection) -> None:
    with pytest.raises(UnknownTenant, match="multi-tenancy disabled"):
        docs.count(tenant="t1")


def test_everything_is_there_after_opening_again(
    open_database: Callable[[], Database], docs: LocalCollection
) -> None:
    docs.put([draft(n, f"word{n}", [n, 1]) for n in range(1, 6)])
    docs.delete([uid(2)])
    docs.put([draft(3, "changed", [-1, 0])])

    again = open_database().collection("Doc")
    assert again.count() == 4
    assert ids_of(again, Search("Doc")) == [uid(n) for n in (1, 3, 4, 5)]
    assert ids_of(again, near([-1, 0], 1)) == [uid(3)]
    assert ids_of(again, Search("Doc", filter=titled("word3"))) == []
    assert ids_of(again, Search("Doc", keyword=Keyword("changed"))) == [uid(3)]


def test_a_dropped_collection_refuses_and_leaves_nothing(
    database: Database, docs: LocalCollection
) -> None:
    docs.put([draft(1, "a", [1, 0])])

    assert database.delete_collection("Doc")
    assert not database.delete_collection("Doc")
    with pytest.raises(Closed):
        docs.put([draft(2)])
    assert database.collections() == []


def test_a_batch_with_many_vectors_is_written_in_slices(
    docs: LocalCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "SLICE_BYTES", 16)
    many = [draft(n % 7, title=f"turn {n}", vector=[float(n), 1.0]) for n in range(20)]
    assert docs.put(many) == [None] * 20
    assert docs.count() == 7
    for n in range(13, 20):
        found = docs.get(uid(n % 7))
        assert found is not None
        assert found.properties["title"] == f"turn {n}", "the last of an id wins"
    inserted = docs.put([draft(100 + n % 2, vector=[1.0, 1.0]) for n in range(4)], PutMode.INSERT)
    assert inserted == [None] * 4, "an insert is one write: none of its own ids is in its way"


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_slices_hold_every_position_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "SLICE_BYTES", 16)
    drafts = [draft(n, vector=[1.0, 2.0]) for n in range(count)]
    slices = list(change.in_slices(drafts, range(count), PutMode.UPSERT))
    assert [at for part in slices for at in part] == list(range(count))
    assert all(len(part) <= 2 for part in slices)
