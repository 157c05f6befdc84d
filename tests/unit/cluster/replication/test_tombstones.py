"""When deletions are forgotten, as a table."""

from __future__ import annotations

import pytest

from weftdb.cluster.replication.hints import HintBounds
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.tombstones import (
    Fate,
    Grace,
    Peer,
    Return,
    fate_of,
    return_of,
)
from weftdb.core.types import NodeName

GRACE = Grace(grace_ms=1000, lag_ms=100, skew_ms=10)
B, C, D, E = (NodeName(name) for name in "bcde")
KEEP = Fate(may_be_forgotten=False)
HAS, LATER = Peer(600), Peer(599)
NEVER = Peer(None)
AWAY, LONG_AWAY = Peer(599, away_since_ms=1001), Peer(599, away_since_ms=1000)
MARKED = Peer(900, is_marked=True)


def forget(*mark: NodeName) -> Fate:
    return Fate(may_be_forgotten=True, mark=frozenset(mark))


@pytest.mark.parametrize(
    ("now_ms", "peers", "fate"),
    [
        (2000, {}, forget()),
        (1499, {}, KEEP),
        (1500, {}, forget()),
        (1499, {B: HAS, C: HAS}, KEEP),
        (2000, {B: HAS, C: HAS}, forget()),
        (2000, {B: HAS, C: LATER}, KEEP),
        (2000, {B: HAS, C: NEVER}, KEEP),
        (2000, {B: HAS, C: AWAY}, KEEP),
        (2000, {B: HAS, C: LONG_AWAY}, forget(C)),
        (2000, {B: LONG_AWAY, C: LONG_AWAY}, KEEP),  # No majority has it.
        (2000, {B: LONG_AWAY}, KEEP),
        (2000, {B: HAS, C: MARKED}, forget(C)),
        (2000, {B: LONG_AWAY, C: MARKED}, KEEP),
        (2000, {B: HAS, C: HAS, D: LONG_AWAY, E: MARKED}, forget(D, E)),
        (2000, {B: HAS, C: LATER, D: LONG_AWAY, E: HAS}, KEEP),
    ],
)
def test_fate(now_ms: int, peers: dict[NodeName, Peer], fate: Fate) -> None:
    time_based = DeletionStrategy.TIME_BASED_RESOLUTION
    assert fate_of(500, now_ms=now_ms, grace=GRACE, peers=peers, strategy=time_based) == fate
    never = DeletionStrategy.NO_AUTOMATED_RESOLUTION
    assert fate_of(500, now_ms=now_ms, grace=GRACE, peers=peers, strategy=never) == KEEP


def test_a_marked_replica_is_rebuilt() -> None:
    assert return_of([]) is Return.SYNCHRONISE
    assert return_of([B]) is Return.REBUILD


def test_the_bounds_hang_together() -> None:
    Grace().check(HintBounds())
    with pytest.raises(AssertionError, match="the lag is less"):
        Grace(lag_ms=1000).check(HintBounds())
    with pytest.raises(AssertionError, match="hardly longer"):
        Grace(grace_ms=5 * 3600 * 1000).check(HintBounds())
