"""When a deletion may be forgotten, and which replica may not simply come back after that.

A deletion is kept as a state with a version (a tombstone), because an absence wins against nothing:
a replica that missed the deletion would hand the object back to those that forgot it. A tombstone
is forgotten when all of this holds:

1. Its grace is over: no write, hint or retry of an older state is on its way any more.
2. Every other replica of the shard has it, which is known when an exchange of hash trees with that
   replica was complete for all states until the deletion and `lag_ms` more. (The lag covers how
   late a state may reach this replica: the age of hints, and clocks that differ.)

A replica that is away would hold up the second for ever. So it is not waited for once it has been
away longer than the grace, if a majority of the replicas, with this one, is known to have the
tombstone. Who forgets without it **marks** it first, durably, and a marked replica must not be
synchronised when it comes back: it may hold objects whose deletion nobody remembers, and comparing,
or a read at QUORUM, would spread them again. It is emptied and rebuilt from the others; until that
is done it answers neither reads nor exchanges, and acknowledges no write, though it may store them:
an empty replica does not know the newer states that it would have to name (`write_core.py`). The
same holds for a replica whose disk was wiped. Then its marks go.

Nothing that was acknowledged at QUORUM is lost by that: of such a write's majority, one is among
the majority that had the tombstone and stays. The mark, and not the time that a replica believes
to have been away, decides, so that a cluster that was switched off for a month comes back whole,
for nobody has forgotten anything meanwhile, and clocks that differ decide nothing.

Under NoAutomatedResolution deletions are never forgotten: comparing replicas does not spread them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from weftdb.cluster.replication.hints import HintBounds
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import NodeName


@dataclass(frozen=True, slots=True)
class Grace:
    """How long deletions are remembered at least. Milliseconds."""

    grace_ms: int = 7 * 24 * 3600 * 1000
    lag_ms: int = 4 * 3600 * 1000
    skew_ms: int = 10 * 60 * 1000
    """How much clocks of nodes may differ."""

    def check(self, hints: HintBounds) -> None:
        """Refuse bounds that do not hang together. Raises AssertionError."""
        late_ms = hints.age_ms_max + self.skew_ms
        assert self.lag_ms >= late_ms, f"a hint may come {late_ms} ms late, the lag is less: {self}"
        assert self.grace_ms >= 2 * self.lag_ms, f"the grace is hardly longer than the lag: {self}"


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of another replica of the shard. Wall-clock milliseconds, of this node."""

    complete_until_ms: int | None
    """`Rules.settled_before_ms` of the last exchange with it that was complete; None: none was."""
    away_since_ms: int | None = None
    """When it was last known to be there; None while it is."""
    is_marked: bool = False
    """Somebody has marked it, and it is not rebuilt yet: it counts as having nothing."""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Which tombstones may go, by the time of their version."""

    before_ms: int
    """Those before this time may go."""
    marked_before_ms: int
    """Those before this time (not less than `before_ms`) may go once `mark` is marked, durably.
    Nobody needs to be marked while no tombstone lies between the two."""
    mark: frozenset[NodeName] = frozenset()


class Return(Enum):
    """How a replica that was away takes part again."""

    SYNCHRONISE = "synchronise"
    REBUILD = "rebuild"


def forgetting(
    *, now_ms: int, grace: Grace, peers: Mapping[NodeName, Peer], strategy: DeletionStrategy
) -> Forgetting:
    """Decide for one shard; `peers` are all the other replicas of it."""
    if strategy is DeletionStrategy.NO_AUTOMATED_RESOLUTION:
        return Forgetting(0, 0)
    over_ms = now_ms - grace.grace_ms
    known_ms = {name: _known_until(peer, grace) for name, peer in peers.items()}
    before_ms = max(0, min((over_ms, *known_ms.values())))
    awaited = [name for name, peer in peers.items() if not _needs_no_wait(peer, now_ms, grace)]
    marked_before_ms = max(0, min((over_ms, *(known_ms[name] for name in awaited))))
    mark = frozenset(name for name in peers if known_ms[name] < marked_before_ms)
    replicas = len(peers) + 1
    if replicas - len(mark) < ConsistencyLevel.QUORUM.required(replicas):
        return Forgetting(before_ms, before_ms)
    return Forgetting(before_ms, marked_before_ms, mark)


def return_of(marked_by: Iterable[NodeName]) -> Return:
    """How a replica comes back which these other replicas of the shard have marked."""
    return Return.REBUILD if any(True for _ in marked_by) else Return.SYNCHRONISE


def _known_until(peer: Peer, grace: Grace) -> int:
    """A peer has every tombstone before this time, for sure."""
    if peer.is_marked or peer.complete_until_ms is None:
        return 0
    return peer.complete_until_ms - grace.lag_ms


def _needs_no_wait(peer: Peer, now_ms: int, grace: Grace) -> bool:
    if peer.is_marked:
        return True
    return peer.away_since_ms is not None and now_ms - peer.away_since_ms >= grace.grace_ms
