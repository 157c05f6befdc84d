"""Replicas that differ come together; who lost its data is rebuilt; deletions go when they may."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.replicas import GRACE_S, PowerStore, deletion, state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import NAMES, SHARD, Fleet, FleetView, eventually, run
from weftdb.cluster.replication.anti_entropy import initiator
from weftdb.cluster.replication.effects import KeepHint
from weftdb.cluster.replication.hints import HintBounds
from weftdb.cluster.replication.messages import Purpose, ShardRef
from weftdb.core.errors import CorruptData, ShardLoading
from weftdb.core.objects import Digest
from weftdb.core.types import CollectionName, NodeName, ShardId, ShardName
from weftdb.server.internode.comparing import Comparer
from weftdb.server.internode.conversation import Wiring
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.forgetting import Forgetting, bounds_of
from weftdb.server.internode.full_repair import FullRepair
from weftdb.server.internode.hint_store import HintStore, Owed
from weftdb.server.internode.messages import NodeFacts, Noted, Pong, Tell
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.repair import RepairPace, Repairs
from weftdb.server.internode.replica_records import (
    PeerRecord,
    ReplicaRecords,
    Stage,
    StandingRecord,
)
from weftdb.server.internode.standings import Standings
from weftdb.storage import keys
from weftdb.storage.kv import Family, WriteBatch

from tests.unit.server.internode.fleet import KeptHints  # isort: skip

N1, N2, N3 = NAMES
GRACE_MS = int(GRACE_S * 1000)
PACE = RepairPace(look_s=0.01, retry_s=0.05, forget_s=0.05, alive_s=0.05)
OFTEN = {
    "replicationConfig": {
        "factor": 3,
        "asyncConfig": {"hashtreeHeight": 4, "frequency": 50, "frequencyWhilePropagating": 10},
    }
}


class Told:
    """The `NodeCaller` of one node."""

    def __init__(self, fleet: Fleet, own: NodeName) -> None:
        self._fleet, self._own = fleet, own

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        return await self._fleet.tell_from(self._own, node, tell)

    async def ping(self, node: NodeName, deadline_s: float) -> Pong:
        raise NotImplementedError

    async def facts(self, node: NodeName, question: Any, deadline_s: float) -> NodeFacts:
        raise NotImplementedError


class Node:
    """One life of the repairs of a node. Made in a loop."""

    def __init__(
        self,
        fleet: Fleet,
        name: NodeName,
        *,
        was_emptied: bool = False,
        pace: RepairPace = PACE,
        hint_bounds: HintBounds | None = None,
    ) -> None:
        self.name, self.fleet = name, fleet
        self.view = FleetView(fleet, name)
        self.engine = fleet.nodes[name]
        store = self.engine.database.store
        grace, _ = bounds_of(GRACE_S)
        self.records = ReplicaRecords(store)
        self.standings = Standings(
            self.records, self.view, fleet.clock, grace_ms=GRACE_MS, was_emptied=was_emptied
        )
        self.engine.standings = self.standings
        self.hints = HintStore(store, fleet.clock, bounds=hint_bounds)
        self.driver = Driver(Wiring(fleet, KeptHints(), fleet.clock), Outcomes())
        self.comparer = Comparer(self.driver, fleet, self.view, fleet.clock, grace_ms=GRACE_MS)
        self.forgetting = Forgetting(self.standings, self.records, self.view, fleet.clock, grace)
        self.settled = 0
        self.repairs = Repairs(
            self.comparer,
            self.standings,
            self.forgetting,
            self.records,
            self.hints,
            Told(fleet, name),
            self.view,
            fleet.clock,
            random.Random(1),
            pace=pace,
            settled=self._settle,
        )

    def _settle(self) -> None:
        self.settled += 1

    def put(self, *states: Any) -> None:
        self.engine.collection.replica.apply(list(states))

    def peers(self) -> dict[NodeName, PeerRecord]:
        return self.records.peers(self.engine.collection.only.number)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, **OFTEN)


def nodes_of(fleet: Fleet, **settings: Any) -> list[Node]:
    return [Node(fleet, name, **settings) for name in NAMES]


def pass_time(ms: int, *nodes: Node) -> None:
    """Let time pass while these look around."""
    for _ in range(20):
        nodes[0].fleet.clock.advance(ms // 20)
        for node in nodes:
            node.forgetting.update()


async def stop(*nodes: Node) -> None:
    for node in nodes:
        await node.repairs.stop()


def test_replicas_that_differ_come_together_and_know_it(fleet: Fleet) -> None:
    async def main() -> None:
        nodes = nodes_of(fleet)
        for number, node in enumerate(nodes):
            node.put(state(uid(number), version(number)), state(uid(9), version(number)))
        nodes[0].put(deletion(uid(2), version(50)))
        for node in nodes:
            node.repairs.start()
        await eventually(lambda: len(set(fleet.roots())) == 1)
        held = [node.engine.digests([uid(0), uid(1), uid(2), uid(9)]) for node in nodes]
        assert held == 3 * [
            [
                Digest(version(0)),
                Digest(version(1)),
                Digest(version(50), is_deleted=True),
                Digest(version(2)),
            ]
        ]
        # Both sides of each pair know until when that was complete.
        until_ms = fleet.clock.now_ms() - 30_000
        await eventually(
            lambda: all(
                peer.complete_until_ms == until_ms
                for node in nodes
                for peer in node.peers().values()
            )
        )
        assert all(len(node.peers()) == 2 for node in nodes)
        assert all(node.engine.revisions == {11} for node in nodes)
        assert all(why is Purpose.COMPARE for node in nodes for _, why in node.engine.heard)
        done = sum(node.comparer.tally.ended["repaired"] for node in nodes)
        assert done >= 2
        assert sum(node.comparer.tally.objects_repaired for node in nodes) >= 5
        await stop(*nodes)

    run(main())


def test_only_one_of_a_pair_begins_and_nobody_asks_who_is_away(fleet: Fleet) -> None:
    async def main() -> None:
        node = Node(fleet, N1)
        # In doubt is enough: each comparison that fails puts the next one off by more.
        node.view.away, node.view.doubted = {N2}, {N3}
        node.repairs.start()
        await asyncio.sleep(0.3)
        assert fleet[N2].heard == fleet[N3].heard == []
        node.view.away = node.view.doubted = set()
        begun = [peer for peer in (N2, N3) if initiator(SHARD, N1, peer) == N1]
        others = [peer for peer in (N2, N3) if peer not in begun]
        for engine in (fleet[N2], fleet[N3]):
            engine.standings = Node(fleet, engine.name).standings
        await eventually(lambda: all(fleet.nodes[peer].heard for peer in begun))
        assert all(not fleet.nodes[peer].heard for peer in others)
        await stop(node)

    run(main())


def test_comparing_may_be_switched_off(fleet: Fleet) -> None:
    async def main() -> None:
        nodes = nodes_of(fleet, pace=replace(PACE, is_comparing=False))
        nodes[0].put(state(uid(1), version(1)))
        for node in nodes:
            node.repairs.start()
        await asyncio.sleep(0.2)
        assert fleet[N2].digests([uid(1)]) == [None]
        await stop(*nodes)

    run(main())


def test_a_hint_that_was_dropped_is_paid_by_a_comparison(fleet: Fleet) -> None:
    async def main() -> None:
        pace = replace(PACE, is_comparing=False)
        first, third = Node(fleet, N1, pace=pace), Node(fleet, N3)
        # Written by a coordinator elsewhere: the second replica has it, the first never had.
        Node(fleet, N2).put(state(uid(1), version(1)))
        first.hints.keep([KeepHint(N3, SHARD, (deletion(uid(5), version(5)),))])
        first.hints.owe(Owed(SHARD, N3))
        first.view.away = {N3}
        first.repairs.start()
        await asyncio.sleep(0.1)
        assert first.hints.owed() == [Owed(SHARD, N3)]
        first.view.away, fleet["n3"].is_down = set(), True
        await asyncio.sleep(0.1)
        assert first.hints.owed() == [Owed(SHARD, N3)]
        fleet["n3"].is_down = False
        await eventually(lambda: first.hints.owed() == [])
        assert third.engine.digests([uid(1)]) == [Digest(version(1))]
        first.hints.owe(Owed(SHARD, NodeName("gone")))
        await eventually(lambda: first.hints.owed() == [])
        await stop(first)

    run(main())


def test_who_lost_its_data_says_nothing_until_it_is_rebuilt(fleet: Fleet) -> None:
    async def main() -> None:
        first, second = Node(fleet, N1), Node(fleet, N2)
        first.put(state(uid(1), version(1)), deletion(uid(2), version(2)))
        second.put(state(uid(3), version(3)))
        third = Node(fleet, N3, was_emptied=True)
        assert third.standings.is_rebuilding(SHARD)
        third.standings.check(SHARD)  # Comparisons pass.
        fleet["n2"].is_down = True
        third.repairs.start()
        await eventually(lambda: third.standings.compared(SHARD) == (N1,))
        assert third.standings.is_rebuilding(SHARD), "another may have what it acknowledged"
        # Over a restart.
        await stop(third)
        third = Node(fleet, N3, was_emptied=True)
        assert third.standings.compared(SHARD) == (N1,)
        fleet["n2"].is_down = False
        third.repairs.start()
        await eventually(lambda: not third.standings.is_rebuilding(SHARD))
        assert fleet["n3"].digests([uid(1), uid(2), uid(3)]) == [
            Digest(version(1)), Digest(version(2), is_deleted=True), Digest(version(3)),
        ]  # fmt: skip
        assert (third.repairs.tally.begun, third.repairs.tally.finished) == (1, 1)
        await eventually(lambda: third.settled > 0 and third.records.standings() == {})
        assert third.standings.is_plain
        await stop(third)

    run(main())


def test_deletions_are_forgotten_when_everybody_has_them(fleet: Fleet) -> None:
    async def main() -> None:
        nodes = nodes_of(fleet)
        nodes[0].put(deletion(uid(1), version(1)))
        for node in nodes:
            node.forgetting.update()
            assert node.forgetting.before_ms(SHARD) == 0
        pass_time(GRACE_MS + 10_000, *nodes)
        for node in nodes:
            assert node.engine.collection.replica.forget_deletions() == 0
        # Compared, but not for as long as a hint may take.
        for name in (N2, N3):
            nodes[0].standings.learn_complete(SHARD, name, version(10).time_ms)
        nodes[0].forgetting.update()
        assert nodes[0].engine.collection.replica.forget_deletions() == 0
        nodes[0].standings.learn_complete(SHARD, N2, fleet.clock.now_ms())
        nodes[0].forgetting.update()
        assert nodes[0].engine.collection.replica.forget_deletions() == 0
        nodes[0].standings.learn_complete(SHARD, N3, fleet.clock.now_ms())
        nodes[0].forgetting.update()
        assert nodes[0].engine.collection.replica.forget_deletions() == 1
        assert nodes[0].standings.marked(SHARD) == ()

    run(main())


def test_who_is_away_for_too_long_is_marked_before_a_deletion_goes(fleet: Fleet) -> None:
    async def main() -> None:
        first = Node(fleet, N1)
        first.forgetting.update()
        first.view.away = {N3}
        first.put(deletion(uid(1), version(1)))
        pass_time(GRACE_MS * 2, first)
        assert first.standings.marked(SHARD) == (), "no majority is known to have it"
        first.standings.learn_complete(SHARD, N2, fleet.clock.now_ms())
        first.forgetting.update()
        assert first.standings.marked(SHARD) == (N3,)
        assert first.engine.collection.replica.forget_deletions() == 1
        again = Node(fleet, N1)
        assert again.standings.marked(SHARD) == (N3,), "a restart forgets the mark"
        assert again.standings.peers(SHARD)[N3].is_marked
        # An exchange with it does not count, and is not begun.
        again.standings.learn_complete(SHARD, N3, fleet.clock.now_ms())
        assert again.peers()[N3].complete_until_ms == 0

    run(main())


def test_without_an_old_deletion_nobody_is_marked(fleet: Fleet) -> None:
    async def main() -> None:
        first = Node(fleet, N1)
        first.forgetting.update()
        first.view.away = {N3}
        pass_time(GRACE_MS * 2, first)
        first.put(deletion(uid(1), version(GRACE_MS * 2)))
        first.standings.learn_complete(SHARD, N2, fleet.clock.now_ms())
        first.forgetting.update()
        assert first.standings.marked(SHARD) == ()

    run(main())


def test_who_was_given_up_is_emptied_and_rebuilt(fleet: Fleet) -> None:
    async def main() -> None:
        first, second = Node(fleet, N1), Node(fleet, N2)
        third = Node(fleet, N3)
        third.records.keep_alive(fleet.clock.now_ms())
        third.put(state(uid(1), version(1)))  # Its deletion is forgotten by the others.
        for node in (first, second):
            node.forgetting.update()
            node.put(state(uid(2), version(2)))
            node.standings.mark(SHARD, [N3])
        pass_time(GRACE_MS * 2, first, second)
        third = Node(fleet, N3)
        assert third.standings.is_unsure(SHARD)
        assert third.standings.is_rebuilding(SHARD)
        with pytest.raises(ShardLoading, match="asks whether"):
            third.standings.check(SHARD)
        for node in (first, second, third):
            node.repairs.start()
        await eventually(lambda: not third.standings.is_rebuilding(SHARD))
        assert fleet["n3"].digests([uid(1), uid(2)]) == [None, Digest(version(2))]
        await eventually(
            lambda: first.standings.marked(SHARD) == second.standings.marked(SHARD) == ()
        )
        assert fleet["n1"].digests([uid(1)]) == fleet["n2"].digests([uid(1)]) == [None]
        await stop(first, second, third)

    run(main())


def test_a_mark_is_told_to_who_never_stopped(fleet: Fleet) -> None:
    async def main() -> None:
        first, second, third = nodes_of(fleet)
        third.put(state(uid(1), version(1)))
        first.forgetting.update()
        first.standings.mark(SHARD, [N3])
        first.view.away = {N3}
        first.repairs.start()
        await asyncio.sleep(0.1)
        assert third.standings.stage(SHARD) is Stage.VOUCHES
        first.view.away = set()
        await eventually(lambda: third.standings.stage(SHARD) is Stage.MARKED)
        with pytest.raises(ShardLoading, match="given up"):
            third.standings.check(SHARD)
        third.repairs.start()
        await eventually(lambda: third.standings.stage(SHARD) is Stage.VOUCHES)
        assert fleet["n3"].digests([uid(1)]) == fleet["n2"].digests([uid(1)]) == [None]
        await stop(first, second, third)

    run(main())


def test_who_was_away_and_not_given_up_goes_on(fleet: Fleet) -> None:
    async def main() -> None:
        nodes = nodes_of(fleet)
        nodes[2].put(state(uid(1), version(1)))
        nodes[2].records.keep_alive(fleet.clock.now_ms())
        fleet.clock.advance(GRACE_MS)
        third = Node(fleet, N3)
        third.view.away = {N2}
        fleet["n1"].is_down = True
        third.repairs.start()
        await asyncio.sleep(0.2)
        assert third.standings.is_unsure(SHARD), "nobody was asked yet"
        fleet["n1"].is_down = False
        await eventually(lambda: not third.standings.is_rebuilding(SHARD))
        assert fleet["n3"].digests([uid(1)]) == [Digest(version(1))]
        await eventually(lambda: third.standings.is_plain)
        await stop(third)

    run(main())


def test_who_saw_nobody_for_long_asks_before_it_goes_on(fleet: Fleet) -> None:
    async def main() -> None:
        third = Node(fleet, N3)
        third.forgetting.update()
        third.view.away = {N1, N2}
        fleet.clock.advance(GRACE_MS)
        third.forgetting.update()
        assert not third.standings.is_unsure(SHARD), "nobody is there to be asked"
        third.view.away = {N1}
        third.forgetting.update()
        assert third.standings.is_unsure(SHARD)
        third.standings.learn_unmarked(SHARD, N2)
        assert not third.standings.is_unsure(SHARD)

    run(main())


def test_a_full_repair_proves_that_all_hold_the_same(fleet: Fleet) -> None:
    async def main() -> None:
        nodes = nodes_of(fleet)
        for number, node in enumerate(nodes):
            # Also what is as young as can be.
            node.put(state(uid(number), version(100_000 + number)))
        repair = FullRepair(nodes[0].comparer, nodes[0].view)
        before = await repair.digests(SHARD)
        assert not before.is_converged
        assert len(set(before.digests.values())) == 3
        (report,) = await repair.run([SHARD])
        assert report.is_converged
        assert report.compared == [(N1, N2), (N1, N3), (N1, N2)]
        assert report.sent == 6
        assert set(report.digests) == set(NAMES)
        assert len(set(fleet.roots())) == 1
        (again,) = await repair.run([SHARD])
        assert (again.sent, again.is_converged) == (0, True)
        fleet["n2"].is_down = True
        (partly,) = await repair.run([SHARD])
        assert not partly.is_converged
        assert set(partly.failures) == {N2}
        assert "refused" in partly.failures[N2]

    run(main())


def test_a_short_grace_leaves_less_to_hints() -> None:
    for grace_s in (1.0, 60.0, GRACE_S, 7 * 86_400.0, 365 * 86_400.0):
        grace, hints = bounds_of(grace_s)
        assert grace.grace_ms == grace_s * 1000
        assert hints.age_ms_max > 0
    assert bounds_of(7 * 86_400.0)[1] == HintBounds()


def test_what_is_kept_survives_a_crash() -> None:
    store = PowerStore()
    records = ReplicaRecords(store)
    records.keep_peers(ShardId(3), {N2: PeerRecord(5, 6, is_marked=True), N3: PeerRecord()})
    records.drop_peers(ShardId(3), [N3])
    compared = StandingRecord(Stage.REBUILDING, "a test", (N1, N2))
    records.keep_standing(SHARD, compared)
    records.keep_standing(ShardRef(CollectionName("Ü"), ShardName("x")), compared)
    records.keep_standing(ShardRef(CollectionName("Ü"), ShardName("x")), None)
    again = ReplicaRecords(store.after_crash())
    assert again.peers(ShardId(3)) == {N2: PeerRecord(5, 6, is_marked=True)}
    assert again.peers(ShardId(4)) == {}
    assert again.standings() == {SHARD: compared}
    assert again.alive_ms() is None


@pytest.mark.parametrize("row", [b"no JSON", b'{"format": 2}', b'{"format": 1, "stage": "odd"}'])
def test_damage_is_told(row: bytes) -> None:
    store, batch = PowerStore(), WriteBatch()
    batch.put(Family.METADATA, keys.standing_key('["Doc", "s"]'), row)
    batch.put(Family.METADATA, keys.peer_key(ShardId(3), "n2"), row)
    batch.put(Family.METADATA, keys.ALIVE_KEY, b"short")
    store.write(batch)
    records = ReplicaRecords(store)
    for read in (records.standings, lambda: records.peers(ShardId(3)), records.alive_ms):
        with pytest.raises(CorruptData):
            read()


def test_the_only_replica_asks_nobody(fleet: Fleet) -> None:
    async def main() -> None:
        third = Node(fleet, N3)
        third.records.keep_alive(fleet.clock.now_ms())
        fleet.clock.advance(GRACE_MS)
        third = Node(fleet, N3)
        third.view.placed = {SHARD: [N3]}
        assert not third.standings.is_rebuilding(SHARD)

    run(main())
