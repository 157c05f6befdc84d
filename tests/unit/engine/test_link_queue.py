"""Ages of the tail, and writers that wait for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.unit.engine.samples import draft
from weftdb.core.config import IndexConfig
from weftdb.core.env import ManualClock
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.engine.link_queue import TAIL_MIN, WAIT_S_PER_OBJECT, LinkQueue, LinkQueues, tail_max


@dataclass
class Index:
    """As far as a queue looks."""

    pending: int = 0
    dimensions: int | None = 100


def make(index: Index, clock: ManualClock) -> LinkQueue:
    return LinkQueue(lambda: cast("Any", {UNNAMED: index}), UNNAMED, clock)


def test_the_oldest_is_the_first_that_is_not_linked() -> None:
    index, clock = Index(), ManualClock()
    queue = make(index, clock)
    assert queue.oldest_s() == 0.0
    for pending in (10, 20, 30):
        index.pending = pending
        queue.note(10)
        clock.advance(1000)
    assert queue.oldest_s() == pytest.approx(3.0)
    index.pending = 11
    assert queue.oldest_s() == pytest.approx(2.0)
    index.pending = 10
    assert queue.oldest_s() == pytest.approx(1.0)
    index.pending = 0
    assert queue.oldest_s() == 0.0


def test_vectors_from_before_the_start_do_not_confuse_it() -> None:
    index, clock = Index(pending=500), ManualClock()
    queue = make(index, clock)
    queue.note(10)
    index.pending = 510
    clock.advance(1000)
    assert queue.oldest_s() == pytest.approx(1.0)


def test_writes_in_quick_succession_are_one_mark() -> None:
    index, clock = Index(pending=10**6), ManualClock()
    queue = make(index, clock)
    for _ in range(1000):
        queue.note(1)
        clock.advance(1)
    assert len(queue._marks) <= 11


@pytest.mark.parametrize(
    ("dim", "scan_s", "most"),
    [(100, 0.0005, 3_348), (1536, 0.0005, TAIL_MIN), (100, 0.0, 2**62)],
)
def test_how_long_a_tail_may_be(dim: int, scan_s: float, most: int) -> None:
    assert tail_max(dim, IndexConfig(tail_scan_s_max=scan_s)) == most


def test_a_writer_waits_until_there_is_room() -> None:
    index = Index(pending=20_000)
    queue = make(index, ManualClock())
    threading.Timer(0.05, lambda: setattr(index, "pending", 3_000)).start()
    queue.enter(IndexConfig(tail_scan_s_max=0.0005), 1000)
    assert index.pending == 3_000
    assert queue.slowed_s > 0


def test_the_wait_has_an_end() -> None:
    queue = make(Index(pending=20_000), ManualClock())
    queue.enter(IndexConfig(tail_wait_s_max=0.02), 1000)
    assert 0.02 <= queue.slowed_s < 0.05


def test_a_single_object_waits_for_a_moment_only() -> None:
    queue = make(Index(pending=10**6), ManualClock())
    queue.enter(IndexConfig(), 1)
    assert WAIT_S_PER_OBJECT <= queue.slowed_s < WAIT_S_PER_OBJECT + 0.03


def test_those_who_were_let_in_count_until_they_have_written() -> None:
    index = Index(pending=200)
    queue = make(index, ManualClock())
    config = IndexConfig(tail_scan_s_max=1e-9, tail_wait_s_max=0.01)
    queue.enter(config, 128)
    assert queue.slowed_s == 0
    queue.enter(config, 128)
    assert queue.slowed_s > 0, "328 are more than a tail may have"
    for _ in range(2):
        queue.leave(128)
    before = queue.slowed_s
    queue.enter(config, 128)
    assert queue.slowed_s == before


def test_collections_wait_before_they_write(docs: LocalCollection) -> None:
    index = Index(pending=20_000)
    queues = LinkQueues(
        lambda: cast("Any", {UNNAMED: index}), IndexConfig(tail_wait_s_max=0.01), ManualClock()
    )
    docs.only.queues = queues
    docs.put([draft(1, vector=[1.0, 2.0]), draft(2)])
    assert docs.count() == 2
    assert queues.slowed_s > 0
    assert docs.only.queues.pending == 20_000
