"""Router: finds the shards of a request and has their replicas asked, from one node.

A request goes by one look at the agreed state. Where a replica refuses because it knows a newer
one, that is learnt with the refusal, and the request is made again by it: states that were taken
already are the same states, so nothing happens twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.replication.settings import ReplicationSettings
from weftdb.cluster.replication.write import Outcome, WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.search.layout import Layout, Nearness, Round, Rounds, SearchTerms
from weftdb.cluster.search.rows import nearest_rows, read_presence, read_states
from weftdb.cluster.search.searching import Questions
from weftdb.cluster.sharding import ShardingState
from weftdb.core.config import ComparingConfig, QueryConfig
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Env
from weftdb.core.errors import (
    InvalidRequest,
    ShardLoading,
    Unavailable,
    UnknownCollection,
    WeftError,
)
from weftdb.core.objects import ObjectState
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, Version
from weftdb.engine.change import SLICE_BYTES, SLICE_OBJECTS
from weftdb.engine.steps import Steps, run
from weftdb.modules.ports import Vectorizers
from weftdb.server.awaiting import awaited, wait_for
from weftdb.server.internode.conversation import Manner
from weftdb.server.internode.driver import Driver
from weftdb.server.internode.messages import Moved
from weftdb.server.internode.outcomes import Kind
from weftdb.storage.object_codec import stored_times
from weftdb.storage.versions import VersionClock

T = TypeVar("T")

READ_S_MAX = 20.0
WRITE_S_MAX = 60.0
"""Until then every request has its answer, or an error that says who did not answer."""
HEDGE_S = 0.2
"""A replica that is silent for so long gets company."""
LOOKS_MAX = 4
"""How often a request is made anew because shards had moved."""
SLICES_AT_ONCE = 4
"""Batches of one write that are under way at the same time."""


class Agreement(Protocol):
    """What all nodes agree on, as far as this one has heard (`server/agreement`)."""

    def definition(self, name: CollectionName) -> Collection | None:
        """The definition that this node goes by."""
        ...

    def schema_version(self, name: CollectionName) -> int:
        """Of that definition."""
        ...

    def sharding(self, name: CollectionName) -> tuple[ShardingState, int] | None:
        """The newest sharding state that is known, with its revision."""
        ...

    def learn(self, moved: Moved) -> None:
        """Take a newer sharding state from who refused by it."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """One collection as one request sees it."""

    schema: Collection
    schema_version: int
    state: ShardingState
    revision: int

    @property
    def name(self) -> CollectionName:
        """Of the collection."""
        return CollectionName(self.schema.name)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a router works with; `is_alive` and `is_away` are membership's opinion of a node: one in
    doubt is neither. It is still sent writes, and asked last for reads."""

    node: NodeName
    agreement: Agreement
    is_alive: Callable[[NodeName], bool]
    is_away: Callable[[NodeName], bool]
    versions: VersionClock
    vectorizers: Vectorizers
    limits: QueryConfig
    env: Env
    comparing: ComparingConfig = field(default_factory=ComparingConfig)


class Router:
    """Of one node. Requires: made in the event loop of `driver`. Methods whose name begins with
    `a` are for that loop, the others for the threads of doors."""

    def __init__(self, surroundings: Surroundings, driver: Driver) -> None:
        self.around = surroundings
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._restamp = driver.outcomes.counting(self._version_above)
        self._random = random.Random()  # Chooses among equals only.

    def look(self, name: CollectionName) -> Look:
        """The collection as it is known now. Raises UnknownCollection; ShardLoading where its
        sharding state has not been heard of."""
        agreement = self.around.agreement
        schema = agreement.definition(name)
        if schema is None:
            raise UnknownCollection(name)
        # The definition first: a version that is too new makes others wait, one too old does not.
        version, found = agreement.schema_version(name), agreement.sharding(name)
        if found is None:
            raise ShardLoading(f"node {self.around.node} does not know the shards of {name} yet")
        return Look(schema, version, *found)

    # --- writes ----------------------------------------------------------------------------------

    def write(
        self, name: CollectionName, states: Sequence[ObjectState], level: ConsistencyLevel
    ) -> list[WeftError | None]:
        """Write states of different objects; of each, why its level was not reached.

        Raises what concerns all of them: UnknownCollection, Closed, Overloaded.
        """
        deadline_s = self._now_s() + WRITE_S_MAX
        return wait_for(self._loop, lambda: self.awrite(name, states, level, deadline_s))

    async def awrite(
        self,
        name: CollectionName,
        states: Sequence[ObjectState],
        level: ConsistencyLevel,
        deadline_s: float,
    ) -> list[WeftError | None]:
        """The same in the loop."""
        outcomes: list[WeftError | None] = [None] * len(states)
        left = list(range(len(states)))
        for _ in range(LOOKS_MAX):
            look = self.look(name)
            errors = await self._awrite_by(look, [states[at] for at in left], level, deadline_s)
            for at, error in zip(left, errors, strict=True):
                outcomes[at] = error
            left = [at for at in left if isinstance(outcomes[at], Unavailable)]
            if not left or self.look(name).revision == look.revision:
                break
        return outcomes

    async def _awrite_by(
        self,
        look: Look,
        states: Sequence[ObjectState],
        level: ConsistencyLevel,
        deadline_s: float,
    ) -> list[WeftError | None]:
        """Write by one look at the shards. An object that moves goes to two."""
        turn = asyncio.Semaphore(SLICES_AT_ONCE)
        places = look.state.write_shards_of([state.id for state in states])

        async def write(name: ShardName, part: list[int]) -> Sequence[Outcome]:
            async with turn:
                written_part = [states[at] for at in part]
                order = self._write_order(look, name, written_part, level, deadline_s)
                coordination = WriteCoordination(order, self._restamp)
                kind = Kind(is_read=False, level=level)
                written: Written = await self._driver.run(
                    coordination, self._manner(look, deadline_s), kind
                )
                return written.outcomes

        parts = [
            (name, part)
            for name, positions in places.items()
            for part in _slices(states, [int(at) for at in positions])
        ]
        found = await asyncio.gather(*(write(*each) for each in parts), return_exceptions=True)
        outcomes: list[WeftError | None] = [None] * len(states)
        for (_, part), said in zip(parts, found, strict=True):
            if isinstance(said, BaseException) and not isinstance(said, WeftError):
                raise said
            of_part = [said] * len(part) if isinstance(said, WeftError) else said
            for at, outcome in zip(part, of_part, strict=True):
                if not isinstance(outcome, Version):  # Of two shards, both have to have it.
                    outcomes[at] = outcome
        return outcomes

    def _write_order(
        self,
        look: Look,
        name: ShardName,
        states: Sequence[ObjectState],
        level: ConsistencyLevel,
        deadline_s: float,
    ) -> WriteOrder:
        placed = look.state.shard(name)
        assert placed is not None, name
        return WriteOrder(
            shard=ShardRef(look.name, name),
            schema_version=look.schema_version,
            states=tuple(states),
            targets=WriteTargets(placed.write_groups, level),
            deadline_s=deadline_s,
            unavailable=self._away(placed.holders),
            awaited=self.around.node,
        )

    def _version_above(self, version: Version) -> Version:
        self.around.versions.observe(version)
        return self.around.versions.next()

    # --- reads -----------------------------------------------------------------------------------

    def read(
        self,
        name: CollectionName,
        ids: Sequence[ObjectId],
        level: ConsistencyLevel,
        *,
        node: NodeName | None = None,
    ) -> list[ObjectState | None]:
        """The objects at the level, in the order of the ids, of which none comes twice; None where
        there is none. With `node`, what that replica has. Raises NotEnoughReplicas, InvalidRequest
        for a node that has no replica."""
        if not ids:
            return []
        if node is not None:
            self._check_holder(node, name, ids)
        found = run(self.steps(name, partial(_states, ids), level, node=node))
        return [found.get(one) for one in ids]

    def present(
        self, name: CollectionName, ids: Sequence[ObjectId], level: ConsistencyLevel
    ) -> set[ObjectId]:
        """Those of the objects that are there at the level: replicas send digests only. Raises
        NotEnoughReplicas."""
        if not ids:
            return set()
        return run(self.steps(name, partial(read_presence, ids=ids), level))

    def created(self, name: CollectionName, ids: Sequence[ObjectId]) -> dict[ObjectId, int]:
        """When the objects that the nearest replicas have were made, in milliseconds. Raises
        NotEnoughReplicas."""
        if not ids:
            return {}
        rows = run(self.steps(name, partial(nearest_rows, ids=ids), ConsistencyLevel.ONE))
        return {one: stored_times(row.stored)[0] for one, row in rows.items()}

    def steps(
        self,
        name: CollectionName,
        questions: Callable[[Rounds], Questions[T]],
        level: ConsistencyLevel,
        *,
        node: NodeName | None = None,
    ) -> Steps[T]:
        """What a search or an aggregation asks, as steps for a driver of searches."""
        deadline_s = self._now_s() + READ_S_MAX
        for left in reversed(range(LOOKS_MAX)):
            look = self.look(name)
            terms = SearchTerms(
                deadline_s=deadline_s,
                level=level,
                hedge_s=HEDGE_S,
                strategy=ReplicationSettings.of(look.schema, self.around.comparing).strategy,
                unavailable=self._doubted(look.state.replica_counts()),
                limits=self.around.limits,
            )
            rounds = Rounds(self._layout(look, node), terms)
            try:
                return (yield from self._asked(questions(rounds), look, terms))
            except Unavailable:
                if not left or self.look(name).revision == look.revision:
                    raise
        raise AssertionError("the last look either answers or raises")

    def _asked(self, questions: Questions[T], look: Look, terms: SearchTerms) -> Steps[T]:
        """`questions` with its rounds as calls that a driver awaits."""
        manner = self._manner(look, terms.deadline_s)
        kind = Kind(is_read=True, level=terms.level)
        try:
            question = next(questions)
            while True:
                call = question
                if isinstance(question, tuple):
                    call = awaited(self._loop, partial(self._aask, question, manner, kind))
                assert not isinstance(call, tuple)
                try:
                    answer = yield call
                except WeftError as error:
                    question = questions.throw(error)
                else:
                    question = questions.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _aask(self, asked: Round, manner: Manner, kind: Kind) -> list[Any]:
        """Run the conversations of a round side by side."""
        if len(asked) == 1:
            return [await self._driver.run(asked[0], manner, kind)]
        return list(await asyncio.gather(*(self._driver.run(one, manner, kind) for one in asked)))

    # --- details ---------------------------------------------------------------------------------

    def _check_holder(self, node: NodeName, name: CollectionName, ids: Sequence[ObjectId]) -> None:
        for object_id in ids:
            shard = self.look(name).state.shard_of(object_id)
            if node not in shard.holders:
                raise InvalidRequest(
                    f"{node} holds no replica of shard {shard.name}, in which the object is: "
                    f"{', '.join(shard.holders)} do"
                )

    def _layout(self, look: Look, node: NodeName | None) -> Layout:
        nearness = self._nearest_first() if node is None else partial(_only, node)
        return Layout.of_state(look.schema, look.schema_version, look.state, nearness)

    def _nearest_first(self) -> Nearness:
        """This node itself, then others in any order, so that each gets its part of the work: the
        same order for all shards of a request, whose questions then go to few nodes."""
        own, ranks = self.around.node, dict[NodeName, float]()

        def rank(node: NodeName) -> float:
            return -1.0 if node == own else ranks.setdefault(node, self._random.random())

        return lambda replicas: tuple(sorted(replicas, key=rank))

    def _away(self, nodes: Iterable[NodeName]) -> frozenset[NodeName]:
        own = self.around.node
        return frozenset(node for node in nodes if node != own and self.around.is_away(node))

    def _doubted(self, nodes: Iterable[NodeName]) -> frozenset[NodeName]:
        own = self.around.node
        return frozenset(node for node in nodes if node != own and not self.around.is_alive(node))

    def _manner(self, look: Look, deadline_s: float) -> Manner:
        return Manner(deadline_s, revision=look.revision, learn=self.around.agreement.learn)

    def _now_s(self) -> float:
        return self.around.env.clock.monotonic_s()


def _states(ids: Sequence[ObjectId], rounds: Rounds) -> Questions[Mapping[ObjectId, ObjectState]]:
    found = yield from read_states(rounds, ids)
    return {state.id: state for state in found}


def _only(node: NodeName, _replicas: tuple[NodeName, ...]) -> tuple[NodeName, ...]:
    """One node, also where it holds nothing: it says so."""
    return (node,)


def _slices(states: Sequence[ObjectState], positions: Sequence[int]) -> Iterator[list[int]]:
    """Positions of states that go in one request, and into a replica's store in one write."""
    part: list[int] = []
    held = 0
    for at in positions:
        part.append(at)
        held += sum(vector.nbytes for vector in states[at].vectors.values())
        if held >= SLICE_BYTES or len(part) == SLICE_OBJECTS:
            yield part
            part, held = [], 0
    if part:
        yield part
