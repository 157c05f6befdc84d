"""What lies in a shard that is not its own: given to the owners where it is young, then removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.engine.replicas import deletion, state, version
from tests.unit.engine.samples import uid
from tests.unit.server.internode.fleet import NAMES, SHARD, Fleet, FleetView
from tests.unit.server.internode.test_repair import GRACE_MS, KeptHints
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState, VirtualMove
from weftdb.core.env import ManualClock
from weftdb.core.errors import InvalidRequest
from weftdb.core.hashing import TOKEN_BITS, token
from weftdb.core.partial import TokenRanges
from weftdb.core.types import NodeName, ShardName
from weftdb.server.internode.comparing import Carrying, Comparer
from weftdb.server.internode.conversation import Wiring
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.ports import CallFailed
from weftdb.server.moving.leftovers import Leftovers
from weftdb.server.moving.rows import RowFiller

N1, N2, N3 = NAMES
B = ShardName("B")
HALF = 1 << TOKEN_BITS - 1
UPPER: TokenRanges = ((HALF, 1 << TOKEN_BITS),)
IDS = [uid(number) for number in range(24)]
MOVED = sorted(one for one in IDS if token(one) >= HALF)


def after_a_move() -> ShardingState:
    """The upper half of shard `s` is in shard B by now."""
    placed = (PlacedShard(SHARD.shard, (N1,)), PlacedShard(B, (N1, N2, N3)))
    state = ShardingState.create((placed[0],), factor=1).with_shard_added(placed[1])
    moving = state.with_moving(VirtualMove(64, 64, 1)).with_moved(VirtualMove(64, 64, 1))
    return moving.without_moving(VirtualMove(64, 64, 0))


@dataclass
class Node:
    """`Held` and `Replica` of node n1."""

    state: ShardingState | None = field(default_factory=after_a_move)
    left: int = 5
    settled: bool = True
    node: NodeName = N1

    def replica(self, shard: ShardRef) -> Node | None:
        return self

    def sharding(self, shard: ShardRef) -> ShardingState | None:
        return self.state

    def kept(self, shard: ShardRef) -> TokenRanges | None:
        if self.state is None or not self.state.may_stray:
            return None
        return tuple((each.start, each.stop) for each in self.state.kept_ranges(shard.shard))

    def is_settled(self, shard: ShardRef) -> bool:
        return self.settled

    def has_outside(self, kept: TokenRanges) -> bool:
        return self.left > 0

    def drop_outside(self, kept: Callable[[], TokenRanges | None]) -> int:
        dropped = min(self.left, 2)
        self.left -= dropped
        return dropped


class Rows(RowFiller):
    """Carries nothing, and remembers; `away` do not answer."""

    def __init__(self, *away: NodeName) -> None:
        self.away, self.carried = away, list[Carrying]()

    async def carry(self, carrying: Carrying) -> str | None:
        self.carried.append(carrying)
        return "it is away" if carrying.to_node in self.away else None


def clear(node: Node, rows: Rows) -> int:
    leftovers = Leftovers(node, rows, ManualClock(10_000_000), grace_ms=1_000_000)
    return asyncio.run(leftovers.clear(SHARD))


def test_what_is_young_is_given_to_the_owners_first() -> None:
    node, rows = Node(), Rows(N2)
    assert clear(node, rows) == 5
    to = ShardRef(SHARD.collection, B)
    assert rows.carried == [
        Carrying(SHARD, N1, to, name, UPPER, 9_500_000) for name in (N1, N2, N3)
    ]


@pytest.mark.parametrize("node", [Node(settled=False), Node(left=0), Node(state=None)])
def test_nothing_goes_before_it_is_time(node: Node) -> None:
    before, rows = node.left, Rows()
    assert clear(node, rows) == 0
    assert (node.left, rows.carried) == (before, [])


def test_nothing_goes_that_no_majority_of_the_owners_has() -> None:
    node = Node()
    assert clear(node, Rows(N2, N3)) == 0
    assert node.left == 5


# With real engines: n1 stands for the shard that gives, the others for the one that takes.


def over_a_fleet(path: Path, play: Callable[[Fleet, Comparer], object]) -> None:
    async def run() -> None:
        fleet = Fleet(path)
        driver = Driver(Wiring(fleet, KeptHints(), fleet.clock), Outcomes())
        view = FleetView(fleet, N1)
        comparer = Comparer(driver, fleet, view, fleet.clock, grace_ms=GRACE_MS)
        result = play(fleet, comparer)
        assert asyncio.iscoroutine(result)
        await result
        await driver.drain(5.0)

    asyncio.run(run())


def held(fleet: Fleet, node: NodeName) -> list[bytes]:
    found = fleet.nodes[node].digests(IDS)
    return sorted(one for one, digest in zip(IDS, found, strict=True) if digest is not None)


def test_a_row_is_carried_with_its_deletions_and_what_is_newer_stays(tmp_path: Path) -> None:
    async def play(fleet: Fleet, comparer: Comparer) -> None:
        states = [state(one, version(9)) for one in IDS[:12]]
        states += [deletion(one, version(9)) for one in IDS[12:]]
        fleet.nodes[N1].collection.replica.apply(states)
        fleet.nodes[N2].collection.replica.apply([state(MOVED[0], version(10), "newer")])
        taken: list[int] = []
        rows = RowFiller(comparer, lambda: NAMES, taken.append)
        assert await rows.carry(Carrying(SHARD, N1, SHARD, N2, UPPER)) is None
        assert held(fleet, N2) == MOVED
        assert held(fleet, N1) == sorted(IDS), "one way"
        assert sum(taken) == len(MOVED) - 1
        newest = fleet.nodes[N2].digests([MOVED[0]])[0]
        assert newest is not None
        assert newest.version == version(10)
        since_ms = version(10).time_ms
        assert await rows.carry(Carrying(SHARD, N1, SHARD, N3, UPPER, since_ms)) is None
        assert held(fleet, N3) == [], "all of it is older"

    over_a_fleet(tmp_path, play)


def test_whether_a_replica_has_anything_of_a_row(tmp_path: Path) -> None:
    async def play(fleet: Fleet, comparer: Comparer) -> None:
        assert not await comparer.holds(SHARD, N1, ((0, 1 << TOKEN_BITS),))
        fleet.nodes[N1].collection.replica.apply([state(one, version(9)) for one in IDS])
        fleet.nodes[N2].collection.replica.apply([deletion(IDS[0], version(9))])
        for one in IDS:
            at = token(one)
            assert await comparer.holds(SHARD, N1, ((at, at + 1),))
            assert not await comparer.holds(SHARD, N1, ((at + 1, at + 2),))
        at = token(IDS[0])
        assert await comparer.holds(SHARD, N2, ((0, at + 1),)), "a deletion is something"
        assert not await comparer.holds(SHARD, N2, ((0, at), (at + 1, 1 << TOKEN_BITS)))
        rows = RowFiller(comparer, lambda: NAMES, lambda _: None)
        await rows.check_vacant(SHARD, [N2, N3], ((0, at),))
        with pytest.raises(InvalidRequest, match="n2 has not removed"):
            await rows.check_vacant(SHARD, [N2, N3], UPPER if at >= HALF else ((0, HALF),))
        fleet.nodes[N3].is_down = True
        with pytest.raises(InvalidRequest, match="n3: connection refused"):
            await rows.check_vacant(SHARD, [N3], UPPER)
        with pytest.raises(CallFailed):
            await comparer.holds(ShardRef(SHARD.collection, B), N3, UPPER)

    over_a_fleet(tmp_path, play)
