"""Reads beside writes: an object that moves is found exactly once, whole, in one of its states."""

from __future__ import annotations

import threading

import numpy as np

from tests.unit.engine.samples import draft, uid
from weftdb.core.query import Comparison, Keyword, NearVector, Operator, Search, Target, ValueKind
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.storage.object_codec import decode_object

OBJECTS = 20
ROUNDS = 60
_COMMON = Comparison(Operator.EQUAL, ("title",), "common", ValueKind.TEXT)


def test_readers_see_every_object_once_and_whole(docs: LocalCollection) -> None:
    docs.put([draft(n, f"common state0 own{n}", [0.0, 1.0]) for n in range(1, OBJECTS + 1)])
    stop = threading.Event()
    found: list[str] = []

    def rewrite() -> None:
        for state in range(1, ROUNDS + 1):
            title = f"common state{state}"
            vector = [0.0, float(state + 1)]
            docs.put([draft(n, f"{title} own{n}", vector) for n in range(1, OBJECTS + 1)])
        stop.set()

    near = _near([0.0, 1.0])
    queries = {
        "vector": Search("Doc", near=near, limit=OBJECTS * 2),
        "keyword": Search("Doc", keyword=Keyword("common"), limit=OBJECTS * 2),
        "list": Search("Doc", limit=OBJECTS * 2),
        "filtered vector": Search("Doc", near=near, filter=_COMMON, limit=OBJECTS * 2),
        "filtered list": Search("Doc", filter=_COMMON, limit=OBJECTS * 2),
    }

    def look() -> None:
        while not stop.is_set():
            for name, query in queries.items():
                objects = [decode_object(value) for value in docs.search(query).stored]
                ids = sorted(item.id for item in objects)
                if ids != [uid(n) for n in range(1, OBJECTS + 1)]:
                    docs_found = sorted(item.doc_id for item in objects)
                    found.append(f"{name}: {len(set(ids))} different, docs {docs_found}")

    threads = [threading.Thread(target=rewrite), *[threading.Thread(target=look) for _ in range(2)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert stop.is_set()
    assert found == []


def test_an_object_is_never_missing_while_it_is_replaced(docs: LocalCollection) -> None:
    docs.put([draft(1, "here")])
    stop = threading.Event()
    misses: list[int] = []

    def look() -> None:
        while not stop.is_set():
            if docs.get(uid(1)) is None:
                misses.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for round_ in range(300):
        docs.put([draft(1, f"here {round_}")])
    stop.set()
    reader.join(60)
    assert misses == []


def test_concurrent_writers_all_land(docs: LocalCollection) -> None:
    def write(worker: int) -> None:
        for n in range(50):
            assert docs.put([draft(worker * 1000 + n, "w", [1.0, float(n)])]) == [None]

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert docs.count() == 200
    assert len(docs.search(Search("Doc", keyword=Keyword("w"), limit=300)).stored) == 200


def test_concurrent_merges_of_one_object_lose_nothing(docs: LocalCollection) -> None:
    docs.put([draft(1, "start")])

    def merge(name: str) -> None:
        for n in range(30):
            docs.merge(uid(1), {name: f"{name} {n}" if name == "title" else n}, {})

    threads = [threading.Thread(target=merge, args=(name,)) for name in ("title", "size")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    last = docs.get(uid(1))
    assert last is not None
    assert last.properties == {"title": "title 29", "size": 29}


def _near(vector: list[float]) -> NearVector:
    return NearVector((Target(UNNAMED, np.array(vector, dtype=np.float32)),))
