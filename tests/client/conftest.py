"""Clients of both transports: an engine in this process, and a server in another."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import weftdb
from benchmarks.demo.server_process import ServerProcess
from weftdb.client import Collection, Configure, DataType, Property, WeftClient, connect

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session", params=["embedded", "remote"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WeftClient]:
    """A database, empty at first; collections of tests have names of their own."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with weftdb.open(directory / "data") as opened:
            yield opened
        return
    pytest.importorskip("grpc")
    pytest.importorskip("weftdb.server.main", reason="the server is not there yet")
    with ServerProcess(directory / "data", directory / "server.log") as server:
        url = f"http://127.0.0.1:{server.rest_port}"
        with connect(url, grpc_port=server.grpc_port) as connected:
            yield connected


@pytest.fixture
def collection_name() -> str:
    """A name that no other test uses."""
    return f"Test{next(NUMBERS)}"


@pytest.fixture
def notes(client: WeftClient, collection_name: str) -> Collection:
    """An empty collection with a property of each common type and vectors of two numbers."""
    return client.collections.create(
        collection_name,
        properties=[
            Property(name="title", data_type=DataType.TEXT),
            Property(name="year", data_type=DataType.INT),
            Property(name="price", data_type=DataType.NUMBER),
            Property(name="isOpen", data_type=DataType.BOOL),
            Property(name="at", data_type=DataType.DATE),
            Property(name="ref", data_type=DataType.UUID),
            Property(name="tags", data_type=DataType.TEXT_ARRAY),
            Property(name="years", data_type=DataType.INT_ARRAY),
            Property(name="prices", data_type=DataType.NUMBER_ARRAY),
            Property(name="flags", data_type=DataType.BOOL_ARRAY),
            Property(name="dates", data_type=DataType.DATE_ARRAY),
            Property(name="refs", data_type=DataType.UUID_ARRAY),
            Property(name="place", data_type=DataType.GEO_COORDINATES),
            Property(name="picture", data_type=DataType.BLOB),
            Property(
                name="author",
                data_type=DataType.OBJECT,
                nested_properties=[
                    Property(name="name", data_type=DataType.TEXT),
                    Property(name="born", data_type=DataType.DATE),
                ],
            ),
        ],
        inverted_index_config=Configure.inverted_index(
            index_timestamps=True, index_null_state=True, index_property_length=True
        ),
    )
