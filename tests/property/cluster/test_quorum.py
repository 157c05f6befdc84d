"""Whatever messages do: one answer each; QUORUM reads find QUORUM writes, and never go back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.cluster.replica_model import (
    SHARD,
    Choose,
    NetworkModel,
    ReplicaModel,
    Run,
    object_id,
)
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.read import Found, ReadCoordination, ReadOrder
from weftdb.cluster.replication.write import WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import ManualClock
from weftdb.core.errors import NotEnoughReplicas, Unavailable
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.types import NodeName, Version
from weftdb.storage.versions import VersionClock

NODES = tuple(NodeName(f"n{number}") for number in range(1, 6))
IDS = tuple(map(object_id, range(2)))


@dataclass(slots=True)
class Register:
    """What a reader may see of one object, requests being made one after the other. A write that
    was not acknowledged may appear at any later time; None is absence."""

    present: int | None = None
    maybe: set[int | None] = field(default_factory=set)

    def wrote(self, value: int | None, *, is_acknowledged: bool) -> None:
        if is_acknowledged:
            self.present = value
        else:
            self.maybe.add(value)

    def expect(self, value: int | None) -> None:
        assert value == self.present or value in self.maybe, (value, self)
        self.present = value


def write(
    network: NetworkModel,
    states: tuple[ObjectState, ...],
    clock: VersionClock,
    choose: Choose,
    level: ConsistencyLevel,
    dead: tuple[NodeName, ...] = (),
    *,
    may_crash: bool = False,
) -> Run:
    """One write, run to its end."""

    def restamp(newer: Version) -> Version:
        clock.observe(newer)
        return clock.next()

    nodes = tuple(network.replicas)
    away = frozenset(node for node in nodes if choose(6) == 0)
    order = WriteOrder(SHARD, 1, states, WriteTargets((nodes,), level), 10.0, away)
    return network.run(WriteCoordination(order, restamp), choose, dead=dead, may_crash=may_crash)


def read(
    network: NetworkModel,
    choose: Choose,
    level: ConsistencyLevel,
    dead: tuple[NodeName, ...] = (),
    *,
    may_crash: bool = False,
    wants_contents: bool = True,
    at_hand: tuple[ObjectState | None, ...] = (),
) -> Run:
    """One read of all ids, from replicas in any order."""
    nodes = list(network.replicas)
    order = [nodes.pop(choose(len(nodes))) for _ in range(len(nodes))]
    away = frozenset(node for node in order if choose(6) == 0)
    asked = ReadOrder(
        SHARD, 1, IDS, tuple(order), level, DeletionStrategy.TIME_BASED_RESOLUTION, 10.0,
        0.9 if choose(2) else None, away, wants_contents,
        tuple(None if state is None else Digest(state.version) for state in at_hand),
    )  # fmt: skip
    return network.run(ReadCoordination(asked), choose, dead=dead, may_crash=may_crash)


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.sampled_from([1, 2, 3, 5]))
def test_quorum_reads_find_quorum_writes_and_never_go_back(seed: int, count: int) -> None:
    """Coordinators with clocks minutes apart write and read the same two objects."""

    choose = random.Random(seed).randrange

    nodes = NODES[:count]
    network = NetworkModel({node: ReplicaModel() for node in nodes})
    clocks = [
        VersionClock(
            ManualClock(1_000_000 + (choose(600) - 300) * 1000), node=number,
            floor=Version(0),
        )
        for number in range(3)
    ]  # fmt: skip
    register = [Register() for _ in IDS]
    for step in range(1 + choose(8)):
        dead = tuple(node for node in nodes if choose(4) == 0)[: (count - 1) // 2]
        clock = clocks[choose(3)]
        if choose(2):
            chosen = [at for at in range(len(IDS)) if choose(3)] or [0]
            values = [step + 1 if choose(3) else None for _ in chosen]
            states = tuple(
                ObjectState(IDS[at], clock.next(), is_deleted=value is None, created_ms=value or 0)
                for at, value in zip(chosen, values, strict=True)
            )
            ran = write(
                network, states, clock, choose, ConsistencyLevel.QUORUM, dead, may_crash=True
            )
            assert isinstance(ran.outcome, Written)
            for at, value, outcome in zip(chosen, values, ran.outcome.outcomes, strict=True):
                register[at].wrote(value, is_acknowledged=isinstance(outcome, Version))
        else:
            at_hand = held_by(network, nodes[choose(count)]) if choose(2) else ()
            ran = read(
                network, choose, ConsistencyLevel.QUORUM, dead, may_crash=True, at_hand=at_hand
            )
            if isinstance(ran.outcome, NotEnoughReplicas):
                continue
            assert isinstance(ran.outcome, Found)
            for at, state in enumerate(ran.outcome.states):
                found = state
                if state is None and ran.outcome.is_there(at):
                    found = at_hand[at]
                    assert found is not None
                    assert Digest(found.version) == ran.outcome.winners[at]
                register[at].expect(None if found is None else found.created_ms)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.sampled_from([1, 2, 3, 5]))
def test_digests_tell_presence_as_contents_do(seed: int, count: int) -> None:
    """Whether objects are there is said without their contents as with them, and the replicas that
    were asked are repaired the same."""

    choose = random.Random(seed).randrange

    nodes = NODES[:count]
    network = NetworkModel({node: ReplicaModel() for node in nodes}, is_faulty=False)
    for replica in network.replicas.values():
        for key in IDS:
            stamp = choose(4)
            if stamp:
                replica.apply(ObjectState(key, Version(stamp), is_deleted=stamp == 2))
    ran = read(network, choose, ConsistencyLevel.ALL, wants_contents=False)
    assert isinstance(ran.outcome, Found)
    for at, key in enumerate(IDS):
        held, *others = [replica.held.get(key) for replica in network.replicas.values()]
        assert all(other == held for other in others)
        assert ran.outcome.is_there(at) == (held is not None and not held.is_deleted)


def held_by(network: NetworkModel, node: NodeName) -> tuple[ObjectState | None, ...]:
    """The objects that a replica has: what came with the hits of a search."""
    held = (network.replicas[node].held.get(key) for key in IDS)
    return tuple(None if state is None or state.is_deleted else state for state in held)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    level=st.sampled_from(list(ConsistencyLevel)),
    count=st.sampled_from([1, 2, 3]),
)
def test_a_write_is_acknowledged_or_hinted_everywhere(
    seed: int, level: ConsistencyLevel, count: int
) -> None:
    """After the end each replica holds the state or something newer, or a hint says it is due."""

    choose = random.Random(seed).randrange

    nodes = NODES[:count]
    network = NetworkModel({node: ReplicaModel() for node in nodes})
    for replica in network.replicas.values():
        for key in IDS:
            if choose(2):
                replica.apply(ObjectState(key, Version(choose(40)), created_ms=9))
    clock = VersionClock(ManualClock(20), node=1, floor=Version(0))
    states = tuple(ObjectState(key, clock.next()) for key in IDS)
    ran = write(network, states, clock, choose, level)
    for state, outcome in zip(states, ran.outcome.outcomes, strict=True):
        if isinstance(outcome, Unavailable):
            continue
        acknowledged = 0
        for node, replica in network.replicas.items():
            held = replica.held.get(state.id)
            acknowledged += held is not None and held.version >= outcome
            is_due = any(
                hint.to == node and hinted.id == state.id and hinted.version == outcome
                for hint in ran.hints
                for hinted in hint.states
            )
            assert is_due or (held is not None and held.version >= outcome), node
        assert acknowledged >= level.required(count)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_read_at_all_leaves_replicas_that_agree(seed: int) -> None:
    """Without faults, read repair brings every replica to the newest state."""

    choose = random.Random(seed).randrange

    network = NetworkModel({node: ReplicaModel() for node in NODES[:3]}, is_faulty=False)
    for replica in network.replicas.values():
        for key in IDS:
            if choose(3):
                stamp = choose(4)
                replica.apply(ObjectState(key, Version(stamp), is_deleted=stamp == 2))
    ran = read(network, choose, ConsistencyLevel.ALL)
    assert isinstance(ran.outcome, Found)
    assert len({str(sorted(replica.held.items())) for replica in network.replicas.values()}) == 1
    for key, found in zip(IDS, ran.outcome.states, strict=True):
        held = network.replicas[NODES[0]].held.get(key)
        assert found == (None if held is None or held.is_deleted else held)
