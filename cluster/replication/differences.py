"""What two replicas of a shard hold differently, and which states have to travel which way.

Pure: `merkle.py` finds the leaves and fetches their listings; this compares the listings and keeps
what is to be sent until it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from weftdb.cluster.replication.merge import (
    DeletionStrategy,
    deletion_state,
    is_stale,
    resolve,
)
from weftdb.cluster.replication.messages import Digest, Leaf
from weftdb.cluster.ring import meets
from weftdb.core.hashing import Token, token
from weftdb.core.objects import ObjectState
from weftdb.core.partial import TokenRanges
from weftdb.core.types import ObjectId


class Side(Enum):
    """One of the two replicas."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> Side:
        """The one across."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


@dataclass(frozen=True, slots=True)
class Rules:
    """Which differences are acted upon. Times are the wall clock's, in ms."""

    strategy: DeletionStrategy
    settled_before_ms: int
    """States at or after this are left alone: they may still be on their way by themselves."""
    forgotten_before_ms: int
    """Deletions before this are not passed on to who does not know the id: their grace is over,
    and each replica forgets them in its own time."""
    since_ms: int = 0
    """States before this are left alone."""
    within: TokenRanges | None = None
    """Only objects with these tokens, in their order; None for all."""
    gives: frozenset[Side] = frozenset(Side)
    """The sides that are given what they lack."""

    def covers(self, start: Token, stop: Token) -> bool:
        """Whether any of these tokens, from `start` on, before `stop`, is compared."""
        return self.within is None or meets(self.within, start, stop)


@dataclass(slots=True)
class Travel:
    """States on their way to one side: deletions are known whole, objects have to be fetched."""

    deletions: deque[ObjectState] = field(default_factory=deque)
    objects: deque[ObjectId] = field(default_factory=deque)


@dataclass(slots=True)
class Differences:
    """What was found and not sent yet, and counts of what was found."""

    rules: Rules
    found: int = 0
    young: int = 0
    unresolved: int = 0
    towards: dict[Side, Travel] = field(
        default_factory=lambda: {Side.LEFT: Travel(), Side.RIGHT: Travel()}
    )

    def compare(self, left: Leaf, right: Leaf) -> ObjectId | None:
        """Compare two pages that began behind the same id; the id up to which they are compared,
        None when that is all."""
        ends = [page.ids[-1] for page in (left, right) if not page.is_last]
        end = min(ends, default=None)
        held_left = dict(zip(left.ids, left.digests, strict=True))
        held_right = dict(zip(right.ids, right.digests, strict=True))
        for object_id in sorted(held_left.keys() | held_right.keys()):
            if end is not None and object_id > end:
                break
            if self.rules.within is not None:
                at = token(object_id)
                if not self.rules.covers(at, at + 1):
                    continue
            held = {Side.LEFT: held_left.get(object_id), Side.RIGHT: held_right.get(object_id)}
            if held[Side.LEFT] != held[Side.RIGHT]:
                self._note(object_id, held)
        return end

    def _note(self, object_id: ObjectId, held: Mapping[Side, Digest | None]) -> None:
        verdict = resolve(held.values(), self.rules.strategy)
        assert verdict.answer is not None, "two replicas that know nothing do not differ"
        if verdict.target is None:
            self.unresolved += 1
            return
        target = verdict.target
        if target.version.time_ms >= self.rules.settled_before_ms:
            self.young += 1
            return
        if target.version.time_ms < self.rules.since_ms:
            return
        is_forgotten = target.is_deleted and target.version.time_ms < self.rules.forgotten_before_ms
        if is_forgotten and None in held.values():
            return
        lacking = [
            side
            for side, digest in held.items()
            if side in self.rules.gives and is_stale(digest, target)
        ]
        self.found += bool(lacking)
        for side in lacking:
            if target.is_deleted:
                self.towards[side].deletions.append(deletion_state(object_id, target))
            else:
                self.towards[side].objects.append(object_id)
