"""Objects off the wire end in the engine, or in an error that names them alone."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from google.protobuf import json_format

from weftdb.core.config import Config
from weftdb.core.env import Env, ManualClock, go_on
from weftdb.core.errors import InvalidRequest, Malformed, RequestError, Unsupported
from weftdb.core.types import UNNAMED, parse_object_id
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.proto.v1 import (
    aggregate_pb2,
    batch_delete_pb2,
    batch_pb2,
    health_pb2,
    search_pb2,
    tenants_pb2,
)
from weftdb.server.grpc.batch_request import WireObject, parse_object
from weftdb.server.grpc.connection import Call
from weftdb.server.grpc.imports import TURN_OBJECTS, Failure, import_objects
from weftdb.server.grpc.service import Service
from weftdb.server.search_driver import SearchDriver
from weftdb.storage.memory import MemoryStore

CALL = Call(lambda _name: "")


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def wire(number: int = 1, **fields: Any) -> batch_pb2.BatchObject:
    body = {"collection": "Book", "uuid": id_of(number), **fields}
    return json_format.ParseDict(body, batch_pb2.BatchObject())


def doubles(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def test_every_form_of_a_value_is_read() -> None:
    message = wire(
        properties={
            "nonRefProperties": {
                "title": "x",
                "pages": 3,
                "read": True,
                "place": {"latitude": 1.5, "longitude": 2},
                "mixed": ["a", 1],
                "nothing": None,
            },
            "intArrayProperties": [{"propName": "ints", "values": [1, 2]}],
            "textArrayProperties": [{"propName": "texts", "values": ["a"]}],
            "booleanArrayProperties": [{"propName": "flags", "values": [True, False]}],
            "objectProperties": [
                {"propName": "box", "value": {"nonRefProperties": {"name": "one"}}}
            ],
            "objectArrayProperties": [
                {"propName": "boxes", "values": [{"emptyListProps": ["tags"]}, {}]}
            ],
            "emptyListProps": ["none"],
        }
    )
    numbers = message.properties.number_array_properties.add(prop_name="numbers")
    numbers.values_bytes = doubles(0.5, 1.5)
    message.properties.number_array_properties.add(prop_name="old", values=[2.5])
    assert parse_object(message).properties == {
        "title": "x",
        "pages": 3.0,
        "read": True,
        "place": {"latitude": 1.5, "longitude": 2.0},
        "mixed": ["a", 1.0],
        "nothing": None,
        "ints": [1, 2],
        "texts": ["a"],
        "flags": [True, False],
        "box": {"name": "one"},
        "boxes": [{"tags": []}, {}],
        "none": [],
        "numbers": [0.5, 1.5],
        "old": [2.5],
    }


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (wire(uuid=""), InvalidRequest, "no uuid"),
        (wire(uuid="bad"), InvalidRequest, "invalid UUID"),
        (
            wire(properties={"numberArrayProperties": [{"propName": "n", "valuesBytes": "AAAA"}]}),
            InvalidRequest,
            "3 bytes are no list of float64",
        ),
        (wire(vectorBytes="AAAA"), InvalidRequest, "not a multiple"),
        (wire(vectors=[{"name": "a"}, {"name": "a"}]), InvalidRequest, "given twice"),
        (
            wire(properties={"singleTargetRefProps": [{"propName": "by", "uuids": [id_of(2)]}]}),
            Unsupported,
            "'by': references",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(
    message: batch_pb2.BatchObject, error: type[RequestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        parse_object(message)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    env, registry, config = Env(ManualClock()), Registry(), Config()
    database = Database(tmp_path, MemoryStore(), config=config, vectorizers=registry, env=env)
    made = Catalogue(database, config.schema, registry, env)
    made.create(
        {
            "class": "Book",
            "vectorizer": "none",
            "properties": [
                {"name": "title", "dataType": ["text"]},
                {"name": "pages", "dataType": ["int"]},
            ],
        }
    )
    yield made
    database.close()


def played(catalogue: Catalogue, play: Callable[[Service], Awaitable[None]]) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(2) as pool:
            driver = SearchDriver(asyncio.get_running_loop(), 1, pool)
            stopping = asyncio.Event()
            service = Service(
                catalogue, Config().query, driver, readers=pool, writers=pool, stopping=stopping
            )
            try:
                await play(service)
            finally:
                driver.close()

    asyncio.run(asyncio.wait_for(main(), timeout=30))


async def imported(service: Service, *objects: batch_pb2.BatchObject) -> dict[int, str]:
    raw = batch_pb2.BatchObjectsRequest(objects=objects).SerializeToString()
    reply = batch_pb2.BatchObjectsReply.FromString(await service.batch_objects(raw, CALL))
    return {item.index: item.error for item in reply.errors}


def test_one_bad_object_spoils_no_other(catalogue: Catalogue) -> None:
    async def play(service: Service) -> None:
        errors = await imported(
            service,
            wire(1, properties={"nonRefProperties": {"title": "good", "pages": 1}}, vector=[1, 0]),
            wire(2, properties={"nonRefProperties": {"pages": "many"}}),
            wire(uuid="bad"),
            wire(3, properties={"nonRefProperties": {"title": "short"}}, vector=[1]),
            wire(4, collection=""),
            wire(5, collection="book", properties={"nonRefProperties": {"Title": "lower"}}),
            wire(6, vectors=[{"name": "nope", "vectorBytes": "AAAAAA=="}]),
            wire(7, tenant="t"),
        )
        assert set(errors) == {1, 2, 3, 4, 6, 7}
        assert "pages" in errors[1]
        assert "vector lengths" in errors[3] or "dimensions" in errors[3]

    played(catalogue, play)
    book = catalogue.local("Book")
    assert book.count() == 2
    first = book.get(parse_object_id(id_of(1)), with_vectors=True)
    assert first is not None
    assert first.properties == {"title": "good", "pages": 1}
    assert np.asarray(first.vectors[UNNAMED]).tolist() == [1, 0]
    fifth = book.get(parse_object_id(id_of(5)))
    assert fifth is not None
    assert fifth.properties == {"title": "lower"}


def test_new_collections_and_properties_are_made(catalogue: Catalogue) -> None:
    async def play(service: Service) -> None:
        properties = {"nonRefProperties": {"n": 1.5, "when": "2024-05-06T07:08:09Z"}}
        assert await imported(service, wire(1, collection="fresh", properties=properties)) == {}
        mixed = {"nonRefProperties": {"new": {}, "odd": ["a", 1]}}
        errors = await imported(
            service,
            wire(2, properties={"nonRefProperties": {"extra": "x"}}),
            wire(3, properties=mixed),
        )
        assert set(errors) == {1}

    played(catalogue, play)
    fresh = {item.name: item.data_type.value for item in catalogue.get("Fresh").properties}
    assert fresh == {"n": "number", "when": "date"}
    assert "extra" in catalogue.get("Book").property_by_name


def test_the_other_methods(catalogue: Catalogue) -> None:
    async def play(service: Service) -> None:
        await imported(service, *[
            wire(n, properties={"nonRefProperties": {"pages": n}}) for n in range(1, 8)
        ])  # fmt: skip
        above = {"operator": "OPERATOR_GREATER_THAN", "on": ["pages"], "valueInt": 5}
        count = json_format.ParseDict(
            {"collection": "Book", "objectsCount": True, "filters": above},
            aggregate_pb2.AggregateRequest(),
        )
        raw = await service.aggregate(count.SerializeToString(), CALL)
        assert aggregate_pb2.AggregateReply.FromString(raw).single_result.objects_count == 2
        delete = json_format.ParseDict(
            {"collection": "Book", "filters": above, "verbose": True},
            batch_delete_pb2.BatchDeleteRequest(),
        )
        raw = await service.batch_delete(delete.SerializeToString(), CALL)
        reply = batch_delete_pb2.BatchDeleteReply.FromString(raw)
        assert (reply.matches, reply.successful, reply.failed) == (2, 2, 0)
        assert {item.uuid.hex()[-1] for item in reply.objects} == {"6", "7"}
        raw = await service.health(b"", CALL)
        status = health_pb2.WeaviateHealthCheckResponse.FromString(raw).status
        assert status == health_pb2.WeaviateHealthCheckResponse.SERVING
        profiled = search_pb2.SearchRequest(
            collection="Book", metadata=search_pb2.MetadataRequest(query_profile=True)
        )
        raw = await service.search(profiled.SerializeToString(), CALL)
        assert search_pb2.SearchReply.FromString(raw).query_profile.shards
        profiled.near_vector.vector_bytes = np.ones(2, dtype=np.float32).tobytes()
        raw = await service.search(profiled.SerializeToString(), CALL)
        shard = search_pb2.SearchReply.FromString(raw).query_profile.shards[0]
        assert set(shard.searches) == {"vector"}

    played(catalogue, play)


REFUSED: list[tuple[str, Any, type[RequestError], str]] = [
    (
        "batch_delete",
        batch_delete_pb2.BatchDeleteRequest(collection="Book"),
        InvalidRequest,
        "no filters",
    ),
    ("batch_references", batch_pb2.BatchReferencesRequest(), InvalidRequest, "length cannot be 0"),
    (
        "batch_references",
        batch_pb2.BatchReferencesRequest(references=[batch_pb2.BatchReference()]),
        Unsupported,
        "references",
    ),
    (
        "tenants_get",
        tenants_pb2.TenantsGetRequest(collection="Book"),
        InvalidRequest,
        "multi-tenancy is not enabled",
    ),
    (
        "aggregate",
        aggregate_pb2.AggregateRequest(collection="Book", near_image={"image": "x"}),
        Unsupported,
        "near_image",
    ),
]


@pytest.mark.parametrize(("method", "request_", "error", "words"), REFUSED)
def test_what_is_not_there_yet_is_said(
    catalogue: Catalogue, method: str, request_: Any, error: type[RequestError], words: str
) -> None:
    async def play(service: Service) -> None:
        with pytest.raises(error, match=words):
            await getattr(service, method)(request_.SerializeToString(), CALL)
        with pytest.raises(Malformed, match=r"the request is no \w+ message"):
            await getattr(service, method)(b"\xff\xff\xff", CALL)

    played(catalogue, play)


def test_imports_at_the_same_time_read_their_objects_in_turns() -> None:
    """And let each other go on between two parts of a batch."""
    catalogue = cast("Catalogue", SimpleNamespace(write_turn=threading.Lock(), give_way=go_on))
    begun, order = threading.Barrier(2), []

    class Unreadable:
        """An object that says when it was looked at, and cannot be read."""

        collection, tenant = "Book", ""

        def __init__(self, number: int) -> None:
            self.number = number

        def read(self) -> WireObject:
            order.append((threading.get_ident(), self.number))
            raise InvalidRequest("no object")

    def run() -> list[Failure]:
        begun.wait(10)
        return import_objects(catalogue, [Unreadable(n) for n in range(3 * TURN_OBJECTS)])

    with ThreadPoolExecutor(2) as pool:
        for failures in [pool.submit(run) for _ in range(2)]:
            assert len(failures.result(30)) == 3 * TURN_OBJECTS
    parts = [order[at : at + TURN_OBJECTS] for at in range(0, len(order), TURN_OBJECTS)]
    assert len(parts) == 6
    assert all(len({thread for thread, _ in part}) == 1 for part in parts)


def test_an_import_that_breaks_off_leaves_the_turn_to_others() -> None:
    turn = threading.Lock()
    catalogue = cast("Catalogue", SimpleNamespace(write_turn=turn, give_way=go_on))

    class Broken:
        """An object whose reading ends in a bug."""

        collection, tenant = "Book", ""

        def read(self) -> WireObject:
            assert turn.locked()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        import_objects(catalogue, [Broken()])
    assert caught.tb is not None, "frames are still held"
    assert not turn.locked()
