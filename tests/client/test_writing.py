"""Writing objects: what goes in comes out, in both transports alike."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from weftdb.client import (
    AlreadyExists,
    Collection,
    DataObject,
    Filter,
    NotFound,
    RequestRefused,
    WeftClient,
)

MOMENT = datetime(2024, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
REF = uuid.uuid4()
FULL: dict[str, Any] = {
    "title": "Warp & weft, äöü 漢字 🧵",
    "year": -7,
    "price": 1.25,
    "isOpen": True,
    "at": MOMENT,
    "ref": REF,
    "tags": ["a", "b"],
    "years": [1, 2, -3],
    "prices": [0.5, 2.0],
    "flags": [True, False],
    "dates": [MOMENT, MOMENT],
    "refs": [REF, REF],
    "place": {"latitude": 52.5, "longitude": 13.25},
    "author": {"name": "Ada", "born": MOMENT},
}


def stored(notes: Collection, object_id: uuid.UUID) -> dict[str, Any]:
    found = notes.query.fetch_object_by_id(object_id)
    assert found is not None
    return dict(found.properties)


def test_every_type_comes_back(notes: Collection) -> None:
    single = notes.data.insert(FULL, vector=[1.0, 0.0])
    result = notes.data.insert_many([FULL, DataObject(FULL, vector=[0.0, 1.0])])
    assert not result.has_errors, result.errors
    for object_id in (single, *result.uuids.values()):
        assert stored(notes, object_id) == FULL


def test_blobs_come_only_when_asked_for(notes: Collection) -> None:
    object_id = notes.data.insert({"title": "t", "picture": "aGFsbG8="})
    assert stored(notes, object_id) == {"title": "t"}
    found = notes.query.fetch_object_by_id(object_id, return_properties=["picture", "year"])
    assert found is not None
    assert found.properties == {"picture": "aGFsbG8=", "year": None}


def test_vectors_come_back_when_asked_for(notes: Collection) -> None:
    object_id = notes.data.insert({"title": "t"}, vector=[3.0, 4.0])
    for chosen, expected in ((True, {"default": [3.0, 4.0]}), ("default", None), (False, {})):
        found = notes.query.fetch_object_by_id(object_id, include_vector=chosen)
        assert found is not None
        assert found.vector == ({"default": [3.0, 4.0]} if expected is None else expected)


def test_an_id_is_taken_once(notes: Collection) -> None:
    object_id = notes.data.insert({"title": "first"})
    with pytest.raises(AlreadyExists, match=str(object_id)):
        notes.data.insert({"title": "second"}, uuid=object_id)
    assert stored(notes, object_id) == {"title": "first"}
    result = notes.data.insert_many([DataObject({"title": "third"}, uuid=object_id)])
    assert result.uuids == {0: object_id}
    assert stored(notes, object_id) == {"title": "third"}
    assert len(notes) == 1


def test_update_changes_single_properties(notes: Collection) -> None:
    object_id = notes.data.insert({"title": "a", "year": 1, "price": 2.0}, vector=[1.0, 0.0])
    notes.data.update(object_id, {"year": 5, "price": None})
    assert stored(notes, object_id) == {"title": "a", "year": 5}
    notes.data.update(object_id, vector=[0.0, 1.0])
    found = notes.query.fetch_object_by_id(object_id, include_vector=True)
    assert found is not None
    assert found.vector == {"default": [0.0, 1.0]}
    with pytest.raises(NotFound):
        notes.data.update(uuid.uuid4(), {"year": 1})


def test_replace_leaves_nothing_of_the_old(notes: Collection) -> None:
    object_id = notes.data.insert({"title": "a", "year": 1})
    notes.data.replace(object_id, {"title": "b"})
    assert stored(notes, object_id) == {"title": "b"}
    with pytest.raises(NotFound):
        notes.data.replace(uuid.uuid4(), {"title": "c"})


def test_delete_by_id(notes: Collection) -> None:
    object_id = notes.data.insert({"title": "a"})
    assert notes.data.exists(object_id)
    assert notes.data.delete_by_id(object_id)
    assert not notes.data.exists(object_id)
    assert not notes.data.delete_by_id(object_id)
    assert notes.query.fetch_object_by_id(object_id) is None


def test_delete_many_counts_before_it_deletes(notes: Collection) -> None:
    notes.data.insert_many([{"year": year} for year in range(30)])
    old = Filter.by_property("year").less_than(10)
    dry = notes.data.delete_many(old, dry_run=True, verbose=True)
    assert (dry.matches, len(notes)) == (10, 30)
    done = notes.data.delete_many(old, verbose=True)
    assert (done.matches, done.successful, done.failed, len(notes)) == (10, 10, 0, 20)
    assert done.objects is not None
    assert len({item.uuid for item in done.objects}) == 10
    again = notes.data.delete_many(old)
    assert (again.matches, again.objects) == (0, None)
    with pytest.raises(TypeError, match="must be a filter"):
        notes.data.delete_many({"year": 1})


def test_a_batch_reports_each_object(notes: Collection) -> None:
    result = notes.data.insert_many(
        [
            {"title": "good"},
            DataObject({"title": "no"}, vector=[float("nan"), 1.0]),
            {"title": ["a", "list"]},
            {"title": "good, too"},
        ]
    )
    assert sorted(result.errors) == [1, 2]
    assert sorted(result.uuids) == [0, 3]
    assert "title" in result.errors[2].message
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("properties", "vector"),
    [
        ({"title": 5}, None),
        ({"year": "five"}, None),
        ({"at": "yesterday"}, None),
        ({"ref": "x"}, None),
        ({"title": "t"}, [float("inf"), 1.0]),
        ({"title": "t"}, {"other": [1.0, 2.0]}),
    ],
)
def test_bad_objects_are_refused(notes: Collection, properties: Any, vector: Any) -> None:
    with pytest.raises(RequestRefused):
        notes.data.insert(properties, vector=vector)
    assert len(notes) == 0


def test_a_vector_of_another_length_is_refused(notes: Collection) -> None:
    notes.data.insert({"title": "a"}, vector=[1.0, 2.0])
    with pytest.raises(RequestRefused, match=r"2.*3|3.*2"):
        notes.data.insert({"title": "b"}, vector=[1.0, 2.0, 3.0])


def test_values_without_json_form_do_not_leave_the_client(notes: Collection) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        notes.data.insert({"title": {1, 2}})
    with pytest.raises(ValueError, match="not a UUID"):
        notes.data.insert({"title": "a"}, uuid="x")


def test_long_imports_in_portions(notes: Collection, capsys: pytest.CaptureFixture[str]) -> None:
    with notes.batch.fixed_size(7, progress=True, total=20) as batch:
        ids = [batch.add_object({"year": year}) for year in range(19)]
        batch.add_object({"year": "bad"})
    assert (batch.stored_count, batch.number_errors, len(notes)) == (19, 1, 19)
    assert len(set(ids)) == 19
    assert "20/20" in capsys.readouterr().err
    with pytest.raises(ValueError, match="batch_size"):
        notes.batch.fixed_size(0)


def test_a_failing_import_does_not_hide_its_error(notes: Collection) -> None:
    def broken_import() -> None:
        with notes.batch.dynamic() as batch:
            batch.add_object({"year": 1})
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        broken_import()
    assert len(notes) == 0


def test_auto_schema_adds_what_is_missing(client: WeftClient, collection_name: str) -> None:
    made = client.collections.get(collection_name)
    result = made.data.insert_many([{"name": "Ada", "born": 1815.5}])
    assert not result.has_errors, result.errors
    names = {item["name"]: item["dataType"] for item in made.config.get()["properties"]}
    assert names == {"name": ["text"], "born": ["number"]}
