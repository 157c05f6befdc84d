"""Who leaves takes its member of etcd along; who is lost is given nothing any more."""

from __future__ import annotations

import threading
from collections.abc import Set

import pytest

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import MemberRecord, MemberState
from weftdb.cluster.metadata.store import Put, Transaction
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.core.env import SystemClock
from weftdb.core.errors import InvalidRequest, MetadataUnavailable
from weftdb.core.types import NodeName
from weftdb.server.moving.members import MemberBoard
from weftdb.storage.memory import MemoryStore

KEYS = ClusterKeys("main")
N1, N2, N3 = NodeName("n1"), NodeName("n2"), NodeName("n3")


class Etcd:
    """The members of etcd; removing one may fail."""

    def __init__(self) -> None:
        self.left = {"n1", "n2"}
        self.is_away = False

    def names(self) -> Set[str]:
        return self.left

    def remove(self, name: str) -> None:
        if self.is_away:
            raise MetadataUnavailable("no majority")
        self.left.remove(name)


class Members:
    """A board of n1 and n2, which have members of etcd, and n3, which has none."""

    def __init__(self) -> None:
        self.store = StoredMetadata(MemoryStore(), SystemClock(), threading.Condition())
        self.etcd = Etcd()
        self.living = {N1}
        self.board = MemberBoard(
            KEYS, self.store, self.etcd, is_alive=lambda node: node in self.living
        )
        for number, node in enumerate((N1, N2, N3), 1):
            record = MemberRecord(number, MemberState.JOINED, 1)
            self.store.commit(Transaction((Put(KEYS.member(node), record.encode()),)))

    def state(self, node: NodeName) -> MemberState | None:
        record = self.store.get(KEYS.member(node))
        return None if record is None else MemberRecord.decode(record.key, record.value).state


def test_who_leaves_takes_its_member_of_etcd_along() -> None:
    members = Members()
    members.board.set_draining(N2, is_draining=True)
    members.board.remove(N2)
    assert members.state(N2) is None
    assert members.etcd.left == {"n1"}
    with pytest.raises(InvalidRequest, match="no node n2"):
        members.board.remove(N2)


def test_a_node_without_a_member_of_etcd_leaves_alone() -> None:
    members = Members()
    members.board.set_draining(N3, is_draining=True)
    members.board.remove(N3)
    assert members.state(N3) is None
    assert members.etcd.left == {"n1", "n2"}


def test_what_was_broken_off_is_ended_by_the_next_try() -> None:
    members = Members()
    members.board.set_draining(N2, is_draining=True)
    members.etcd.is_away = True
    with pytest.raises(MetadataUnavailable):
        members.board.remove(N2)
    members.etcd.is_away = False
    members.board.remove(N2)
    assert members.etcd.left == {"n1"}


def test_one_that_may_be_given_replicas_stays_with_its_member() -> None:
    members = Members()
    with pytest.raises(InvalidRequest, match="drain it first"):
        members.board.remove(N2)
    assert members.state(N2) is MemberState.JOINED
    assert members.etcd.left == {"n1", "n2"}


def test_a_lost_node_makes_room_in_etcd_and_gets_nothing() -> None:
    members = Members()
    members.board.give_up(N2)
    members.board.give_up(N2)
    assert members.state(N2) is MemberState.DRAINING
    assert members.etcd.left == {"n1"}


def test_one_that_answers_is_not_lost() -> None:
    members = Members()
    with pytest.raises(InvalidRequest, match="node n1 answers"):
        members.board.give_up(N1)
    assert members.state(N1) is MemberState.JOINED
    assert members.etcd.left == {"n1", "n2"}
