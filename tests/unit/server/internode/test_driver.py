"""Coordinations carried out in an event loop: answers, what goes on behind them, and endings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.engine.replicas import state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import (
    NAMES,
    SHARD,
    SOON_S,
    Fleet,
    KeptHints,
    eventually,
    run,
)
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.messages import Apply, Purpose, Request
from weftdb.cluster.replication.read import Found, ReadCoordination, ReadOrder
from weftdb.cluster.replication.write import (
    WriteCoordination,
    WriteOrder,
    Written,
)
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.search.messages import FetchRows
from weftdb.cluster.search.scatter import Part, ScatterOrder, ScatterRead
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import (
    Closed,
    CorruptData,
    InvalidRequest,
    NotEnoughReplicas,
    UnknownCollection,
    WeftError,
)
from weftdb.core.objects import Digest
from weftdb.core.types import CollectionName, NodeName, Version
from weftdb.server.internode.conversation import Manner, Wiring
from weftdb.server.internode.driver import Driver, DriverBounds
from weftdb.server.internode.messages import Moved
from weftdb.server.internode.outcomes import Kind, Outcomes
from weftdb.server.internode.ports import CallFailed

ONE, QUORUM, ALL = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL


class Bench:
    """A driver over a fleet. Made in a loop."""

    def __init__(self, fleet: Fleet, bounds: DriverBounds | None = None) -> None:
        self.fleet = fleet
        self.hints = KeptHints()
        self.outcomes = Outcomes()
        wiring = Wiring(fleet, self.hints, fleet.clock)
        self.driver = Driver(wiring, self.outcomes, bounds)

    def manner(self, seconds: float = SOON_S) -> Manner:
        return Manner(self.fleet.clock.monotonic_s() + seconds)

    def write(
        self, number: int, level: ConsistencyLevel, seconds: float = SOON_S, away: str = ""
    ) -> tuple[WriteCoordination, Manner, Kind]:
        manner = self.manner(seconds)
        order = WriteOrder(
            SHARD,
            1,
            (state(uid(number), version(number)),),
            WriteTargets((NAMES,), level),
            manner.deadline_s,
            unavailable=frozenset(NodeName(name) for name in away.split()),
        )
        restamp = self.outcomes.counting(
            lambda above: Version(above.time_ms + 1, above.counter, above.node)
        )
        return WriteCoordination(order, restamp), manner, Kind(is_read=False, level=level)

    def read(self, number: int, level: ConsistencyLevel) -> tuple[ReadCoordination, Manner, Kind]:
        manner = self.manner()
        order = ReadOrder(
            SHARD,
            1,
            (uid(number),),
            NAMES,
            level,
            DeletionStrategy.TIME_BASED_RESOLUTION,
            manner.deadline_s,
        )
        return ReadCoordination(order), manner, Kind(is_read=True, level=level)

    def hinted(self) -> list[str]:
        return [str(hint.to) for hint in self.hints.kept]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_a_write_is_answered_at_its_level_and_goes_on_behind(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].holds = asyncio.Event()
        answer = await bench.driver.run(*bench.write(1, QUORUM))
        assert answer == Written((version(1),))
        assert bench.driver.behind == bench.driver.running == 1
        fleet["n3"].holds.set()
        await eventually(lambda: bench.driver.running == 0)
        assert bench.driver.behind == 0
        assert fleet["n3"].digests([uid(1)]) == [Digest(version(1))]
        assert bench.hints.kept == []
        assert bench.outcomes.ended == {("write", "QUORUM", "all"): 1}

    run(main())


@pytest.mark.parametrize(
    ("raised", "answered", "asked"),
    [
        (InvalidRequest("no such property"), InvalidRequest, 1),
        (UnknownCollection("Doc"), NotEnoughReplicas, 3),  # It may be known elsewhere.
        (CorruptData("a block is damaged"), NotEnoughReplicas, 3),
    ],
)
def test_what_is_asked_wrongly_is_asked_once(
    fleet: Fleet, raised: WeftError, answered: type[WeftError], asked: int
) -> None:
    async def main() -> None:
        bench = Bench(fleet)

        def refuse(request: Request, purpose: Purpose) -> None:
            raise raised

        for name in NAMES:
            fleet.nodes[name].gate = refuse
        part = Part(FetchRows(SHARD, 1, (uid(1),)), NAMES)  # Refused before it is looked at.
        manner = bench.manner()
        with pytest.raises(answered):
            await bench.driver.run(ScatterRead(ScatterOrder((part,), manner.deadline_s)), manner)
        assert sum(len(node.heard) for node in fleet.nodes.values()) == asked

    run(main())


def test_who_fails_after_the_answer_gets_a_hint(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].holds, fleet["n3"].is_down = asyncio.Event(), True
        await bench.driver.run(*bench.write(1, QUORUM))
        assert bench.hints.kept == []
        fleet["n3"].holds.set()
        await eventually(lambda: bench.driver.running == 0)
        assert bench.hinted() == ["n3"]

    run(main())


def test_who_is_silent_until_the_deadline_gets_a_hint(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].holds = asyncio.Event()
        await bench.driver.run(*bench.write(1, QUORUM, seconds=0.5))
        await eventually(lambda: bench.driver.running == 0)
        assert bench.hinted() == ["n3"]

    run(main())


def test_a_hint_is_durable_before_the_answer(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        bench.hints.durable = asyncio.Event()
        running = asyncio.create_task(bench.driver.run(*bench.write(1, QUORUM, away="n3")))
        await eventually(lambda: fleet["n2"].digests([uid(1)]) != [None])
        await asyncio.sleep(0.05)
        assert not running.done()
        bench.hints.durable.set()
        assert await running == Written((version(1),))
        assert bench.hinted() == ["n3"]
        assert fleet["n3"].applied() == 0
        await eventually(lambda: bench.driver.running == 0)

    run(main())


def test_a_hint_after_the_answer_is_waited_for_by_nobody_but_the_end(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        bench.hints.durable = asyncio.Event()
        fleet["n3"].holds, fleet["n3"].is_down = asyncio.Event(), True
        await bench.driver.run(*bench.write(1, QUORUM))
        fleet["n3"].holds.set()
        draining = asyncio.create_task(bench.driver.drain(0.0))
        await asyncio.sleep(0.05)
        assert not draining.done()
        bench.hints.durable.set()
        await draining
        assert bench.hinted() == ["n3"]

    run(main())


def test_a_level_that_is_not_reached_is_told_object_by_object(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n2"].is_down = fleet["n3"].is_down = True
        answer = await bench.driver.run(*bench.write(1, QUORUM))
        assert isinstance(answer.outcomes[0], NotEnoughReplicas)
        await eventually(lambda: bench.driver.running == 0)
        assert sorted(bench.hinted()) == ["n2", "n3"]
        with pytest.raises(NotEnoughReplicas, match="connection refused"):
            await bench.driver.run(*bench.read(1, QUORUM))
        assert bench.outcomes.ended == {
            ("write", "QUORUM", "none"): 1, ("read", "QUORUM", "none"): 1,
        }  # fmt: skip

    run(main())


def test_a_caller_that_goes_away_does_not_stop_the_write(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        gate = asyncio.Event()
        for node in fleet.nodes.values():
            node.holds = gate
        running = asyncio.create_task(bench.driver.run(*bench.write(1, ALL)))
        await eventually(lambda: fleet["n3"].applied() == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        gate.set()
        await eventually(lambda: bench.driver.running == 0)
        for node in fleet.nodes.values():
            assert node.digests([uid(1)]) == [Digest(version(1))]
        fleet["n1"].is_down = True
        failing = asyncio.create_task(bench.driver.run(*bench.write(2, ALL)))
        await asyncio.sleep(0)
        failing.cancel()  # Nobody hears of its error, and nothing is said of that.
        await eventually(lambda: bench.driver.running == 0)

    run(main())


def test_reads_repair_and_count_it(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n1"].collection.replica.apply([state(uid(1), version(1))])
        found = await bench.driver.run(*bench.read(1, QUORUM))
        assert isinstance(found, Found)
        assert found.states[0] is not None
        assert fleet["n2"].digests([uid(1)]) == [Digest(version(1))]
        assert bench.outcomes.reads_repaired == 1
        (purpose,) = [why for asked, why in fleet["n2"].heard if isinstance(asked, Apply)]
        assert purpose is Purpose.REPAIR
        assert bench.outcomes.ended == {("read", "QUORUM", "all"): 1}

    run(main())


def test_stamping_anew_is_counted(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        for node in fleet.nodes.values():
            node.collection.replica.apply([state(uid(1), version(5))])
        answer = await bench.driver.run(*bench.write(1, QUORUM))
        assert answer.outcomes[0] == version(6)
        assert bench.outcomes.restamps == 1

    run(main())


def test_a_call_that_breaks_counts_as_failed(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].breaks = RuntimeError("a mistake of ours")
        await bench.driver.run(*bench.write(1, QUORUM))
        await eventually(lambda: bench.driver.running == 0)
        assert bench.hinted() == ["n3"]
        assert "a mistake of ours" in caplog.text

    run(main())


def test_threads_call(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        answer = await asyncio.to_thread(lambda: bench.driver.call(*bench.write(1, ALL)))
        assert answer == Written((version(1),))
        fleet["n2"].is_down = True
        with pytest.raises(NotEnoughReplicas):
            await asyncio.to_thread(lambda: bench.driver.call(*bench.read(1, ALL)))

    run(main())


@pytest.mark.parametrize("bounds", [DriverBounds(count_max=3), DriverBounds(bytes_max=4096)])
def test_what_goes_on_behind_is_bounded(fleet: Fleet, bounds: DriverBounds) -> None:
    async def main() -> None:
        bench = Bench(fleet, bounds)
        fleet["n3"].holds = asyncio.Event()
        for number in range(1, 11):
            await bench.driver.run(*bench.write(number, QUORUM))
        await eventually(lambda: bench.driver.running == bench.driver.behind <= 7)
        assert bench.outcomes.hastened == len(bench.hints.kept) == 10 - bench.driver.behind
        assert bench.driver.behind >= 1
        oldest = [hint.states[0].id for hint in bench.hints.kept]
        assert oldest == [uid(number) for number in range(1, 1 + len(oldest))]
        fleet["n3"].holds.set()
        await eventually(lambda: bench.driver.running == 0)
        assert bench.outcomes.hastened == len(bench.hints.kept)

    run(main())


def test_at_the_end_what_runs_is_ended_and_nothing_begins(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n2"].holds = fleet["n3"].holds = asyncio.Event()
        running = asyncio.create_task(bench.driver.run(*bench.write(1, QUORUM)))
        await bench.driver.run(*bench.write(2, ONE))
        await bench.driver.drain(0.05)
        assert sorted(bench.hinted()) == ["n2", "n2", "n3", "n3"]
        assert bench.driver.running == 0
        answer = await running
        assert isinstance(answer.outcomes[0], NotEnoughReplicas)
        assert "stopping" in str(answer.outcomes[0])
        with pytest.raises(Closed):
            await bench.driver.run(*bench.write(3, ONE))

    run(main())


def test_the_purpose_travels_and_requests_may_have_less_time(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].holds = asyncio.Event()
        write, manner, kind = bench.write(1, ALL)
        hurried = Manner(manner.deadline_s, Purpose.REPAIR, request_s_max=lambda _: 0.2)
        answer = await bench.driver.run(write, hurried, kind)
        assert isinstance(answer.outcomes[0], NotEnoughReplicas)
        assert bench.hinted() == ["n3"]
        request, purpose = fleet["n1"].heard[0]
        assert isinstance(request, Apply)
        assert purpose is Purpose.REPAIR

    run(main())


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_newer_sharding_state_is_learnt_from_who_refuses_by_it(
    fleet: Fleet, is_damaged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    moved = Moved(CollectionName("Doc"), 12, b"{}")
    learned: list[Moved] = []

    def refuse(_request: object, _purpose: Purpose) -> None:
        raise CallFailed(Failure("asked by an older state"), moved=moved)

    def learn(told: Moved) -> None:
        learned.append(told)
        if is_damaged:
            raise CorruptData("no JSON")

    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].gate = refuse
        write, manner, kind = bench.write(1, ALL)
        knowing = Manner(manner.deadline_s, revision=11, learn=learn)
        answer = await bench.driver.run(write, knowing, kind)
        assert isinstance(answer.outcomes[0], NotEnoughReplicas)
        assert learned == [moved]
        assert fleet["n3"].revisions == {11}
        said = [record.message for record in caplog.records]
        assert any("cannot be read: no JSON" in each for each in said) is is_damaged
        assert not any("broke" in each or "exception" in each.lower() for each in said)

    run(main())


def test_a_coordination_that_breaks_is_told(fleet: Fleet) -> None:
    class Crooked(WriteCoordination):
        def on_reply(self, *_: object) -> list[object]:  # type: ignore[override]
            raise AssertionError("a rule does not hold")

    async def main() -> None:
        bench = Bench(fleet)
        write, manner, kind = bench.write(1, ALL)
        write.__class__ = Crooked
        loop, broken = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda _, context: broken.append(context["exception"]))
        with pytest.raises(Exception, match="a rule does not hold"):
            await bench.driver.run(write, manner, kind)
        await eventually(lambda: bench.driver.running == 0)
        assert [type(error) for error in broken] == [AssertionError]

    run(main())
