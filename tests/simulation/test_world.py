"""The parts of the world, each alone: events, clocks, disk, network, faults."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.storage.kv import Family, WriteBatch

from .changes import ChangeKind
from .disk import LossyStore
from .events import START_MS, Events, SkewedClock
from .faults import AMBUSHED, ROLES, FaultKind
from .network import Network, Weather
from .plan import USUAL, draw_plan
from .shrink import Shrinking


def batch_of(key: bytes, value: bytes) -> WriteBatch:
    batch = WriteBatch()
    batch.put(Family.OBJECTS, key, value)
    return batch


def test_events_happen_in_the_order_of_time() -> None:
    events = Events(random.Random(1))
    told: list[str] = []
    events.after(2.0, lambda: told.append("second"))
    events.after(1.0, lambda: events.after(0.5, lambda: told.append("first")))
    events.after(3.0, lambda: told.append("never")).cancel()
    events.run(10.0)
    assert told == ["first", "second"]
    assert events.now == 10.0


def test_events_of_one_moment_come_in_an_order_of_the_seed() -> None:
    def order(seed: int) -> list[int]:
        events = Events(random.Random(seed))
        told: list[int] = []
        for number in range(6):
            events.at(1.0, lambda number=number: told.append(number))
        events.run(2.0)
        return told

    assert order(7) == order(7)
    assert len({tuple(order(seed)) for seed in range(10)}) > 1


def test_a_skewed_clock_is_wrong_and_runs_wrong() -> None:
    events = Events(random.Random(1))
    clock = SkewedClock(events, offset_s=-300.0, drift=0.01)
    assert clock.now_ms() == START_MS - 300_000
    events.run(100.0)
    assert clock.now_ms() == START_MS - 300_000 + 101_000
    assert clock.monotonic_s() == pytest.approx(101.0)
    assert clock.delay_until(111.1) == pytest.approx(10.0)
    clock.step(-5.0)
    assert clock.now_ms() == START_MS - 300_000 + 96_000
    assert clock.monotonic_s() == pytest.approx(101.0), "a step of the wall clock is not seen there"


def test_a_crash_loses_what_was_not_synced_and_only_the_newest_of_it() -> None:
    kept = set()
    for seed in range(20):
        store = LossyStore()
        for number in range(6):
            ticket = store.write(batch_of(bytes([number]), b"x"))
            if number == 2:
                store.sync(ticket)
        store.crash(random.Random(seed))
        held = [number for number in range(6) if store.get(Family.OBJECTS, bytes([number]))]
        assert held == list(range(len(held))), "an older write is gone and a newer one there"
        assert len(held) >= 3, "a synced write is gone"
        kept.add(len(held))
    assert kept == {3, 4, 5, 6}


def test_a_wiped_disk_is_empty() -> None:
    store = LossyStore()
    store.sync(store.write(batch_of(b"k", b"v")))
    store.wipe()
    assert store.get(Family.OBJECTS, b"k") is None
    assert list(store.scan(Family.OBJECTS, b"", b"\xff")) == []


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["put", "delete", "sync"]), st.integers(0, 3))),
    st.integers(0, 9),
)
def test_a_crashed_disk_is_some_earlier_state(steps: list[tuple[str, int]], seed: int) -> None:
    store, state, states, synced = LossyStore(), {}, [{}], 0
    for step, (verb, number) in enumerate(steps):
        key = bytes([number])
        if verb == "sync":
            store.sync(store.written)
            synced = len(states) - 1
            continue
        batch = WriteBatch()
        if verb == "put":
            batch.put(Family.IDS, key, bytes([step % 256]))
            state = {**state, key: bytes([step % 256])}
        else:
            batch.delete(Family.IDS, key)
            state = {k: v for k, v in state.items() if k != key}
        store.write(batch)
        states.append(state)
    store.crash(random.Random(seed))
    assert dict(store.scan(Family.IDS, b"", b"\xff")) in states[synced:]


def carried(weather: Weather, *, prepare=lambda network: None) -> list[tuple[float, int]]:
    events = Events(random.Random(1))
    network = Network(events, random.Random(2), weather)
    prepare(network)
    told: list[tuple[float, int]] = []
    for number in range(200):
        network.carry("a", "b", lambda number=number: told.append((events.now, number)))
    events.run(1e6)
    return told


def test_a_network_loses_repeats_and_reorders() -> None:
    assert len(carried(Weather())) == 200
    lossy = carried(Weather(loss=0.3))
    assert 100 < len(lossy) < 180
    twice = carried(Weather(duplication=0.3))
    assert 230 < len(twice) < 290
    numbers = [number for _, number in carried(Weather(spread=1.5))]
    assert numbers != sorted(numbers)
    assert sorted(numbers) == list(range(200))


def test_a_cut_link_is_cut_in_one_direction_and_by_count() -> None:
    events = Events(random.Random(1))
    network = Network(events, random.Random(2), Weather())
    told: list[str] = []
    network.block([("a", "b")])
    network.block([("a", "b"), ("b", "c")])
    network.unblock([("a", "b"), ("b", "c")])
    for source, target in (("a", "b"), ("b", "a"), ("b", "c")):
        network.carry(source, target, lambda link=source + target: told.append(link))
    events.run(1.0)
    assert sorted(told) == ["ba", "bc"]


def test_a_slow_link_is_slow() -> None:
    def slow(network: Network) -> None:
        network.slow["a", "b"] = 1000.0

    usual, late = carried(Weather()), carried(Weather(), prepare=slow)
    assert max(at for at, _ in usual) < min(at for at, _ in late)


def test_plans_are_drawn_from_the_seed_alone() -> None:
    assert draw_plan(5, USUAL) == draw_plan(5, USUAL)
    plans = [draw_plan(seed, USUAL) for seed in range(200)]
    kinds = {fault.kind for plan in plans for fault in plan.faults}
    assert kinds == set(FaultKind), "a kind of fault never happens"
    assert {len(plan.nodes) for plan in plans} == {3, 4, 5, 6}
    assert {change.kind for plan in plans for change in plan.changes} == set(ChangeKind)
    assert {plan.strategy for plan in plans} == set(DeletionStrategy)
    assert {plan.is_forgetful for plan in plans} == {True, False}
    assert any(node.joins_at > 0.0 for plan in plans for node in plan.nodes)
    ambushes = {f.node for plan in plans for f in plan.faults if f.kind is FaultKind.AMBUSH}
    assert {when.split()[0] for when in ambushes} == set(AMBUSHED)
    assert {when.split()[1] for when in ambushes} == set(ROLES)
    skews = [abs(node.offset_s) for plan in plans for node in plan.nodes]
    assert max(skews) > 250
    for plan in plans:
        wiped = {fault.node for fault in plan.faults if fault.kind is FaultKind.WIPE}
        assert len(wiped) <= (plan.factor - 1) // 2, "a majority loses its data"


def test_shrinking_finds_the_steps_and_faults_that_matter() -> None:
    plan = next(p for p in (draw_plan(s, USUAL) for s in range(99)) if len(p.faults) > 4)
    needed = plan.faults[2]
    search = Shrinking(lambda cut: len(cut.steps) >= 37 and needed in cut.faults)
    small = search.shrink(plan)
    assert len(small.steps) == 37
    assert small.faults == (needed,)
