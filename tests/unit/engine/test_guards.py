"""Guards of memory and disk: what they refuse is refused before anything is written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.samples import draft, uid
from weftdb.core.config import ResourcesConfig
from weftdb.core.env import ManualClock
from weftdb.core.errors import DiskFull, Overloaded
from weftdb.core.limits import MiB
from weftdb.core.machine import DiskUse
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine.admission import Admission, write_bytes
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.disk_guard import LOOK_S, DiskGuard
from weftdb.engine.memory_accountant import (
    GIVE_BACK_S,
    SAMPLE_S,
    Consumption,
    MemoryAccountant,
)
from weftdb.storage.object_codec import stored_id


@dataclass
class Machine:
    """What the guards look at."""

    used: int | None = 0
    coming: int = 0
    disk: float = 0.0

    def look(self, _path: Path) -> DiskUse:
        return DiskUse(int(self.disk * 100), int((100 - self.disk) * 100))


def make_memory(
    machine: Machine, clock: ManualClock, *, limit: int | None = None, **config: int
) -> MemoryAccountant:
    return MemoryAccountant(
        ResourcesConfig(**config),
        clock,
        lambda: Consumption({"vectors": 7 * MiB}, coming=machine.coming),
        used=lambda: machine.used,
        limit=lambda: limit,
    )


def test_running_writes_and_those_since_the_last_look_count() -> None:
    machine, clock = Machine(used=50 * MiB), ManualClock()
    memory = make_memory(machine, clock, memory_budget_bytes=100 * MiB)
    with memory.grant(30 * MiB), pytest.raises(Overloaded, match="this write needs"):
        memory.grant(30 * MiB).__enter__()
    with pytest.raises(Overloaded), memory.grant(30 * MiB):
        raise AssertionError("not to be reached")
    assert memory.refused == 2
    clock.advance(int(SAMPLE_S * 1000) + 1)
    with memory.grant(30 * MiB):
        assert memory.used_bytes == 80 * MiB
    machine.coming = 20 * MiB
    clock.advance(int(SAMPLE_S * 1000) + 1)
    assert memory.used_bytes == 70 * MiB


def test_freed_memory_is_asked_for_before_a_write_is_refused() -> None:
    machine, clock, asked = Machine(used=95 * MiB), ManualClock(), []

    def give_back() -> None:
        asked.append(clock.monotonic_s())
        machine.used = 60 * MiB

    memory = MemoryAccountant(
        ResourcesConfig(memory_budget_bytes=100 * MiB), clock, lambda: Consumption({}),
        used=lambda: machine.used, limit=lambda: None, give_back=give_back,
    )  # fmt: skip
    with memory.grant(30 * MiB):
        assert memory.refused == 0
    with pytest.raises(Overloaded):
        memory.grant(30 * MiB).__enter__()
    assert len(asked) == 1, "not at every write"
    clock.advance(int(GIVE_BACK_S * 1000))
    with memory.grant(30 * MiB):
        pass
    assert (len(asked), memory.refused) == (1, 1), "not where there is room"


def test_a_failed_write_gives_its_grant_back() -> None:
    memory = make_memory(Machine(), ManualClock(), memory_budget_bytes=100 * MiB)
    with pytest.raises(KeyError), memory.grant(60 * MiB):
        raise KeyError
    assert memory.used_bytes == 60 * MiB, "until the next look"


def test_where_nothing_is_known_the_parts_count() -> None:
    memory = make_memory(Machine(used=None, coming=MiB), ManualClock(), memory_budget_bytes=MiB)
    assert memory.used_bytes == 8 * MiB


@pytest.mark.parametrize(
    ("config", "limit", "budget"),
    [
        ({}, 1000, 900),
        ({"limited": True}, 1000, 800),
        ({"memory_budget_bytes": 5000}, 1000, 5000),
        ({}, None, 0),
    ],
)
def test_the_budget(config: dict[str, int], limit: int | None, budget: int) -> None:
    assert make_memory(Machine(), ManualClock(), limit=limit, **config).budget_bytes == budget


def test_without_a_budget_everything_passes() -> None:
    with make_memory(Machine(), ManualClock()).grant(2**50):
        pass


def test_marks_of_memory(caplog: pytest.LogCaptureFixture) -> None:
    machine, clock = Machine(used=85), ManualClock()
    memory = make_memory(
        machine, clock, memory_budget_bytes=100, memory_warning_percentage=80,
        memory_readonly_percentage=95,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            memory.grant(1).__enter__()
    assert len(caplog.records) == 1, "said once a minute"
    machine.used = 96
    clock.advance(1000)
    with pytest.raises(Overloaded, match="store is read-only due to: memory usage too high"):
        memory.grant(0).__enter__()


def test_marks_of_the_disk(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    machine, clock = Machine(disk=70.0), ManualClock()
    guard = DiskGuard(tmp_path, ResourcesConfig(), clock, machine.look)
    guard.check()
    machine.disk = 85.0
    guard.check()
    assert guard.used_percentage == 70.0, "looked at once a second"
    clock.advance(int(LOOK_S * 1000))
    with caplog.at_level(logging.WARNING):
        guard.check()
        guard.check()
    assert len(caplog.records) == 1
    machine.disk = 91.0
    clock.advance(int(LOOK_S * 1000))
    with pytest.raises(DiskFull, match=r"read-only due to: disk usage too high, 91\.0 % used"):
        guard.check()
    machine.disk = 89.0
    clock.advance(int(LOOK_S * 1000))
    guard.check()
    assert guard.refused == 1


def test_marks_that_are_off_and_a_disk_that_cannot_be_seen(tmp_path: Path) -> None:
    off = ResourcesConfig(disk_warning_percentage=0, disk_readonly_percentage=0)
    DiskGuard(tmp_path, off, ManualClock(), Machine(disk=100.0).look).check()
    DiskGuard(tmp_path / "gone", ResourcesConfig(), ManualClock()).check()


@pytest.fixture
def guarded(
    database: Database, docs: LocalCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Machine], LocalCollection]:
    """A collection with one object, behind guards that look at a made-up machine."""
    docs.put([draft(1, vector=[1.0, 0.0])])

    def guard(machine: Machine) -> LocalCollection:
        clock = ManualClock()
        admission = Admission(
            make_memory(machine, clock, memory_budget_bytes=100 * MiB),
            DiskGuard(tmp_path, ResourcesConfig(), clock, machine.look),
            clock,
        )
        monkeypatch.setattr(docs.only, "_admission", admission)
        return docs

    return guard


@pytest.mark.parametrize(
    ("machine", "error"),
    [(Machine(used=100 * MiB), Overloaded), (Machine(disk=95.0), DiskFull)],
)
def test_a_refused_import_leaves_no_trace_and_searches_go_on(
    guarded: Callable[[Machine], LocalCollection], machine: Machine, error: type[Exception]
) -> None:
    docs = guarded(machine)
    with pytest.raises(error):
        docs.put([draft(2, vector=[0.0, 1.0]), draft(1, title="changed")])
    with pytest.raises(error):
        docs.merge(uid(1), {"title": "changed"}, {})
    assert docs.count() == 1
    near = NearVector((Target(UNNAMED, np.array([0.0, 1.0], dtype=np.float32)),))
    assert [stored_id(row) for row in docs.search(Search("Doc", near=near)).stored] == [uid(1)]
    assert docs.get(uid(1)).properties["title"] == "object 1"
    assert docs.delete([uid(1)]) == [True], "what makes room is always taken"


def test_what_a_write_needs_follows_its_vectors(docs: LocalCollection) -> None:
    without = write_bytes(docs.shard, [draft(1)])
    each = write_bytes(docs.shard, [draft(1, vector=[0.0] * 1000)]) - without
    assert 4_000 < each < 4_400
    many = [draft(n, vector=[0.0] * 1000) for n in range(10)]
    assert write_bytes(docs.shard, many) == pytest.approx(10 * (each + without), abs=10)


def test_the_rate_of_writing(database: Database, docs: LocalCollection, clock: ManualClock) -> None:
    figures = database.admission.figures
    docs.put([draft(n) for n in range(10)])
    assert figures().per_second == pytest.approx(2.0)
    clock.advance(5_000)
    assert figures().per_second == pytest.approx(2.0)
    clock.advance(2_500)
    assert figures().per_second == pytest.approx(1.0)
    clock.advance(20_000)
    assert figures() == type(figures())(0, 0.0)


def test_the_database_says_what_it_takes(database: Database, docs: LocalCollection) -> None:
    docs.put([draft(n, vector=[float(n), 1.0]) for n in range(50)])
    found = database.admission.memory.consumption()
    assert found.parts["vectors"] > 50 * 16
    assert found.parts["terms"] > 0
    assert found.coming == 0
