"""Searches above ONE: the objects of a page are read at the level, repaired, and left out when they
are deleted; and what happens when nodes are down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.unit.cluster.search.fleet import Fleet
from weftdb.cluster.replication.messages import Apply, ReadDigests, ReadStates
from weftdb.cluster.search import rows
from weftdb.cluster.search.aggregating import aggregate_rounds
from weftdb.cluster.search.finding import find_rounds
from weftdb.cluster.search.merge import merge_legs, merge_sorted, only_legs
from weftdb.cluster.search.messages import FetchRows, GatherStatistics, SearchShard
from weftdb.cluster.search.naming import named_ids
from weftdb.cluster.search.searching import ROWS_AT_ONCE_MAX, search_rounds
from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import (
    CorruptData,
    InvalidRequest,
    NotEnoughReplicas,
    ObjectNotFound,
    SchemaViolation,
)
from weftdb.core.objects import ObjectState
from weftdb.core.partial import PartHits, PartLeg
from weftdb.core.query import (
    Comparison,
    GeoRange,
    Hits,
    Hybrid,
    Keyword,
    NearObject,
    NearText,
    NearVector,
    Operator,
    Search,
    Target,
    ValueKind,
)
from weftdb.core.types import UNNAMED, NodeName, ObjectId, Version, format_object_id
from weftdb.engine import partial
from weftdb.modules.registry import Registry
from weftdb.storage.object_codec import stored_id, stored_version

QUORUM, ALL = ConsistencyLevel.QUORUM, ConsistencyLevel.ALL
DOC = {
    "class": "Doc",
    "vectorizer": "none",
    "properties": [
        {"name": "title", "dataType": ["text"]},
        {"name": "size", "dataType": ["int"]},
    ],
}
N0, N1, N2 = (NodeName(f"n{at}") for at in range(3))
OBJECTS = 30
EVEN = Comparison(Operator.LIKE, ("title",), "even*", ValueKind.TEXT)


def uid(number: int) -> ObjectId:
    """Spread over the ring."""
    return ObjectId(bytes([number * 37 % 256]) + number.to_bytes(15, "big"))


def state(number: int, *, time: int = 1, title: str = "") -> ObjectState:
    """An object and its vector."""
    words = title or f"{'odd' if number % 2 else 'even'} words"
    vector = np.array([number, 1.0], dtype=np.float32)
    properties = {"title": words, "size": number}
    return ObjectState(uid(number), Version(time), False, 1, time, properties, {UNNAMED: vector})


def deletion(number: int, time: int) -> ObjectState:
    return ObjectState(uid(number), Version(time), is_deleted=True)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two shards, three replicas each, thirty objects everywhere."""
    made = Fleet(tmp_path / "fleet", DOC, shards=2, factor=3)
    made.apply([state(number) for number in range(OBJECTS)])
    yield made
    made.close()


def near(number: float) -> NearVector:
    return NearVector((Target(UNNAMED, np.array([number, 1.0], dtype=np.float32)),))


def ids(hits: Hits) -> list[ObjectId]:
    return [stored_id(row) for row in hits.stored]


def kinds(fleet: Fleet) -> list[str]:
    return [type(request).__name__ for _, request in fleet.asked]


@pytest.mark.parametrize("level", [QUORUM, ALL])
@pytest.mark.parametrize(
    "query",
    [
        Search("Doc", limit=5, near=near(7)),
        Search("Doc", limit=5, offset=2, keyword=Keyword("even"), vectors=(UNNAMED,)),
        Search("Doc", limit=5, hybrid=Hybrid("odd", near(3))),
        Search("Doc", limit=9),
        Search("Doc", limit=5, near=NearObject(uid(4))),
    ],
)
def test_all_levels_find_the_same(fleet: Fleet, query: Search, level: ConsistencyLevel) -> None:
    """Where replicas agree, the level changes nothing but what is said of it."""
    one, checked = fleet.search(query), fleet.search(query, level)
    assert ids(checked) == ids(one) == ids(fleet.whole.search(query))
    assert (checked.distances, checked.scores) == (one.distances, one.scores)
    assert checked.is_consistent == [True] * len(checked.stored)
    assert one.is_consistent is None
    for name, column in one.vectors.items():
        for left, right in zip(column, checked.vectors[name], strict=True):
            assert left is not None
            assert right is not None
            assert left.tolist() == right.tolist()


def test_a_stale_replica_is_repaired(fleet: Fleet) -> None:
    """The one that ranks has missed an update: the answer has the newest state, at the old rank."""
    newer = state(7, time=5, title="another thing")
    for node in (N1, N2):
        fleet.apply([newer], only=node)
    query = Search("Doc", limit=3, near=near(7))
    stale_first = fleet.search(query)
    assert stored_version(stale_first.stored[0]) in (Version(1), Version(5))
    found = fleet.search(query, ALL)
    assert ids(found)[0] == uid(7)
    assert stored_version(found.stored[0]) == Version(5)
    assert found.is_consistent is not None
    assert found.is_consistent[0] is False
    assert fleet.search(query, ALL).is_consistent == [True] * 3
    for (shard, _), local in fleet.replicas.items():
        if shard == fleet.state.shard_of(uid(7)).name:
            (digest,) = local.replica.digests([uid(7)])
            assert digest is not None
            assert digest.version == Version(5)


def test_replicas_that_agree_send_digests_only(fleet: Fleet) -> None:
    """The objects of a page came with the hits; named ones come from one replica."""
    found = fleet.search(Search("Doc", limit=5, near=near(7)), QUORUM)
    assert found.is_consistent == [True] * 5
    assert set(kinds(fleet)) == {"SearchShard", "ReadDigests"}
    assert kinds(fleet).count("ReadDigests") == 2 * 2


def test_only_what_differs_is_fetched(fleet: Fleet) -> None:
    """The replica that ranks has an update that another one missed: that one gets it by a search
    at QUORUM, whole, with its vector."""
    shard = fleet.state.shard_of(uid(7))
    newer = state(7, time=5, title="another thing")
    for node in (shard.replicas[0], shard.replicas[2]):
        fleet.apply([newer], only=node)
    stale = fleet.replicas[shard.name, shard.replicas[1]]
    query = Search("Doc", limit=3, near=near(7))
    found = fleet.search(query, QUORUM)
    assert stored_version(found.stored[0]) == Version(5)
    assert found.is_consistent == [False, True, True]
    contents = [r.ids for _, r in fleet.asked if isinstance(r, ReadStates)]
    assert contents == [(uid(7),)]
    (held,) = stale.replica.states([uid(7)])
    assert held is not None
    assert held.version == Version(5)
    assert held.properties["title"] == "another thing"
    assert held.vectors[UNNAMED].tolist() == [7.0, 1.0]
    fleet.asked.clear()
    assert fleet.search(query, QUORUM).is_consistent == [True] * 3
    assert "ReadStates" not in kinds(fleet)


def test_who_ranks_may_be_the_stale_one(fleet: Fleet) -> None:
    """The row that came with the hit is not answered where a newer one wins, nor left stale."""
    shard = fleet.state.shard_of(uid(7))
    newer = state(7, time=5, title="another thing")
    for node in shard.replicas[1:]:
        fleet.apply([newer], only=node)
    query = Search("Doc", limit=3, near=near(7), vectors=(UNNAMED,))
    found = fleet.search(query, QUORUM)
    assert stored_version(found.stored[0]) == Version(5)
    vector = found.vectors[UNNAMED][0]
    assert vector is not None
    assert vector.tolist() == [7.0, 1.0]
    (digest,) = fleet.replicas[shard.name, shard.replicas[0]].replica.digests([uid(7)])
    assert digest is not None
    assert digest.version == Version(5)


def test_a_deleted_object_is_left_out(fleet: Fleet) -> None:
    """A majority has deleted it: the replica that has not is told, and the page is one shorter."""
    holders = fleet.state.shard_of(uid(7)).replicas
    for node in holders[1:]:
        fleet.apply([deletion(7, time=5)], only=node)
    query = Search("Doc", limit=3, near=near(7))
    assert uid(7) in ids(fleet.search(query))
    assert uid(7) not in ids(fleet.search(query, QUORUM))
    assert len(fleet.search(query, QUORUM).stored) == 3  # Repaired: the next search ranks without.


@pytest.mark.parametrize("is_single", [True, False])
def test_objects_named_by_id_are_read_at_the_level(fleet: Fleet, *, is_single: bool) -> None:
    """Whichever replica would rank: each has missed some of what a majority has."""
    for number in range(100, 112):
        shard = fleet.state.shard_of(uid(number))
        for node in [each for at, each in enumerate(shard.replicas) if at != number % 3]:
            fleet.apply([state(number)], only=node)
    for node in fleet.state.shard_of(uid(7)).replicas[1:]:
        fleet.apply([deletion(7, time=5)], only=node)
    numbers = [*range(100, 112), 7, 999]
    texts = [format_object_id(uid(number)) for number in numbers]
    path, kind = ("_id",), ValueKind.TEXT
    if is_single:
        filters = [Comparison(Operator.EQUAL, path, text, kind) for text in texts]
    else:
        filters = [Comparison(Operator.CONTAINS_ANY, path, tuple(texts), kind)]
    found = [
        one
        for each in filters
        for one in ids(fleet.search(Search("Doc", limit=20, filter=each), QUORUM))
    ]
    assert sorted(found) == sorted(uid(number) for number in range(100, 112))
    page = Search("Doc", limit=3, offset=2, filter=filters[-1], vectors=(UNNAMED,))
    hits = fleet.search(page, QUORUM)
    assert ids(hits) == ([] if is_single else sorted(found)[2:5])
    assert [vector is not None for vector in hits.vectors[UNNAMED]] == [True] * len(hits.stored)


@pytest.mark.parametrize(
    "query",
    [
        Search("Doc", filter=EVEN),
        Search("Doc"),
        Search("Doc", filter=Comparison(Operator.EQUAL, ("_id",), "no id", ValueKind.TEXT)),
        Search("Doc", filter=Comparison(Operator.NOT_EQUAL, ("_id",), "x", ValueKind.TEXT)),
        Search("Doc", filter=Comparison(Operator.EQUAL, ("_id",), 3, ValueKind.INT)),
        Search(
            "Doc",
            near=NearObject(ObjectId(bytes(16))),
            filter=Comparison(
                Operator.EQUAL, ("_id",), format_object_id(ObjectId(bytes(16))), ValueKind.TEXT
            ),
        ),
    ],
)
def test_other_lists_name_nobody(query: Search) -> None:
    assert named_ids(query) is None


def test_nodes_down(fleet: Fleet) -> None:
    """One is not missed at QUORUM; with two down, ONE still answers and QUORUM names them."""
    query = Search("Doc", limit=4, keyword=Keyword("even words"))
    whole = ids(fleet.whole.search(query))
    fleet.down = {N0}
    assert ids(fleet.search(query, QUORUM)) == whole
    with pytest.raises(NotEnoughReplicas, match="n0: is down"):
        fleet.search(query, ALL)
    fleet.down = {N0, N1}
    assert ids(fleet.search(query)) == whole
    with pytest.raises(NotEnoughReplicas, match="needed 2 replicas"):
        fleet.search(query, QUORUM)
    fleet.down = {N0, N1, N2}
    with pytest.raises(NotEnoughReplicas, match="shard s0 on n0: is down"):
        fleet.search(query)


def test_a_part_is_never_the_whole(tmp_path: Path) -> None:
    """One shard of two has no replica left: no search, no aggregation, no page of ids."""
    fleet = Fleet(tmp_path / "fleet", DOC, shards=2, factor=1)
    fleet.apply([state(number) for number in range(OBJECTS)])
    fleet.down = {N1}
    for query in (Search("Doc", limit=1), Search("Doc", limit=1, near=near(1))):
        with pytest.raises(NotEnoughReplicas, match="shard s1 on n1: is down"):
            fleet.search(query)
    with pytest.raises(NotEnoughReplicas, match="shard s1"):
        fleet.run(aggregate_rounds(fleet.rounds(), Aggregate("Doc"), Registry()))
    with pytest.raises(NotEnoughReplicas, match="shard s1"):
        fleet.run(find_rounds(fleet.rounds(), EVEN))
    fleet.close()


def test_rows_come_in_one_round_or_two(fleet: Fleet) -> None:
    """Short pages bring their objects with them; long ones and hybrid ones fetch the page."""
    fleet.search(Search("Doc", limit=3, near=near(2)))
    assert kinds(fleet) == ["SearchShard"] * 2
    fleet.asked.clear()
    fleet.search(Search("Doc", limit=3, offset=ROWS_AT_ONCE_MAX))
    assert kinds(fleet) == ["SearchShard"] * 2  # Nothing is on the page: nothing is fetched.
    fleet.asked.clear()
    found = fleet.search(Search("Doc", limit=ROWS_AT_ONCE_MAX + 1))
    assert len(found.stored) == OBJECTS
    assert kinds(fleet) == ["SearchShard"] * 2 + ["FetchRows"] * 2
    fleet.asked.clear()
    fleet.search(Search("Doc", limit=3, hybrid=Hybrid("odd words", near(2))))
    asked = dict.fromkeys(kinds(fleet))
    assert list(asked) == ["GatherStatistics", "SearchShard", "FetchRows"]


def test_rows_are_fetched_where_they_were_ranked(fleet: Fleet) -> None:
    """Another replica might not have them yet."""
    fleet.down = {N0}
    fleet.search(Search("Doc", limit=3, hybrid=Hybrid("odd words", near(2))))
    ranked = {r.shard: n for n, r in fleet.asked if isinstance(r, SearchShard) and n != N0}
    fetched = {r.shard: n for n, r in fleet.asked if isinstance(r, FetchRows)}
    assert fetched.items() <= ranked.items()


def test_an_object_that_goes_between_rounds_is_left_out(fleet: Fleet) -> None:
    """Ranked, then deleted, then fetched."""
    rounds = fleet.rounds()
    query = Search("Doc", limit=3, hybrid=Hybrid("", near(7), alpha=1))
    questions = search_rounds(rounds, query, Registry())
    asked = next(questions)
    while not any(isinstance(request, FetchRows) for request in _requests(asked)):
        asked = questions.send([fleet.converse(one) for one in asked])
    fleet.apply([deletion(7, time=9)])
    with pytest.raises(StopIteration) as stop:
        questions.send([fleet.converse(one) for one in asked])
    assert len(stop.value.value.stored) == 2


def _requests(asked: object) -> list[object]:
    return [part.request for one in asked for part in getattr(one, "_order").parts]  # type: ignore[attr-defined]  # noqa: B009


def test_one_shard_needs_no_statistics(tmp_path: Path) -> None:
    """Its own are those of all; and one replica meets every level."""
    fleet = Fleet(tmp_path / "fleet", DOC, shards=1)
    fleet.apply([state(number) for number in range(OBJECTS)])
    query = Search("Doc", limit=3, keyword=Keyword("even"))
    assert fleet.search(query, ALL).scores == fleet.whole.search(query).scores
    assert not any(isinstance(request, GatherStatistics) for _, request in fleet.asked)
    assert not any(isinstance(r, ReadStates | ReadDigests | Apply) for _, r in fleet.asked)
    fleet.close()


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        (Search("Doc", limit=3, near=NearObject(uid(99))), ObjectNotFound, "near_object"),
        (Search("Doc", limit=3, keyword=Keyword("x", (("size", 1.0),))), InvalidRequest, "size"),
        (Search("Doc", limit=3, keyword=Keyword("")), InvalidRequest, "must have query"),
        (Search("Doc", limit=3, near=NearText(("x",))), SchemaViolation, "without vectorizer"),
        (
            Search(
                "Doc",
                limit=3,
                filter=Comparison(Operator.EQUAL, ("gone",), "x", ValueKind.TEXT),
            ),
            SchemaViolation,
            "gone",
        ),
        (
            Search(
                "Doc",
                limit=3,
                filter=Comparison(
                    Operator.WITHIN_GEO_RANGE, ("size",), GeoRange(0, 0, 1), ValueKind.GEO
                ),
            ),
            InvalidRequest,
            "size",
        ),
    ],
)
def test_what_is_wrong_is_said_as_one_shard_says_it(
    fleet: Fleet, query: Search, error: type[Exception], text: str
) -> None:
    """The same error, whether the coordinator or a shard finds it."""
    with pytest.raises(Exception, match=text) as alone:
        fleet.whole.search(query)
    with pytest.raises(type(alone.value)) as found:
        fleet.search(query)
    assert str(found.value) == str(alone.value)
    assert isinstance(found.value, error)


def test_an_unknown_group_is_no_group(fleet: Fleet) -> None:
    """As one shard answers it, and without asking anybody."""
    query = Aggregate("Doc", group_by="gone")
    answer = fleet.run(aggregate_rounds(fleet.rounds(), query, Registry()))
    assert answer == Aggregated() == fleet.whole.aggregate(query)
    assert not fleet.asked


def test_strays_are_not_found(fleet: Fleet) -> None:
    """What a shard has not given up yet after its row moved away does not count."""
    everything = {number: state(number) for number in range(OBJECTS)}
    for (shard, _), local in fleet.replicas.items():
        foreign = [one for one in everything.values() if fleet.state.shard_of(one.id).name != shard]
        local.replica.apply(foreign)
    questions = search_rounds(
        fleet.rounds(has_strays=True), Search("Doc", limit=100, filter=EVEN), Registry()
    )
    assert ids(fleet.run(questions)) == sorted(uid(n) for n in everything if n % 2 == 0)
    counted = fleet.run(
        aggregate_rounds(fleet.rounds(has_strays=True), Aggregate("Doc"), Registry())
    )
    assert counted.total is not None
    assert counted.total.count == OBJECTS


def test_large_objects_do_not_come_with_the_hits(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then only the page is fetched, by as many questions as it takes."""
    monkeypatch.setattr(partial, "ROWS_BYTES_MAX", 10)
    monkeypatch.setattr(rows, "ROWS_PER_QUESTION", 2)
    query = Search("Doc", limit=7, near=near(2.3), vectors=(UNNAMED,))
    assert ids(fleet.search(query)) == ids(fleet.whole.search(query))
    fetched = [r.ids for _, r in fleet.asked if isinstance(r, FetchRows)]
    assert sum(map(len, fetched)) == 7
    assert max(map(len, fetched)) == 2


def test_an_object_of_two_answers_is_there_once() -> None:
    """Its row was handed over between the two: the better place counts."""
    a, b, c = (uid(n) for n in range(3))
    legs = [PartLeg((a, b), distances=(0.1, 0.4)), PartLeg((b, c), distances=(0.2, 0.3))]
    assert [hit[:3] for hit in merge_legs(legs, 3)] == [(0.1, a, 0), (0.2, b, 1), (0.3, c, 1)]
    assert [hit[1] for hit in merge_legs(legs, 2)] == [a, b]


@pytest.mark.parametrize(
    "legs",
    [
        [PartLeg((uid(1),), distances=(0.1, 0.2))],
        [PartLeg((uid(1),), scores=())],
    ],
)
def test_ragged_answers_are_refused(legs: list[PartLeg]) -> None:
    """A shard of another build, or damage."""
    with pytest.raises(CorruptData):
        merge_legs(legs, 3)
    with pytest.raises(CorruptData):
        merge_sorted(legs, (), 3)
    with pytest.raises(CorruptData):
        only_legs([PartHits(())])
