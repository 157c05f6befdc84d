"""LogDamage: torn ends and damage inside, told apart byte by byte, on a log that RocksDB wrote."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from weftdb.storage.kv import Family, WriteBatch
from weftdb.storage.log_damage import LogDamage, find_damage

from .conftest import open_rocks

SIZES = (10, 100, 3_000, 40_000, 90_000, 5, 32_000, 700)
"""Of the values written: some records need several blocks."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The log of a store that is open, as a crash would leave it."""
    folder = tmp_path_factory.mktemp("log")
    store = open_rocks(folder)
    chance = random.Random(6)
    for number, size in enumerate(SIZES):
        batch = WriteBatch()
        batch.put(Family.OBJECTS, b"%06d" % number, chance.randbytes(size))
        store.wait_durable(store.write(batch))
    (path,) = (folder / "rocks").glob("*.log")
    data = path.read_bytes()
    store.close()
    return data


def damage_of(tmp_path: Path, *logs: bytes) -> LogDamage | None:
    paths = []
    for number, data in enumerate(logs):
        paths.append(tmp_path / f"{number:06d}.log")
        paths[-1].write_bytes(data)
    return find_damage(paths)


def test_a_whole_log_is_whole(tmp_path: Path, log: bytes) -> None:
    assert damage_of(tmp_path, log) is None
    assert damage_of(tmp_path, log, log) is None
    assert damage_of(tmp_path, b"") is None


def test_wherever_it_is_cut_nothing_follows(tmp_path: Path, log: bytes) -> None:
    chance = random.Random(7)
    for length in [1, 6, 7, 8, len(log) - 1, *(chance.randrange(len(log)) for _ in range(5))]:
        damage = damage_of(tmp_path, log[:length])
        assert damage is None or damage.is_torn_end, length


def test_wherever_a_byte_flips_what_follows_is_seen(tmp_path: Path, log: bytes) -> None:
    chance = random.Random(8)
    last = len(log) - SIZES[-1] - 20
    for at in [0, 5, 6, 7, *(chance.randrange(last) for _ in range(4))]:
        bad = bytearray(log)
        bad[at] ^= 1 << chance.randrange(8)
        damage = damage_of(tmp_path, bytes(bad))
        assert damage is not None, at
        assert not damage.is_torn_end, at
        assert damage.offset <= at
        assert damage.bytes_after > 0


def test_a_damaged_last_record_is_a_torn_end(tmp_path: Path, log: bytes) -> None:
    bad = bytearray(log)
    bad[-3] ^= 1
    damage = damage_of(tmp_path, bytes(bad))
    assert damage is not None
    assert damage.is_torn_end


def test_a_log_that_is_cut_before_another_one_is_damaged_inside(tmp_path: Path, log: bytes) -> None:
    damage = damage_of(tmp_path, log[:-1], log)
    assert damage is not None
    assert damage.path.name == "000000.log"
    assert damage.records_after >= len(SIZES)


def test_zeroes_and_noise_at_the_end_are_a_torn_end(tmp_path: Path, log: bytes) -> None:
    for tail in (bytes(50_000), random.Random(9).randbytes(70_000)):
        damage = damage_of(tmp_path, log + tail)
        assert damage is not None
        assert damage.is_torn_end
        assert damage.offset == len(log)
