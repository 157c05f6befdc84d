"""A node's replication put together: a write whose replica was away, until all hold the same."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from tests.unit.engine.replicas import GRACE_S, deletion, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import NAMES, SHARD, Fleet, FleetView, eventually, run
from weftdb.cluster.replication.hint_replay import ReplayPace
from weftdb.cluster.replication.write import WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.core.config import ComparingConfig, Config, ReplicationConfig
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Env
from weftdb.core.types import NodeName, Version
from weftdb.server.internode.conversation import Manner
from weftdb.server.internode.messages import Tell
from weftdb.server.internode.outcomes import Kind
from weftdb.server.internode.repair import RepairPace
from weftdb.server.internode.replication import Replication
from weftdb.server.internode.replication_figures import ReplicationCollector

N1, N2, N3 = NAMES
CONFIG = Config(
    replication=ReplicationConfig(tombstone_grace_s=GRACE_S),
    comparing=ComparingConfig(period_s=0.05, period_s_busy=0.01),
)
QUORUM = ConsistencyLevel.QUORUM


def made(fleet: Fleet, node: NodeName, **changes: bool) -> tuple[Replication, FleetView]:
    view = FleetView(fleet, node)
    store = fleet.nodes[node].database.store
    replication = Replication(store, view, CONFIG, Env(fleet.clock, seed=1), **changes)
    fleet.nodes[node].standings = replication.standings
    return replication, view


def started(fleet: Fleet, node: NodeName) -> tuple[Replication, FleetView]:
    replication, view = made(fleet, node)
    replication.start(
        fleet,
        fleet,
        replay_pace=ReplayPace(backoff_s_min=0.02, backoff_s_max=0.1),
        repair_pace=RepairPace(look_s=0.02, retry_s=0.05),
    )
    return replication, view


async def write(replication: Replication, fleet: Fleet, number: int, *away: NodeName) -> Written:
    manner = Manner(fleet.clock.monotonic_s() + 10)
    order = WriteOrder(
        SHARD,
        7,
        (deletion(uid(number), version(number)),),
        WriteTargets((NAMES,), QUORUM),
        manner.deadline_s,
        unavailable=frozenset(away),
    )
    restamp = replication.outcomes.counting(lambda above: Version(above.time_ms + 1))
    write = WriteCoordination(order, restamp)
    return await replication.driver.run(write, manner, Kind(is_read=False, level=QUORUM))


def scraped(replication: Replication, fleet: Fleet) -> str:
    registry = CollectorRegistry()
    registry.register(ReplicationCollector(replication.figures, fleet.clock))
    return generate_latest(registry).decode()


def test_a_write_reaches_who_was_away(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = Fleet(tmp_path)
        (first, view), (third, _) = started(fleet, N1), made(fleet, N3)
        view.away = {N3}
        fleet["n3"].is_down = True
        assert await write(first, fleet, 1, N3) == Written((version(1),))
        fleet.clock.advance(2_000)
        text = scraped(first, fleet)
        assert 'weftdb_hints_waiting{target="n3"} 1.0' in text
        assert 'weftdb_hints_oldest_seconds{target="n3"} 2.0' in text
        assert 'weftdb_coordinations_total{level="QUORUM",outcome="all",verb="write"} 1.0' in text
        view.away, fleet["n3"].is_down = set(), False
        await eventually(lambda: first.hints.waiting(N3) == 0)
        assert fleet["n3"].digests([uid(1)]) == fleet["n1"].digests([uid(1)]) != [None]
        text = scraped(first, fleet)
        assert 'weftdb_hints_replayed_total{target="n3"} 1.0' in text
        assert 'weftdb_hints_dropped_total{reason="full",target="n3"} 0.0' in text
        await first.stop(1.0)
        await third.stop(1.0)

    run(main())


def test_the_settings_say_how_often_replicas_are_compared(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = Fleet(tmp_path)
        all_of = [started(fleet, name)[0] for name in NAMES]
        fleet["n1"].collection.replica.apply([deletion(uid(1), version(1))])
        await eventually(lambda: len(set(fleet.roots())) == 1)
        await eventually(lambda: sum(one.figures().objects_repaired for one in all_of) >= 2)
        (report,) = await all_of[0].full_repair.run([SHARD])
        assert report.is_converged
        for one in all_of:
            await one.stop(1.0)

    run(main())


def test_who_lost_its_data_is_counted_until_it_is_rebuilt(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = Fleet(tmp_path)
        made(fleet, N1)
        made(fleet, N2)
        settled = asyncio.Event()
        loop = asyncio.get_running_loop()
        view = FleetView(fleet, N3)
        third = Replication(
            fleet["n3"].database.store,
            view,
            CONFIG,
            Env(fleet.clock, seed=1),
            was_emptied=True,
            settled=lambda: loop.call_soon_threadsafe(settled.set) and None,
        )
        fleet["n3"].standings = third.standings
        assert 'weftdb_replicas_unvouched{stage="rebuilding"} 1.0' in scraped(third, fleet)
        third.start(fleet, fleet, repair_pace=RepairPace(look_s=0.02, retry_s=0.05))
        await settled.wait()
        await eventually(lambda: third.standings.is_plain)
        text = scraped(third, fleet)
        assert 'weftdb_replicas_unvouched{stage="rebuilding"} 0.0' in text
        assert "weftdb_rebuilds_total 1.0" in text
        await third.stop(1.0)

    run(main())


def test_what_is_told_is_kept_before_the_node_has_started(tmp_path: Path) -> None:
    async def main() -> None:
        fleet = Fleet(tmp_path)
        first, _ = made(fleet, N1)
        assert first.note(N2, Tell(SHARD, complete_until_ms=5)).marked == ()
        assert first.standings.peers(SHARD)[N2].complete_until_ms == 5
        again, _ = made(fleet, N1)
        assert again.standings.peers(SHARD)[N2].complete_until_ms == 5
        await again.stop(0.0)

    run(main())


def test_it_goes_on_for_long_enough_to_be_believed(tmp_path: Path) -> None:
    """Writes while replicas come and go; in the end all hold the same, and nobody is hinted."""

    async def main() -> None:
        fleet = Fleet(tmp_path)
        dice = random.Random(5)
        nodes = [started(fleet, name) for name in NAMES]
        acknowledged: list[int] = []
        for number in range(1, 61):
            down = dice.choice(NAMES)
            for name in NAMES:
                fleet.nodes[name].is_down = name == down and dice.random() < 0.7
            index = dice.randrange(3)
            if fleet.nodes[NAMES[index]].is_down:
                continue
            outcome = (await write(nodes[index][0], fleet, number)).outcomes[0]
            if isinstance(outcome, Version):
                acknowledged.append(number)
        for name in NAMES:
            fleet.nodes[name].is_down = False
        await eventually(
            lambda: (
                all(
                    replication.hints.waiting(name) == 0
                    for replication, _ in nodes
                    for name in NAMES
                )
                and len(set(fleet.roots())) == 1
            )
        )
        assert len(acknowledged) > 30
        for node in fleet.nodes.values():
            assert None not in node.digests([uid(number) for number in acknowledged])
        for replication, _ in nodes:
            await replication.stop(1.0)

    run(main())
