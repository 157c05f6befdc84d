"""A routed collection: three shards of two or three replicas in one process, asked by a real driver
in a loop of its own, as a server's doors ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.cluster.search.fleet import Fleet
from tests.unit.server.routing.house import N0, N1, N2, House
from weftdb.cluster.replication.messages import Apply, ReadDigests
from weftdb.cluster.search.messages import FetchRows
from weftdb.cluster.sharding import VirtualMove, encode_sharding
from weftdb.core.aggregation import Aggregate
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import (
    InvalidRequest,
    NotEnoughReplicas,
    ObjectExists,
    ObjectNotFound,
    ShardLoading,
    UnknownCollection,
    UnknownTenant,
)
from weftdb.core.objects import ObjectDraft, ObjectState
from weftdb.core.query import (
    Comparison,
    Keyword,
    NearVector,
    Operator,
    Search,
    Target,
    ValueKind,
)
from weftdb.core.types import UNNAMED, CollectionName, NodeName, ObjectId, Version
from weftdb.engine.change import SLICE_OBJECTS, PutMode
from weftdb.engine.serving import ServedCollection
from weftdb.server.internode.messages import Moved
from weftdb.storage.object_codec import stored_id

ONE, QUORUM, ALL = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL
DOC = {
    "class": "Doc",
    "vectorizer": "none",
    "properties": [
        {"name": "title", "dataType": ["text"]},
        {"name": "size", "dataType": ["int"]},
    ],
}
EVEN = Comparison(Operator.LIKE, ("title",), "even*", ValueKind.TEXT)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(Fleet(tmp_path, DOC, shards=3, factor=3))
    yield made
    made.close()


def uid(number: int) -> ObjectId:
    """Spread over the ring."""
    return ObjectId(bytes([number * 37 % 256]) + number.to_bytes(15, "big"))


def draft(number: int, **changes: Any) -> ObjectDraft:
    title = f"{'odd' if number % 2 else 'even'} thing {number}"
    vector = np.random.default_rng(number).normal(size=4).astype(np.float32)
    properties = {"title": title, "size": number, **changes}
    return ObjectDraft(uid(number), properties, {UNNAMED: vector})


def fill(house: House, count: int = 30) -> None:
    """At QUORUM: the third replica of a shard may have it a moment later."""
    assert house.doc.put([draft(number) for number in range(count)]) == [None] * count


def titles(house: House, condition: Any = None) -> set[str]:
    hits = house.doc.search(Search("Doc", filter=condition, limit=1000))
    found = house.doc.get
    return {str(properties(found(stored_id(row)))["title"]) for row in hits.stored}


def properties(found: Any) -> Mapping[str, Any]:
    assert found is not None
    held: Mapping[str, Any] = found.properties
    return held


def test_it_is_what_doors_work_with(house: House) -> None:
    served: ServedCollection = house.doc
    assert served.reads_elsewhere
    assert served.schema.name == "Doc"


def test_objects_are_written_to_every_replica_of_their_shard_and_read_back(house: House) -> None:
    assert house.doc.put([draft(number) for number in range(30)], level=ALL) == [None] * 30
    for (shard, _), local in house.fleet.replicas.items():
        own = {uid(n) for n in range(30) if house.fleet.state.shard_of(uid(n)).name == shard}
        assert local.count() == len(own)
    found = house.doc.get(uid(7), with_vectors=True)
    assert found is not None
    assert properties(found) == {"title": "odd thing 7", "size": 7}
    assert np.array_equal(found.vectors[UNNAMED], draft(7).vectors[UNNAMED])
    plain = house.doc.get(uid(7))
    assert plain is not None
    assert plain.vectors == {}
    assert found.created_ms == found.updated_ms > 0
    assert house.doc.get(uid(99)) is None
    assert house.doc.exists(uid(7))
    assert not house.doc.exists(uid(99), level=ALL)


def test_searches_and_counts_cover_all_shards(house: House) -> None:
    fill(house)
    doc = house.doc
    assert doc.count() == 30
    assert doc.count(EVEN) == 15
    near = Search("Doc", near=NearVector((Target(UNNAMED, draft(3).vectors[UNNAMED]),)), limit=1)
    assert [stored_id(row) for row in doc.search(near).stored] == [uid(3)]
    words = Search("Doc", keyword=Keyword("thing 11", (("title", 1.0),)), limit=1)
    assert [stored_id(row) for row in doc.search(words, level=QUORUM).stored] == [uid(11)]
    total = doc.aggregate(Aggregate("Doc", filter=EVEN)).total
    assert total is not None
    assert total.count == 15


def test_a_write_keeps_the_time_of_creation_and_its_mode(house: House) -> None:
    fill(house, 3)
    before = house.doc.get(uid(1))
    assert house.doc.put([draft(1, title="new")], PutMode.REPLACE) == [None]
    after = house.doc.get(uid(1))
    assert before is not None
    assert after is not None
    assert after.properties["title"] == "new"
    assert after.created_ms == before.created_ms
    assert after.version > before.version
    (taken,) = house.doc.put([draft(1)], PutMode.INSERT)
    assert isinstance(taken, ObjectExists)
    (missing,) = house.doc.put([draft(50)], PutMode.REPLACE)
    assert isinstance(missing, ObjectNotFound)
    assert not house.doc.exists(uid(50))


def test_looking_before_a_write_is_light(house: House) -> None:
    """Presence is told by digests, the time of creation by rows without vectors; a change of single
    properties, which has read the object, looks no further."""
    fill(house, 9)
    asked = house.fleet.asked
    asked.clear()
    errors = house.doc.put([draft(1), draft(70)], PutMode.INSERT)
    assert isinstance(errors[0], ObjectExists)
    assert errors[1] is None
    assert house.doc.exists(uid(70))
    assert house.doc.delete([uid(70), uid(71)]) == [True, False]
    assert {type(request) for _, request in asked} == {ReadDigests, Apply}
    asked.clear()
    assert house.doc.put([draft(2, title="new"), draft(72)]) == [None, None]
    looks = [request for _, request in asked if isinstance(request, FetchRows)]
    assert {type(request) for _, request in asked} == {FetchRows, Apply}
    assert all(look.vectors == () for look in looks)
    asked.clear()
    house.doc.merge(uid(3), {"title": "new"}, {})
    assert FetchRows not in {type(request) for _, request in asked}


@pytest.mark.parametrize("way", ["upsert", "replace", "merge"])
def test_a_later_write_keeps_the_time_of_creation(house: House, way: str) -> None:
    old = draft(1)
    old.created_ms = 77
    assert house.doc.put([old], level=ALL) == [None]
    if way == "merge":
        house.doc.merge(uid(1), {"title": "new"}, {}, level=ALL)
    else:
        mode = PutMode.UPSERT if way == "upsert" else PutMode.REPLACE
        assert house.doc.put([draft(1, title="new")], mode, level=ALL) == [None]
    found = house.doc.get(uid(1), level=ALL)
    assert properties(found)["title"] == "new"
    assert found is not None
    assert found.created_ms == 77


def test_of_one_id_twice_the_last_is_written(house: House) -> None:
    assert house.doc.put([draft(1, title="a"), draft(2), draft(1, title="b")]) == [None] * 3
    assert properties(house.doc.get(uid(1)))["title"] == "b"
    assert house.doc.count() == 2


def test_what_replicas_refuse_is_said_of_that_object_alone(house: House) -> None:
    fill(house, 1)
    wrong = draft(2)
    wrong.vectors[UNNAMED] = np.ones(9, np.float32)
    # Every shard has to know the length: it is a shard's, not yet the collection's.
    fill(house, 30)
    good, bad = house.doc.put([draft(3), wrong])
    assert good is None
    assert "9" in str(bad)
    assert properties(house.doc.get(uid(2)))["size"] == 2


def test_a_batch_of_many_slices_arrives_whole(house: House) -> None:
    count = 4 * SLICE_OBJECTS
    fill(house, count)
    assert house.doc.count() == count
    longest = max(len(r.states) for _, r in house.fleet.asked if isinstance(r, Apply))
    assert longest <= SLICE_OBJECTS


def test_single_properties_and_vectors_change(house: House) -> None:
    fill(house, 3)
    row = np.arange(4, dtype=np.float32)
    house.doc.merge(uid(1), {"size": None, "title": "t"}, {})
    found = house.doc.get(uid(1), with_vectors=True)
    assert found is not None
    assert properties(found) == {"title": "t"}
    assert np.array_equal(found.vectors[UNNAMED], draft(1).vectors[UNNAMED])
    house.doc.merge(uid(1), {}, {UNNAMED: row}, level=ALL)
    found = house.doc.get(uid(1), with_vectors=True)
    assert found is not None
    assert np.array_equal(found.vectors[UNNAMED], row)
    with pytest.raises(ObjectNotFound):
        house.doc.merge(uid(80), {"title": "t"}, {})


def test_deletions_say_what_was_there_and_stay(house: House) -> None:
    fill(house, 5)
    assert house.doc.delete([uid(1), uid(60), uid(1)]) == [True, False, True]
    assert house.doc.get(uid(1), level=ALL) is None
    assert house.doc.count() == 4
    assert house.doc.put([draft(1)], PutMode.INSERT) == [None]
    assert house.doc.count() == 5


def test_what_a_read_only_shard_refused_is_not_written_behind_its_back(house: House) -> None:
    for (shard, _), local in house.fleet.replicas.items():
        local.set_read_only(shard, is_read_only=True)
    (error,) = house.doc.put([draft(1)])
    assert "read-only" in str(error)
    house.settle()
    assert house.hints.kept == [], "hints pass where a shard is read-only"
    for (shard, _), local in house.fleet.replicas.items():
        local.set_read_only(shard, is_read_only=False)
    assert house.doc.put([draft(1)], PutMode.INSERT) == [None]


def test_who_is_in_doubt_is_written_to_and_asked_last_for_reads(house: House) -> None:
    fill(house, 3)
    house.doubted = {N1}
    house.fleet.asked.clear()
    for _ in range(10):  # Of the other two replicas either may come first.
        assert house.doc.get(uid(1), level=QUORUM) is not None
    # The write before may still be on its way to the third replica.
    read = {node for node, request in house.fleet.asked if not isinstance(request, Apply)}
    assert N1 not in read
    assert house.doc.get(uid(1), level=ALL) is not None
    fill(house, 3)
    applied = {node for node, request in house.fleet.asked if isinstance(request, Apply)}
    assert N1 in applied


def test_deletions_by_filter(house: House) -> None:
    fill(house)
    report = house.doc.delete_where(EVEN, dry_run=True)
    assert (report.matches, report.deleted) == (15, 0)
    assert house.doc.count() == 30
    report = house.doc.delete_where(EVEN)
    assert (report.matches, report.deleted) == (15, 15)
    assert set(report.ids) == {uid(number) for number in range(0, 30, 2)}
    assert all(title.startswith("odd") for title in titles(house))
    assert house.doc.delete_where(EVEN).matches == 0


def test_with_one_node_down_quorum_goes_on_and_all_does_not(house: House) -> None:
    fill(house, 10)
    house.fleet.down.add(N2)
    assert house.doc.put([draft(number) for number in range(10, 20)]) == [None] * 10
    assert properties(house.doc.get(uid(15)))["size"] == 15
    assert house.doc.count() == 20
    assert {hint.to for hint in house.hints.kept} == {N2}
    (error,) = house.doc.put([draft(30)], level=ALL)
    assert isinstance(error, NotEnoughReplicas)
    assert "n2" in str(error)
    with pytest.raises(NotEnoughReplicas, match="n2"):
        house.doc.get(uid(15), level=ALL)
    house.fleet.down.add(N1)
    with pytest.raises(NotEnoughReplicas):
        house.doc.get(uid(15))
    assert house.doc.count() >= 20, "a search at ONE goes on"
    with pytest.raises(NotEnoughReplicas):
        house.doc.delete([uid(1)])


def test_a_deletion_by_filter_that_reaches_nobody_is_an_error(house: House) -> None:
    fill(house, 10)
    house.fleet.down.update({N1, N2})
    with pytest.raises(NotEnoughReplicas):
        house.doc.delete_where(EVEN)


def test_who_is_away_is_spared_while_others_are_enough(house: House) -> None:
    house.away.add(N1)
    fill(house, 10)
    asked = {node for node, request in house.fleet.asked if isinstance(request, Apply)}
    assert asked == {N0, N2}
    assert {hint.to for hint in house.hints.kept} == {N1}
    assert house.doc.put([draft(1)], level=ALL) == [None]


def test_what_one_replica_has_can_be_asked_for(house: House) -> None:
    assert house.doc.put([draft(number) for number in range(5)], level=ALL) == [None] * 5
    house.fleet.down.add(N2)
    house.doc.put([draft(1, title="later")])
    house.settle()
    house.fleet.down.clear()
    stale, fresh = (house.doc.get(uid(1), node=node) for node in (N2, N1))
    assert properties(stale)["title"] == "odd thing 1"
    assert properties(fresh)["title"] == "later"


def test_a_node_that_holds_nothing_of_the_object_is_refused_by_name(house: House) -> None:
    assert house.doc.put([draft(1)], level=ALL) == [None]
    with pytest.raises(InvalidRequest, match="node9 holds no replica of shard"):
        house.doc.get(uid(1), node=NodeName("node9"))


def test_a_refusal_by_a_newer_sharding_state_is_learnt_and_tried_again(house: House) -> None:
    house.caller.moved = Moved(CollectionName("Doc"), 9, encode_sharding(house.fleet.state))
    fill(house, 10)
    assert {moved.revision for moved in house.agreed.learned} == {9}
    house.caller.moved = Moved(CollectionName("Doc"), 11, encode_sharding(house.fleet.state))
    assert house.doc.count() == 10
    house.caller.moved = Moved(CollectionName("Doc"), 13, encode_sharding(house.fleet.state))
    assert house.doc.get(uid(3), level=ALL) is not None
    assert house.agreed.revision == 13


@pytest.mark.parametrize("down", [N0, N1])
def test_a_write_of_a_row_that_moves_needs_both_shards(tmp_path: Path, down: NodeName) -> None:
    house = House(Fleet(tmp_path, DOC, shards=2, factor=1))
    try:
        whole = house.fleet.state
        house.agreed.state = whole.with_moving(VirtualMove(first=0, length=128, target=1))
        moving = next(uid(n) for n in range(99) if whole.shard_of(uid(n)).name == "s0")
        state = ObjectState(moving, Version(900), is_deleted=True)
        assert house.router.write(CollectionName("Doc"), [state], ONE) == [None]
        house.fleet.down.add(down)
        later = ObjectState(moving, Version(901), is_deleted=True)
        (error,) = house.router.write(CollectionName("Doc"), [later], ONE)
        assert isinstance(error, NotEnoughReplicas), "one of the two shards does not have it"
    finally:
        house.close()


def test_what_is_not_there(house: House) -> None:
    fill(house, 1)
    with pytest.raises(UnknownTenant, match="multi-tenancy disabled"):
        house.doc.put([draft(1)], tenant="t")
    house.agreed.state = None
    with pytest.raises(ShardLoading):
        house.doc.get(uid(0))
    house.agreed.schema = None
    with pytest.raises(UnknownCollection):
        house.doc.count()


def test_outcomes_are_counted(house: House) -> None:
    fill(house, 1)
    house.doc.get(uid(0), level=ONE)
    assert house.outcomes.ended["write", "QUORUM", "all"] == 1
    assert house.outcomes.ended["read", "ONE", "all"] >= 1
