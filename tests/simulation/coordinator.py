"""Coordinator: what a node does with a client's request: stamp, choose the replicas, start a
conversation. Everything that decides is `cluster/replication`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from weftdb.cluster.replication.effects import Coordination, Send
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.merkle import Exchange, Exchanged, ExchangeOrder
from weftdb.cluster.replication.messages import Apply, ShardRef
from weftdb.cluster.replication.read import Found, ReadCoordination, ReadOrder
from weftdb.cluster.replication.write import Restamp, WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import Unavailable, WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, NodeName, ObjectId, Version
from weftdb.storage.versions import VersionClock

from .driver import Driver
from .history import Operation, Verb
from .node import SimulatedNode
from .replicas import VALUE

SCHEMA_VERSION = 1
HEDGE_S = 0.3

MakeWrite = Callable[[WriteOrder, Restamp], Coordination[Written]]
MakeRead = Callable[[ReadOrder], Coordination[Found]]
MakeExchange = Callable[[ExchangeOrder], Coordination[Exchanged]]
Ended = Callable[[ObjectState | WeftError | None], None]


class Places:
    """Where the shards of the collection are, as metadata has it."""

    def __init__(self, collection: CollectionName, state: ShardingState) -> None:
        self.state = state
        self._collection = collection
        self.replicas = {self._ref(placed): placed.replicas for placed in state.shards}
        self.shards = tuple(self.replicas)

    def shard_of(self, key: ObjectId) -> ShardRef:
        """The shard that holds an object."""
        return self._ref(self.state.shard_of(key))

    def write_groups(self, key: ObjectId) -> tuple[tuple[NodeName, ...], ...]:
        """The sets of replicas in each of which a write of the object must reach its level."""
        return self.state.shard_of(key).write_groups

    def _ref(self, placed: PlacedShard) -> ShardRef:
        return ShardRef(self._collection, placed.name)


@dataclass(frozen=True, slots=True)
class Conversations:
    """How conversations are made: the product's, or one with a planted bug."""

    write: MakeWrite = WriteCoordination
    read: MakeRead = ReadCoordination
    exchange: MakeExchange = Exchange


class Coordinator:
    """Takes requests on one node, in one life of its process."""

    def __init__(
        self,
        node: SimulatedNode,
        driver: Driver,
        places: Places,
        conversations: Conversations,
        *,
        writer: int,
        away: Callable[[], frozenset[NodeName]],
    ) -> None:
        """`writer` is this life of the node in versions; `away` tells what membership believes."""
        self._node = node
        self._driver = driver
        self.places = places
        self._conversations = conversations
        self._away = away
        held = [
            state.version
            for replica in node.replicas.values()
            for state in replica.contents().values()
        ]
        floor = max(held, default=Version(0))
        self.versions = VersionClock(node.clock, node=writer, floor=floor)

    def take(self, one: Operation, deadline_s: float, ended: Ended) -> None:
        """Do what a client asks; `ended` is called with the outcome, unless the process dies."""
        if not self._node.is_up:
            ended(Unavailable("connection refused"))
            return
        self._node.bound(lambda: self._begin(one, deadline_s, ended))()

    def _begin(self, one: Operation, deadline_s: float, ended: Ended) -> None:
        if one.verb.is_write:
            self._write(one, deadline_s, ended)
        else:
            self._read(one, deadline_s, ended)

    def _write(self, one: Operation, deadline_s: float, ended: Ended) -> None:
        shard = self.places.shard_of(one.key)
        state = self._state(one)
        order = WriteOrder(
            shard=shard,
            schema_version=SCHEMA_VERSION,
            states=(state,),
            targets=WriteTargets(self.places.write_groups(one.key), one.level),
            deadline_s=self._node.clock.monotonic_s() + deadline_s,
            unavailable=self._away(),
        )

        def observe(send: Send) -> None:
            if isinstance(send.request, Apply):
                one.stamps.extend(
                    state.version
                    for state in send.request.states
                    if state.version not in one.stamps
                )

        def answered(outcome: Written | WeftError) -> None:
            if isinstance(outcome, WeftError):
                ended(outcome)
                return
            (result,) = outcome.outcomes
            if not isinstance(result, Version):
                ended(result)
            else:
                one.version = result
                ended(ObjectState(one.key, result, is_deleted=state.is_deleted))

        conversation = self._conversations.write(order, self._stamp_above)
        self._driver.run(conversation, answered, label=f"#{one.number}", sent=observe)

    def _read(self, one: Operation, deadline_s: float, ended: Ended) -> None:
        shard = self.places.shard_of(one.key)
        replicas = self.places.replicas[shard]
        order = ReadOrder(
            shard=shard,
            schema_version=SCHEMA_VERSION,
            ids=(one.key,),
            replicas=tuple(sorted(replicas, key=lambda name: name != self._node.name)),
            level=one.level,
            strategy=DeletionStrategy.TIME_BASED_RESOLUTION,
            deadline_s=self._node.clock.monotonic_s() + deadline_s,
            hedge_s=HEDGE_S,
            unavailable=self._away(),
        )

        def answered(outcome: Found | WeftError) -> None:
            ended(outcome if isinstance(outcome, WeftError) else outcome.states[0])

        self._driver.run(self._conversations.read(order), answered, label=f"#{one.number}")

    def _state(self, one: Operation) -> ObjectState:
        version = self.versions.next()
        if one.verb is Verb.DELETE:
            return ObjectState(one.key, version, is_deleted=True)
        times = version.time_ms
        return ObjectState(
            one.key, version, created_ms=times, updated_ms=times, properties={VALUE: one.value}
        )

    def _stamp_above(self, version: Version) -> Version:
        self.versions.observe(version)
        return self.versions.next()
