"""Reads objects of one shard from its replicas at a level: the conversation.

1. The first replica (the coordinating node itself, or the nearest) sends the objects, as many
   others as the level needs send digests.
2. When they differ, the newest state is fetched from one that holds it, and stale replicas are sent
   it. The answer waits until as many replicas as the level needs hold what is answered, so that
   no later read at that level goes behind it; at ONE there is nothing to wait for. Replicas beyond
   the level are repaired without waiting.
3. A replica that fails is replaced by the next; one that is slow gets company after `hedge_s`. When
   fewer than the level needs are left, the error comes at once.

A read that wants no contents, or has contents at hand (of a search that ranked the objects), asks
all replicas for digests. Contents are fetched only of objects about which they differ, and of those
that are not at hand in the state that wins.

Replicas that membership calls away are asked last, when there is nobody else.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from weftdb.cluster.replication.calls import Calls, OpenCall
from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    CallNumber,
    Effects,
    Failure,
    Wake,
)
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    ReadDigests,
    ReadStates,
    ShardRef,
    States,
)
from weftdb.cluster.replication.read_core import ReadCore
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import NotEnoughReplicas
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId, Version


@dataclass(frozen=True, slots=True)
class ReadOrder:
    """What is to be read from where, and until when (monotonic seconds)."""

    shard: ShardRef
    schema_version: int
    ids: tuple[ObjectId, ...]
    replicas: tuple[NodeName, ...]
    """All replicas of the shard, best first: oneself, then by nearness."""
    level: ConsistencyLevel
    strategy: DeletionStrategy
    deadline_s: float
    hedge_s: float | None = None
    """How long to wait before asking one replica more, each time; None: never."""
    unavailable: AbstractSet[NodeName] = frozenset()
    """Nodes that membership calls away."""
    wants_contents: bool = True
    """Whether the objects themselves are wanted, or only whether they are there."""
    at_hand: tuple[Digest | None, ...] = ()
    """What who asks has the contents of already, in the order of the ids; empty for nothing."""

    def __post_init__(self) -> None:
        assert self.ids, "nothing to read"
        assert self.replicas, "a read goes somewhere"
        assert len(set(self.replicas)) == len(self.replicas), f"listed twice: {self.replicas}"
        assert self.hedge_s is None or self.hedge_s > 0, self.hedge_s


@dataclass(frozen=True, slots=True)
class Found:
    """In the order of the ids. `is_consistent` is what the replicas that were asked said, before
    they were repaired."""

    states: tuple[ObjectState | None, ...]
    """None where the object is deleted, or was never there; and where its content is at hand, or
    not wanted."""
    is_consistent: tuple[bool, ...]
    winners: tuple[Digest | None, ...]
    """What is answered of each: None for what was never there."""

    def is_there(self, at: int) -> bool:
        """Whether the object is neither deleted nor unknown."""
        winner = self.winners[at]
        return winner is not None and not winner.is_deleted


class _Aim(Enum):
    STATES = "states"
    DIGESTS = "digests"
    FETCH = "fetch"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What a call is for: positions in the order's ids, and for repairs what is sent there."""

    aim: _Aim
    positions: tuple[int, ...]
    sent: tuple[Digest, ...] = ()


class ReadCoordination:
    """One read of a batch of ids."""

    def __init__(self, order: ReadOrder) -> None:
        self._order = order
        required = order.level.required(len(order.replicas))
        self._core = ReadCore(
            order.ids, required, order.strategy, order.wants_contents, order.at_hand
        )
        self._candidates = sorted(order.replicas, key=lambda node: node in order.unavailable)
        self._calls: Calls[_Purpose] = Calls()
        self._failures: dict[str, str] = {}
        self._fetched: dict[int, set[NodeName]] = {}
        self._repaired: set[tuple[NodeName, int, Version]] = set()
        self._hedge_at_s: float | None = None
        self._has_states = not order.wants_contents or bool(order.at_hand)
        """Whether nobody has to send all contents any more."""
        self._is_answered = False

    @property
    def is_done(self) -> bool:
        """True once the caller is answered and no repair is on its way."""
        return self._is_answered and not self._calls

    def begin(self, now_s: float) -> Effects[Found]:
        """Ask as many replicas as the level needs."""
        effects: Effects[Found] = [Wake(self._order.deadline_s)]
        self._advance(effects)
        self._plan_hedge(now_s, effects)
        return effects

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> Effects[Found]:
        """Take what a replica holds, or that it was repaired."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        effects: Effects[Found] = []
        if not self._learn(closed, reply):
            self._fail(closed.to, "answered out of protocol")
        self._advance(effects)
        return effects

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[Found]:
        """Do without the replica; ask another."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        effects: Effects[Found] = []
        self._fail(closed.to, failure.reason)
        self._advance(effects)
        return effects

    def on_time(self, now_s: float) -> Effects[Found]:
        """Give slow replicas company; at the deadline, give up."""
        effects: Effects[Found] = []
        if now_s >= self._order.deadline_s:
            for closed in self._calls.close_all():
                self._fail(closed.to, "did not answer in time")
            if not self._is_answered:
                self._refuse(effects)
        elif not self._is_answered and self._hedge_at_s is not None and now_s >= self._hedge_at_s:
            self._ask_next(effects, is_hedge=True)
            if self._core.is_enough:
                self._fetch(effects, is_hedge=True)
            self._plan_hedge(now_s, effects)
        return effects

    def _plan_hedge(self, now_s: float, effects: Effects[Found]) -> None:
        self._hedge_at_s = None
        if self._order.hedge_s is None or self._is_answered:
            return
        at_s = now_s + self._order.hedge_s
        if at_s < self._order.deadline_s:
            self._hedge_at_s = at_s
            effects.append(Wake(at_s))

    def _advance(self, effects: Effects[Found]) -> None:
        """Do the next thing that what is known allows."""
        if self._is_answered:
            self._repair(effects)
            return
        while self._core.answered + self._asking() < self._core.required:
            if not self._ask_next(effects):
                self._refuse(effects)
                return
        if not self._core.is_enough:
            return
        self._fetch(effects)
        if self._core.lacking():
            return
        self._repair(effects)
        if self._core.is_safe:
            self._is_answered = True
            core = self._core
            effects.append(Answer(Found(core.states(), core.agreement(), core.winners())))

    def _asking(self) -> int:
        """How many replicas are yet to say what they hold."""
        first = (_Aim.STATES, _Aim.DIGESTS)
        return sum(call.purpose.aim in first for call in self._calls.waiting())

    def _ask_next(self, effects: Effects[Found], *, is_hedge: bool = False) -> bool:
        """Ask one replica more; False when there is none."""
        if not self._candidates:
            return False
        node = self._candidates.pop(0)
        order = self._order
        aims = [call.purpose.aim for call in self._calls.waiting()]
        wants_states = not self._has_states and (is_hedge or _Aim.STATES not in aims)
        request: ReadStates | ReadDigests
        if wants_states:
            request = ReadStates(order.shard, order.schema_version, order.ids)
        else:
            request = ReadDigests(order.shard, order.schema_version, order.ids)
        aim = _Aim.STATES if wants_states else _Aim.DIGESTS
        purpose = _Purpose(aim, tuple(range(len(order.ids))))
        effects.append(self._calls.open(node, request, purpose))
        return True

    def _fetch(self, effects: Effects[Found], *, is_hedge: bool = False) -> None:
        """Ask holders for contents that are lacking; as a hedge, others than are asked already."""
        wanted: dict[NodeName, list[int]] = {}
        for position, holders in self._core.lacking().items():
            tried = self._fetched.setdefault(position, set())
            if not is_hedge and any(self._is_fetching(node, position) for node in tried):
                continue
            node = next((node for node in holders if node not in tried), None)
            if node is not None:
                tried.add(node)
                wanted.setdefault(node, []).append(position)
        order = self._order
        for node, positions in wanted.items():
            ids = tuple(order.ids[position] for position in positions)
            request = ReadStates(order.shard, order.schema_version, ids)
            purpose = _Purpose(_Aim.FETCH, tuple(positions))
            effects.append(self._calls.open(node, request, purpose))

    def _is_fetching(self, node: NodeName, position: int) -> bool:
        return any(
            call.to == node
            and call.purpose.aim is _Aim.FETCH
            and position in call.purpose.positions
            for call in self._calls.waiting()
        )

    def _repair(self, effects: Effects[Found]) -> None:
        """Send stale replicas what they lack, each state once."""
        for node, positions in self._core.repairs().items():
            states = [(at, self._core.repair_state(at)) for at in positions]
            due = [(at, s) for at, s in states if (node, at, s.version) not in self._repaired]
            if not due:
                continue
            self._repaired.update((node, at, state.version) for at, state in due)
            sent = tuple(Digest(state.version, state.is_deleted) for _, state in due)
            request = Apply(
                self._order.shard, self._order.schema_version, tuple(state for _, state in due)
            )
            purpose = _Purpose(_Aim.REPAIR, tuple(at for at, _ in due), sent)
            effects.append(self._calls.open(node, request, purpose))

    def _learn(self, closed: OpenCall[_Purpose], reply: AnyReply) -> bool:
        """Take a reply; False when it has not the form that was asked for."""
        node, purpose = closed.to, closed.purpose
        if node in self._failures:
            return True  # Its other answers are forgotten as well.
        match purpose.aim, reply:
            case ((_Aim.STATES | _Aim.FETCH), States(states)):
                if not self._are_asked_for(purpose, states):
                    return False
                self._core.learn_states(node, purpose.positions, states)
                self._has_states = self._has_states or purpose.aim is _Aim.STATES
            case _Aim.DIGESTS, Digests(digests) if len(digests) == len(purpose.positions):
                self._core.learn_digests(node, digests)
            case _Aim.REPAIR, Applied(newer) if len(newer) == len(purpose.positions):
                # A newer state than the repair's is enough, too. So is a refusal: no replica can be
                # made to take what its schema forbids, and the object can still be read.
                for position, digest in zip(purpose.positions, purpose.sent, strict=True):
                    self._core.learn_applied(node, position, digest)
            case _:
                return False
        return True

    def _are_asked_for(self, purpose: _Purpose, states: tuple[ObjectState | None, ...]) -> bool:
        if len(states) != len(purpose.positions):
            return False
        return all(
            state is None or state.id == self._order.ids[position]
            for position, state in zip(purpose.positions, states, strict=True)
        )

    def _fail(self, node: NodeName, reason: str) -> None:
        self._failures.setdefault(node, reason)
        self._core.forget(node)

    def _refuse(self, effects: Effects[Found]) -> None:
        self._is_answered = True
        error = NotEnoughReplicas(
            required=self._core.required,
            acknowledged=self._core.answered,
            reasons=self._failures,
            is_write=False,
        )
        effects.append(Answer(error))
