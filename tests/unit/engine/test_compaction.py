"""Compaction chores: they look at graphs only, ask for room first, and say when there is none."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from tests.unit.engine.samples import DOC, draft, uid
from weftdb.core.config import ResourcesConfig
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import Closed
from weftdb.core.limits import MiB
from weftdb.core.machine import DiskUse
from weftdb.core.query import NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine import shard as shard_module
from weftdb.engine.admission import Admission
from weftdb.engine.compaction import (
    ASK_S,
    CLEANED_SHARE,
    DELETED_SHARE_MAX,
    WARNING_S,
    CompactionChore,
    GraphUpkeep,
    graph_upkeep,
)
from weftdb.engine.database import Database
from weftdb.engine.disk_guard import DiskGuard
from weftdb.engine.memory_accountant import Consumption, MemoryAccountant
from weftdb.engine.shard import Shard
from weftdb.index.ports import Compactable
from weftdb.storage.object_codec import stored_id


@dataclass
class Graph:
    """A `Compactable` that remembers what it was asked."""

    room: tuple[int, int] = (30 * MiB, 0)
    asked: list[float] = field(default_factory=list)
    deleted: int = 5
    compactions: int = 2
    log_bytes: int = 70
    log_fault: str = ""

    def compact(self, share: float) -> None:
        self.asked.append(share)

    def compaction_room(self, share: float) -> tuple[int, int]:
        return self.room

    def leave_large_compactions(self, memory_bytes: int) -> None:
        raise AssertionError("this is for the shard to do")


class Dropped(Graph):
    def compaction_room(self, share: float) -> tuple[int, int]:
        raise Closed("dropped")


@dataclass
class Machine:
    """What the guards look at."""

    clock: ManualClock = field(default_factory=ManualClock)
    used: int = 0
    gave_back: int = 0
    disk: DiskUse = field(default_factory=lambda: DiskUse(50 * MiB, 50 * MiB))

    def give_back(self) -> None:
        self.gave_back += 1

    def admission(self) -> Admission:
        config = ResourcesConfig(memory_budget_bytes=100 * MiB)
        memory = MemoryAccountant(
            config, self.clock, lambda: Consumption({}),
            used=lambda: self.used, limit=lambda: None, give_back=self.give_back,
        )  # fmt: skip
        disk = DiskGuard(Path(), config, self.clock, lambda _path: self.disk)
        return Admission(memory, disk, self.clock)


def shard_of(graph: object, interval_s: int = 0) -> Shard:
    vector = SimpleNamespace(hnsw=SimpleNamespace(cleanup_interval_s=interval_s))
    schema = SimpleNamespace(name="Doc", vector_by_name={UNNAMED: vector})
    return cast(Shard, SimpleNamespace(schema=schema, vectors={UNNAMED: graph}))


def chore_of(graph: object, machine: Machine, interval_s: int = 0) -> CompactionChore:
    shard = shard_of(graph, interval_s)
    return CompactionChore(shard, UNNAMED, Env(machine.clock), machine.admission())


@pytest.mark.parametrize(("interval_s", "looks"), [(300, 1), (30, 2), (0, 0), (-1, 0)])
def test_it_looks_for_little_when_the_interval_has_passed(interval_s: int, looks: int) -> None:
    graph, machine = Graph(), Machine()
    chore = chore_of(graph, machine, interval_s)
    for _ in range(2):
        chore.run_if_due()
        machine.clock.advance(200_000)
    chore.run_if_due()
    assert graph.asked.count(CLEANED_SHARE) == looks
    assert graph.asked.count(DELETED_SHARE_MAX) == 3 - looks


def test_what_a_compaction_freed_is_given_back_once() -> None:
    graph, machine = Graph((0, 0), compactions=0), Machine()
    chore = chore_of(graph, machine)
    chore.run_if_due()
    assert machine.gave_back == 0
    graph.compactions = 1
    for _ in range(2):
        chore.run_if_due()
        assert machine.gave_back == 1
    graph.compactions = 3
    chore.run_if_due()
    assert machine.gave_back == 2


def test_other_kinds_of_indexes_and_closed_ones_are_left_alone() -> None:
    machine = Machine()
    for index in (object(), Dropped()):
        chore = chore_of(index, machine, 10)
        machine.clock.advance(20_000)
        assert not chore.run_if_due()
    assert graph_upkeep(shard_of(object())) == GraphUpkeep()


def test_figures_are_those_of_the_graphs() -> None:
    assert graph_upkeep(shard_of(Graph())) == GraphUpkeep(5, 2, 70)


@pytest.mark.parametrize(
    ("used", "disk", "room", "missing"),
    [
        (80 * MiB, DiskUse(0, 100 * MiB), (30 * MiB, 0), "30.0 MiB of memory, 80.0 MiB of"),
        (0, DiskUse(80 * MiB, 20 * MiB), (MiB, 30 * MiB), "20.0 MiB are free and 90 % may"),
        (0, DiskUse(80 * MiB, 20 * MiB), (MiB, 15 * MiB), "20.0 MiB are free and 90 % may"),
    ],
)
def test_it_waits_for_room_and_says_so(
    used: int, disk: DiskUse, room: tuple[int, int], missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph, machine = Graph(room), Machine(used=used, disk=disk)
    chore = chore_of(graph, machine)
    for _ in range(3):
        chore.run_if_due()
        assert chore.is_waiting
        machine.clock.advance(int(ASK_S * 1000))
    assert graph.asked == []
    (said,) = [record.getMessage() for record in caplog.records]
    assert missing in said
    assert said.startswith("compaction of Doc waits for room: it needs")
    assert graph_upkeep(shard_of(graph), [chore]).waiting == 1
    machine.clock.advance(int(WARNING_S * 1000))
    chore.run_if_due()
    assert len(caplog.records) == 2
    machine.used, machine.disk = 0, DiskUse(0, 100 * MiB)
    machine.clock.advance(int(ASK_S * 1000))
    with caplog.at_level(logging.INFO):
        chore.run_if_due()
    assert graph.asked == [DELETED_SHARE_MAX]
    assert "goes on" in caplog.text
    assert not chore.is_waiting
    graph.room = (0, 0)
    chore.run_if_due()
    assert graph.asked == [DELETED_SHARE_MAX]


def test_it_does_not_wait_any_more_where_nothing_is_left_to_copy() -> None:
    graph, machine = Graph(), Machine(used=100 * MiB)
    chore = chore_of(graph, machine)
    chore.run_if_due()
    assert chore.is_waiting
    graph.room = (0, 0)
    machine.clock.advance(int(ASK_S * 1000))
    chore.run_if_due()
    assert not chore.is_waiting
    assert graph.asked == []


def test_two_that_begin_at_once_share_the_room() -> None:
    machine = Machine(used=50 * MiB)
    admission = machine.admission()
    assert admission.memory.claim(200 * MiB)  # So that freed memory has been asked for.
    chores = [
        CompactionChore(shard_of(Graph()), UNNAMED, Env(machine.clock), admission) for _ in "ab"
    ]
    for chore in chores:
        chore.run_if_due()
    assert [chore.is_waiting for chore in chores] == [False, True]


def test_a_large_one_of_a_collection_waits_and_then_runs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real index: it does not begin by itself, although more than a seventh is deleted."""
    monkeypatch.setattr(shard_module, "OWN_COMPACTION_BYTES_MAX", 0)
    database.maintenance.stop()
    docs = database.create_collection(
        parse_collection({**DOC, "vectorIndexConfig": {"distance": "l2-squared"}})
    )
    rows = np.random.default_rng(3).normal(size=(3_000, 8)).astype(np.float32)
    docs.put([draft(n, vector=rows[n].tolist()) for n in range(3_000)])
    assert docs.wait_indexed(60)
    docs.delete([uid(n) for n in range(1_500)])
    index = docs.shard.vectors[UNNAMED]
    assert isinstance(index, Compactable)
    assert docs.wait_indexed(60)
    assert (index.deleted, index.compactions) == (1_500, 0)
    (chore,) = [chore for chore in docs.chores if isinstance(chore, CompactionChore)]
    memory = database.admission.memory
    budget, memory.budget_bytes = memory.budget_bytes, 1
    chore.run_if_due()
    assert docs.figures.graph_upkeep.waiting == 1
    assert index.deleted == 1_500
    memory.budget_bytes = budget
    monkeypatch.setattr(chore, "_rest_until_s", 0.0)
    chore.run_if_due()
    assert docs.wait_indexed(60)
    assert replace(docs.figures.graph_upkeep, log_bytes=0) == GraphUpkeep(0, 1, 0, 0)
    near = NearVector((Target(UNNAMED, rows[2_000]),))
    assert stored_id(docs.search(Search("Doc", near=near, limit=1)).stored[0]) == uid(2_000)
