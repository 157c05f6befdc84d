"""Linking that failed: it is said, nobody waits for it, it is tried again in growing pauses."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.engine.samples import draft
from weftdb.core.config import IndexConfig
from weftdb.core.env import Env, ManualClock
from weftdb.core.schema import VectorConfig
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.link_queue import LinkQueues
from weftdb.engine.relinking import PAUSE_S_MAX, LinkChore
from weftdb.index.factory import make_index
from weftdb.index.ports import Linked


@dataclass
class Index:
    """As far as the chore and the queue look."""

    pending: int = 50_000
    dimensions: int | None = 100
    link_fault: str = ""
    faults: list[str] = field(default_factory=list)
    retries: int = 0

    def retry_links(self) -> None:
        self.retries += 1
        self.link_fault = self.faults.pop() if self.faults else ""


@pytest.fixture
def env(clock: ManualClock) -> Env:
    """With the clock that the test moves."""
    return Env(clock, seed=1)


def make(index: Index, env: Env) -> LinkChore:
    shard = SimpleNamespace(schema=SimpleNamespace(name="Doc"), vectors={UNNAMED: index})
    return LinkChore(cast("Any", shard), UNNAMED, env)


def test_it_is_tried_again_in_doubling_pauses(
    env: Env, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    index = Index(link_fault="out of memory", faults=["no luck"] * 9)
    chore = make(index, env)
    tries_s: list[float] = []
    with caplog.at_level(logging.ERROR, logger="weftdb.maintenance"):
        for second in range(400):
            before = index.retries
            chore.run_if_due()
            if index.retries > before:
                tries_s.append(second)
            clock.advance(1000)
    assert tries_s[:5] == [1, 4, 9, 18, 35], "each after a pause twice as long"
    assert len(caplog.records) == len(tries_s) + bool(index.link_fault)
    assert "linking of Doc failed: out of memory" in caplog.text
    assert "tried again in 60 s" in caplog.text


def test_after_a_good_while_it_starts_with_short_pauses(env: Env, clock: ManualClock) -> None:
    index = Index(link_fault="out of memory", faults=["again"])
    chore = make(index, env)
    for _ in range(10):
        chore.run_if_due()
        clock.advance(1000)
    assert (index.retries, index.link_fault) == (2, "")
    clock.advance(int(PAUSE_S_MAX * 1000))
    assert chore.run_if_due()
    assert not chore.run_if_due()
    index.link_fault = "out of memory"
    chore.run_if_due()
    clock.advance(1000)
    chore.run_if_due()
    assert index.retries == 3


def test_writers_do_not_wait_for_links_that_are_not_made(
    docs: LocalCollection, clock: ManualClock
) -> None:
    index = Index(link_fault="out of memory")
    queues = LinkQueues(
        lambda: cast("Any", {UNNAMED: index}), IndexConfig(tail_wait_s_max=0.01), clock
    )
    docs.only.queues = queues
    docs.put([draft(1, vector=[1.0, 2.0]), draft(2)])
    assert queues.slowed_s == 0
    assert queues.faults() == {UNNAMED: "out of memory"}
    index.link_fault = ""
    docs.put([draft(3)])
    assert queues.slowed_s > 0
    assert queues.faults() == {}


def test_kinds_that_make_links_are_looked_after() -> None:
    for multi in (False, True):
        config = VectorConfig(UNNAMED, multi_vector=multi)
        index = make_index(config, IndexConfig())
        assert isinstance(index, Linked)
        assert index.link_fault == ""
        index.retry_links()
        index.close()
