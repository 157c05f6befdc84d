"""Requests between nodes mean what the engine's replica does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.replicas import (
    PowerStore,
    deletion,
    described,
    open_node,
    replicated,
    state,
    version,
)
from tests.unit.engine.samples import uid
from weftdb.cluster.replication.answering import answer
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    Leaf,
    Purpose,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.core.errors import ReadOnly
from weftdb.core.hashing import token
from weftdb.core.types import CollectionName, ShardName
from weftdb.engine.replica import ShardReplica

SHARD = ShardRef(CollectionName("Doc"), ShardName("s"))


@pytest.fixture
def replica(tmp_path: Path) -> ShardReplica:
    """Of a shard with an object and a deletion."""
    found: ShardReplica = replicated(open_node(tmp_path, PowerStore())).replica
    found.apply([state(uid(1), version(1)), deletion(uid(2), version(2))])
    return found


def test_apply(replica: ShardReplica) -> None:
    states = (
        state(uid(1), version(0)),
        state(uid(3), version(3)),
        state(uid(4), version(4), vector=[1]),
    )
    said = answer(replica, Apply(SHARD, 1, states))
    assert isinstance(said, Applied)
    assert said.newer == (version(1), None, None)
    assert [one.position for one in said.refused] == [2]
    assert "vector with length 1" in said.refused[0].reason


def test_digests(replica: ShardReplica) -> None:
    said = answer(replica, ReadDigests(SHARD, 1, (uid(2), uid(9), uid(1))))
    assert said == Digests((Digest(version(2), is_deleted=True), None, Digest(version(1))))


def test_states(replica: ShardReplica) -> None:
    said = answer(replica, ReadStates(SHARD, 1, (uid(2), uid(9), uid(1))))
    assert isinstance(said, States)
    wanted = [deletion(uid(2), version(2)), None, state(uid(1), version(1))]
    assert described(said.states) == described(wanted)


def test_tree_and_leaves(replica: ShardReplica) -> None:
    leaf = token(uid(1)) >> 60
    said = answer(replica, ReadTree(SHARD, 1, 4, (leaf, 0)))
    assert isinstance(said, TreeNodes)
    assert [len(one) for one in said.hashes] == [16, 16]
    assert said.hashes[0] != bytes(16)
    page = answer(replica, ReadLeaf(SHARD, 1, leaf, None, 10))
    assert page == Leaf((uid(1),), (Digest(version(1)),), is_last=True)
    assert answer(replica, ReadLeaf(SHARD, 1, leaf, uid(1), 10)) == Leaf((), (), is_last=True)


def test_what_others_took_already_passes_a_read_only_shard(tmp_path: Path) -> None:
    docs = replicated(open_node(tmp_path, PowerStore()))
    docs.set_read_only("x", is_read_only=True)
    request = Apply(SHARD, 1, (state(uid(1), version(1)),))
    with pytest.raises(ReadOnly):
        answer(docs.replica, request)
    for purpose in (Purpose.REPAIR, Purpose.COMPARE):
        assert answer(docs.replica, request, purpose) == Applied((None,))
