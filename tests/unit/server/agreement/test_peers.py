"""What a node knows of the others: from leases, from calls, from time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from weftdb.cluster.membership import Changed, Failure, Liveness, NodeStatus
from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import MemberRecord, MemberState, NodeRecord
from weftdb.cluster.metadata.store import Event, Revision
from weftdb.core.env import ManualClock, SystemClock
from weftdb.core.types import NodeName
from weftdb.server.agreement.peers import Peers

KEYS = ClusterKeys("main")
A, B, C = NodeName("a"), NodeName("b"), NodeName("c")
SOON_S = 20.0


class Scene:
    """Peers of node a under a clock of the test's own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.superseded = 0
        self.changes: list[Changed] = []
        self.probed: list[NodeName] = []
        self.peers = Peers(A, 3, KEYS, self.clock, self._stop)
        self.peers.on_change(self.changes.append)
        self.peers.probe = self.probed.append
        for number, node in enumerate((A, B, C), 1):
            self.member(node, number=number)

    def _stop(self) -> None:
        self.superseded += 1

    def member(
        self,
        node: NodeName,
        *,
        number: int = 1,
        generation: int = 3,
        state: MemberState = MemberState.JOINED,
    ) -> None:
        record = MemberRecord(number, state, generation, f"zone-{node}")
        self.peers.hear_members([Event(KEYS.member(node), record.encode(), Revision(5))])

    def lease(self, node: NodeName, generation: int = 3, free: int = 100) -> None:
        record = NodeRecord(f"{node}:7947", "1", generation, free)
        self.peers.hear_nodes([Event(KEYS.node(node), record.encode(), Revision(6))])

    def goodbye(self, node: NodeName, generation: int = 3) -> None:
        record = NodeRecord(f"{node}:7947", "1", generation, 100, is_leaving=True)
        self.peers.hear_nodes([Event(KEYS.node(node), record.encode(), Revision(6))])

    def lease_lost(self, node: NodeName) -> None:
        self.peers.hear_nodes([Event(KEYS.node(node), None, Revision(7))])

    def fail(self, node: NodeName, times: int) -> None:
        for _ in range(times):
            self.clock.advance(1000)
            self.peers.on_failure(node, Failure.TIMEOUT, began_s=self.clock.monotonic_s() - 0.5)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_who_says_goodbye_is_gone_until_its_next_life(scene: Scene) -> None:
    scene.lease(B)
    scene.goodbye(B)
    assert scene.peers.liveness_of(B) is Liveness.LEFT
    assert scene.peers.alive() == (A,)
    scene.lease_lost(B)
    scene.peers.on_answer(B, 3)
    assert scene.peers.liveness_of(B) is Liveness.LEFT, "it answers what was asked before"
    assert scene.probed == []
    scene.lease(B, generation=4)
    assert scene.peers.liveness_of(B) is Liveness.ALIVE


def test_leases_tell_who_lives_and_where(scene: Scene) -> None:
    assert scene.peers.alive() == (A,)
    assert scene.peers.address_of(B) is None
    scene.lease(B)
    scene.lease(A)
    assert scene.peers.alive() == (A, B)
    assert scene.peers.address_of(B) == "b:7947"
    assert scene.peers.status_of(A) is NodeStatus.HEALTHY
    assert scene.peers.status_of(C) is NodeStatus.UNAVAILABLE
    scene.lease_lost(B)
    assert scene.peers.liveness_of(B) is Liveness.SUSPECT
    assert scene.peers.address_of(B) == "b:7947", "it may be etcd that is away"
    assert scene.probed == [B]
    scene.peers.on_answer(B, 3)
    assert scene.peers.liveness_of(B) is Liveness.ALIVE
    assert [change.new for change in scene.changes] == [
        Liveness.ALIVE,
        Liveness.SUSPECT,
        Liveness.ALIVE,
    ]


def test_calls_that_fail_make_a_node_suspect(scene: Scene) -> None:
    scene.lease(B)
    scene.fail(B, 4)
    assert scene.peers.status_of(B) is NodeStatus.TIMEOUT
    scene.lease(B, generation=4)
    assert scene.peers.status_of(B) is NodeStatus.HEALTHY, "a new life"


def test_takers_are_members_and_those_who_are_away_count_as_full(scene: Scene) -> None:
    scene.lease(A, free=50)
    scene.lease(B)
    scene.member(B, state=MemberState.DRAINING)
    takers = {taker.name: taker for taker in scene.peers.takers()}
    assert (takers[A].disk_free_bytes, takers[A].zone) == (50, "zone-a")
    assert takers[B].is_draining
    assert takers[C].disk_free_bytes == 0


def test_a_member_that_was_removed_is_forgotten(scene: Scene) -> None:
    scene.lease(B)
    scene.peers.hear_members([Event(KEYS.member(B), None, Revision(9))])
    assert set(scene.peers.members()) == {A, C}
    assert scene.peers.address_of(B) is None
    assert scene.peers.alive() == (A,)


def test_a_later_life_of_its_own_name_ends_this_one(scene: Scene) -> None:
    scene.member(A, generation=3)
    assert scene.superseded == 0
    scene.member(A, generation=4)
    assert scene.superseded == 1


def test_damaged_records_change_nothing(scene: Scene) -> None:
    scene.lease(B)
    scene.peers.hear_nodes([Event(KEYS.node(B), b"{", Revision(8))])
    scene.peers.hear_members([Event(KEYS.member(B), b"{", Revision(8))])
    assert scene.peers.alive() == (A, B)


def test_own_calls_are_no_news(scene: Scene) -> None:
    scene.lease(A)
    scene.peers.on_failure(A, Failure.REFUSED, began_s=0.0)
    scene.peers.on_answer(A, 1)
    assert scene.peers.liveness_of(A) is Liveness.ALIVE
    assert scene.changes == []


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_its_thread_gives_up_who_does_not_answer() -> None:
    peers = Peers(A, 1, KEYS, SystemClock(), lambda: None)
    probed: list[NodeName] = []
    peers.probe = probed.append
    peers.start()
    try:
        record = NodeRecord("b:1", "1", 1, 1)
        peers.hear_nodes([Event(KEYS.node(B), record.encode(), Revision(1))])
        peers.hear_nodes([Event(KEYS.node(B), None, Revision(2))])
        eventually(lambda: len(probed) >= 2)
        eventually(lambda: peers.liveness_of(B) is Liveness.UNAVAILABLE)
    finally:
        peers.close()
