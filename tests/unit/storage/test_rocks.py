"""RocksStore beyond the common suite: files, faults, the end of the process."""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weftdb.core.config import StorageConfig
from weftdb.core.env import SystemClock
from weftdb.core.errors import Closed, CorruptData, DiskFull, Fault, Overloaded, StoreHeld
from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.rocks import RocksStore

from .conftest import open_rocks

O = Family.OBJECTS  # noqa: E741  # In nearly every line below.
Reopen = Callable[[], RocksStore]


def fill(store: RocksStore, count: int, family: Family = O, size: int = 200) -> None:
    """One write a key, so that the log has one record a key."""
    for number in range(count):
        batch = WriteBatch()
        batch.put(family, b"\0\0\0\x01%06d" % number, (b"%06d" % number) * (size // 6))
        ticket = store.write(batch)
    store.wait_durable(ticket)


def count(store: RocksStore, family: Family = O) -> int:
    return sum(1 for _ in store.scan(family, b"", b"\xff"))


def largest(folder: Path, suffix: str) -> Path:
    return max(folder.glob(f"*{suffix}"), key=lambda path: path.stat().st_size)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


@pytest.mark.parametrize("size", [200, 20_000])
def test_reopen(rocks: Reopen, size: int) -> None:
    for family in Family:
        fill(rocks(), 50, family, size)
    store = rocks()
    for family in Family:
        assert count(store, family) == 50
        assert store.get(family, b"\0\0\0\x01000007") == b"000007" * (size // 6)


def test_second_opening_names_the_holder(rocks: Reopen, tmp_path: Path) -> None:
    rocks()
    with pytest.raises(StoreHeld, match="already open in this process"):
        open_rocks(tmp_path)


def test_a_failed_opening_lets_go(rocks: Reopen, tmp_path: Path) -> None:
    fill(rocks(), 10)
    rocks().close()
    current = tmp_path / "rocks" / "CURRENT"
    good = current.read_bytes()
    current.write_bytes(b"MANIFEST-999999\n")
    with pytest.raises(Fault):
        open_rocks(tmp_path)
    current.write_bytes(good)
    assert count(rocks()) == 10


def test_close_ends_running_scans(rocks: Reopen) -> None:
    store = rocks()
    fill(store, 1000)
    running = [store.scan(O, b"", b"\xff") for _ in range(3)]
    for scan in running:
        next(scan)
    never_begun = store.scan(O, b"", b"\xff")
    assert count(rocks()) == 1000, "an open iterator does not keep the directory locked"
    for scan in (*running, never_begun):
        with pytest.raises(Closed):
            list(scan)


def test_checkpoint_opens_alone(rocks: Reopen, tmp_path: Path) -> None:
    store = rocks()
    fill(store, 100)
    copy = tmp_path / "backups" / "one"
    store.checkpoint(copy)
    batch = WriteBatch()
    batch.delete_range(O, b"", b"\xff")
    store.wait_durable(store.write(batch))
    with pytest.raises(Fault, match="cannot be made"):
        store.checkpoint(copy)
    twin = open_rocks(copy)
    assert (count(store), count(twin)) == (0, 100)
    twin.close()


@pytest.mark.parametrize("family", [Family.OBJECTS, Family.VECTORS, Family.FILTERABLE])
def test_a_flipped_bit_in_a_table_is_found(rocks: Reopen, tmp_path: Path, family: Family) -> None:
    random_bytes = random.Random(4711).randbytes
    store, batch = rocks(), WriteBatch()
    for number in range(3000):
        batch.put(family, b"\0\0\0\x01%06d" % number, random_bytes(200))
    store.wait_durable(store.write(batch))
    store.close()
    table = largest(tmp_path / "rocks", ".sst")
    flip(table, table.stat().st_size // 2)
    store = rocks()
    with pytest.raises(CorruptData):
        count(store, family)
    with pytest.raises(CorruptData):
        list(store.scan(family, b"", b"\xff", reverse=True))
    with pytest.raises(CorruptData):
        store.get_many(family, [b"\0\0\0\x01%06d" % number for number in range(3000)])
    found = 0
    for number in range(3000):
        try:
            found += store.get(family, b"\0\0\0\x01%06d" % number) is not None
        except CorruptData:
            continue
    assert 2900 < found < 3000, "one block is lost, the rest is readable"


def killed_writer(directory: Path, writes: int) -> None:
    """A process that writes `writes` records and ends without closing."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from weftdb.core.config import StorageConfig\n"
        "from weftdb.core.env import SystemClock\n"
        "from weftdb.storage.kv import Family, WriteBatch\n"
        "from weftdb.storage.rocks import RocksStore\n"
        "store = RocksStore(Path(sys.argv[1]), StorageConfig(), SystemClock())\n"
        "for number in range(int(sys.argv[2])):\n"
        "    batch = WriteBatch()\n"
        "    batch.put(Family.OBJECTS, b'%06d' % number, b'x' * 100)\n"
        "    store.write(batch)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, directory, str(writes)], timeout=60)
    assert ended.returncode == -9


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_torn_log_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    origin = tmp_path / "origin"
    killed_writer(origin, 500)
    size = largest(origin / "rocks", ".log").stat().st_size
    kept = []
    for lost in (0, 1, 60, size // 3, size - 1, size):
        copy = tmp_path / f"lost-{lost}"
        shutil.copytree(origin, copy)
        log = largest(copy / "rocks", ".log")
        with log.open("r+b") as file:
            file.truncate(size - lost)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "weftdb.storage"):
            store = open_rocks(copy)
        present = [int(key) for key, _ in store.scan(O, b"", b"\xff")]
        assert present == list(range(len(present))), "what is left is a beginning"
        assert ("left out" in caplog.text) == (lost not in (0, size))
        kept.append(len(present))
        ticket = store.write(WriteBatch())
        store.wait_durable(ticket)
        store.close()
    assert kept[0] == 500
    assert kept[1] == 499
    assert kept == sorted(kept, reverse=True)
    assert 0.6 < kept[3] / 500 < 0.7
    assert kept[-1] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_damage_inside_the_log_is_refused_and_changes_nothing(tmp_path: Path, share: float) -> None:
    killed_writer(tmp_path, 500)
    log = largest(tmp_path / "rocks", ".log")
    at = int(log.stat().st_size * share) + 20
    flip(log, at)
    before = log.read_bytes()
    for _ in range(2):
        with pytest.raises(CorruptData, match=r"whole writes .* follow.*storage.salvage_log"):
            open_rocks(tmp_path)
        assert log.read_bytes() == before
    flip(log, at)
    store = open_rocks(tmp_path)
    assert count(store) == 500
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_damaged_log_is_salvaged_when_asked_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed_writer(tmp_path, 500)
    log = largest(tmp_path / "rocks", ".log")
    flip(log, log.stat().st_size // 2)
    damaged = log.read_bytes()
    store = RocksStore(tmp_path, StorageConfig(salvage_log=True), SystemClock())
    present = [int(key) for key, _ in store.scan(O, b"", b"\xff")]
    assert present == list(range(len(present)))
    assert 200 < len(present) < 300
    assert "whole writes" in caplog.text
    store.close()
    (aside,) = tmp_path.glob("damaged-log-*")
    assert (aside / log.name).read_bytes() == damaged
    store = open_rocks(tmp_path)
    assert count(store) == len(present)
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_torn_end_that_has_its_length_is_cut(tmp_path: Path) -> None:
    """After a power loss the file may have grown while its last bytes never arrived."""
    killed_writer(tmp_path, 500)
    log = largest(tmp_path / "rocks", ".log")
    data = log.read_bytes()
    log.write_bytes(data[:-70] + bytes(70) + random.Random(1).randbytes(40_000) + bytes(40_000))
    store = open_rocks(tmp_path)
    assert count(store) == 499
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux":
        pytest.skip("tmpfs is Linux's")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True, timeout=20
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True, timeout=20)


def test_a_full_disk_refuses_writes_and_serves_reads(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (16 << 20))
    store = open_rocks(small_disk)
    written = 0

    def write_one() -> None:
        nonlocal written
        batch = WriteBatch()
        batch.put(O, b"%06d" % written, random.Random(written).randbytes(20_000))
        store.wait_durable(store.write(batch))
        written += 1

    def write_many() -> None:
        for _ in range(2000):
            write_one()

    with pytest.raises(DiskFull, match="disk is full"):
        write_many()
    with pytest.raises(DiskFull):
        write_one()
    assert count(store) == written
    assert store.get(O, b"%06d" % (written - 1)) is not None
    ballast.unlink()
    for _ in range(100):
        try:
            write_one()
            break
        except DiskFull:
            time.sleep(0.1)  # RocksDB looks for space again by itself, about once a second.
    else:
        pytest.fail("there is space again, but writes are still refused")
    store.close()
    store = open_rocks(small_disk)
    assert [int(key) for key, _ in store.scan(O, b"", b"\xff")] == list(range(written))
    store.close()


def test_after_a_failed_sync_nothing_is_acknowledged(
    rocks: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = rocks()
    fill(store, 3)

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        ticket = store.write(WriteBatch())
        with pytest.raises(Fault, match="Input/output error"):
            store.wait_durable(ticket)
    with pytest.raises(Fault, match="earlier sync failed"):
        store.wait_durable(ticket)
    with pytest.raises(Fault, match="earlier sync failed"):
        store.write(WriteBatch())
    assert count(store) == 3, "reads go on"
    with pytest.raises(Fault):
        store.close()
    assert count(rocks()) == 3, "the directory was let go all the same"


class Stalling:
    """A database that is behind with flushing for the next `times` writes."""

    def __init__(self, real: object, times: int) -> None:
        self.real = real
        self.times = times
        self.consumed: list[object] = []

    def write(self, batch: object, options: object) -> None:
        assert options.no_slowdown, "RocksDB would wait with the interpreter's lock held"
        assert batch not in self.consumed, "RocksDB consumes a batch that it refuses"
        if self.times:
            self.times -= 1
            self.consumed.append(batch)
            raise OSError("Result incomplete: Write stall")
        self.real.write(batch, options)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def test_a_stalled_write_waits_outside(rocks: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    store = rocks()
    monkeypatch.setattr(store, "_db", Stalling(store._db, 5))
    fill(store, 1)
    assert count(store) == 1
    assert store.metrics()["stalls"] == 5


def test_a_stall_that_does_not_end(rocks: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    store = rocks()
    monkeypatch.setattr("weftdb.storage.rocks._STALL_S_MIN", 0.005)
    monkeypatch.setattr("weftdb.storage.rocks._STALL_S_MAX", 0.02)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_db", Stalling(store._db, 10**9))
        with pytest.raises(Overloaded, match="behind with flushing"):
            store.write(WriteBatch())
        patch.setattr(store, "_buffer_bytes", 2**62)
        with pytest.raises(DiskFull, match="no room to flush"):
            store.write(WriteBatch())
    fill(store, 1)
    assert count(store) == 1
