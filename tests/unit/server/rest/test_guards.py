"""What a guard refuses, as REST clients see it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from weftdb.core.config import ResourcesConfig
from weftdb.core.env import ManualClock
from weftdb.core.machine import DiskUse
from weftdb.engine.disk_guard import DiskGuard
from weftdb.engine.memory_accountant import Consumption, MemoryAccountant
from weftdb.server.rest.context import RestContext

BOOK = {"class": "Book", "properties": {"title": "warp"}, "vector": [1.0, 2.0]}


@pytest.fixture
def books(client: TestClient) -> TestClient:
    assert client.post("/schema", json={"class": "Book"}).status_code == 200
    return client


@pytest.fixture
def no_memory(context: RestContext) -> None:
    context.database.admission.memory = MemoryAccountant(
        ResourcesConfig(memory_budget_bytes=1), ManualClock(), lambda: Consumption({})
    )


@pytest.fixture
def no_disk(context: RestContext) -> None:
    config, clock = ResourcesConfig(), ManualClock()
    guard = DiskGuard(Path(), config, clock, lambda _path: DiskUse(97, 3))
    context.database.admission.disk = guard


@pytest.mark.usefixtures("no_memory")
def test_no_memory(books: TestClient) -> None:
    for path, body in (("/objects", BOOK), ("/batch/objects", {"objects": [BOOK, BOOK]})):
        reply = books.post(path, json=body)
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert "not enough memory" in reply.json()["error"][0]["message"]
    assert books.get("/objects").json()["objects"] == []
    assert books.get("/schema/Book/shards").json()[0]["status"] == "READY"


@pytest.mark.usefixtures("no_disk")
def test_no_disk(books: TestClient) -> None:
    reply = books.post("/batch/objects", json={"objects": [BOOK]})
    assert reply.status_code == 507
    assert int(reply.headers["retry-after"]) > 0
    assert "store is read-only due to: disk usage too high" in reply.json()["error"][0]["message"]
    shard = books.get("/schema/Book/shards").json()[0]
    assert (shard["status"], set(shard["per_node_status"].values())) == ("READONLY", {"READONLY"})
    node = books.get("/nodes?output=verbose").json()["nodes"][0]
    assert node["shards"][0]["vectorIndexingStatus"] == "READONLY"
    assert node["operationalMode"] == "ReadWrite"


def test_the_first_collection_of_a_batch_went_in(books: TestClient, context: RestContext) -> None:
    assert books.post("/schema", json={"class": "Film"}).status_code == 200
    memory = context.database.admission.memory
    limits = iter([10**12, 0, 0])

    class Shrinking(MemoryAccountant):
        def _in_use(self) -> int:
            self.budget_bytes = next(limits)
            return 1

    config = dataclasses.replace(context.config.resources, memory_budget_bytes=1)
    context.database.admission.memory = Shrinking(config, ManualClock(), memory.consumption)
    film = {"class": "Film", "properties": {"title": "weft"}}
    results = books.post("/batch/objects", json={"objects": [BOOK, film]}).json()
    assert [item["result"]["status"] for item in results] == ["SUCCESS", "FAILED"]


def test_the_node_tells_its_load(books: TestClient) -> None:
    books.post("/batch/objects", json={"objects": [BOOK] * 20})
    stats = books.get("/nodes").json()["nodes"][0]["batchStats"]
    assert stats == {"queueLength": 0, "ratePerSecond": 4}


def test_a_shard_that_is_set_read_only(books: TestClient) -> None:
    assert books.post("/objects", json=BOOK).status_code == 200
    name = books.get("/schema/Book/shards").json()[0]["name"]
    path = f"/schema/Book/shards/{name}"
    for _ in range(2):
        assert books.put(path, json={"status": "READONLY"}).json() == {"status": "READONLY"}
    shard = books.get("/schema/Book/shards").json()[0]
    assert (shard["status"], set(shard["per_node_status"].values())) == ("READONLY", {"READONLY"})
    node = books.get("/nodes?output=verbose").json()["nodes"][0]
    assert node["shards"][0]["vectorIndexingStatus"] == "READONLY"
    book = {**BOOK, "id": books.get("/objects").json()["objects"][0]["id"]}
    object_path = f"/objects/Book/{book['id']}"
    match = {"class": "Book", "where": {"path": ["id"], "operator": "Like", "valueText": "*"}}
    for reply in (
        books.post("/objects", json=BOOK),
        books.put(object_path, json=book),
        books.patch(object_path, json=book),
        books.delete(object_path),
    ):
        assert reply.status_code == 500
        assert "store is read-only due to: manually set" in reply.json()["error"][0]["message"]
    dry = books.request("DELETE", "/batch/objects", json={"match": match, "dryRun": True})
    assert dry.status_code == 200
    assert books.get(object_path).status_code == 200
    assert books.put(path, json={"status": "READY"}).json() == {"status": "READY"}
    assert books.delete(object_path).status_code == 204
