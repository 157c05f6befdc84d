"""Hints on their way: kept together, sent when the target is back, repeated when it fails."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.unit.engine.replicas import PowerStore, deletion, state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import (
    NAMES,
    SHARD,
    Fleet,
    FleetView,
    eventually,
    run,
)
from weftdb.cluster.replication.effects import Failure, KeepHint
from weftdb.cluster.replication.hint_replay import ReplayPace
from weftdb.cluster.replication.messages import Apply, Purpose, Request
from weftdb.core.errors import DiskFull
from weftdb.core.objects import Digest
from weftdb.core.types import CollectionName, NodeName
from weftdb.server.internode.hint_keeper import LOOK_S, HintKeeper
from weftdb.server.internode.hint_store import HintStore
from weftdb.server.internode.messages import Moved
from weftdb.server.internode.ports import CallFailed

N3 = NodeName("n3")
QUICK = ReplayPace(backoff_s_min=0.02, backoff_s_max=0.05)


class Bench:
    """A keeper on the first node. Made in a loop."""

    def __init__(
        self, fleet: Fleet, disk: PowerStore | None = None, *, pace: ReplayPace = QUICK
    ) -> None:
        self.fleet = fleet
        self.view = FleetView(fleet, NAMES[0])
        self.disk = disk or PowerStore()
        self.store = HintStore(self.disk, fleet.clock)
        self.keeper = HintKeeper(
            self.store, fleet, self.view, fleet.clock, random.Random(1), pace=pace
        )

    def hold(self, number: int) -> Digest | None:
        return self.fleet["n3"].digests([uid(number)])[0]


def hint(number: int, to: NodeName = N3) -> KeepHint:
    return KeepHint(to, SHARD, (deletion(uid(number), version(number)),))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_hints_wait_until_their_target_is_back(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        bench.view.away = {N3}
        bench.keeper.start()
        await asyncio.gather(*(bench.keeper.keep(hint(number)) for number in range(1, 21)))
        assert bench.disk.synced < 20, "they do not share syncs"
        await asyncio.sleep(0.05)
        assert fleet["n3"].heard == []
        bench.view.away = set()
        await eventually(lambda: bench.store.waiting(N3) == 0)
        assert [bench.hold(number) for number in range(1, 21)] == [
            Digest(version(number), is_deleted=True) for number in range(1, 21)
        ]
        request, purpose = fleet["n3"].heard[0]
        assert isinstance(request, Apply)
        assert (request.schema_version, purpose) == (7, Purpose.REPAIR)
        assert fleet["n3"].revisions == {11}
        assert bench.store.figures()[N3].tally.delivered == 20
        await bench.keeper.stop()

    run(main())


def test_a_target_that_fails_is_tried_again(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        fleet["n3"].is_down = True
        bench.keeper.start()
        await bench.keeper.keep(hint(1))
        await eventually(lambda: len(fleet["n3"].heard) >= 3)
        assert bench.store.waiting(N3) == 1
        fleet["n3"].is_down = False
        await eventually(lambda: bench.store.waiting(N3) == 0)
        assert bench.hold(1) is not None
        await bench.keeper.stop()

    run(main())


def test_a_target_in_doubt_is_sent_its_hints_once_it_answers(fleet: Fleet) -> None:
    async def main() -> None:
        bench = Bench(fleet, pace=ReplayPace(backoff_s_min=60.0, backoff_s_max=60.0))
        fleet["n3"].is_down = True
        bench.keeper.start()
        await bench.keeper.keep(hint(1))
        await eventually(lambda: len(fleet["n3"].heard) == 1)  # It failed: again in a minute.
        bench.view.doubted = {N3}
        await bench.keeper.keep(hint(2))
        await asyncio.sleep(2 * LOOK_S)
        assert bench.store.waiting(N3) == 2
        bench.view.doubted, fleet["n3"].is_down = set(), False
        await eventually(lambda: bench.store.waiting(N3) == 0)
        await bench.keeper.stop()

    run(main())


def test_what_the_target_will_never_take_is_let_go(fleet: Fleet) -> None:
    moved = Moved(CollectionName("Doc"), 12, b"{}")

    def gate(request: Request, purpose: Purpose) -> None:
        if not bench.view.learned:
            raise CallFailed(Failure("asked by an old state"), moved=moved)
        raise CallFailed(Failure("no such shard here", is_final=True))

    async def main() -> None:
        nonlocal bench
        bench = Bench(fleet)
        fleet["n3"].gate = gate
        bench.keeper.start()
        await bench.keeper.keep(hint(1))
        await eventually(lambda: bench.store.waiting(N3) == 0)
        assert bench.view.learned == [moved]
        assert bench.store.figures()[N3].tally.dropped_final == 1
        await bench.keeper.stop()

    bench: Bench
    run(main())


def test_a_restart_goes_on_with_what_is_stored(fleet: Fleet) -> None:
    async def first() -> PowerStore:
        bench = Bench(fleet)
        bench.view.away = {N3}
        bench.keeper.start()
        await bench.keeper.keep(hint(1))
        await bench.keeper.stop()
        return bench.disk.after_crash()

    async def second(disk: PowerStore) -> None:
        bench = Bench(fleet, disk)
        bench.keeper.start()
        await eventually(lambda: bench.store.waiting(N3) == 0)
        assert bench.hold(1) is not None
        await bench.keeper.stop()

    run(second(run(first())))


def test_a_store_that_fails_holds_nobody_up(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("weftdb.server.internode.hint_keeper.NUDGE_S", 0.2)
        bench = Bench(fleet)
        load, forget = bench.store.load, bench.store.forget

        def refuse(*_: object, **__: object) -> None:
            raise DiskFull("no room")

        monkeypatch.setattr(bench.store, "load", refuse)
        bench.keeper.start()
        await bench.keeper.keep(hint(1))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(bench.store, "load", load)
        monkeypatch.setattr(bench.store, "forget", refuse)
        await eventually(lambda: bench.hold(1) is not None)
        monkeypatch.setattr(bench.store, "forget", forget)
        await eventually(lambda: bench.store.waiting(N3) == 0)
        await bench.keeper.stop()

    run(main())


def test_hints_for_a_node_that_has_left_are_dropped(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr("weftdb.server.internode.hint_keeper.NUDGE_S", 0.05)
        bench = Bench(fleet)
        bench.view.away = {N3}
        bench.keeper.start()
        await bench.keeper.keep(hint(1))
        await asyncio.sleep(0.7)
        assert bench.store.waiting(N3) == 1
        bench.view.gone = {N3}
        await eventually(lambda: bench.store.waiting(N3) == 0)
        assert bench.store.figures()[N3].tally.dropped_final == 1
        await bench.keeper.stop()

    run(main())


def test_a_hint_that_breaks_the_store_is_told_and_not_waited_for(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        bench = Bench(fleet)
        # Properties that nobody has encoded, which is a mistake of the coordinator's.
        broken = KeepHint(N3, SHARD, (state(uid(1), version(1)),))
        await asyncio.gather(bench.keeper.keep(broken), bench.keeper.keep(hint(2)))
        assert "hints were not kept" in caplog.text
        await bench.keeper.keep(hint(3))
        assert bench.store.waiting(N3) == 1
        await bench.keeper.stop()

    run(main())
