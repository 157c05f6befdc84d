"""Replays the recorded keyword searches of a real server against plan, index and scores."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyroaring import BitMap

from weftdb.core.definition.collection import parse_collection
from weftdb.core.errors import RequestError
from weftdb.core.query import Keyword, TermOperator
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, ShardId
from weftdb.index.allow_list import AllowList
from weftdb.index.analysis import CollectionAnalysis, Entry
from weftdb.index.bm25 import plan_keyword
from weftdb.index.inverted.delta import DeltaWriter
from weftdb.index.inverted.inverted_index import InvertedIndex, TermCache
from weftdb.index.live_docs import LiveDocs
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.segments import StoredSegments

SHARED = Path(os.environ.get("WEFTDB_SHARED", Path(__file__).resolve().parents[5] / "shared"))
RECORDED = SHARED / "conformance" / "scenarios" / "search-bm25.jsonl"
OPERATORS = {"OPERATOR_AND": TermOperator.AND, "OPERATOR_AND_CROSS": TermOperator.AND_CROSS}


class KeywordShard:
    """One collection whose texts are in an inverted index, sealed after every object or never.

    As the recorded server does, lengths of deleted objects stay in the means.
    """

    def __init__(self, collection: Collection, *, seals: bool) -> None:
        self.collection = collection
        self.seals = seals
        self.store = MemoryStore()
        self.stored = {
            family: StoredSegments(self.store, ShardId(1), family)
            for family in (Family.FILTERABLE, Family.SEARCHABLE)
        }
        self.index = InvertedIndex(*self.stored.values(), TermCache(1 << 20))
        self.ids: list[uuid.UUID] = []
        self.docs: dict[uuid.UUID, tuple[DocId, dict[str, Any]]] = {}
        self.sums: dict[str, tuple[int, int]] = {}

    def put(self, object_id: uuid.UUID, properties: dict[str, Any]) -> None:
        doc_id = DocId(len(self.ids))
        self.ids.append(object_id)
        self.docs[object_id] = (doc_id, properties)
        writer = DeltaWriter()
        entry = Entry(doc_id, properties, 0, 0)
        lengths = CollectionAnalysis(self.collection).write([entry], writer)
        for name, (length,) in lengths.items():
            if properties.get(name) is not None:
                docs, terms = self.sums.get(name, (0, 0))
                self.sums[name] = (docs + 1, terms + int(length))
        self.index.publish(writer.finish(doc_id))
        if self.seals:
            self._seal()

    def _seal(self) -> None:
        for side, stored in zip(self.index.sides, self.stored.values(), strict=True):
            change = side.prepare_change(self.live(), force_seal=True)
            if change is None:
                continue
            batch = WriteBatch()
            stored.put_change(
                batch,
                segment=change.segment,
                blocks=change.blocks,
                deltas_gone=change.deltas,
                segments_gone=change.segments_gone,
                manifest=change.manifest,
            )
            self.store.write(batch)
            side.install(change)

    def live(self) -> LiveDocs:
        return LiveDocs(BitMap([doc_id for doc_id, _ in self.docs.values()]), len(self.ids))

    def search(
        self, message: dict[str, Any], allow: AllowList | None
    ) -> list[tuple[str, float, str]]:
        wire = message["bm25_search"]
        properties = []
        for item in wire["properties"]:
            name, _, boost = item.partition("^")
            properties.append((name[:1].lower() + name[1:], float(boost or 1)))
        operator = wire.get("search_operator", {})
        keyword = Keyword(
            wire["query"],
            tuple(properties),
            OPERATORS.get(operator.get("operator"), TermOperator.OR),
            operator.get("minimum_or_tokens_match", 1),
        )
        inverted = self.collection.inverted
        found = self.index.search(
            plan_keyword(keyword, self.collection),
            message.get("limit", 25) + message.get("offset", 0),
            live=self.live(),
            mean_lengths={name: terms / docs for name, (docs, terms) in self.sums.items()},
            k1=inverted.k1,
            b=inverted.b,
            allow=allow,
            explain=True,
        )
        hits = [
            (str(self.ids[doc]), float(score), text)
            for doc, score, text in zip(
                found.doc_ids.tolist(), found.scores, found.explanations, strict=True
            )
        ]
        hits.sort(key=lambda hit: (-hit[1], hit[0]))
        start = message.get("offset", 0)
        return hits[start : start + message.get("limit", 25)]

    def allowed(self, filters: dict[str, Any] | None) -> AllowList | None:
        if filters is None:
            return None
        name = filters["target"]["property"]
        keep = {
            "OPERATOR_EQUAL": lambda value: filters.get("value_text") in value,
            "OPERATOR_GREATER_THAN": lambda value: value > filters["value_int"],
        }[filters["operator"]]
        return AllowList(
            BitMap(
                [doc for doc, properties in self.docs.values() if keep(properties.get(name, ""))]
            )
        )


def scenarios() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if not RECORDED.exists():
        return
    steps: list[dict[str, Any]] = []
    for line in RECORDED.read_text().splitlines():
        item = json.loads(line)
        if "scenario" in item:
            steps = []
            yield item["scenario"], steps
        else:
            steps.append(item)


@pytest.mark.parametrize("seals", [False, True], ids=["deltas", "sealed"])
@pytest.mark.parametrize(("name", "steps"), list(scenarios()), ids=lambda value: str(value)[:40])
def test_scores_are_those_recorded(name: str, steps: list[dict[str, Any]], *, seals: bool) -> None:
    shard: KeywordShard | None = None
    checked = 0
    for step in steps:
        request = step["request"]
        if "rpc" in request:
            assert shard is not None
            checked += check_search(shard, step)
        elif request["path"] == "/schema":
            shard = KeywordShard(parse_collection(request["body"]), seals=seals)
        elif request["path"] == "/batch/objects":
            assert shard is not None
            for item in request["body"]["objects"]:
                shard.put(uuid.UUID(item["id"]), item["properties"])
        elif request["path"].startswith("/objects/"):
            assert shard is not None
            change_object(shard, request)
        elif request["method"] == "PUT":
            assert shard is not None
            shard.collection = parse_collection(request["body"])
    assert checked > 0, f"{name} was not checked"


def change_object(shard: KeywordShard, request: dict[str, Any]) -> None:
    object_id = uuid.UUID(request["path"].rsplit("/", 1)[1])
    if request["method"] == "DELETE":
        del shard.docs[object_id]
    else:
        shard.put(object_id, request["body"]["properties"])


def check_search(shard: KeywordShard, step: dict[str, Any]) -> int:
    message, response = step["request"]["message"], step["response"]
    if response["code"] != "OK":
        if message["bm25_search"]["query"]:
            with pytest.raises(RequestError) as error:
                shard.search(message, None)
            assert response["message"] in str(error.value)
        return 0
    if "autocut" in message:
        return 0
    hits = shard.search(message, shard.allowed(message.get("filters")))
    recorded = response["reply"].get("results", [])
    assert [hit[0] for hit in hits] == [item["metadata"]["id"] for item in recorded], step["intent"]
    for hit, item in zip(hits, recorded, strict=True):
        metadata = item["metadata"]
        if "score" in metadata:
            assert math.isclose(hit[1], metadata["score"], rel_tol=2e-6), step["intent"]
        if "explain_score" in metadata:
            assert hit[2] == metadata["explain_score"], step["intent"]
    return 1


def test_the_recordings_are_there() -> None:
    if not RECORDED.exists():
        pytest.skip(f"no recordings at {RECORDED}; set WEFTDB_SHARED")
    assert len(list(scenarios())) >= 9
