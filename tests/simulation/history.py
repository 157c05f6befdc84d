"""What clients asked, and what they were told: the only thing that the promises speak about.

A write's value is the number of its operation, so that every value tells where it came from. The
`stamps` are what an omniscient observer saw the coordinator send; a client knows the last one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.types import ObjectId, ShardName, Version
from weftdb.storage.versions import LIFE_BITS


class Verb(Enum):
    """What an operation does to its object."""

    PUT = "put"
    DELETE = "delete"
    READ = "read"

    @property
    def is_write(self) -> bool:
        """True for what changes the object."""
        return self is not Verb.READ


class Outcome(Enum):
    """What the client knows at the end."""

    DONE = "done"
    FAILED = "failed"
    """An error was returned; a write may have happened all the same, in part or later."""
    UNKNOWN = "unknown"
    """No answer came."""


@dataclass(slots=True)
class Operation:
    """One request of one client. Times are virtual seconds."""

    number: int
    client: int
    coordinator: str
    verb: Verb
    key: ObjectId
    shard: ShardName
    level: ConsistencyLevel
    begun: float
    ended: float = math.inf
    outcome: Outcome = Outcome.UNKNOWN
    value: int | None = None
    """Of a put, what it writes; of a read that is done, what it saw; None is absence."""
    version: Version | None = None
    """Of a write that is done, its stamp; of a read that is done, what it saw."""
    stamps: list[Version] = field(default_factory=list)
    error: str = ""
    is_calm: bool = False
    """Coordinator and a majority of the replicas were up and in touch the whole time."""

    def __str__(self) -> str:
        what = "" if self.value is None else f" = {self.value}"
        end = "never answered" if math.isinf(self.ended) else f"{self.ended:.4f}"
        stamp = "" if self.version is None else f" at {brief(self.version)}"
        return (
            f"#{self.number} client {self.client} via {self.coordinator}: {self.verb.value} "
            f"{self.key.hex()[:8]}{what} {self.level.value} [{self.begun:.4f}, {end}] "
            f"{self.outcome.value}{stamp}{' ' + self.error if self.error else ''}"
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """What a replica holds of an object: `value` is None of a deletion."""

    version: Version
    is_deleted: bool
    value: int | None


@dataclass(frozen=True, slots=True)
class ShardEnd:
    """A shard after healing and a repair cycle: by replica its objects and deletions, and the root
    of its hash tree."""

    shard: ShardName
    contents: Mapping[str, Mapping[ObjectId, Holding]]
    roots: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the checkers know of a run."""

    operations: tuple[Operation, ...]
    ends: tuple[ShardEnd, ...]
    hinted: tuple[ShardEnd, ...]
    """After healing and the playing of hints, before the repair cycle."""
    replicas: Mapping[ShardName, tuple[str, ...]]
    wiped: frozenset[str]
    """Nodes that lost their data in the run."""
    unhinted: frozenset[int]
    """Operations whose coordinator died before it could keep hints for all who missed them."""
    grace_ms: int
    """Age at which a deletion may be forgotten."""
    ended_ms: int
    """True wall clock at the end."""
    strategy: DeletionStrategy = DeletionStrategy.TIME_BASED_RESOLUTION
    has_changes: bool = False
    """Whether shards moved."""
    loses_hints: bool = False
    """Whether hints were dropped for their age."""
    unfinished: tuple[str, ...] = ()
    """What did not come to its end after healing."""
    broken: tuple[str, ...] = ()
    """What the server's tasks stumbled over: errors that nobody expected."""
    lies: Mapping[ShardName, tuple[str, ...]] = field(default_factory=dict)
    """By shard, the nodes on which anything of it lies at the end."""

    def end_of(self, shard: ShardName) -> ShardEnd:
        """How a shard ended."""
        return next(end for end in self.ends if end.shard == shard)

    def hinted_of(self, shard: ShardName) -> ShardEnd:
        """How a shard was before the repair cycle."""
        return next(end for end in self.hinted if end.shard == shard)

    def required(self, operation: Operation) -> int:
        """Replicas that an operation needed."""
        return operation.level.required(len(self.replicas[operation.shard]))

    def by_key(self) -> dict[ObjectId, list[Operation]]:
        """The operations on each object, by their beginning."""
        found: dict[ObjectId, list[Operation]] = {}
        for one in sorted(self.operations, key=lambda one: (one.begun, one.number)):
            found.setdefault(one.key, []).append(one)
        return found


def brief(version: Version) -> str:
    """A version as people can compare it: milliseconds within the day, counter, node."""
    return f"{version.time_ms % 86_400_000}.{version.counter}@{version.node >> LIFE_BITS}"
