"""Replays the recorded filters of a real server against the evaluator, on plain dicts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyroaring import BitMap

from weftdb.core.definition.collection import parse_collection
from weftdb.core.errors import RequestError
from weftdb.core.query import (
    And,
    Aspect,
    Comparison,
    Filter,
    GeoRange,
    Not,
    Operator,
    Or,
    ValueKind,
)
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ObjectId, format_object_id, parse_object_id
from weftdb.index.analysis import CollectionAnalysis, Entry
from weftdb.index.filter_plan import FilterReaders
from weftdb.index.filters import evaluate
from weftdb.index.memory_fields import MemoryFields

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).resolve().parents[4] / "shared"))
RECORDED = SHARED / "conformance" / "scenarios" / "filters.jsonl"
LATER = {"references"}
"""Scenarios of features that come with a later issue."""

KINDS = {
    "value_text": ValueKind.TEXT,
    "value_int": ValueKind.INT,
    "value_number": ValueKind.NUMBER,
    "value_boolean": ValueKind.BOOLEAN,
}


class MemoryShard:
    """One collection whose objects live in dicts."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.analysis = CollectionAnalysis(collection)
        self.fields = MemoryFields()
        self.live = BitMap()
        self.docs: dict[ObjectId, tuple[DocId, dict[str, Any]]] = {}
        self.ids: dict[DocId, ObjectId] = {}

    def put(self, object_id: ObjectId, properties: dict[str, Any]) -> None:
        self.delete(object_id)
        doc_id = DocId(len(self.ids))
        self.ids[doc_id] = object_id
        self.docs[object_id] = (doc_id, properties)
        self.live.add(doc_id)
        now_ms = 1_790_000_000_000
        self.analysis.write([Entry(doc_id, properties, now_ms, now_ms)], self.fields)

    def delete(self, object_id: ObjectId) -> None:
        if object_id in self.docs:
            self.live.remove(self.docs.pop(object_id)[0])

    def doc_ids_of(self, ids: Any) -> list[DocId | None]:
        return [self.docs[item][0] if item in self.docs else None for item in ids]

    def scan_ids(self, start: ObjectId) -> Iterator[tuple[ObjectId, DocId]]:
        for object_id in sorted(self.docs):
            if object_id >= start:
                yield object_id, self.docs[object_id][0]

    def select(self, condition: Filter) -> set[str]:
        fields = self.fields
        readers = FilterReaders(fields.filterable, fields.searchable, self, self.live)
        found = evaluate(condition, self.collection, readers)
        return {format_object_id(self.ids[DocId(doc_id)]) for doc_id in found}


def to_filter(message: dict[str, Any]) -> Filter:
    name = message["operator"].removeprefix("OPERATOR_")
    if name in ("AND", "OR", "NOT"):
        operands = tuple(to_filter(item) for item in message["filters"])
        return Not(operands[0]) if name == "NOT" else (And if name == "AND" else Or)(operands)
    path = message["on"][0] if "on" in message else message["target"]["property"]
    aspect = Aspect.VALUE
    if path.startswith("len("):
        path, aspect = path[4:-1], Aspect.LENGTH
    operator = Operator["WITHIN_GEO_RANGE" if "GEO" in name else name]
    if "value_geo" in message:
        geo = message["value_geo"]
        circle = GeoRange(geo["latitude"], geo["longitude"], geo["distance"])
        return Comparison(operator, (path,), circle, ValueKind.GEO, aspect)
    (key,) = [key for key in message if key.startswith("value_")]
    value = message[key]
    if key.endswith("_array"):
        value = tuple(value.get("values", ()))
    return Comparison(operator, (path,), value, KINDS[key.removesuffix("_array")], aspect)


def scenarios() -> dict[str, list[dict[str, Any]]]:
    if not RECORDED.exists():
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for line in RECORDED.read_text().splitlines():
        step = json.loads(line)
        if "scenario" in step:
            current = found.setdefault(step["scenario"].partition("/")[2], [])
        else:
            current.append(step)
    return {name: steps for name, steps in found.items() if name not in LATER}


def is_ours(step: dict[str, Any]) -> bool:
    """Whether the step can be answered without the wire and the rest of a search."""
    message = step["request"].get("message", {})
    answers = ("near_vector", "bm25_search", "limit")
    if "filters" not in message or any(key in message for key in answers):
        return False
    of_the_wire = ("no operator", "no value", "no target", "and of none", "not of two")
    return step["intent"] not in of_the_wire


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings (WEFTDB_SHARED) are not here")
@pytest.mark.parametrize("name", sorted(scenarios()) or ["missing"])
def test_recorded_filters_select_the_same_objects(name: str) -> None:
    wrong = []
    shard: MemoryShard | None = None
    compared = 0
    for step in scenarios()[name]:
        request = step["request"]
        path, body = request.get("path", ""), request.get("body")
        if path == "/schema" and request["method"] == "POST":
            shard = MemoryShard(parse_collection(body))
        elif path == "/batch/objects":
            assert shard is not None
            for item in body["objects"]:
                shard.put(parse_object_id(item["id"]), item["properties"])
        elif path.startswith("/objects/"):
            assert shard is not None
            object_id = parse_object_id(path.rpartition("/")[2])
            if request["method"] == "DELETE":
                shard.delete(object_id)
            else:
                old = shard.docs[object_id][1]
                shard.put(object_id, {**old, **body["properties"]})
        elif is_ours(step):
            assert shard is not None
            compared += 1
            problem = difference(shard, step)
            if problem:
                wrong.append(f"{step['id']} {step['intent']}: {problem}")
    assert compared > 0
    assert not wrong, "\n".join(wrong)


def difference(shard: MemoryShard, step: dict[str, Any]) -> str | None:
    response = step["response"]
    try:
        found = shard.select(to_filter(step["request"]["message"]["filters"]))
    except RequestError as error:
        if response["code"] == "OK":
            return f"refused: {error}"
        if step.get("phrase", "").lower() not in str(error).lower():
            return f"{error} does not say {step['phrase']}"
        return None
    if response["code"] != "OK":
        return f"answered, but {response['message']}"
    wanted = {item["metadata"]["id"] for item in response["reply"].get("results", [])}
    return None if found == wanted else f"found {sorted(found)}, not {sorted(wanted)}"
