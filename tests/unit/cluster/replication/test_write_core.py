"""How one state stands with its replicas."""

from __future__ import annotations

import pytest

from weftdb.cluster.replication.write_core import Standing, StateWrite, WriteTargets
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId, Version

A, B, C, D = (NodeName(name) for name in "abcd")


def state_write(*groups: tuple[NodeName, ...]) -> StateWrite:
    targets = WriteTargets(groups or ((A, B, C),), ConsistencyLevel.QUORUM)
    state = ObjectState(ObjectId(bytes(16)), Version(10))
    return StateWrite(targets, state, dict.fromkeys(targets.nodes, Standing.WAITING))


def test_only_the_very_version_counts() -> None:
    write = state_write()
    write.learn_held(A, Version(10))
    write.learn_held(B, Version(9))
    assert not write.is_reached
    write.learn_held(B, Version(10))
    assert write.is_reached
    assert write.holders == {A, B}


def test_a_restamp_begins_again_with_whom_it_can_reach() -> None:
    write = state_write()
    write.learn_held(A, Version(10))
    assert write.learn_missed(C, Version(10))
    write.learn_newer(B, Version(15))
    assert write.newer == Version(15)
    assert write.is_hopeless, "as version 10"
    write.restamp(Version(16))
    assert write.newer is None
    assert write.standing == {A: Standing.WAITING, B: Standing.WAITING, C: Standing.MISSED}
    assert write.hinted() == [C]
    write.learn_newer(B, Version(15))
    assert write.newer is None, "the old stamp's answer is no news"
    assert not write.learn_missed(A, Version(10)), "the old stamp's failure is none"


def test_a_restamp_must_win() -> None:
    write = state_write()
    write.learn_newer(B, Version(15))
    with pytest.raises(AssertionError, match="does not win"):
        write.restamp(Version(15))


def test_nothing_is_newer_once_the_level_is_reached() -> None:
    write = state_write()
    write.learn_held(A, Version(10))
    write.learn_held(C, Version(10))
    write.learn_newer(B, Version(15))
    assert write.newer is None


def test_every_set_has_to_reach_the_level() -> None:
    write = state_write((A, B, C), (A, B, D))
    write.learn_held(A, Version(10))
    write.learn_held(C, Version(10))
    assert not write.is_reached
    assert write.targets.shortfall(write.holders) == (2, 1)
    write.learn_held(D, Version(10))
    assert write.is_reached


@pytest.mark.parametrize("groups", [(), ((),), ((A, A),)])
def test_targets_are_checked(groups: tuple[tuple[NodeName, ...], ...]) -> None:
    with pytest.raises(AssertionError):
        WriteTargets(groups, ConsistencyLevel.ONE)
