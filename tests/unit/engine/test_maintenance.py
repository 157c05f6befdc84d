"""Maintenance: chores take turns, a failing one rests longer and longer and is not forgotten."""

from __future__ import annotations

import pytest

from tests.unit.engine.samples import draft
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import DiskFull
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.maintenance import BACKOFF_S_MAX, Maintenance


class Scripted:
    """A chore that does what the script says."""

    def __init__(self, name: str, script: list[bool | Exception]) -> None:
        self.name = name
        self.calls = 0
        self._script = script

    def run_if_due(self) -> bool:
        self.calls += 1
        step = self._script.pop(0) if self._script else False
        if isinstance(step, Exception):
            raise step
        return step

    def finish(self) -> None:
        self.calls = -1


def test_every_chore_gets_its_turn() -> None:
    chores = [Scripted("a", [True, False]), Scripted("b", [False, False])]
    maintenance = Maintenance(lambda: chores, Env(ManualClock()))

    assert maintenance.run_once()
    assert not maintenance.run_once()
    assert [chore.calls for chore in chores] == [2, 2]
    assert maintenance.counters.by_chore == {"a": 1}


def test_a_failing_chore_rests_and_comes_back() -> None:
    clock = ManualClock()
    chore = Scripted("a", [DiskFull("full"), DiskFull("full"), True])
    maintenance = Maintenance(lambda: [chore], Env(clock))

    assert not maintenance.run_once()
    assert not maintenance.run_once()
    assert chore.calls == 1, "it rests after a failure"
    clock.advance(2_001)
    maintenance.run_once()
    clock.advance(3_000)
    maintenance.run_once()
    assert chore.calls == 2, "the second rest is longer"
    clock.advance(int(BACKOFF_S_MAX * 1000))
    assert maintenance.run_once()
    assert maintenance.counters.failures == 2
    assert "full" in maintenance.counters.last_error


def test_signal_wakes_the_thread_and_stop_ends_it() -> None:
    chore = Scripted("a", [True])
    maintenance = Maintenance(lambda: [chore], Env())
    maintenance.start()
    maintenance.signal()
    maintenance.stop()
    assert chore.calls >= 1


def test_chores_that_are_overtaken_by_a_drop_have_nothing_to_do(
    docs: LocalCollection, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A drop closes an index while the thread is about to ask it something."""
    docs.put([draft(1, "an object", [1, 2])])
    docs.shard.vectors[UNNAMED].close()
    maintenance = Maintenance(lambda: docs.chores, Env(clock))
    for _ in range(3):
        maintenance.run_once()
        clock.advance(60_000)
    assert maintenance.counters.failures == 0, maintenance.counters.last_error
    assert caplog.text == ""
