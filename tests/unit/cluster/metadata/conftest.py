"""Metadata stores for the tests: every test of the common suite runs on all twins."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.etcd_process import EtcdProcess
from weftdb.cluster.metadata.store import Delete, MetadataStore, Transaction
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.config import StorageConfig
from weftdb.core.env import ManualClock, SystemClock
from weftdb.core.limits import METADATA_CHANGES_MAX, MiB
from weftdb.server.etcd.connection import EtcdSettings
from weftdb.server.etcd.store import EtcdMetadata
from weftdb.storage.kv import KeyValueStore
from weftdb.storage.memory import MemoryStore
from weftdb.storage.rocks import RocksStore

SMALL = StorageConfig(block_cache_bytes=MiB, write_buffer_bytes=4 * MiB, background_jobs=2)


@dataclass(frozen=True)
class Subject:
    """One twin: a client of it, another client of the same store, and how time passes there."""

    store: MetadataStore
    other: MetadataStore
    pass_s: Callable[[float], None]


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcess]:
    """One etcd for all tests that do it no harm."""
    process = EtcdProcess(tmp_path_factory.mktemp("etcd") / "data")
    process.start()
    yield process
    process.stop()


def client(process: EtcdProcess, name: str, timeout_s: float = 20.0) -> EtcdMetadata:
    """A client of one member."""
    settings = EtcdSettings((process.endpoint,), timeout_s=timeout_s)
    return EtcdMetadata(settings, f"/sessions/{name}", SystemClock(), random.Random())


def wipe(store: MetadataStore, prefix: str) -> None:
    """Remove everything below `prefix`."""
    names = [record.key for record in store.list(prefix).records]
    for first in range(0, len(names), METADATA_CHANGES_MAX):
        some = names[first : first + METADATA_CHANGES_MAX]
        store.commit(Transaction(tuple(map(Delete, some))))


@pytest.fixture(params=["memory", "rocks", "etcd"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A store of each kind, with nothing below /t/."""
    if request.param == "etcd":
        process: EtcdProcess = request.getfixturevalue("etcd")
        first, other = client(process, "first"), client(process, "other")
        wipe(first, "/t/")
        yield Subject(first, other, time.sleep)
        first.close()
        other.close()
        return
    clock = ManualClock()
    below: KeyValueStore = (
        MemoryStore() if request.param == "memory" else RocksStore(tmp_path, SMALL, clock)
    )
    store = StoredMetadata(below, clock, threading.Condition())
    yield Subject(store, store, lambda seconds: clock.advance(round(seconds * 1000)))
    store.close()
    below.close()


@pytest.fixture
def store(subject: Subject) -> MetadataStore:
    """The first client."""
    return subject.store
