"""Which files a sync of the log touches, and when it is done with one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from weftdb.core.config import StorageConfig
from weftdb.core.env import ManualClock
from weftdb.core.limits import MiB
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.log_sync import IS_SUPPORTED, LogSync
from weftdb.storage.rocks import RocksStore

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="Linux only")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What was synced since the last call, by name."""
    names: list[str] = []

    def recorded(real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)")
            names.append(Path(path).name)
            real(descriptor)

        return sync

    monkeypatch.setattr(os, "fdatasync", recorded(os.fdatasync))
    monkeypatch.setattr(os, "fsync", recorded(os.fsync))

    def take() -> list[str]:
        taken = names[:]
        names.clear()
        return taken

    return take


def test_every_file_until_a_newer_one_is_there(
    tmp_path: Path, synced: Callable[[], list[str]]
) -> None:
    folder = tmp_path / "rocks"
    folder.mkdir()
    for name in ("000004.log", "000007.log", "LOG", "LOG.old.12", "x.log", "000005.sst"):
        (folder / name).write_bytes(b"x")
    log = LogSync(folder)
    log.run()
    assert synced() == ["rocks", "000004.log", "000007.log"]
    log.run()
    assert synced() == ["000007.log"]
    (folder / "000009.log").write_bytes(b"x")
    log.run()
    assert synced() == ["rocks", "000007.log", "000009.log"]
    (folder / "000004.log").unlink()
    (folder / "000009.log").unlink()
    (folder / "1000010.log").write_bytes(b"x")
    log.run()
    assert synced() == ["rocks", "000009.log", "1000010.log"]
    log.close()


def test_rows_of_every_log_that_rocksdb_begins(
    tmp_path: Path, synced: Callable[[], list[str]]
) -> None:
    store = RocksStore(tmp_path, StorageConfig(write_buffer_bytes=4 * MiB), ManualClock())
    seen: set[str] = set()
    for number in range(400):
        batch = WriteBatch()
        batch.put(Family.OBJECTS, b"%06d" % number, os.urandom(20_000))
        store.wait_durable(store.write(batch))
        newest = max(path.name for path in (tmp_path / "rocks").glob("*.log"))
        taken = synced()
        assert len([name for name in taken if name.endswith(".log")]) <= 3
        seen |= {newest} & set(taken)
    assert len(seen) > 2, "the log was changed on the way, and each of them synced"
    store.close()


def test_the_interpreter_is_free_during_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as Python's own sync is: it is here that rocksdict kept the lock."""
    store = RocksStore(tmp_path, StorageConfig(write_buffer_bytes=4 * MiB), ManualClock())
    begun, free = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        begun.set()
        assert free.wait(10), "another thread could not run"

    monkeypatch.setattr(os, "fdatasync", slow)
    batch = WriteBatch()
    batch.put(Family.OBJECTS, b"key", b"value")
    ticket = store.write(batch)
    writer = threading.Thread(target=store.wait_durable, args=(ticket,))
    writer.start()
    assert begun.wait(10)
    time.sleep(0.01)
    assert store.get(Family.OBJECTS, b"key") == b"value"
    free.set()
    writer.join(10)
    store.close()
