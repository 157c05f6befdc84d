"""Parts of searches and aggregations: of one shard, they say what the whole says."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.engine.samples import draft, uid
from weftdb.core.aggregation import Aggregate, PropertyStatistics
from weftdb.core.errors import CorruptData, InvalidRequest, LimitExceeded
from weftdb.core.hashing import token
from weftdb.core.partial import (
    AggregatedPart,
    PartAggregate,
    PartHits,
    PartIds,
    PartSearch,
    TokenRanges,
)
from weftdb.core.query import (
    Comparison,
    Hybrid,
    Keyword,
    NearText,
    NearVector,
    Operator,
    Search,
    Sort,
    Target,
    Threshold,
    ValueKind,
)
from weftdb.core.types import UNNAMED, ObjectId
from weftdb.engine import partial_aggregation
from weftdb.engine.collection import LocalCollection
from weftdb.engine.partial import ids_part, rows_part, search_part, statistics_part
from weftdb.engine.partial_aggregation import aggregate_part, join_parts
from weftdb.engine.shard import Shard
from weftdb.engine.steps import run
from weftdb.storage.object_codec import stored_id

OBJECTS = 40
SMALL = Comparison(Operator.LESS_THAN, ("size",), 25, ValueKind.INT)
WORDS = ("red apple", "green apple pie", "red car", "slow green car car", "pie")


@pytest.fixture
def shard(docs: LocalCollection) -> Shard:
    """Forty objects; every fifth has the same words, every eighth the same vector."""
    drafts = [
        draft(n, WORDS[n % 5], [float(n % 8), 1.0] if n % 3 else None) for n in range(1, OBJECTS)
    ]
    assert docs.put(drafts) == [None] * len(drafts)
    docs.delete([uid(7)])
    docs.put([draft(8, "red red apple", [1.0, 0.5])])
    return docs.shard


def near(vector: list[float], **more: float) -> NearVector:
    target = Target(UNNAMED, np.array(vector, dtype=np.float32))
    return NearVector((target,), threshold=Threshold(**more))


def part(shard: Shard, **asked: object) -> PartHits:
    owned = asked.pop("owned", None)
    query = Search("Doc", **{"limit": 100, **asked})  # type: ignore[arg-type]
    return run(search_part(shard, PartSearch(query, owned=owned)))  # type: ignore[arg-type]


def half(*, upper: bool) -> TokenRanges:
    return ((2**63, 2**64),) if upper else ((0, 2**62), (2**62, 2**63))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"limit": 7},
        {"after": uid(11), "limit": 5},
        {"keyword": Keyword("red car")},
        {"keyword": Keyword("green"), "limit": 3, "explain": True, "filter": SMALL},
        {"near": near([2.0, 1.0])},
        {"near": near([2.0, 1.0], distance=0.2), "filter": SMALL},
        {"sort": (Sort(("title",)), Sort(("size",), ascending=False))},
        {"sort": (Sort(("_creationTimeUnix",)),), "filter": SMALL, "limit": 4},
    ],
)
def test_a_part_of_one_shard_is_the_whole(
    docs: LocalCollection, shard: Shard, asked: dict[str, object]
) -> None:
    """The same objects with the same values; the order of ties is that of the ids."""
    query = Search("Doc", **{"limit": 100, **asked})  # type: ignore[arg-type]
    whole, found = docs.search(query), part(shard, **asked)
    (leg,) = found.legs
    assert found.rows is not None
    assert [stored_id(row) for row in found.rows.stored if row is not None] == list(leg.ids)
    assert leg.distances == (None if whole.distances is None else tuple(whole.distances))
    assert leg.scores == (None if whole.scores is None else tuple(whole.scores))
    assert leg.explanations == (None if whole.explanations is None else tuple(whole.explanations))
    assert sorted(leg.ids) == sorted(map(stored_id, whole.stored))


def test_a_filtered_list_goes_by_id(docs: LocalCollection, shard: Shard) -> None:
    """An update changes nothing of the order, for other replicas have other doc ids."""
    (leg,) = part(shard, filter=SMALL, limit=9).legs
    assert leg.ids == tuple(uid(n) for n in (1, 2, 3, 4, 5, 6, 8, 9, 10))


def test_statistics_of_the_shard_itself_change_nothing(shard: Shard) -> None:
    """Scores from statistics that are handed in are those of the shard alone."""
    query = Search("Doc", keyword=Keyword("red green pie"), limit=100)
    gathered = run(statistics_part(shard, PartSearch(query)))
    alone = run(search_part(shard, PartSearch(query)))
    assert run(search_part(shard, PartSearch(query, statistics=gathered))) == alone
    assert gathered.keyword is not None
    assert gathered.keyword.documents == OBJECTS - 2
    assert gathered.keyword.frequencies["title", "pie"] == 16


def test_statistics_of_more_shards_count(shard: Shard) -> None:
    """A word that is rare elsewhere is worth more."""
    query = Search("Doc", keyword=Keyword("red"), limit=100)
    gathered = run(statistics_part(shard, PartSearch(query)))
    assert gathered.keyword is not None
    wider = replace(gathered, keyword=replace(gathered.keyword, documents=10_000))
    (alone,) = run(search_part(shard, PartSearch(query))).legs
    (among,) = run(search_part(shard, PartSearch(query, statistics=wider))).legs
    assert alone.scores is not None
    assert among.scores is not None
    assert alone.ids == among.ids
    assert all(more > less for more, less in zip(among.scores, alone.scores, strict=True))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"filter": SMALL},
        {"keyword": Keyword("red car")},
        {"near": near([2.0, 1.0])},
        {"sort": (Sort(("size",)),)},
    ],
)
def test_only_owned_objects_count(shard: Shard, asked: dict[str, object]) -> None:
    """Two halves of the ring have everything once."""
    (whole,) = part(shard, **asked).legs
    halves = [part(shard, **asked, owned=half(upper=upper)).legs[0] for upper in (False, True)]
    assert sorted(halves[0].ids + halves[1].ids) == sorted(whole.ids)
    assert all(token(one) < 2**63 for one in halves[0].ids)
    assert min(len(each.ids) for each in halves) > 0


def test_what_comes_later_is_owned_too(docs: LocalCollection, shard: Shard) -> None:
    """Ownership is remembered for docs, and looked up for new ones."""
    before = part(shard, owned=half(upper=True)).legs[0].ids
    docs.put([draft(n) for n in range(100, 120)])
    docs.delete([before[0]])
    after = part(shard, owned=half(upper=True)).legs[0].ids
    come = {uid(n) for n in range(100, 120) if token(uid(n)) >= 2**63}
    assert set(after) == (set(before) | come) - {before[0]}


def test_statistics_of_owned_objects(shard: Shard) -> None:
    """Frequencies of the halves add up to those of the whole."""
    query = Search("Doc", keyword=Keyword("red pie"), limit=100)
    parts = [
        run(statistics_part(shard, PartSearch(query, owned=half(upper=upper)))).keyword
        for upper in (False, True)
    ]
    whole = run(statistics_part(shard, PartSearch(query))).keyword
    assert whole is not None
    for key, count in whole.frequencies.items():
        assert sum(each.frequencies[key] for each in parts if each is not None) == count
    assert sum(each.documents for each in parts if each is not None) == whole.documents


def test_a_hybrid_part_has_two_legs(docs: LocalCollection, shard: Shard) -> None:
    """By vectors and by words, without rows, and told what the vector cut-off leaves."""
    hybrid = Hybrid("red car", near([2.0, 1.0]), vector_distance_max=0.3)
    query = Search("Doc", hybrid=hybrid, limit=100)
    vectors, words = run(search_part(shard, PartSearch(query, with_rows=False))).legs
    assert vectors.distances is not None
    assert max(vectors.distances) <= 0.3
    assert words.is_near is not None
    with_vector = {one for one, is_near in zip(words.ids, words.is_near, strict=True) if is_near}
    assert with_vector == set(vectors.ids) & set(words.ids)
    with pytest.raises(InvalidRequest, match="rows belong to one leg"):
        run(search_part(shard, PartSearch(query)))


@pytest.mark.parametrize(
    "query",
    [
        Search("Doc"),
        Search("Doc", limit=3, offset=1),
        Search("Doc", limit=3, near=NearText(("red",))),
        Search("Doc", limit=3, near=near([float("nan"), 1.0])),
    ],
)
def test_a_part_is_whole_in_itself(shard: Shard, query: Search) -> None:
    """What a coordinator should have done is not guessed."""
    with pytest.raises(InvalidRequest):
        run(search_part(shard, PartSearch(query)))


def test_rows_by_id(shard: Shard) -> None:
    """In the order of the ids, None for what is not there."""
    found = rows_part(shard, (uid(9), uid(7), uid(8)), (UNNAMED,))
    ids = [None if row is None else stored_id(row) for row in found.stored]
    assert ids == [uid(9), None, uid(8)]
    vectors = found.vectors[UNNAMED]
    assert vectors[0] is None
    assert vectors[1] is None
    assert vectors[2] is not None
    assert vectors[2].tolist() == [1.0, 0.5]


@pytest.mark.parametrize("size_max", [3, 25, 1_000])
def test_ids_come_in_pages(shard: Shard, size_max: int) -> None:
    """All of them, each once, ascending; of few matches and of many."""
    matches = Comparison(Operator.LESS_THAN, ("size",), size_max, ValueKind.INT)
    got: list[ObjectId] = []
    for _ in range(OBJECTS):
        page = ids_part(shard, PartIds(matches, 4, got[-1] if got else None))
        got += page.ids
        if page.is_last:
            break
    assert got == [uid(n) for n in range(1, min(size_max, OBJECTS)) if n != 7]
    with pytest.raises(InvalidRequest):
        ids_part(shard, PartIds(matches, 0))


AGGREGATES = [
    Aggregate("Doc"),
    Aggregate("Doc", filter=SMALL),
    Aggregate("Doc", properties=(PropertyStatistics("size"), PropertyStatistics("title", top=2))),
    Aggregate("Doc", properties=(PropertyStatistics("title"),), filter=SMALL),
    Aggregate("Doc", group_by="title"),
    Aggregate("Doc", group_by="size", limit=3),
    Aggregate("Doc", group_by="title", properties=(PropertyStatistics("size"),), limit=2),
]


@pytest.mark.parametrize("query", AGGREGATES)
def test_a_part_of_an_aggregation_is_the_whole(
    docs: LocalCollection, shard: Shard, query: Aggregate
) -> None:
    """One shard's part, joined, is its aggregation; so are its halves."""
    whole = docs.aggregate(query)
    assert join_parts(shard.schema, query, [aggregate_part(shard, PartAggregate(query))]) == whole
    halves = [
        aggregate_part(shard, PartAggregate(query, owned=half(upper=upper)))
        for upper in (False, True)
    ]
    assert join_parts(shard.schema, query, halves) == whole


def test_an_aggregation_of_ids(shard: Shard) -> None:
    """Ids that the shard has not are passed over."""
    query = Aggregate("Doc", properties=(PropertyStatistics("size"),))
    ids = (uid(3), uid(7), uid(5), uid(1_000))
    total = join_parts(shard.schema, query, [aggregate_part(shard, PartAggregate(query, ids=ids))])
    assert total.total is not None
    assert total.total.count == 2
    assert total.total.summaries[0].sum == 8


def test_too_many_values_are_refused(shard: Shard) -> None:
    """Nothing is left out silently."""
    query = Aggregate("Doc", properties=(PropertyStatistics("size"),))
    with pytest.raises(LimitExceeded, match="the values of size in one shard of Doc"):
        aggregate_part(shard, PartAggregate(query), bytes_max=50)


@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_a_damaged_part_is_refused(shard: Shard, cut: int) -> None:
    """Cut off anywhere."""
    query = Aggregate("Doc", properties=(PropertyStatistics("title"),))
    whole = aggregate_part(shard, PartAggregate(query))
    with pytest.raises(CorruptData, match="a part of an aggregation of Doc"):
        join_parts(shard.schema, query, [AggregatedPart(whole.count, whole.tally[:cut])])
    other = Aggregate("Doc", group_by="title")
    with pytest.raises(CorruptData, match="another question"):
        join_parts(shard.schema, other, [whole])


def test_a_long_aggregation_reads_on(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond some docs, those that were replaced meanwhile are left out; here nobody writes."""
    monkeypatch.setattr(partial_aggregation, "HELD_DOCS_MAX", 3)
    query = Aggregate("Doc", properties=(PropertyStatistics("title"),))
    part = aggregate_part(shard, PartAggregate(query))
    assert part.count == OBJECTS - 2


def test_parts_beside_writes_have_every_object_once(docs: LocalCollection) -> None:
    """Objects that are replaced again and again: with rows and without, in legs, ids and counts."""
    everything = [uid(n) for n in range(1, 21)]
    docs.put([draft(n, f"common state0 own{n}", [0.0, 1.0]) for n in range(1, 21)])
    common = Comparison(Operator.LIKE, ("title",), "common*", ValueKind.TEXT)
    queries = {
        "vector": Search("Doc", near=near([0.0, 1.0]), limit=40),
        "keyword": Search("Doc", keyword=Keyword("common"), limit=40),
        "list": Search("Doc", limit=40),
        "filtered vector": Search("Doc", near=near([0.0, 1.0]), filter=common, limit=40),
        "filtered list": Search("Doc", filter=common, limit=40),
        "sorted": Search("Doc", sort=(Sort(("title",)),), limit=40),
        "hybrid": Search("Doc", hybrid=Hybrid("common", near([0.0, 1.0])), limit=40),
    }
    stop = threading.Event()
    found: list[str] = []

    def rewrite() -> None:
        for state in range(1, 41):
            title = f"common state{state}"
            docs.put([draft(n, f"{title} own{n}", [0.0, state + 1.0]) for n in range(1, 21)])
        stop.set()

    def look() -> None:
        while not stop.is_set():
            for name, query in queries.items():
                for with_rows in (False, True):
                    if with_rows and query.hybrid is not None:
                        continue
                    part = run(search_part(docs.shard, PartSearch(query, with_rows=with_rows)))
                    for leg in part.legs:
                        if sorted(leg.ids) != everything:
                            found.append(f"{name}: {len(leg.ids)}, {len(set(leg.ids))} different")
            ids = ids_part(docs.shard, PartIds(common, 100)).ids
            if list(ids) != everything:
                found.append(f"ids: {len(ids)}")
            wanted = Aggregate("Doc", properties=(PropertyStatistics("title"),), filter=common)
            count = aggregate_part(docs.shard, PartAggregate(wanted)).count
            if count != len(everything):
                found.append(f"count: {count}")
            if None in rows_part(docs.shard, everything, (UNNAMED,)).stored:
                found.append("rows")

    threads = [threading.Thread(target=rewrite), *[threading.Thread(target=look) for _ in range(2)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert stop.is_set()
    assert found == []
