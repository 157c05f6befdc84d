"""Replication over real sockets: hints, comparisons and rebuilding between three nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.engine.replicas import GRACE_S
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import eventually, run
from tests.unit.server.internode.wired import CLOCK, SHARD, WiredNode, named, objects, within
from weftdb.cluster.replication.hint_replay import ReplayPace
from weftdb.cluster.replication.messages import Purpose, ReadDigests, ShardRef
from weftdb.cluster.replication.write import WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.core.config import ComparingConfig, Config, ReplicationConfig
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Env
from weftdb.core.objects import ObjectState
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, Version
from weftdb.engine.local_shard import LocalShard
from weftdb.server.internode.conversation import Manner
from weftdb.server.internode.messages import NO_REVISION, Moved
from weftdb.server.internode.outcomes import Kind
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.repair import RepairPace
from weftdb.server.internode.replication import Replication

NAMES = tuple(map(named, ("n1", "n2", "n3")))
QUORUM = ConsistencyLevel.QUORUM
CONFIG = Config(
    replication=ReplicationConfig(tombstone_grace_s=GRACE_S),
    comparing=ComparingConfig(period_s=0.1, period_s_busy=0.02),
)


class View:
    """What one of the nodes knows: three replicas of one shard."""

    is_complete = True

    def __init__(self, wired: WiredNode) -> None:
        self._wired = wired
        self.node = wired.name
        self.away: set[NodeName] = set()

    def schema(self, _collection: CollectionName) -> Collection | None:
        return self._wired.known.collection.schema

    def schema_version(self, _collection: CollectionName) -> int:
        return 1

    def revision(self, _collection: CollectionName) -> int:
        return NO_REVISION

    def replicas(self, _shard: ShardRef) -> Sequence[NodeName]:
        return NAMES

    def here(self) -> list[ShardRef]:
        return [SHARD]

    def local(self, _shard: ShardRef) -> LocalShard | None:
        return self._wired.known.collection.only

    def empty(self, _shard: ShardRef) -> None:
        raise NotImplementedError

    def is_member(self, _node: NodeName) -> bool:
        return True

    def is_alive(self, node: NodeName) -> bool:
        return node not in self.away

    def is_away(self, node: NodeName) -> bool:
        return node in self.away

    def learn(self, _moved: Moved) -> None:
        raise NotImplementedError


class Trio:
    """Three nodes, as a context."""

    def __init__(self, path: Path, *, emptied: str = "", is_comparing: bool = True) -> None:
        addresses: dict[NodeName, str] = {}
        self.nodes = {name: WiredNode(name, path, addresses) for name in NAMES}
        self.views = {name: View(node) for name, node in self.nodes.items()}
        self.parts = {
            name: Replication(
                node.database.store,
                self.views[name],
                CONFIG,
                Env(CLOCK, seed=1),
                was_emptied=name == emptied,
            )
            for name, node in self.nodes.items()
        }
        self._pace = RepairPace(is_comparing=is_comparing, look_s=0.02, retry_s=0.1)
        for name, node in self.nodes.items():
            node.known.note = self.parts[name].note  # type: ignore[method-assign]
            node.known.is_rebuilding = (  # type: ignore[method-assign]
                self.parts[name].standings.is_rebuilding
            )

    async def __aenter__(self) -> Trio:
        for name, node in self.nodes.items():
            await node.start()
            self.parts[name].start(
                node.client,
                node.client,
                replay_pace=ReplayPace(backoff_s_min=0.05, backoff_s_max=0.2),
                repair_pace=self._pace,
            )
        return self

    async def __aexit__(self, *_error: object) -> None:
        for one in self.parts.values():
            await one.stop(1.0)
        for node in self.nodes.values():
            await node.stop()

    def made(self, first: int, count: int = 1) -> list[ObjectState]:
        """Objects as a coordinator has them."""
        return objects(self.nodes[NAMES[0]], count, first=first)

    async def write(self, states: Sequence[ObjectState]) -> Written:
        """Write at QUORUM, coordinated by the first node."""
        manner = Manner(within(5.0))
        order = WriteOrder(
            SHARD, 1, tuple(states), WriteTargets((NAMES,), QUORUM), manner.deadline_s
        )
        write = WriteCoordination(order, lambda above: Version(above.time_ms + 1))
        kind = Kind(is_read=False, level=QUORUM)
        return await self.parts[NAMES[0]].driver.run(write, manner, kind)

    def roots(self) -> set[bytes]:
        """Of all three."""
        return {node.replica.tree_nodes(0, [0])[0] for node in self.nodes.values()}


def test_who_does_not_listen_gets_its_hints(tmp_path: Path) -> None:
    async def main() -> None:
        async with Trio(tmp_path, is_comparing=False) as trio:
            first, third = trio.parts[NAMES[0]], trio.nodes[NAMES[2]]
            port = int(third.addresses[third.name].rpartition(":")[2])
            await third.service.stop(0.0)
            states = trio.made(1, 20)
            written = await trio.write(states)
            assert written == Written(tuple(state.version for state in states))
            await eventually(lambda: first.hints.waiting(third.name) == 1)
            assert third.replica.digests([uid(1)]) == [None]
            await trio.write(trio.made(21))
            await third.start(port)
            await eventually(lambda: first.hints.waiting(third.name) == 0)
            await eventually(lambda: len(trio.roots()) == 1)
            assert None not in third.replica.digests([uid(number) for number in range(1, 22)])

    run(main())


def test_replicas_are_compared_and_tell_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with Trio(tmp_path) as trio:
            for at, node in enumerate(trio.nodes.values()):
                node.replica.apply(objects(node, 50, first=1 + 50 * at))
            await eventually(lambda: len(trio.roots()) == 1)
            for name, part in trio.parts.items():
                others = [other for other in NAMES if other != name]
                await eventually(
                    lambda part=part, others=others: all(  # type: ignore[misc]
                        part.standings.peers(SHARD)[other].complete_until_ms for other in others
                    )
                )
            (report,) = await trio.parts[NAMES[1]].full_repair.run([SHARD])
            assert report.is_converged
            assert report.sent == 0
            assert len(report.digests) == 3

    run(main())


def test_who_lost_its_data_takes_writes_and_vouches_for_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        trio = Trio(tmp_path, emptied="n3", is_comparing=False)
        for name in NAMES[:2]:
            trio.nodes[name].replica.apply(objects(trio.nodes[name], 300))
        async with trio:
            first, third = trio.nodes[NAMES[0]], trio.nodes[NAMES[2]]
            trio.views[NAMES[2]].away = {NAMES[1]}  # The second is asked last, and is there.
            question = ReadDigests(SHARD, 1, (uid(1),))
            if trio.parts[NAMES[2]].standings.is_rebuilding(SHARD):
                with pytest.raises(CallFailed, match="rebuilt"):
                    await first.client.ask(third.name, question, within())
                with pytest.raises(CallFailed, match="rebuilt"):
                    await first.client.ask(third.name, question, within(), purpose=Purpose.REPAIR)
            await eventually(lambda: not trio.parts[NAMES[2]].standings.is_rebuilding(SHARD))
            assert len(trio.roots()) == 1
            await first.client.ask(third.name, question, within())

    run(main())


def test_nothing_is_left_behind_at_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        before = len(asyncio.all_tasks())
        async with Trio(tmp_path) as trio:
            await trio.write(trio.made(1))
        await asyncio.sleep(0.05)
        left = [task for task in asyncio.all_tasks() if "internode" in repr(task.get_coro())]
        assert left == []
        assert len(asyncio.all_tasks()) <= before + 1

    run(main())
