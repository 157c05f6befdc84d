"""A REST application over the fake engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.unit.server.rest.fake_engine import FakeDatabase, NoVectorizers
from weftdb.core.config import Config, QueryConfig
from weftdb.engine.catalogue import Catalogue
from weftdb.server.rest.app import make_app
from weftdb.server.rest.context import RestContext


@pytest.fixture
def database() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def context(database: FakeDatabase) -> RestContext:
    config = Config(query=QueryConfig(default_limit=25))
    modules = NoVectorizers()
    catalogue = Catalogue(database, config.schema, modules, database.env)
    return RestContext(database, catalogue, modules, config, database.env, body_bytes_max=100_000)


@pytest.fixture
def client(context: RestContext) -> Iterator[TestClient]:
    with TestClient(make_app(context), base_url="http://node/v1") as client:
        yield client
