"""Replicated collections that the engine's tests share, and a store whose power can fail."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.engine.samples import DOC
from weftdb.core.config import Config
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import Fault
from weftdb.core.objects import ObjectState
from weftdb.core.types import UNNAMED, ObjectId, VectorName, Version
from weftdb.engine.database import Database
from weftdb.modules.registry import Registry
from weftdb.storage.kv import Family, KeyValueStore, Ticket, WriteBatch
from weftdb.storage.memory import MemoryStore

GRACE_S = 3_600.0
REPLICATED = {**DOC, "replicationConfig": {"factor": 3, "asyncConfig": {"hashtreeHeight": 4}}}


class PowerStore(MemoryStore):
    """Loses what was not synced when its power fails; outlives the database over it."""

    def __init__(self) -> None:
        super().__init__()
        self.synced = 0
        self.is_failing = False
        self._log: list[WriteBatch] = []

    def write(self, batch: WriteBatch) -> Ticket:
        """Apply, and remember for the day of the crash."""
        self._log.append(batch)
        return super().write(batch)

    def wait_durable(self, ticket: Ticket) -> None:
        """Sync, or find that the power is gone. Raises Fault."""
        if ticket <= self.synced:
            return
        if self.is_failing:
            raise Fault("the power failed before the sync")
        self.synced = ticket

    def is_durable(self, ticket: Ticket) -> bool:
        """Whether it was synced."""
        return ticket <= self.synced

    def close(self) -> None:
        """Stay open for the next database."""

    def after_crash(self, kept: int = 0) -> PowerStore:
        """What the disk has: everything synced, and the `kept` next writes."""
        fresh = PowerStore()
        for batch in self._log[: self.synced + kept]:
            fresh.write(batch)
        fresh.synced = len(fresh._log)
        return fresh


def open_node(
    path: Path,
    store: KeyValueStore,
    clock: ManualClock | None = None,
    *,
    writer: int = 0,
    **replication: Any,
) -> Database:
    """A database whose chores run when the test says so."""
    grace = {"tombstone_grace_s": GRACE_S, **replication}
    config = Config()
    config = Config(replication=type(config.replication)(**grace))
    env = Env(clock or ManualClock(), seed=1)
    database = Database(path, store, config=config, vectorizers=Registry(), env=env, writer=writer)
    database.maintenance.stop()
    return database


def replicated(database: Database, **changes: Any) -> Any:
    """The collection `Doc` of three replicas."""
    return database.create_collection(parse_collection({**REPLICATED, **changes}))


def version(time: int, counter: int = 0, node: int = 7) -> Version:
    """Some time after the epoch of `ManualClock`."""
    return Version(1_700_000_000_000 + time, counter, node)


def state(
    object_id: ObjectId, stamp: Version, title: str = "some words", vector: Any = (1.0, 2.0)
) -> ObjectState:
    """An object as another replica has it."""
    vectors: dict[VectorName, Any] = {}
    if vector is not None:
        vectors[UNNAMED] = np.array(vector, dtype=np.float32)
    properties = {"title": title, "size": stamp.counter}
    times = (stamp.time_ms - 10, stamp.time_ms)
    return ObjectState(object_id, stamp, False, *times, properties, vectors)


def deletion(object_id: ObjectId, stamp: Version) -> ObjectState:
    """The end of an object."""
    return ObjectState(object_id, stamp, is_deleted=True)


def described(found: Iterable[ObjectState | None]) -> list[Any]:
    """States in a form that can be compared."""
    return [
        one
        and (
            (one.id, one.version, one.is_deleted, one.created_ms, one.updated_ms),
            dict(one.properties),
            {name: vector.tolist() for name, vector in one.vectors.items()},
        )
        for one in found
    ]


def rows_of(store: MemoryStore, family: Family) -> int:
    """How many rows a family has."""
    return sum(1 for _ in store.scan(family, b"", b"\xff" * 64))
