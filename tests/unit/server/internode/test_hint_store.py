"""Hints on the disk: kept durably, bounded, dropped loudly, and there after a crash."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from tests.unit.engine.replicas import (
    PowerStore,
    deletion,
    described,
    open_node,
    replicated,
    state,
    version,
)
from tests.unit.engine.samples import uid
from weftdb.cluster.replication.effects import KeepHint
from weftdb.cluster.replication.hints import HintBounds, head_of
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.config import StorageConfig
from weftdb.core.env import ManualClock, SystemClock
from weftdb.core.errors import CorruptData, DiskFull
from weftdb.core.limits import MiB
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.internode.hint_store import HintStore, Owed, StateEncoders
from weftdb.storage import keys
from weftdb.storage.kv import Family, Ticket, WriteBatch
from weftdb.storage.rocks import RocksStore

SHARD = ShardRef(CollectionName("Doc"), ShardName("s"))
OTHER = ShardRef(CollectionName("Doc"), ShardName("größe"))
N2, N3 = NodeName("n2"), NodeName("n3")
HOUR_MS = 3_600_000


class FullStore(PowerStore):
    """Refuses to write while it is full."""

    is_full = False

    def write(self, batch: WriteBatch) -> Ticket:
        """Write, or not. Raises DiskFull."""
        if self.is_full:
            raise DiskFull("no room")
        return super().write(batch)


def hint(to: NodeName, number: int, shard: ShardRef = SHARD) -> KeepHint:
    return KeepHint(to, shard, (deletion(uid(number), version(number)),))


def numbers(store: HintStore, to: NodeName, most: int = 1000) -> list[int]:
    found = store.load(to, most)
    return [int.from_bytes(one.states[0].id, "big") for one in found]


def test_hints_are_read_back_in_their_order() -> None:
    disk, clock = PowerStore(), ManualClock()
    store = HintStore(disk, clock)
    assert store.keep([hint(N2, 1), hint(N3, 2), hint(N2, 3, OTHER)]) == {N2, N3}
    assert disk.synced > 0
    assert numbers(store, N2) == [1, 3]
    assert numbers(store, N2, 1) == [1]
    first, second = store.load(N2, 10)
    assert (first.shard, second.shard) == (SHARD, OTHER)
    assert first.states == (deletion(uid(1), version(1)),)
    store.forget(N2, first.sequence, is_final=False)
    assert numbers(store, N2) == [3]
    assert numbers(store, N3) == [2]
    figures = store.figures()
    assert (figures[N2].waiting, figures[N2].oldest_ms) == (1, clock.now_ms())
    assert (figures[N2].tally.kept, figures[N2].tally.delivered) == (2, 1)
    assert store.owed() == []


def test_objects_are_kept_whole(tmp_path: Path) -> None:
    replica = replicated(open_node(tmp_path, PowerStore())).replica
    replica.apply([state(uid(1), version(1), "red apples")])
    (held,) = replica.states([uid(1)])
    store = HintStore(PowerStore(), ManualClock())
    store.keep([KeepHint(N2, SHARD, (held,))])
    (loaded,) = store.load(N2, 1)
    assert described(loaded.states) == described([held])


def test_properties_are_encoded_by_the_present_definition(tmp_path: Path) -> None:
    schema = replicated(open_node(tmp_path, PowerStore())).schema
    known = {"Doc": schema}
    store = HintStore(PowerStore(), ManualClock(), encode=StateEncoders(known.get).encode)
    given = state(uid(1), version(1), "red apples")
    assert store.keep([KeepHint(N2, SHARD, (given,))]) == {N2}
    (loaded,) = store.load(N2, 1)
    assert described(loaded.states) == described([given])
    known.clear()  # The collection was dropped: its hint is counted, those of others are kept.
    assert store.keep([KeepHint(N2, SHARD, (given,)), hint(N3, 2)]) == {N3}
    assert store.figures()[N2].tally.dropped_unstored == 1


def test_a_restart_finds_everything() -> None:
    disk, clock = PowerStore(), ManualClock()
    HintStore(disk, clock).keep([hint(N2, 1), hint(N2, 2)])
    clock.advance(1000)
    again = HintStore(disk.after_crash(), clock)
    assert numbers(again, N2) == [1, 2]
    assert again.figures()[N2].oldest_ms == clock.now_ms() - 1000
    again.keep([hint(N2, 3)])
    assert numbers(again, N2) == [1, 2, 3]
    assert again.targets() == [N2]


def test_the_oldest_make_room_and_are_owed() -> None:
    disk = PowerStore()
    store = HintStore(disk, ManualClock(), bounds=HintBounds(count_max=2))
    store.keep([hint(N2, 1, OTHER), hint(N2, 2)])
    store.keep([hint(N2, 3)])
    assert numbers(store, N2) == [2, 3]
    assert store.owed() == [Owed(OTHER, N2)]
    assert store.figures()[N2].tally.dropped_full == 1
    # Also those that come and go in one batch.
    store.keep([hint(N3, number, OTHER) for number in range(5)])
    assert numbers(store, N3) == [3, 4]
    assert store.owed() == [Owed(OTHER, N2), Owed(OTHER, N3)]
    again = HintStore(disk.after_crash(), ManualClock())
    assert again.owed() == store.owed()
    again.pay(Owed(OTHER, N2))
    assert HintStore(disk_of(again), ManualClock()).owed() == [Owed(OTHER, N3)]


def disk_of(store: HintStore) -> PowerStore:
    disk = store._store
    assert isinstance(disk, PowerStore)
    disk.synced = len(disk._log)
    return disk.after_crash()


def test_a_hint_that_is_too_large_is_owed_at_once() -> None:
    store = HintStore(PowerStore(), ManualClock(), bounds=HintBounds(bytes_max=50))
    assert store.keep([hint(N2, 1)]) == frozenset()
    assert numbers(store, N2) == []
    assert store.owed() == [Owed(SHARD, N2)]


def test_what_is_too_old_is_not_sent() -> None:
    clock = ManualClock()
    store = HintStore(PowerStore(), clock, bounds=HintBounds(age_ms_max=HOUR_MS))
    store.keep([hint(N2, 1, OTHER)])
    clock.advance(HOUR_MS)
    store.keep([hint(N2, 2)])
    clock.advance(1)
    assert numbers(store, N2) == [2]
    assert store.figures()[N2].tally.dropped_old == 1
    assert store.owed() == [Owed(OTHER, N2)]
    clock.advance(HOUR_MS)
    assert numbers(store, N2) == []


def test_a_full_disk_fails_nobody_and_is_counted() -> None:
    disk, clock = FullStore(), ManualClock()
    store = HintStore(disk, clock)
    store.keep([hint(N2, 1)])
    disk.is_full = True
    assert store.keep([hint(N2, 2), hint(N2, 3), hint(N3, 4, OTHER)]) == frozenset()
    figures = store.figures()
    assert (figures[N2].waiting, figures[N2].tally.kept) == (1, 1)
    assert (figures[N2].tally.dropped_unstored, figures[N3].tally.dropped_unstored) == (2, 1)
    assert set(store.owed()) == {Owed(SHARD, N2), Owed(OTHER, N3)}
    disk.is_full = False
    store.keep([hint(N2, 5)])  # The debts go along.
    assert numbers(store, N2) == [1, 5]
    assert HintStore(disk.after_crash(), clock).owed() == store.owed()


def test_a_sync_that_fails_leaves_a_debt() -> None:
    disk = PowerStore()
    store = HintStore(disk, ManualClock())
    disk.is_failing = True
    assert store.keep([hint(N2, 1)]) == {N2}
    assert store.owed() == [Owed(SHARD, N2)]


def test_damage_is_passed_over() -> None:
    disk = PowerStore()
    store = HintStore(disk, ManualClock())
    store.keep([hint(N2, number) for number in range(1, 4)])
    rows = list(disk.scan(Family.HINTS, *keys.hint_range()))
    batch = WriteBatch()
    batch.put(Family.HINTS, rows[0][0], rows[0][1][:-1] + b"!")
    batch.put(Family.HINTS, rows[1][0], b"short")
    disk.write(batch)
    assert numbers(store, N2) == numbers(store, N2) == [3]
    assert store.figures()[N2].tally.dropped_damaged == 2
    again = HintStore(disk_of(store), ManualClock())
    assert again.figures()[N2].tally.dropped_damaged == 1
    assert numbers(again, N2) == [3]
    again.forget(N2, again.load(N2, 9)[0].sequence, is_final=False)
    assert again.waiting(N2) == 0
    with pytest.raises(CorruptData):
        head_of(b"short")


def test_only_damage_is_left() -> None:
    disk = PowerStore()
    store = HintStore(disk, ManualClock())
    store.keep([hint(N2, 1)])
    batch = WriteBatch()
    ((key, value),) = disk.scan(Family.HINTS, *keys.hint_range())
    batch.put(Family.HINTS, key, value[:-1] + b"!")
    disk.write(batch)
    assert numbers(store, N2) == []
    assert store.waiting(N2) == 0
    assert list(disk.scan(Family.HINTS, *keys.hint_range())) == []


def test_a_node_that_has_left_is_forgotten() -> None:
    store = HintStore(PowerStore(), ManualClock(), bounds=HintBounds(count_max=1))
    store.keep([hint(N2, 1), hint(N2, 2), hint(N3, 3), hint(N3, 4)])
    assert store.drop_target(N2) == 1
    assert store.owed() == [Owed(SHARD, N3)]
    assert (numbers(store, N2), numbers(store, N3)) == ([], [4])


def test_a_directory_without_the_family_opens(tmp_path: Path) -> None:
    """Of a release that knew no hints."""
    old = Options(raw_mode=True)
    old.create_if_missing(True)
    old.create_missing_column_families(True)
    (tmp_path / "rocks").mkdir(parents=True)
    names = [family.value for family in Family if family is not Family.HINTS]
    before = Rdict(
        str(tmp_path / "rocks"), old, column_families={n: Options(raw_mode=True) for n in names}
    )
    before.close()
    disk = RocksStore(tmp_path, small(), SystemClock())
    store = HintStore(disk, SystemClock())
    store.keep([hint(N2, 1)])
    disk.close()
    disk = RocksStore(tmp_path, small(), SystemClock())
    assert numbers(HintStore(disk, SystemClock()), N2) == [1]
    disk.close()


def small() -> StorageConfig:
    return StorageConfig(block_cache_bytes=MiB, write_buffer_bytes=4 * MiB)


WRITER = """
import os, sys
from pathlib import Path
from weftdb.cluster.replication.effects import KeepHint
from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.config import StorageConfig
from weftdb.core.env import SystemClock
from weftdb.core.objects import ObjectState
from weftdb.core.types import Version
from weftdb.server.internode.hint_store import HintStore
from weftdb.storage.rocks import RocksStore

store = HintStore(RocksStore(Path(sys.argv[1]), StorageConfig(), SystemClock()), SystemClock())
for number in range(int(sys.argv[2]), 2**40):
    state = ObjectState(number.to_bytes(16, "big"), Version(number), is_deleted=True)
    store.keep([KeepHint("n2", ShardRef("Doc", "s"), (state,))])
    os.write(1, b"%d\\n" % number)
    if number % 5 == 4:
        store.forget("n2", store.load("n2", 1)[0].sequence, is_final=False)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_sigkill_loses_no_hint(tmp_path: Path) -> None:
    told: list[int] = []
    for attempt, seconds in enumerate((0.3, 0.05, 0.2)):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(1_000_000 * (attempt + 1))],
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(seconds)
            process.kill()
            lines = (first + process.stdout.read()).split(b"\n")[:-1]
        assert lines
        told += map(int, lines)
        disk = RocksStore(tmp_path, small(), SystemClock())
        found = numbers(HintStore(disk, SystemClock()), N2, 2**31)
        disk.close()
        # One may be kept that nobody was told of; forgotten ones are the oldest.
        kept = [number for number in told if number >= found[0]]
        assert [number for number in found if number in set(told)] == kept
        told = found
