"""Vector, hybrid and text searches through a collection with named vectors and a vectorizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.engine.samples import uid
from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import (
    InvalidRequest,
    ModuleFailure,
    SchemaViolation,
    Unsupported,
)
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import (
    Combination,
    Hybrid,
    Mmr,
    Move,
    NearObject,
    NearText,
    NearVector,
    Search,
    Target,
    Threshold,
)
from weftdb.core.types import ObjectId, Rows, VectorName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.storage.memory import MemoryStore
from weftdb.storage.object_codec import stored_id

COLOURS = ("red", "green", "blue")
TEXT, SHAPE = VectorName("text"), VectorName("shape")


class Colours:
    """Embeds a text as the counts of three colour words."""

    name = "text2vec-model2vec"
    is_away = False

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Anything goes."""

    def embed(self, texts: Sequence[str], settings: Mapping[str, Any], *, is_query: bool) -> Rows:
        if self.is_away:
            raise ModuleFailure(f"{self.name}: connection refused")
        counts = [[text.lower().count(colour) for colour in COLOURS] for text in texts]
        return np.array(counts, dtype=np.float32) + 0.01

    def meta(self) -> Mapping[str, Any]:
        return {}


class OneVectorizer:
    """Knows `Colours` only."""

    def __init__(self) -> None:
        self.colours = Colours()

    def get(self, name: str) -> Colours:
        assert name == self.colours.name, name
        return self.colours

    def names(self) -> Sequence[str]:
        return [self.colours.name]


@pytest.fixture
def vectorizers() -> OneVectorizer:
    return OneVectorizer()


@pytest.fixture
def art(tmp_path: Path, vectorizers: OneVectorizer) -> Iterator[LocalCollection]:
    """Titles embedded as `text`; `shape` comes with the object, or not."""
    database = Database(
        tmp_path, MemoryStore(), config=Config(), vectorizers=vectorizers, env=Env(ManualClock())
    )
    hnsw = {"vectorIndexType": "hnsw", "vectorIndexConfig": {"distance": "l2-squared"}}
    body = {
        "class": "Art",
        "properties": [{"name": "title", "dataType": ["text"]}],
        "vectorConfig": {
            "text": {"vectorizer": {"text2vec-model2vec": {}}, **hnsw},
            "shape": {"vectorizer": {"none": {}}, **hnsw},
        },
    }
    art = database.create_collection(parse_collection(body))
    shapes = {1: [0.0, 0.0], 2: [1.0, 0.0], 3: [0.0, 2.0]}
    titles = {1: "red red", 2: "green", 3: "blue blue green", 4: "red blue"}
    drafts = [
        ObjectDraft(
            uid(n),
            {"title": title},
            {SHAPE: np.array(shapes[n], dtype=np.float32)} if n in shapes else {},
        )
        for n, title in titles.items()
    ]
    assert art.put(drafts) == [None] * 4
    yield art
    database.close()


def ask(art: LocalCollection, **parts: Any) -> list[ObjectId]:
    return [stored_id(value) for value in art.search(Search("Art", **parts)).stored]


def both(combination: Combination) -> NearVector:
    return NearVector(
        (
            Target(TEXT, np.array([2.01, 0.01, 0.01], dtype=np.float32), weight=0.5),
            Target(SHAPE, np.array([0.0, 0.0], dtype=np.float32), weight=2.0),
        ),
        combination,
    )


def test_import_without_vectors_embeds(art: LocalCollection) -> None:
    found = art.get(uid(3), with_vectors=True)
    assert found is not None
    assert np.allclose(found.vectors[TEXT], [0.01, 1.01, 2.01])
    assert SHAPE in found.vectors


def test_near_text(art: LocalCollection) -> None:
    assert ask(art, near=NearText(("red red",), (Target(TEXT),)), limit=1) == [uid(1)]


def test_near_text_moves_towards_and_away(art: LocalCollection) -> None:
    towards = NearText(("green",), (Target(TEXT),), move_to=Move(0.9, ("blue blue blue blue",)))
    away = NearText(("red blue",), (Target(TEXT),), move_away=Move(1.0, objects=(uid(3),)))
    assert ask(art, near=towards, limit=1) == [uid(3)]
    assert ask(art, near=away, limit=1) == [uid(1)]


def test_a_target_must_be_named_where_there_are_several(art: LocalCollection) -> None:
    with pytest.raises(SchemaViolation, match="no target vectors were provided"):
        ask(art, near=NearText(("red",)))
    with pytest.raises(SchemaViolation, match=r"Available named vectors \[shape text\]"):
        ask(art, near=NearText(("red",), (Target(VectorName("sound")),)))


def test_a_vector_without_vectorizer_cannot_be_asked_by_text(art: LocalCollection) -> None:
    with pytest.raises(SchemaViolation, match="without vectorizer"):
        ask(art, near=NearText(("red",), (Target(SHAPE),)))


def test_an_object_without_the_vector_cannot_be_aimed_at(art: LocalCollection) -> None:
    with pytest.raises(InvalidRequest, match="has no vector shape"):
        ask(art, near=NearObject(uid(4), (Target(SHAPE),)))


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        (Combination.MINIMUM, [1, 2, 4, 3]),
        (Combination.SUM, [1, 2, 3]),
        (Combination.AVERAGE, [1, 2, 3]),
        (Combination.MANUAL, [1, 2, 3]),
        (Combination.RELATIVE_SCORE, [1, 2, 3]),
    ],
)
def test_several_targets_join(
    art: LocalCollection, combination: Combination, expected: list[int]
) -> None:
    assert ask(art, near=both(combination)) == [uid(n) for n in expected]
    assert ask(art, near=both(combination), limit=1) == [uid(1)]


def test_a_threshold_over_several_targets_is_inclusive(art: LocalCollection) -> None:
    hits = art.search(Search("Art", near=both(Combination.SUM)))
    assert hits.distances is not None
    near = NearVector(both(Combination.SUM).targets, Combination.SUM, Threshold(hits.distances[1]))
    assert ask(art, near=near) == [uid(1), uid(2)]


def test_hybrid_without_a_vector_embeds_its_words(art: LocalCollection) -> None:
    hits = art.search(
        Search("Art", hybrid=Hybrid("red", targets=(Target(TEXT),)), explain=True, limit=2)
    )
    assert [stored_id(value) for value in hits.stored] == [uid(1), uid(4)]
    assert hits.scores is not None
    assert hits.scores[0] == pytest.approx(1.0)
    assert hits.explanations is not None
    assert "keyword,bm25" in hits.explanations[0]


def test_every_vector_search_of_a_read_is_explained(art: LocalCollection) -> None:
    pytest.importorskip("weftdb.index.kernels._native", reason="extension is not built")
    near = NearVector((Target(TEXT, np.ones(3, dtype=np.float32)),))
    (search,) = art.search(Search("Art", near=near)).vector_searches
    assert search.plan == "exact"
    assert search.reason == "nothing is linked yet"
    assert search.distances >= 3
    assert len(art.search(Search("Art", near=both(Combination.SUM))).vector_searches) == 2
    assert art.search(Search("Art", hybrid=Hybrid("red", targets=(Target(TEXT),)))).vector_searches
    assert art.search(Search("Art")).vector_searches == ()


def test_hybrid_of_words_alone_needs_no_vector(art: LocalCollection) -> None:
    hybrid = Hybrid("green", alpha=0.0, targets=(Target(TEXT),))
    assert set(ask(art, hybrid=hybrid)) == {uid(2), uid(3)}


def test_hybrid_cut_off_by_distance_cuts_both_legs(art: LocalCollection) -> None:
    hybrid = Hybrid("blue", alpha=0.5, targets=(Target(TEXT),), vector_distance_max=1.5)
    # "blue" is [0, 0, 1]: only object 4, [1, 0, 1], lies within 1.5 of it; 3 has the word, too.
    assert set(ask(art, hybrid=hybrid)) == {uid(4)}


def test_diversity_picks_unlike_hits(art: LocalCollection) -> None:
    vector = np.array([1.0, 0.0, 1.0], dtype=np.float32)
    near = NearVector((Target(TEXT, vector),), mmr=Mmr(2, 0.0))
    chosen = ask(art, near=near, limit=4)
    assert chosen[0] == uid(4)
    assert len(chosen) == 2
    with pytest.raises(Unsupported):
        ask(art, near=NearVector(both(Combination.SUM).targets, mmr=Mmr(2, 0.5)), limit=4)


def test_bad_query_vectors_are_refused(art: LocalCollection) -> None:
    for vector in ([np.nan, 0, 0], [np.inf, 0, 0], []):
        target = Target(TEXT, np.array(vector, dtype=np.float32))
        with pytest.raises(InvalidRequest):
            ask(art, near=NearVector((target,)))
    matrix = Target(TEXT, np.ones((2, 3), dtype=np.float32))
    with pytest.raises(InvalidRequest, match="multi vector"):
        ask(art, near=NearVector((matrix,)))


def test_a_failing_provider_keeps_out_what_needs_it_only(
    art: LocalCollection, vectorizers: OneVectorizer
) -> None:
    vectorizers.colours.is_away = True
    own = {TEXT: np.array([1, 1, 1], dtype=np.float32)}
    errors = art.put([ObjectDraft(uid(8), {"title": "red"}), ObjectDraft(uid(9), {}, own)])
    assert isinstance(errors[0], ModuleFailure)
    assert errors[1] is None
    with pytest.raises(ModuleFailure):
        ask(art, near=NearText(("red",), (Target(TEXT),)))
    assert ask(art, near=NearObject(uid(9), (Target(TEXT),)), limit=1) == [uid(9)]


def test_merging_text_embeds_anew_and_other_changes_do_not(
    art: LocalCollection, vectorizers: OneVectorizer
) -> None:
    art.merge(uid(2), {"title": "blue"}, {})
    found = art.get(uid(2), with_vectors=True)
    assert found is not None
    assert np.allclose(found.vectors[TEXT], [0.01, 0.01, 1.01])
    assert found.vectors[SHAPE].tolist() == [1.0, 0.0]
    vectorizers.colours.is_away = True
    art.merge(uid(2), {}, {SHAPE: np.array([5.0, 5.0], dtype=np.float32)})
    assert ask(art, near=NearObject(uid(2), (Target(SHAPE),)), limit=1) == [uid(2)]
