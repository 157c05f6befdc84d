"""Versions go on above every stored one, in all shards, even if the wall clock was set back; those
of other nodes must not be far ahead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.replicas import PowerStore, deletion, open_node, replicated, state, version
from tests.unit.engine.samples import uid
from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import Fault, InvalidRequest
from weftdb.core.objects import ObjectDraft
from weftdb.core.types import ObjectId, Version
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.storage.memory import MemoryStore
from weftdb.storage.versions import writer_number


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


def test_each_life_has_its_own_number(tmp_path: Path) -> None:
    """The power fails before the sync: the second life stands where the first one stood."""
    power = PowerStore()
    first = open_node(tmp_path / "first", power, writer=writer_number(3, 77))
    docs = first.create_collection(parse_collection({"class": "One"}))
    docs.put([ObjectDraft(uid(1), {})])
    power.is_failing = True
    lost = docs.only.shard
    with pytest.raises(Fault):
        docs.put([ObjectDraft(uid(2), {})])
    (sent,) = lost.digests([uid(2)])
    second = open_node(tmp_path / "second", power.after_crash(), writer=writer_number(3, 78))
    again = second.collection("One")
    assert again.only.shard.digests([uid(2)]) == [None]
    again.put([ObjectDraft(uid(2), {})])
    (made,) = again.only.shard.digests([uid(2)])
    assert sent is not None
    assert made is not None
    assert (sent.version.time_ms, sent.version.counter) == (
        made.version.time_ms,
        made.version.counter,
    )
    assert sent.version.node >> 32 == made.version.node >> 32 == 3
    assert sent != made


def test_states_far_ahead_are_refused_one_by_one(tmp_path: Path) -> None:
    clock = ManualClock()
    docs = replicated(open_node(tmp_path, PowerStore(), clock, clock_ahead_s_max=600.0))
    coming = [
        state(uid(1), version(300_000)),
        state(uid(2), version(600_001)),
        deletion(uid(3), version(10**9)),
        deletion(uid(4), version(600_000)),
    ]
    said = docs.replica.apply(coming)
    assert [isinstance(one, InvalidRequest) for one in said] == [False, True, True, False]
    assert "ahead of this node's clock" in str(said[1])
    assert [one is not None for one in docs.replica.digests([uid(n) for n in (1, 2, 3, 4)])] == [
        True, False, False, True,
    ]  # fmt: skip
    docs.put([ObjectDraft(uid(5), {})])
    (own,) = docs.replica.digests([uid(5)])
    assert own.version.time_ms == version(600_000).time_ms, "the clock went no further than allowed"
    clock.advance(1)
    assert docs.replica.apply(coming[1:2]) == [None]
