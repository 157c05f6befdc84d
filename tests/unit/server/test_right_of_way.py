"""RightOfWay: threads that write step aside for the loop, for a bounded time."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator

import pytest

from weftdb.server import right_of_way
from weftdb.server.right_of_way import RightOfWay

LONG_S = 20.0


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[RightOfWay]:
    monkeypatch.setattr(right_of_way, "WAIT_S_MAX", LONG_S)
    way = RightOfWay()
    yield way
    way.close()


def aside(way: RightOfWay) -> threading.Thread:
    """A thread that gives way, once it sleeps."""
    thread = threading.Thread(target=way.give_way)
    thread.start()
    until = time.monotonic() + LONG_S
    while not way._sleeping and time.monotonic() < until:
        time.sleep(0.001)
    assert way._sleeping
    return thread


def test_nobody_waits_for_a_loop_that_rests(way: RightOfWay) -> None:
    begun = time.monotonic()
    way.give_way()
    way.loop_works()
    way.loop_rests()
    way.give_way()
    assert time.monotonic() - begun < LONG_S / 2


def test_a_thread_sleeps_until_the_loop_rests(way: RightOfWay) -> None:
    way.loop_works()
    threads = [aside(way)]
    assert threads[0].is_alive()
    way.loop_rests()
    threads[0].join(LONG_S / 2)
    assert not threads[0].is_alive()


def test_after_it_has_waited_it_works_for_a_ration(
    way: RightOfWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(right_of_way, "RATION_S", LONG_S)
    way.loop_works()
    thread = aside(way)
    way.loop_rests()
    thread.join(LONG_S / 2)
    way.loop_works()
    begun = time.monotonic()
    way.give_way()
    assert time.monotonic() - begun < LONG_S / 2


def test_beside_several_searches_the_ration_is_larger(
    way: RightOfWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(right_of_way, "WAIT_S_MAX", 0.001)
    way.loop_works()
    rations = []
    for running in (1, 8, 1):
        for _ in range(running):
            way.search_begins()
        way._go_on_until_s = 0.0
        way.give_way()
        rations.append(way._go_on_until_s - time.perf_counter())
        for _ in range(running):
            way.search_ends()
    assert rations[0] <= right_of_way.RATION_S
    assert right_of_way.RATION_S < rations[1] <= right_of_way.RATION_S_MAX
    assert rations[2] <= right_of_way.RATION_S


def test_a_loop_that_never_rests_holds_nobody_up_for_ever(
    way: RightOfWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(right_of_way, "WAIT_S_MAX", 0.01)
    way.loop_works()
    begun = time.monotonic()
    way.give_way()
    assert 0.01 <= time.monotonic() - begun < LONG_S / 2


def test_a_thread_sleeps_while_a_single_search_is_on_its_way(way: RightOfWay) -> None:
    way.loop_works()
    way.search_begins()
    thread = aside(way)
    way.loop_rests()
    assert way._sleeping
    way.loop_works()
    way.search_ends()
    way.loop_rests()
    thread.join(LONG_S / 2)
    assert not thread.is_alive()


def test_beside_several_searches_it_works_while_they_are_on_their_way(way: RightOfWay) -> None:
    way.loop_works()
    way.search_begins()
    way.search_begins()
    thread = aside(way)
    way.loop_rests()
    thread.join(LONG_S / 2)
    assert not thread.is_alive()


def test_a_single_search_that_takes_long_holds_nobody_up_twice(
    way: RightOfWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(right_of_way, "WAIT_S_MAX", 0.01)
    way.search_begins()
    way.give_way()
    assert not way._is_wanted()
    way.search_ends()
    way.search_begins()
    assert way._is_wanted()


def test_a_thread_looks_seldom(way: RightOfWay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(right_of_way, "LOOK_S", LONG_S)
    way.give_way()
    way.loop_works()
    begun = time.monotonic()
    way.give_way()
    assert time.monotonic() - begun < LONG_S / 2


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="Linux only")
def test_what_can_be_read_is_work_for_the_loop(way: RightOfWay) -> None:
    reading, writing = os.pipe()
    try:
        way.watch(reading)
        assert not way._is_wanted()
        os.write(writing, b"x")
        assert way._is_wanted()
        way.forget(reading)
        assert not way._is_wanted()
    finally:
        os.close(reading)
        os.close(writing)
