"""Stores for the tests: every test of the common suite runs on both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weftdb.core.config import StorageConfig
from weftdb.core.env import ManualClock
from weftdb.core.limits import MiB
from weftdb.storage.kv import KeyValueStore
from weftdb.storage.memory import MemoryStore
from weftdb.storage.rocks import RocksStore

SMALL = StorageConfig(block_cache_bytes=MiB, write_buffer_bytes=4 * MiB, background_jobs=2)


def open_rocks(directory: Path) -> RocksStore:
    """Open a directory with small budgets."""
    return RocksStore(directory, SMALL, ManualClock())


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    """An empty store of each kind."""
    opened: KeyValueStore = MemoryStore() if request.param == "memory" else open_rocks(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def rocks(tmp_path: Path) -> Iterator[Callable[[], RocksStore]]:
    """Opens the same directory again and again; closes what is left open."""
    opened: list[RocksStore] = []

    def reopen() -> RocksStore:
        for earlier in opened:
            earlier.close()
        opened.append(open_rocks(tmp_path))
        return opened[-1]

    yield reopen
    for left in opened:
        left.close()
