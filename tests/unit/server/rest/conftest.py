"""A REST application over a real engine that keeps its data in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from weftdb.core.config import Config, QueryConfig
from weftdb.core.env import Env
from weftdb.core.errors import SchemaViolation
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.database import Database
from weftdb.modules.ports import TextVectorizer
from weftdb.server.rest.app import make_app
from weftdb.server.rest.context import RestContext
from weftdb.storage.memory import MemoryStore


class NoVectorizers:
    """No modules at all."""

    def get(self, name: str) -> TextVectorizer:
        raise SchemaViolation(f"no module {name}")

    def names(self) -> Sequence[str]:
        return ()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[RestContext]:
    config = Config(query=QueryConfig(default_limit=25))
    modules, env = NoVectorizers(), Env()
    database = Database(tmp_path, MemoryStore(), config=config, vectorizers=modules, env=env)
    catalogue = Catalogue(database, config.schema, modules, env)
    yield RestContext(database, catalogue, modules, config, env, body_bytes_max=100_000)
    database.close()


@pytest.fixture
def client(context: RestContext) -> Iterator[TestClient]:
    with TestClient(make_app(context), base_url="http://node/v1") as client:
        yield client
