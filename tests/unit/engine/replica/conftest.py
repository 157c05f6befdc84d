"""A replicated collection over a store whose power can fail, with a clock that the test moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.replicas import PowerStore, open_node, replicated
from weftdb.core.env import ManualClock
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database


@pytest.fixture
def store() -> PowerStore:
    """Empty."""
    return PowerStore()


@pytest.fixture
def database(tmp_path: Path, store: PowerStore, clock: ManualClock) -> Database:
    """Over the store."""
    return open_node(tmp_path, store, clock)


@pytest.fixture
def docs(database: Database) -> LocalCollection:
    """Replicated, and empty."""
    found: LocalCollection = replicated(database)
    return found
