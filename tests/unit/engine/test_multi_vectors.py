"""Multi-vectors through the engine: stored, returned, searched, and read back on opening."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.engine.samples import uid
from weftdb.core.definition import parse_collection
from weftdb.core.errors import CorruptData, DimensionMismatch, InvalidRequest
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import (
    Combination,
    Comparison,
    Hybrid,
    Mmr,
    Near,
    NearObject,
    NearVector,
    Operator,
    Search,
    Target,
    Threshold,
    ValueKind,
)
from weftdb.core.types import ObjectId, VectorName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.recovery import snapshot_path
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.object_codec import stored_id

TOKENS, PLAIN = VectorName("tokens"), VectorName("plain")
DEFINITION = {
    "class": "Page",
    "properties": [
        {"name": "title", "dataType": ["text"]},
        {"name": "size", "dataType": ["int"]},
    ],
    "vectorConfig": {
        "tokens": {
            "vectorizer": {"none": {}},
            "vectorIndexConfig": {"multivector": {"enabled": True}},
        },
        "plain": {"vectorizer": {"none": {}}},
    },
}
DOCS = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    [[0.6, 0.8, 0.0]],
    [[0.0, 0.0, 1.0], [0.1, 0.1, 0.9], [0.0, 1.0, 0.2]],
    [[0.5, 0.5, 0.5], [0.9, 0.1, 0.1]],
]
PLAINS = [[1.0, 0.0], [0.3, 0.7], [0.0, 1.0], [0.8, 0.2]]
QUERY = np.array([[1.0, 0.1, 0.0], [0.0, 0.9, 0.3]], dtype=np.float32)


def array(values: object) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def page(number: int, tokens: object, plain: object = None) -> ObjectDraft:
    vectors = {TOKENS: array(tokens)}
    if plain is not None:
        vectors[PLAIN] = array(plain)
    return ObjectDraft(uid(number), {"title": f"page {number}", "size": number}, vectors)


@pytest.fixture
def pages(database: Database) -> LocalCollection:
    made = database.create_collection(parse_collection(DEFINITION))
    drafts = [page(n + 1, DOCS[n], PLAINS[n]) for n in range(len(DOCS))]
    assert made.put(drafts) == [None] * len(DOCS)
    return made


def found(collection: LocalCollection, near: Near, **more: object) -> list[tuple[int, float]]:
    hits = collection.search(Search("Page", near=near, **more))
    assert hits.distances is not None
    numbers = [int.from_bytes(stored_id(stored), "big") for stored in hits.stored]
    return list(zip(numbers, hits.distances, strict=True))


def near_tokens(query: np.ndarray = QUERY, **more: object) -> NearVector:
    return NearVector((Target(TOKENS, query),), **more)


def test_the_recorded_ranking(pages: LocalCollection) -> None:
    expected = [(1, -1.9437205), (4, -1.5379393), (2, -1.4355719), (3, -1.1213828)]
    for (number, distance), (known, value) in zip(
        found(pages, near_tokens()), expected, strict=True
    ):
        assert number == known
        assert distance == pytest.approx(value, abs=1e-6)


def test_matrices_come_back(pages: LocalCollection) -> None:
    one = pages.get(uid(3), with_vectors=True)
    assert one is not None
    assert one.vectors[TOKENS].tolist() == array(DOCS[2]).tolist()
    hits = pages.search(Search("Page", near=near_tokens(), vectors=(TOKENS, PLAIN), limit=1))
    first = hits.vectors[TOKENS][0]
    assert first is not None
    assert first.tolist() == DOCS[0]


def test_near_object_filter_threshold_and_page(pages: LocalCollection) -> None:
    near = NearObject(uid(1), (Target(TOKENS),))
    assert [number for number, _ in found(pages, near)] == [1, 2, 4, 3]
    large = Comparison(Operator.GREATER_THAN, ("size",), 1, ValueKind.INT)
    assert [number for number, _ in found(pages, near_tokens(), filter=large)] == [4, 2, 3]
    close = near_tokens(threshold=Threshold(distance=-1.5))
    assert [number for number, _ in found(pages, close)] == [1, 4]
    assert [number for number, _ in found(pages, near_tokens(), offset=1, limit=2)] == [4, 2]


def test_together_with_another_vector(pages: LocalCollection) -> None:
    targets = (Target(TOKENS, QUERY), Target(PLAIN, array([0.0, 1.0])))
    summed = found(pages, NearVector(targets, Combination.SUM))
    by_tokens = dict(found(pages, near_tokens()))
    by_plain = dict(found(pages, NearVector(targets[1:])))
    expected = sorted((by_tokens[n] + by_plain[n], n) for n in by_tokens)
    assert [number for number, _ in summed] == [number for _, number in expected]
    assert [d for _, d in summed] == pytest.approx([d for d, _ in expected], abs=1e-6)


def test_hybrid(pages: LocalCollection) -> None:
    hybrid = Hybrid("page 3", near=near_tokens(), alpha=0.5)
    hits = pages.search(Search("Page", hybrid=hybrid))
    assert hits.scores is not None
    assert {stored_id(stored) for stored in hits.stored} == {uid(n) for n in (1, 2, 3, 4)}
    cut = Hybrid("page", near=near_tokens(), alpha=0.5, vector_distance_max=-1.5)
    hits = pages.search(Search("Page", hybrid=cut))
    assert {stored_id(stored) for stored in hits.stored} == {uid(1), uid(4)}


def test_updates_and_deletions(pages: LocalCollection) -> None:
    pages.put([page(1, [[0.0, 0.0, -1.0]])])
    pages.delete([uid(4)])
    ranked = found(pages, near_tokens())
    assert [number for number, _ in ranked] == [2, 3, 1]
    pages.merge(uid(2), {"size": 20}, {})
    assert found(pages, near_tokens())[0] == ranked[0]


@pytest.mark.parametrize(
    ("near", "message"),
    [
        (near_tokens(array([1, 0, 0])), "provided vector is a regular vector but"),
        (NearVector((Target(PLAIN, array([[1, 0]])),)), "provided vector is a multi vector but"),
        (near_tokens(array([[1, 0, np.nan]])), "NaN"),
        (near_tokens(np.zeros((0, 3), np.float32)), "vector is required"),
        (near_tokens(threshold=Threshold(certainty=0.9)), "certainty of a multi-vector"),
        (near_tokens(mmr=Mmr(2, 0.5)), "MMR is not supported on multi-vector targets"),
    ],
)
def test_bad_queries(pages: LocalCollection, near: NearVector, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        pages.search(Search("Page", near=near))


def test_a_query_of_another_width(pages: LocalCollection) -> None:
    with pytest.raises(DimensionMismatch, match="vector lengths don't match: 3 vs 2"):
        pages.search(Search("Page", near=near_tokens(array([[1, 0]]))))


def test_one_bad_matrix_spoils_no_other(pages: LocalCollection) -> None:
    outcomes = pages.put([page(5, [[1, 0, 0]]), page(6, [[1, 0], [0, 1]]), page(7, [[0, 0, 1]])])
    assert outcomes[0] is None
    assert outcomes[2] is None
    assert isinstance(outcomes[1], DimensionMismatch)
    assert "multi vector with length 2 at position 0" in str(outcomes[1])
    assert pages.get(uid(6)) is None
    assert pages.count() == 6


def test_the_first_matrix_of_a_batch_sets_the_width(database: Database) -> None:
    fresh = database.create_collection(parse_collection(DEFINITION))
    outcomes = fresh.put([page(1, [[1, 0, 0]]), page(2, [[1, 0]])])
    assert outcomes[0] is None
    assert isinstance(outcomes[1], DimensionMismatch)


def test_opening_reads_them_back(
    open_database: Callable[[], Database], pages: LocalCollection
) -> None:
    pages.put([page(2, [[0.0, 0.0, 2.0]])])
    pages.delete([uid(3)])
    before = found(pages, near_tokens())
    again = open_database().collection("Page")
    assert found(again, near_tokens()) == before


def test_a_damaged_matrix_is_found_on_opening(
    open_database: Callable[[], Database], store: KeyValueStore, pages: LocalCollection
) -> None:
    shard = pages.shard
    doc = shard.objects.doc_id_of(ObjectId(uid(2)))
    assert doc is not None
    key = keys.vector_key(keys.vector_prefix(shard.shard_id, TOKENS), doc)
    value = store.get(Family.VECTORS, key)
    assert value is not None
    batch = WriteBatch()
    batch.put(Family.VECTORS, key, value[:3] + bytes([value[3] ^ 1]) + value[4:])
    store.write(batch)
    with pytest.raises(CorruptData, match=f"doc {doc} .*'tokens'.*checksum"):
        open_database().collection("Page")


COUNT = 1_500


def many_pages(database: Database, encoding: dict[str, object]) -> LocalCollection:
    config = {"multivector": {"enabled": True, "muvera": encoding}}
    vectors = {"tokens": {"vectorizer": {"none": {}}, "vectorIndexConfig": config}}
    made = database.create_collection(parse_collection({"class": "Page", "vectorConfig": vectors}))
    random = np.random.default_rng(2)
    drafts = [
        ObjectDraft(uid(n + 1), {}, {TOKENS: random.normal(size=(3, 8)).astype(np.float32)})
        for n in range(COUNT)
    ]
    assert made.put(drafts) == [None] * COUNT
    assert made.wait_indexed(60)
    for chore in made.chores:
        chore.finish()
    return made


@pytest.mark.parametrize("encoding", [{}, {"enabled": True, "ksim": 2}], ids=["rows", "muvera"])
@pytest.mark.parametrize("damage", ["none", "cut", "flipped", "matrices", "graph", "all"])
def test_files_of_candidates_over_a_restart(
    open_database: Callable[[], Database],
    database: Database,
    encoding: dict[str, object],
    damage: str,
) -> None:
    pages = many_pages(database, encoding)
    query = np.random.default_rng(3).normal(size=(2, 8)).astype(np.float32)
    before = found(pages, near_tokens(query), limit=10)
    path = snapshot_path(pages.shard, TOKENS)
    (graph,) = [one for one in path.parent.glob(f"{path.name}.*") if one.suffix != ".codes"]
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[:-1_000])
        case "flipped":
            path.write_bytes(content[:60] + bytes([content[60] ^ 8]) + content[61:])
        case "matrices" | "all":
            path.unlink()
    if damage in ("graph", "all"):
        graph.unlink()
    again = open_database().collection("Page")
    index = again.shard.vectors[TOKENS]
    if damage == "none":
        assert index.pending == 0
    assert index.count == COUNT
    assert again.wait_indexed(60)
    assert found(again, near_tokens(query), limit=10) == before
    index.save(path)
    graphs = [
        one for one in path.parent.glob(f"{path.name}.*") if one.suffix not in (".log", ".codes")
    ]
    assert len(graphs) == 1  # What no matrices belong to is gone.
