"""RightOfWay: threads that write step aside for the loop, for a bounded time."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from weftdb.server.right_of_way import RightOfWay

LONG_S = 20.0
SHORT_S = 0.01

Make = Callable[..., RightOfWay]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes ways whose threads look each time, wait for ever and have no ration."""
    made = []

    def one(**times: float) -> RightOfWay:
        usual = {"wait_s_max": LONG_S, "look_s": 0.0, "ration_s": 0.0, "ration_of_several_s": 0.0}
        made.append(RightOfWay(**{**usual, **times}))
        return made[-1]

    yield one
    for way in made:
        way.close()


@pytest.fixture
def way(make: Make) -> RightOfWay:
    return make()


def aside(way: RightOfWay) -> threading.Thread:
    """A thread that gives way, once it sleeps."""
    before, thread = way.sleeping, threading.Thread(target=way.give_way)
    thread.start()
    until = time.monotonic() + LONG_S
    while way.sleeping == before and time.monotonic() < until:
        time.sleep(0.001)
    assert way.sleeping == before + 1
    return thread


def taken_s(way: RightOfWay) -> float:
    """How long giving way takes."""
    begun = time.monotonic()
    way.give_way()
    return time.monotonic() - begun


def test_nobody_waits_for_a_loop_that_rests(way: RightOfWay) -> None:
    assert taken_s(way) < LONG_S / 2
    way.loop_works()
    way.loop_rests()
    assert taken_s(way) < LONG_S / 2


def test_threads_sleep_until_the_loop_rests(way: RightOfWay) -> None:
    way.loop_works()
    threads = [aside(way), aside(way)]
    assert all(thread.is_alive() for thread in threads)
    way.loop_rests()
    for thread in threads:
        thread.join(LONG_S / 2)
        assert not thread.is_alive()
    assert way.sleeping == 0


def rationed(way: RightOfWay, searches: int) -> None:
    """Wait for a loop that answers so many searches, and get a ration."""
    way.loop_works()
    for _ in range(searches):
        way.search_begins()
    thread = aside(way)
    for _ in range(searches):
        way.search_ends()
    way.loop_rests()
    thread.join(LONG_S / 2)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="Linux only")
@pytest.mark.parametrize("searches", [1, 8])
def test_after_it_has_waited_it_works_for_a_ration(make: Make, searches: int) -> None:
    way = make(**{"ration_s" if searches == 1 else "ration_of_several_s": LONG_S})
    reading, writing = os.pipe()
    try:
        way.watch(reading)
        rationed(way, searches)
        os.write(writing, b"x")
        assert way.is_wanted
        assert taken_s(way) < LONG_S / 2
        way.forget(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_its_ration_ends_where_the_loop_has_come_to_a_single_search(make: Make) -> None:
    way = make(ration_s=LONG_S)
    rationed(way, 1)
    way.loop_works()
    thread = aside(way)
    way.loop_rests()
    thread.join(LONG_S / 2)
    assert not thread.is_alive()


def test_beside_several_searches_its_ration_is_its_own(make: Make) -> None:
    way = make(ration_of_several_s=LONG_S)
    rationed(way, 8)
    way.search_begins()
    way.search_begins()
    way.loop_works()
    assert taken_s(way) < LONG_S / 2


def test_who_ends_its_turn_has_no_ration_left(make: Make) -> None:
    way = make(wait_s_max=SHORT_S, ration_of_several_s=LONG_S)
    way.loop_works()
    way.search_begins()
    way.search_begins()
    assert taken_s(way) >= SHORT_S
    assert taken_s(way) < SHORT_S
    begun = time.monotonic()
    way.end_turn()
    assert SHORT_S <= time.monotonic() - begun < LONG_S / 2


def test_a_loop_that_never_rests_holds_nobody_up_for_ever(make: Make) -> None:
    way = make(wait_s_max=SHORT_S)
    way.loop_works()
    assert SHORT_S <= taken_s(way) < LONG_S / 2


def test_while_a_single_search_is_on_its_way_it_has_no_ration(make: Make) -> None:
    way = make(ration_s=LONG_S)
    way.loop_works()
    way.search_begins()
    thread = aside(way)
    way.loop_rests()
    thread.join(LONG_S / 2)
    assert not thread.is_alive()
    way.loop_works()
    thread = aside(way)
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


def test_a_thread_looks_seldom(make: Make) -> None:
    way = make(look_s=LONG_S)
    way.search_begins()
    way.search_begins()  # Beside several: nothing cuts what a thread has.
    way.give_way()
    way.loop_works()
    assert taken_s(way) < LONG_S / 2


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="Linux only")
def test_what_can_be_read_is_work_for_the_loop(way: RightOfWay) -> None:
    reading, writing = os.pipe()
    try:
        way.watch(reading)
        assert not way.is_wanted
        os.write(writing, b"x")
        assert way.is_wanted
        way.forget(reading)
        assert not way.is_wanted
        with pytest.raises(RuntimeError):
            way.forget(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_way_that_is_closed_looks_at_nothing(way: RightOfWay) -> None:
    reading, writing = os.pipe()
    try:
        if hasattr(select, "epoll"):
            way.watch(reading)
        os.write(writing, b"x")
        way.close()
        way.close()
        assert not way.is_wanted
    finally:
        os.close(reading)
        os.close(writing)
