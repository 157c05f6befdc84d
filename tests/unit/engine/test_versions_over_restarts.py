"""Versions go on above every stored one, in all shards, even if the wall clock was set back."""

from __future__ import annotations

from pathlib import Path

from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.objects import ObjectDraft
from weftdb.core.types import ObjectId, Version
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.storage.memory import MemoryStore


class LastingStore(MemoryStore):
    """Keeps its rows when it is closed, as a directory does."""

    def close(self) -> None:
        """Stay open."""


def write(database: Database, name: str, number: int) -> Version:
    """Insert an object; return its version."""
    collection, object_id = database.collection(name), ObjectId(number.to_bytes(16, "big"))
    assert collection.put([ObjectDraft(object_id, {})]) == [None]
    found = collection.get(object_id)
    assert found is not None
    return found.version


def test_versions_over_restarts(tmp_path: Path) -> None:
    store, times = LastingStore(), (50_000, 40_000, 49_999, 50_000)
    seen: list[Version] = []
    for start_ms in times:
        env = Env(ManualClock(start_ms), seed=1)
        database = Database(tmp_path, store, config=Config(), vectorizers=Registry(), env=env)
        if not seen:
            for name in ("One", "Two"):
                database.create_collection(parse_collection({"class": name}))
        for name in ("One", "Two", "Two"):
            seen.append(write(database, name, len(seen)))
        seen.append(write(database, "One", len(seen)))
        database.close()
    assert seen == sorted(set(seen))
