"""A database over an in-memory store, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.engine.samples import DOC
from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.storage.kv import KeyValueStore
from weftdb.storage.memory import MemoryStore


@pytest.fixture
def clock() -> ManualClock:
    """Stands still until moved."""
    return ManualClock()


@pytest.fixture
def store() -> KeyValueStore:
    """Empty."""
    return MemoryStore()


@pytest.fixture
def open_database(
    tmp_path: Path, store: KeyValueStore, clock: ManualClock
) -> Iterator[Callable[[], Database]]:
    """Opens the same store again and again."""
    opened: list[Database] = []

    def open_it() -> Database:
        database = Database(
            tmp_path, store, config=Config(), vectorizers=Registry(), env=Env(clock, seed=1)
        )
        opened.append(database)
        return database

    yield open_it
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[], Database]) -> Database:
    """Open and empty."""
    return open_database()


@pytest.fixture
def docs(database: Database) -> LocalCollection:
    """An empty collection `Doc`."""
    return database.create_collection(parse_collection(DOC))
