"""When deletions are forgotten, as a table."""

from __future__ import annotations

import pytest

from weftdb.cluster.replication.hints import HintBounds
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.tombstones import (
    Forgetting,
    Grace,
    Peer,
    Return,
    forgetting,
    return_of,
)
from weftdb.core.types import NodeName

GRACE = Grace(grace_ms=1000, lag_ms=100, skew_ms=10)
B, C, D, E = (NodeName(name) for name in "bcde")
HAS, LATER = Peer(700), Peer(500)
NEVER = Peer(None)
AWAY, LONG_AWAY = Peer(500, away_since_ms=1001), Peer(500, away_since_ms=1000)
MARKED = Peer(900, is_marked=True)


@pytest.mark.parametrize(
    ("now_ms", "peers", "before_ms", "marked_before_ms", "mark"),
    [
        (2000, {}, 1000, 1000, ""),
        (900, {}, 0, 0, ""),
        (1550, {B: HAS, C: HAS}, 550, 550, ""),  # The grace is what bounds.
        (2000, {B: HAS, C: HAS}, 600, 600, ""),
        (2000, {B: HAS, C: LATER}, 400, 400, ""),
        (2000, {B: HAS, C: NEVER}, 0, 0, ""),
        (2000, {B: HAS, C: AWAY}, 400, 400, ""),
        (2000, {B: HAS, C: LONG_AWAY}, 400, 600, "c"),
        (1400, {B: HAS, C: Peer(500, away_since_ms=0)}, 400, 400, ""),  # It has all of them.
        (2000, {B: LONG_AWAY, C: LONG_AWAY}, 400, 400, ""),  # No majority has the later ones.
        (2000, {B: LONG_AWAY}, 400, 400, ""),
        (2000, {B: HAS, C: MARKED}, 0, 600, "c"),
        (2000, {B: LONG_AWAY, C: MARKED}, 0, 0, ""),
        (2000, {B: HAS, C: HAS, D: LONG_AWAY, E: MARKED}, 0, 600, "de"),
        (2000, {B: HAS, C: LATER, D: LONG_AWAY, E: HAS}, 400, 400, ""),
    ],
)
def test_forgetting(
    now_ms: int, peers: dict[NodeName, Peer], before_ms: int, marked_before_ms: int, mark: str
) -> None:
    answer = forgetting(
        now_ms=now_ms, grace=GRACE, peers=peers, strategy=DeletionStrategy.TIME_BASED_RESOLUTION
    )
    assert answer == Forgetting(before_ms, marked_before_ms, frozenset(map(NodeName, mark)))
    never = DeletionStrategy.NO_AUTOMATED_RESOLUTION
    assert forgetting(now_ms=now_ms, grace=GRACE, peers=peers, strategy=never) == Forgetting(0, 0)


def test_a_marked_replica_is_rebuilt() -> None:
    assert return_of([]) is Return.SYNCHRONISE
    assert return_of([B]) is Return.REBUILD


def test_the_bounds_hang_together() -> None:
    Grace().check(HintBounds())
    with pytest.raises(AssertionError, match="the lag is less"):
        Grace(lag_ms=1000).check(HintBounds())
    with pytest.raises(AssertionError, match="hardly longer"):
        Grace(grace_ms=5 * 3600 * 1000).check(HintBounds())
