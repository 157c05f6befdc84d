"""Layout: where the shards of a collection (or of one tenant) lie, as one search sees them.

Made of the agreed sharding state; one search goes by one layout from its first round to its last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from weftdb.cluster.replication.effects import Coordination
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.replication.read import ReadCoordination, ReadOrder
from weftdb.cluster.search.messages import SearchRequest
from weftdb.cluster.search.scatter import Part, ScatterOrder, ScatterRead
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.config import QueryConfig
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.objects import Digest
from weftdb.core.partial import TokenRanges
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName

Nearness: TypeAlias = Callable[[tuple[NodeName, ...]], tuple[NodeName, ...]]
"""Orders replicas: the coordinating node itself first, then by what it knows of the others."""
Round: TypeAlias = tuple[Coordination[Any], ...]
"""Conversations that go on side by side. Who drives a search runs them all, and gives back a list
of their answers in the same order, or raises the error of one."""


@dataclass(frozen=True, slots=True)
class LaidShard:
    """One shard that is searched."""

    name: ShardName
    replicas: tuple[NodeName, ...]
    """Best first."""
    owned: TokenRanges | None = None
    """What counts of it, where it may hold objects of other shards."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The shards of one search, and which of them an id lies in."""

    schema: Collection
    schema_version: int
    shards: tuple[LaidShard, ...]
    positions_by_shard: Callable[[Sequence[ObjectId]], Mapping[ShardName, Iterable[int]]]
    _by_name: Mapping[ShardName, LaidShard] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {shard.name: shard for shard in self.shards}
        assert len(by_name) == len(self.shards) >= 1, "shards have different names"
        object.__setattr__(self, "_by_name", by_name)

    @classmethod
    def of_state(
        cls,
        schema: Collection,
        schema_version: int,
        state: ShardingState,
        nearness: Nearness,
    ) -> Layout:
        """All shards of a collection without tenants; where replicas may hold objects of other
        shards (`ShardingState.may_stray`), of each only what it owns."""
        return cls(
            schema,
            schema_version,
            tuple(
                LaidShard(
                    shard.name,
                    nearness(shard.replicas),
                    _ranges(state, shard.name) if state.may_stray else None,
                )
                for shard in state.shards
            ),
            state.shards_of,
        )

    @classmethod
    def of_tenant(
        cls, schema: Collection, schema_version: int, shard: PlacedShard, nearness: Nearness
    ) -> Layout:
        """The one shard of a tenant."""
        laid = LaidShard(shard.name, nearness(shard.replicas))
        return cls(schema, schema_version, (laid,), lambda ids: {shard.name: range(len(ids))})

    def shard(self, name: ShardName) -> LaidShard:
        """The shard called `name`. Requires: it is one of these."""
        return self._by_name[name]

    def ref(self, name: ShardName) -> ShardRef:
        """The shard as replicas know it."""
        return ShardRef(CollectionName(self.schema.name), name)


def _ranges(state: ShardingState, name: ShardName) -> TokenRanges:
    return tuple((each.start, each.stop) for each in state.ranges_of(name))


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """By what rules one search goes; times are monotonic seconds."""

    deadline_s: float
    level: ConsistencyLevel = ConsistencyLevel.ONE
    hedge_s: float | None = None
    strategy: DeletionStrategy = DeletionStrategy.TIME_BASED_RESOLUTION
    unavailable: AbstractSet[NodeName] = frozenset()
    limits: QueryConfig = field(default_factory=QueryConfig)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Makes the rounds of one search."""

    layout: Layout
    terms: SearchTerms

    @property
    def is_checked(self) -> bool:
        """Whether the objects of an answer have to be read from more than one replica."""
        return any(
            self.terms.level.required(len(shard.replicas)) > 1 for shard in self.layout.shards
        )

    def ask(
        self, asked: Iterable[tuple[LaidShard, SearchRequest]], first: Sequence[NodeName] = ()
    ) -> Round:
        """One question to one replica of each shard; answered by `[Gathered]`. `first` are the
        nodes to ask first, one a shard."""
        pairs = list(asked)
        preferred: Sequence[NodeName | None] = first or [None] * len(pairs)
        parts = [
            Part(request, _with_first(shard.replicas, node))
            for (shard, request), node in zip(pairs, preferred, strict=True)
        ]
        terms = self.terms
        order = ScatterOrder(tuple(parts), terms.deadline_s, terms.hedge_s, terms.unavailable)
        return (ScatterRead(order),)

    def read(
        self,
        ids: Sequence[ObjectId],
        *,
        wants_contents: bool = True,
        at_hand: Mapping[ObjectId, Digest] | None = None,
    ) -> tuple[Round, list[list[int]]]:
        """The objects at the level; answered by a `Found` for each list of positions in `ids`.
        Contents that are `at_hand` in the state that wins are not sent again."""
        terms, conversations, places = self.terms, [], []
        for name, found in self.layout.positions_by_shard(ids).items():
            positions = [int(at) for at in found]
            order = ReadOrder(
                shard=self.layout.ref(name),
                schema_version=self.layout.schema_version,
                ids=tuple([ids[at] for at in positions]),
                replicas=self.layout.shard(name).replicas,
                level=terms.level,
                strategy=terms.strategy,
                deadline_s=terms.deadline_s,
                hedge_s=terms.hedge_s,
                unavailable=terms.unavailable,
                wants_contents=wants_contents,
                at_hand=tuple([at_hand.get(ids[at]) for at in positions]) if at_hand else (),
            )
            conversations.append(ReadCoordination(order))
            places.append(positions)
        return tuple(conversations), places


def _with_first(replicas: tuple[NodeName, ...], node: NodeName | None) -> tuple[NodeName, ...]:
    if node is None or node not in replicas:
        return replicas
    return (node, *(other for other in replicas if other != node))
