"""The consistency level of a request reaches the collection, through both doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.unit.server.served import NotedCollection, Notes
from weftdb.core.config import Config
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import InvalidRequest
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.serving import ServedCollection
from weftdb.modules.registry import Registry
from weftdb.proto.v1 import batch_delete_pb2, batch_pb2, search_pb2
from weftdb.server.grpc.connection import Call
from weftdb.server.grpc.service import Service
from weftdb.server.rest.app import make_app
from weftdb.server.rest.context import RestContext
from weftdb.server.search_driver import SearchDriver
from weftdb.storage.memory import MemoryStore

CALL = Call(lambda _name: "")
ID = "00000000-0000-4000-8000-000000000001"
ALL, ONE, QUORUM = ConsistencyLevel.ALL, ConsistencyLevel.ONE, ConsistencyLevel.QUORUM
BAD = 9


class Doors:
    """Both doors of one database, and what came through."""

    def __init__(self, path: Path) -> None:
        config, modules, env = Config(), Registry(), Env(ManualClock())
        self.database = Database(path, MemoryStore(), config=config, vectorizers=modules, env=env)
        self.notes: Notes = []
        self.reads_elsewhere = False
        self.catalogue = Catalogue(self.database, config.schema, modules, env)
        self.catalogue.serve = self._noted
        title = {"name": "title", "dataType": ["text"]}
        self.catalogue.create({"class": "Book", "vectorizer": "none", "properties": [title]})
        self.context = RestContext(self.database, self.catalogue, modules, config, env)

    def _noted(self, local: LocalCollection) -> ServedCollection:
        noted = NotedCollection(local, self.notes, reads_elsewhere=self.reads_elsewhere)
        return cast("ServedCollection", noted)

    def noted(self) -> Notes:
        """What came since the last time."""
        found = list(self.notes)
        self.notes.clear()
        return found


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    made = Doors(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def client(doors: Doors) -> Iterator[TestClient]:
    with TestClient(make_app(doors.context), base_url="http://node/v1") as client:
        yield client


def book() -> dict[str, object]:
    return {"class": "Book", "id": ID, "properties": {"title": "x"}, "vector": [1, 0]}


def test_through_rest(doors: Doors, client: TestClient) -> None:
    path = f"/objects/Book/{ID}"
    assert client.post("/objects?consistency_level=ALL", json=book()).status_code == 200
    assert ("put", ALL) in doors.noted()
    assert client.put(f"{path}?consistency_level=ONE", json=book()).status_code == 200
    assert ("put", ONE) in doors.noted()
    assert client.patch(f"{path}?consistency_level=ALL", json=book()).status_code == 204
    assert doors.noted() == [("exists", ALL), ("merge", ALL)]
    assert client.get(f"{path}?consistency_level=ONE").status_code == 200
    assert client.head(f"{path}?consistency_level=ALL").status_code == 204
    assert client.get(f"/objects/{ID}?consistency_level=ALL").status_code == 200
    assert doors.noted() == [("get", ONE), ("exists", ALL), ("exists", ALL), ("get", ALL)]
    batch = {"objects": [book()]}
    assert client.post("/batch/objects?consistency_level=ALL", json=batch).status_code == 200
    assert ("put", ALL) in doors.noted()
    assert client.delete(f"{path}?consistency_level=ALL").status_code == 204
    assert client.delete(f"{path}").status_code == 204
    assert doors.noted() == [("delete", ALL), ("delete", None)]
    where = {"path": ["title"], "operator": "Equal", "valueText": "x"}
    body = {"match": {"class": "Book", "where": where}}
    reply = client.request("DELETE", "/batch/objects?consistency_level=ONE", json=body)
    assert reply.status_code == 200
    assert doors.noted() == [("delete_where", ONE)]
    assert client.get(f"{path}?consistency_level=one").status_code == 400
    assert doors.noted() == []


def test_what_lies_elsewhere_is_not_read_back(doors: Doors, client: TestClient) -> None:
    doors.reads_elsewhere = True
    reply = client.post("/objects", json=book()).json()
    assert reply["properties"] == {"title": "x"}
    assert reply["vector"] == [1, 0]
    assert reply["creationTimeUnix"] == reply["lastUpdateTimeUnix"] > 0
    assert client.post("/batch/objects", json={"objects": [book()]}).status_code == 200
    assert doors.noted() == [("put", None), ("put", None)]


def test_lists_give_vectors_from_the_same_read(doors: Doors, client: TestClient) -> None:
    client.post("/objects", json=book())
    doors.noted()
    (found,) = client.get("/objects?class=Book&include=vector").json()["objects"]
    assert found["vector"] == [1, 0]
    (found,) = client.get("/objects?class=Book").json()["objects"]
    assert "vector" not in found
    assert doors.noted() == [("search", None), ("search", None)]


async def _stream(level: int) -> AsyncIterator[bytes]:
    request = batch_pb2.BatchStreamRequest
    wire = batch_pb2.BatchObject(collection="Book", uuid=ID)
    start = request.Start()
    start.consistency_level = level  # type: ignore[assignment]  # also what is none
    yield request(start=start).SerializeToString()
    objects = request.Data.Objects(values=[wire])
    yield request(data=request.Data(objects=objects)).SerializeToString()
    yield request(stop=request.Stop()).SerializeToString()


async def _all(service: Service, level: int) -> None:
    async for _ in service.batch_stream(_stream(level), CALL):
        pass


def test_through_grpc(doors: Doors) -> None:
    wire = batch_pb2.BatchObject(collection="Book", uuid=ID)
    search = search_pb2.SearchRequest(
        collection="Book", limit=3, consistency_level="CONSISTENCY_LEVEL_ALL"
    )
    search.near_vector.vector_bytes = np.ones(2, dtype=np.float32).tobytes()
    write = batch_pb2.BatchObjectsRequest(objects=[wire], consistency_level="CONSISTENCY_LEVEL_ONE")
    delete = batch_delete_pb2.BatchDeleteRequest(
        collection="Book", consistency_level="CONSISTENCY_LEVEL_QUORUM"
    )
    delete.filters.operator = delete.filters.OPERATOR_EQUAL
    delete.filters.target.property = "title"
    delete.filters.value_text = "x"

    async def main() -> None:
        with ThreadPoolExecutor(2) as pool:
            driver = SearchDriver(asyncio.get_running_loop(), 1, pool)
            service = Service(
                doors.catalogue,
                Config().query,
                driver,
                readers=pool,
                writers=pool,
                stopping=asyncio.Event(),
            )
            try:
                await service.batch_objects(write.SerializeToString(), CALL)
                await service.search(search.SerializeToString(), CALL)
                search.limit = 2_000  # Read in a thread.
                await service.search(search.SerializeToString(), CALL)
                doors.reads_elsewhere = True  # Never.
                await service.search(search.SerializeToString(), CALL)
                await service.batch_delete(delete.SerializeToString(), CALL)
                await _all(service, 3)
                assert doors.noted() == [
                    ("put", ONE),
                    ("search_steps", ALL),
                    ("search", ALL),
                    ("search_steps", ALL),
                    ("delete_where", QUORUM),
                    ("put", ALL),
                ]
                for message in (search, write, delete):
                    message.consistency_level = BAD  # type: ignore[assignment]
                for method, message in (
                    (service.search, search),
                    (service.batch_objects, write),
                    (service.batch_delete, delete),
                ):
                    with pytest.raises(InvalidRequest, match="unrecognized consistency level '9'"):
                        await method(message.SerializeToString(), CALL)
                with pytest.raises(InvalidRequest, match="unrecognized consistency level '9'"):
                    await _all(service, BAD)
                assert doors.noted() == []
            finally:
                driver.close()

    asyncio.run(asyncio.wait_for(main(), 30))
