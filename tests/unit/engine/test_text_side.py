"""TextSide: sealing beside reads, damage that is repaired from the objects, ties in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.engine.samples import draft, uid
from weftdb.core.errors import DiskFull
from weftdb.core.query import Comparison, Keyword, Operator, Search, ValueKind
from weftdb.core.types import ObjectId
from weftdb.engine import text_side
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.index.inverted import change as segment_change
from weftdb.storage import keys
from weftdb.storage.kv import Family, Ticket, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import stored_id


@pytest.fixture(autouse=True)
def by_hand(database: Database) -> None:
    """Nothing happens in the background: these tests change segments themselves."""
    database.maintenance.stop()


@pytest.fixture
def eager_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment is due after three deltas."""
    monkeypatch.setattr(segment_change, "SEAL_DELTAS_MIN", 3)


def found(docs: LocalCollection, word: str, limit: int = 100) -> list[ObjectId]:
    hits = docs.search(Search("Doc", keyword=Keyword(word), limit=limit))
    return [stored_id(value) for value in hits.stored]


def filtered(docs: LocalCollection, size: int) -> list[ObjectId]:
    condition = Comparison(Operator.EQUAL, ("size",), size, ValueKind.INT)
    return [stored_id(value) for value in docs.search(Search("Doc", filter=condition)).stored]


def settle(docs: LocalCollection) -> None:
    """Run the background changes until nothing is due."""
    for _ in range(50):
        if not docs.shard.text.change():
            return
    raise AssertionError("changes never end")


@pytest.mark.usefixtures("eager_segments")
def test_sealing_changes_no_answer(
    open_database: Callable[[], Database], docs: LocalCollection
) -> None:
    for n in range(1, 41):
        docs.put([draft(n, f"common own{n}")])
        if n % 7 == 0:
            docs.delete([uid(n)])
            settle(docs)
    settle(docs)
    alive = [uid(n) for n in range(1, 41) if n % 7]

    assert docs.shard.text.index.searchable.manifest.segments
    for collection in (docs, open_database().collection("Doc")):
        assert sorted(found(collection, "common")) == alive
        assert found(collection, "own12") == [uid(12)]
        assert found(collection, "own14") == []
        assert filtered(collection, 12) == [uid(12)]
        assert filtered(collection, 14) == []


@pytest.mark.usefixtures("eager_segments")
def test_a_change_that_cannot_be_written_is_tried_again(
    docs: LocalCollection, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(1, 6):
        docs.put([draft(n, "common")])

    def refuse(batch: WriteBatch) -> Ticket:
        raise DiskFull("no space")

    with monkeypatch.context() as broken:
        broken.setattr(store, "write", refuse)
        with pytest.raises(DiskFull):
            docs.shard.text.change()
    assert len(found(docs, "common")) == 5
    settle(docs)
    assert len(found(docs, "common")) == 5
    assert docs.shard.text.index.searchable.delta_count == 0


@pytest.mark.parametrize("family", [Family.FILTERABLE, Family.SEARCHABLE])
def test_a_damaged_index_is_made_anew(
    open_database: Callable[[], Database],
    docs: LocalCollection,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    family: Family,
) -> None:
    monkeypatch.setattr(text_side, "REBUILD_DOCS", 2)
    docs.put([draft(n, f"common own{n}") for n in range(1, 6)])
    start, end = keys.delta_range(docs.shard.shard_id)
    damage = WriteBatch()
    for key, value in store.scan(family, start, end):
        damage.put(family, key, value[:-3] + b"???")
    assert damage.operations
    store.write(damage)

    again = open_database().collection("Doc")
    assert len(found(again, "common")) == 5
    assert found(again, "own3") == [uid(3)]
    assert filtered(again, 3) == [uid(3)]


def test_equal_scores_come_by_object_id(docs: LocalCollection) -> None:
    docs.put([draft(n, "same words") for n in (5, 2, 9, 1, 7)])
    docs.put([draft(4, "same same")])

    assert found(docs, "same") == [uid(n) for n in (4, 1, 2, 5, 7, 9)]
    assert found(docs, "same", limit=3) == [uid(4), uid(1), uid(2)]


def test_ties_beyond_the_bound_come_in_the_order_of_writing(
    docs: LocalCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_side, "TIES_ORDERED_MAX", 3)
    docs.put([draft(n, "same words") for n in (5, 2, 9, 1, 7)])

    assert found(docs, "same") == [uid(n) for n in (5, 2, 9, 1, 7)]
