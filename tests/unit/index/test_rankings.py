"""Fusion, autocut, MMR, joined targets and sorting: by rule, and by the recordings."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weftdb.core.definition.collection import parse_collection
from weftdb.core.errors import SchemaViolation, Unsupported
from weftdb.core.query import Combination, Fusion, Sort
from weftdb.core.types import DocId
from weftdb.index.autocut import autocut
from weftdb.index.fusion import KEYWORD_LEG, VECTOR_LEG, Leg, explain, format_score, fuse
from weftdb.index.mmr import diversify
from weftdb.index.sorting import sort_keys, sort_positions
from weftdb.index.targets import certainty_of, combine_distances, distance_of

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).resolve().parents[4] / "shared"))
SCENARIOS = SHARED / "conformance" / "scenarios"
needs_recordings = pytest.mark.skipif(
    not SCENARIOS.exists(), reason="the recordings (WEFTDB_SHARED) are not here"
)


def steps_of(subject: str, scenario: str) -> list[dict[str, Any]]:
    """The steps of one recorded scenario."""
    found: list[dict[str, Any]] = []
    current = ""
    for line in (SCENARIOS / f"{subject}.jsonl").read_text().splitlines():
        step = json.loads(line)
        if "scenario" in step:
            current = step["scenario"]
        elif current == f"{subject}/{scenario}":
            found.append(step)
    assert found, (subject, scenario)
    return found


def number_of(object_id: str) -> DocId:
    return DocId(int(object_id[-12:]))


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def loaded(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (load,) = [step for step in steps if step["request"].get("path") == "/batch/objects"]
    objects: list[dict[str, Any]] = load["request"]["body"]["objects"]
    return objects


def answered(step: dict[str, Any], key: str) -> list[tuple[int, float]]:
    """(object number, score or distance) of a recorded answer; a zero is not on the wire."""
    return [
        (number_of(hit["metadata"]["id"]), hit["metadata"].get(key, 0.0))
        for hit in step["response"]["reply"].get("results", [])
    ]


# --- fusion --------------------------------------------------------------------------------------

# "brown fox" over the recorded articles: the originals of all three hits are in the recordings.
KEYWORD = Leg(KEYWORD_LEG, 0.5, [DocId(2), DocId(1), DocId(5)], [1.6641688, 1.3994783, 0.95272386])


def vector_leg(weight: float, query: list[float], objects: list[dict[str, Any]]) -> Leg:
    target = np.array(query) / np.linalg.norm(query)
    near = []
    for item in objects:
        row = np.array(item["vector"]) / np.linalg.norm(item["vector"])
        near.append((float(target @ row), number_of(item["id"])))
    near.sort(reverse=True)
    return Leg(VECTOR_LEG, weight, [doc for _, doc in near], [value for value, _ in near])


@needs_recordings
@pytest.mark.parametrize("scenario", ["alpha", "explain"])
def test_fusion_gives_the_recorded_scores_and_explanations(scenario: str) -> None:
    steps = steps_of("search-hybrid", scenario)
    compared = 0
    for step in steps:
        search = step["request"].get("message", {}).get("hybrid_search")
        if search is None:
            continue
        fallback = 0.75 if search.get("use_alpha_param") else search.get("alpha", 0.0)
        alpha = search.get("alpha_param", fallback)
        method = (
            Fusion.RANKED if "RANKED" in search.get("fusion_type", "") else Fusion.RELATIVE_SCORE
        )
        legs = []
        if alpha > 0:
            legs.append(vector_leg(alpha, search["vectors"][0]["vector_bytes"], loaded(steps)))
        if alpha < 1:
            legs.append(Leg(KEYWORD_LEG, 1 - alpha, KEYWORD.doc_ids, KEYWORD.values))
        fused = fuse(method, legs, lambda doc: uuid_of(doc).encode())
        wanted = answered(step, "score")
        assert [doc.doc_id for doc in fused][: len(wanted)] == [doc for doc, _ in wanted]
        for doc, hit in zip(fused, step["response"]["reply"]["results"], strict=False):
            assert doc.score == pytest.approx(hit["metadata"].get("score", 0.0), rel=1e-5, abs=1e-6)
            text = hit["metadata"].get("explain_score")
            if text is not None:
                same_explanation(explain(method, doc, uuid_of(doc.doc_id)), text)
        compared += 1
    assert compared >= 4


NUMBER = re.compile(r"(?<=score )-?[\d.e-]+|(?<=score: )-?[\d.e-]+|(?<=contributed )-?[\d.e-]+")


def same_explanation(ours: str, recorded: str) -> None:
    """Compare the parts in any order, numbers within 1e-5."""

    def parts(text: str) -> list[str]:
        return sorted(part.removesuffix(" - ") for part in text.split("\n") if part)

    for left, right in zip(parts(ours), parts(recorded), strict=True):
        assert NUMBER.sub("#", left) == NUMBER.sub("#", right)
        for a, b in zip(NUMBER.findall(left), NUMBER.findall(right), strict=True):
            assert float(a) == pytest.approx(float(b), rel=1e-5, abs=1e-6)


def test_ties_go_by_value_then_by_id() -> None:
    first = Leg("a", 0.5, [DocId(3), DocId(1)], [0.9, 0.9])
    second = Leg("b", 0.5, [DocId(7), DocId(4)], [2.0, 2.0])
    fused = fuse(Fusion.RELATIVE_SCORE, [first, second], lambda doc: bytes([doc]))
    assert [doc.doc_id for doc in fused] == [4, 7, 1, 3]
    assert {doc.score for doc in fused} == {0.5}


def test_empty_legs_give_nothing() -> None:
    empty = Leg("a", 1.0, [], [])
    for method in Fusion:
        assert fuse(method, [empty, empty], lambda doc: b"") == []


@pytest.mark.parametrize(
    ("score", "text"),
    [(0, "0"), (1.0, "1"), (0.5, "0.5"), (0.016530056, "0.016530056"), (1e-5, "1e-05")],
)
def test_scores_are_written_as_float32(score: float, text: str) -> None:
    assert format_score(score) == text


# --- autocut -------------------------------------------------------------------------------------


@needs_recordings
def test_autocut_keeps_what_was_recorded() -> None:
    steps = steps_of("search-vector", "autocut")
    distances = sorted(sum(x * x for x in item["vector"]) for item in loaded(steps))
    compared = 0
    for step in steps:
        message = step["request"].get("message", {})
        if "autocut" in message:
            cut = autocut(distances[: message.get("limit", 25)], message["autocut"])
            assert cut == len(step["response"]["reply"]["results"]), step["intent"]
            compared += 1
    assert compared == 5


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0], [3.0, 2.0], [0.0, 1.0, 2.0]])
def test_without_a_jump_everything_stays(values: list[float]) -> None:
    assert autocut(values, 1) == len(values)


# --- MMR -----------------------------------------------------------------------------------------


@needs_recordings
def test_mmr_chooses_what_was_recorded() -> None:
    steps = steps_of("search-vector", "mmr")
    rows = np.array([item["vector"] for item in loaded(steps)])
    compared = 0
    for step in steps:
        near = step["request"].get("message", {}).get("near_vector")
        if near is None or step["response"]["code"] != "OK":
            continue
        away = ((rows - np.array(near["vectors"][0]["vector_bytes"])) ** 2).sum(axis=1)
        order = np.argsort(away)
        ranked = rows[order]
        between = ((ranked[:, None] - ranked[None]) ** 2).sum(axis=2)
        mmr = near["selection"]["mmr"]
        chosen = diversify(away[order].tolist(), between, mmr["limit"], mmr["balance"])
        wanted = [number_of(hit["metadata"]["id"]) for hit in step["response"]["reply"]["results"]]
        assert [int(order[at]) + 1 for at in chosen] == wanted
        compared += 1
    assert compared == 3


def test_mmr_of_little_gives_all_there_is() -> None:
    assert diversify([], np.zeros((0, 0)), 3) == []
    assert diversify([0.1, 0.2], np.ones((2, 2)), 5) == [0, 1]


# --- targets -------------------------------------------------------------------------------------

COMBINATIONS = {
    "TYPE_SUM": Combination.SUM,
    "TYPE_MIN": Combination.MINIMUM,
    "TYPE_AVERAGE": Combination.AVERAGE,
    "TYPE_MANUAL": Combination.MANUAL,
    "TYPE_RELATIVE_SCORE": Combination.RELATIVE_SCORE,
}


@needs_recordings
def test_joined_targets_have_the_recorded_distances() -> None:
    steps = steps_of("search-targets", "combinations")
    objects = loaded(steps)
    compared = 0
    for step in steps:
        message = step["request"].get("message", {})
        near = message.get("near_vector", {})
        is_simple = step["match"] == "exact" and not {"limit", "filters"} & message.keys()
        if not is_simple or "targets" not in near or {"distance", "certainty"} & near.keys():
            continue
        queries = query_vectors(near)
        if queries is None:
            continue
        targets = near["targets"]
        matrix = np.array(
            [[distance(query, item, name) for item in objects] for name, query in queries]
        )
        given = targets.get("weights_for_targets", [])
        weights = [item["weight"] for item in given] or [1.0] * len(queries)
        name = targets.get("combination", "COMBINATION_METHOD_TYPE_MIN")
        joined = combine_distances(
            COMBINATIONS[name.removeprefix("COMBINATION_METHOD_")], matrix, weights
        )
        wanted = answered(step, "distance")
        found = {number_of(item["id"]): d for item, d in zip(objects, joined, strict=True)}
        for number, away in wanted:
            assert found[DocId(number)] == pytest.approx(away, rel=1e-5, abs=1e-6), step["intent"]
        left = {number for number, away in found.items() if not math.isnan(away)}
        assert left == {number for number, _ in wanted}, step["intent"]
        compared += 1
    assert compared >= 7


def query_vectors(near: dict[str, Any]) -> list[tuple[str, list[float]]] | None:
    queries: list[tuple[str, list[float]]] = []
    for item in near.get("vector_for_targets", []):
        if not item.get("vectors"):
            return None
        for vector in item["vectors"]:
            rows = vector["vector_bytes"]
            queries.extend(
                (item["name"], row) for row in (rows if isinstance(rows[0], list) else [rows])
            )
    names = near["targets"]["target_vectors"]
    return queries if [name for name, _ in queries] == names else None


def distance(query: list[float], item: dict[str, Any], name: str) -> float:
    vector = item["vectors"].get(name)
    return math.nan if vector is None else math.dist(query, vector) ** 2


def test_one_value_for_all_is_the_best_of_a_relative_score() -> None:
    joined = combine_distances(Combination.RELATIVE_SCORE, np.array([[2.0, 2.0]]), [1.0])
    assert joined.tolist() == [0.0, 0.0]
    nobody = combine_distances(
        Combination.RELATIVE_SCORE, np.array([[np.nan, 1.0], [1.0, np.nan]]), [1.0, 1.0]
    )
    assert np.isnan(nobody).all()


def test_certainty_and_distance_undo_each_other() -> None:
    assert certainty_of(0.0) == 1.0
    assert distance_of(certainty_of(0.7)) == pytest.approx(0.7)


# --- sorting -------------------------------------------------------------------------------------


@needs_recordings
@pytest.mark.parametrize("scenario", ["sort", "sort-arrays"])
def test_sorting_gives_the_recorded_order(scenario: str) -> None:
    steps = steps_of("search-fetch", scenario)
    collection = parse_collection(steps[0]["request"]["body"])
    objects = sorted(loaded(steps), key=lambda item: str(item["id"]))
    compared = 0
    for step in steps:
        message = step["request"].get("message", {})
        if "sort_by" not in message or {"limit", "filters"} & message.keys():
            continue
        sorts = [Sort(tuple(s["path"]), s["ascending"]) for s in message["sort_by"]]
        if step["response"]["code"] != "OK":
            is_search = {"near_vector", "bm25_search"} & message.keys()
            if not is_search:
                with pytest.raises((SchemaViolation, Unsupported), match="sort parameter"):
                    sort_keys(sorts, collection)
            continue
        keys = sort_keys(sorts, collection)
        columns = [
            [
                item["id"] if key.name == "_id" else item["properties"].get(key.name)
                for item in objects
            ]
            for key in keys
        ]
        order = sort_positions(keys, columns)
        wanted = [hit["metadata"]["id"] for hit in step["response"]["reply"]["results"]]
        assert [objects[at]["id"] for at in order] == wanted, step["intent"]
        compared += 1
    assert compared >= 6


def value_of(item: dict[str, Any], name: str) -> Any:
    return item["id"] if name == "_id" else item["properties"].get(name)


def test_sorting_through_a_reference_is_refused() -> None:
    collection = parse_collection({"class": "City"})
    with pytest.raises(Unsupported, match="reference"):
        sort_keys([Sort(("by", "Author", "name"))], collection)
    assert sort_positions((), ()) == []
