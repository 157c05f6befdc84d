"""Coordinator: what a node does with a client's request: stamp, choose the replicas, start a
conversation. Everything that decides is `cluster/replication`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from weftdb.cluster.replication.effects import Coordination, Send
from weftdb.cluster.replication.merkle import Exchange, Exchanged
from weftdb.cluster.replication.messages import Apply, ShardRef
from weftdb.cluster.replication.read import Found, ReadCoordination, ReadOrder
from weftdb.cluster.replication.write import Restamp, WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.sharding import PlacedShard
from weftdb.core.errors import Unavailable, WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, Version
from weftdb.storage.versions import VersionClock

from .agreed import NodeView
from .driver import Driver
from .history import Operation, Verb
from .node import Asked, SimulatedNode
from .replicas import VALUE

HEDGE_S = 0.3
LOOKS_MAX = 4
"""How often a request is made anew because shards had moved."""

MakeWrite = Callable[[WriteOrder, Restamp], Coordination[Written]]
MakeRead = Callable[[ReadOrder], Coordination[Found]]
MakeExchange = Callable[[Exchange], Coordination[Exchanged]]
MakeGroups = Callable[[PlacedShard], tuple[tuple[NodeName, ...], ...]]
Ended = Callable[[ObjectState | WeftError | None], None]


def _write_groups(placed: PlacedShard) -> tuple[tuple[NodeName, ...], ...]:
    return placed.write_groups


@dataclass(frozen=True, slots=True)
class Conversations:
    """How conversations are made: the product's, or one with a planted bug."""

    write: MakeWrite = WriteCoordination
    read: MakeRead = ReadCoordination
    exchange: MakeExchange = lambda exchange: exchange
    write_groups: MakeGroups = _write_groups


class Coordinator:
    """Takes requests on one node, in one life of its process, as `server.routing.router` does."""

    def __init__(
        self,
        node: SimulatedNode,
        driver: Driver,
        view: NodeView,
        conversations: Conversations,
        *,
        writer: int,
    ) -> None:
        """`writer` is this life of the node in versions."""
        self._node = node
        self._driver = driver
        self.view = view
        self._conversations = conversations
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
        until_s = self._node.clock.monotonic_s() + deadline_s
        state = self._state(one) if one.verb.is_write else None
        self._try(one, state, until_s, ended, LOOKS_MAX - 1)

    def _try(
        self, one: Operation, state: ObjectState | None, until_s: float, ended: Ended, left: int
    ) -> None:
        """By one look at where shards lie; again where that was not the newest."""
        revision = self.view.revision(self._node.terms.collection)

        def answered(outcome: ObjectState | WeftError | None) -> None:
            known = self.view.revision(self._node.terms.collection)
            if isinstance(outcome, Unavailable) and left and known != revision:
                self._try(one, state, until_s, ended, left - 1)
            else:
                ended(outcome)

        if state is None:
            self._read(one, until_s, answered)
        else:
            self._write(one, state, until_s, answered)

    def _write(self, one: Operation, state: ObjectState, until_s: float, ended: Ended) -> None:
        placed = self.view.state.shard_of(one.key)
        order = WriteOrder(
            shard=self._ref(placed),
            schema_version=self.view.schema_version(self._node.terms.collection),
            states=(state,),
            targets=WriteTargets(self._conversations.write_groups(placed), one.level),
            deadline_s=until_s,
            unavailable=self._away(placed.holders),
            awaited=self._node.name,
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
        self._run(conversation, answered, one, sent=observe)

    def _read(self, one: Operation, until_s: float, ended: Ended) -> None:
        placed = self.view.state.shard_of(one.key)
        order = ReadOrder(
            shard=self._ref(placed),
            schema_version=self.view.schema_version(self._node.terms.collection),
            ids=(one.key,),
            replicas=tuple(sorted(placed.replicas, key=lambda name: name != self._node.name)),
            level=one.level,
            strategy=self._node.terms.strategy,
            deadline_s=until_s,
            hedge_s=HEDGE_S,
            unavailable=self._away(placed.replicas),
        )

        def answered(outcome: Found | WeftError) -> None:
            ended(outcome if isinstance(outcome, WeftError) else outcome.states[0])

        self._run(self._conversations.read(order), answered, one, is_read=True)

    def _run(
        self,
        conversation: Coordination[Any],
        answered: Callable[[Any], None],
        one: Operation,
        *,
        sent: Callable[[Send], None] = lambda _: None,
        is_read: bool = False,
    ) -> None:
        revision = self.view.revision(self._node.terms.collection)
        self._driver.run(
            conversation,
            answered,
            label=f"#{one.number}",
            asked=Asked(revision),
            learn=self.view.learn,
            sent=sent,
            is_read=is_read,
        )

    def _ref(self, placed: PlacedShard) -> ShardRef:
        return ShardRef(self._node.terms.collection, placed.name)

    def _away(self, nodes: Iterable[NodeName]) -> frozenset[NodeName]:
        own = self._node.name
        return frozenset(node for node in nodes if node != own and self.view.is_away(node))

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
