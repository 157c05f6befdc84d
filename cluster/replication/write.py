"""Writes states of one shard to its replicas and answers at a level: the conversation.

1. Every replica is sent all states. One that membership calls away is spared and gets a hint at
   once, unless the level needs it: then it is asked all the same, for membership may be late.
2. A state is acknowledged when the level's number of replicas hold it durably. The answer comes
   when every state is acknowledged or given up, and `awaited` has answered or failed; it does not
   wait for further replicas.
3. A replica with a newer state makes the coordinator stamp that state (alone) anew above it and
   send it again, at most `RESTAMPS_MAX` times.
4. A replica that fails, or is silent at the deadline, gets a hint, also after the answer. One that
   refuses a state (`Refusal`) gets none.

A level that is not reached is an error for the states it concerns, not for the others. Nothing is
rolled back then: what was applied or hinted may become visible later, and the error says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

from weftdb.cluster.replication.calls import Calls, OpenCall
from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    CallNumber,
    Effects,
    Failure,
    KeepHint,
    Wake,
)
from weftdb.cluster.replication.messages import Applied, Apply, ShardRef
from weftdb.cluster.replication.write_core import Standing, StateWrite, WriteTargets
from weftdb.core.errors import (
    NotEnoughReplicas,
    Overloaded,
    ReadOnly,
    SchemaViolation,
    Unavailable,
)
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, Version

RESTAMPS_MAX = 8
"""Each try loses only against a write of the same object that is going on at the same time."""

Outcome: TypeAlias = Version | Unavailable | SchemaViolation
"""Of one state: the version that was stored, or why the level was not reached."""

Restamp: TypeAlias = Callable[[Version], Version]
"""A version of the coordinator's hybrid clock above the one given."""


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """What is to be written where, and until when (monotonic seconds)."""

    shard: ShardRef
    schema_version: int
    states: tuple[ObjectState, ...]
    targets: WriteTargets
    deadline_s: float
    unavailable: AbstractSet[NodeName] = frozenset()
    """Nodes that membership calls away."""
    awaited: NodeName | None = None
    """A replica for whose answer is waited beside the level: the coordinating node itself, so that
    who has written through it finds that in a search of one replica, which is its own."""

    def __post_init__(self) -> None:
        assert self.states, "nothing to write"
        ids = {state.id for state in self.states}
        assert len(ids) == len(self.states), "an object is written twice in one batch"


@dataclass(frozen=True, slots=True)
class Written:
    """What came of each state, in their order."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class _Sent:
    """What one call carries: positions in the order's states, and the versions they had."""

    stamps: tuple[tuple[int, Version], ...]


class WriteCoordination:
    """One write of a batch. `restamp` is the only thing it calls."""

    def __init__(self, order: WriteOrder, restamp: Restamp) -> None:
        self._order = order
        self._restamp = restamp
        self._calls: Calls[_Sent] = Calls()
        self._reasons: dict[str, str] = {}
        self._refusals: dict[tuple[NodeName, int], str] = {}
        self._is_read_only = False
        self._outcomes: list[Outcome | None] = [None] * len(order.states)
        self._is_answered = False
        nodes = order.targets.nodes
        away = order.unavailable & set(nodes)
        if not order.targets.is_reached(set(nodes) - away):
            away = frozenset()
        self._writes = [
            StateWrite(
                order.targets,
                state,
                {node: Standing.SPARED if node in away else Standing.WAITING for node in nodes},
            )
            for state in order.states
        ]

    @property
    def is_done(self) -> bool:
        """True once the caller is answered and every replica has answered or has its hint."""
        return self._is_answered and not self._calls

    def begin(self, now_s: float) -> Effects[Written]:
        """Send to the replicas, keep hints for those that are away."""
        effects: Effects[Written] = [Wake(self._order.deadline_s)]
        positions = range(len(self._writes))
        for node, standing in self._writes[0].standing.items():
            if standing is Standing.WAITING:
                self._send(node, positions, effects)
            else:
                self._reasons[node] = "known to be away"
                self._hint(node, positions, effects)
        return effects

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> Effects[Written]:
        """Count what a replica holds; stamp anew where it holds newer states."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        effects: Effects[Written] = []
        if not _is_answer_to(closed.purpose, reply):
            self._miss(closed, "answered out of protocol", effects)
            return self._settle(effects)
        assert isinstance(reply, Applied)
        refused = {refusal.position: refusal.reason for refusal in reply.refused}
        stamps = enumerate(zip(closed.purpose.stamps, reply.newer, strict=True))
        for at, ((position, version), newer) in stamps:
            write = self._writes[position]
            if at in refused:
                self._refusals[closed.to, position] = refused[at]
                write.learn_refused(closed.to, version)
            elif newer is None:
                write.learn_held(closed.to, version)
            else:
                write.learn_newer(closed.to, newer)
        if any(newer is not None for newer in reply.newer):
            self._stamp_anew(effects)
        return self._settle(effects)

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[Written]:
        """Keep a hint for the replica, unless its shard takes no writes; look whether the level can
        still be reached."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        effects: Effects[Written] = []
        if failure.is_read_only:
            self._is_read_only = True
            for position, version in closed.purpose.stamps:
                self._refusals[closed.to, position] = failure.reason
                self._writes[position].learn_refused(closed.to, version)
        else:
            self._miss(closed, failure.reason, effects)
        return self._settle(effects)

    def on_time(self, now_s: float) -> Effects[Written]:
        """At the deadline: the silent replicas get hints, the caller an answer."""
        if now_s < self._order.deadline_s:
            return []
        effects: Effects[Written] = []
        for closed in self._calls.close_all():
            self._miss(closed, "did not answer in time", effects)
        return self._settle(effects, may_widen=False)

    def _send(self, node: NodeName, positions: Iterable[int], effects: Effects[Written]) -> None:
        states = [(position, self._writes[position].state) for position in positions]
        request = Apply(
            self._order.shard, self._order.schema_version, tuple(state for _, state in states)
        )
        sent = _Sent(tuple((position, state.version) for position, state in states))
        effects.append(self._calls.open(node, request, sent))

    def _hint(self, node: NodeName, positions: Iterable[int], effects: Effects[Written]) -> None:
        states = tuple(self._writes[position].state for position in positions)
        effects.append(KeepHint(node, self._order.shard, states))

    def _miss(self, closed: OpenCall[_Sent], reason: str, effects: Effects[Written]) -> None:
        """A replica will not answer: hint what it lacks of what the call carried."""
        self._reasons[closed.to] = reason
        due = [
            position
            for position, version in closed.purpose.stamps
            if self._writes[position].learn_missed(closed.to, version)
        ]
        if due:
            self._hint(closed.to, due, effects)

    def _stamp_anew(self, effects: Effects[Written]) -> None:
        """Raise the states that lost against newer ones, and send those again."""
        raised: list[int] = []
        for position, write in enumerate(self._writes):
            newer = write.newer
            if newer is None:
                continue
            if write.restamps == RESTAMPS_MAX:
                self._outcomes[position] = _overtaken(write)
                write.is_settled = True
                continue
            write.restamp(self._restamp(newer))
            raised.append(position)
        for node in self._order.targets.nodes:
            asked = [at for at in raised if self._writes[at].standing[node] is Standing.WAITING]
            if asked:
                self._send(node, asked, effects)
            hinted = [at for at in raised if node in self._writes[at].hinted()]
            if hinted:
                self._hint(node, hinted, effects)

    def _settle(self, effects: Effects[Written], *, may_widen: bool = True) -> Effects[Written]:
        """Decide what can be decided; answer once everything is."""
        if self._is_answered:
            return effects
        hopeless: list[int] = []
        for position, write in enumerate(self._writes):
            if write.is_settled:
                continue
            if write.is_reached:
                self._outcomes[position] = write.state.version
                write.is_settled = True
            elif write.is_hopeless:
                hopeless.append(position)
        if may_widen and hopeless:
            self._widen(hopeless, effects)
        for position in hopeless:
            write = self._writes[position]
            write.is_settled = write.is_hopeless
        if all(write.is_settled for write in self._writes) and not self._is_awaiting:
            self._is_answered = True
            # What a failed state lacked is said as it is now: others may have taken it meanwhile.
            outcomes = tuple(
                self._error(position, self._writes[position]) if outcome is None else outcome
                for position, outcome in enumerate(self._outcomes)
            )
            effects.append(Answer(Written(outcomes)))
        return effects

    @property
    def _is_awaiting(self) -> bool:
        """Whether the replica that is waited for is still to answer."""
        awaited = self._order.awaited
        return awaited is not None and any(call.to == awaited for call in self._calls.waiting())

    def _widen(self, hopeless: Iterable[int], effects: Effects[Written]) -> None:
        """Ask the replicas that were spared, where the level cannot be reached without them."""
        for node in self._order.targets.nodes:
            asked = [at for at in hopeless if node in self._writes[at].spared]
            for position in asked:
                self._writes[position].standing[node] = Standing.WAITING
            if asked:
                self._send(node, asked, effects)

    def _error(self, position: int, write: StateWrite) -> Unavailable | SchemaViolation:
        """Why a state cannot reach its level."""
        reasons: dict[str, str] = {
            node: self._reason(node, position, standing)
            for node, standing in write.standing.items()
            if standing is not Standing.HOLDS
        }
        if write.is_refused:
            refusals = [text for (_, at), text in self._refusals.items() if at == position]
            return (ReadOnly if self._is_read_only else SchemaViolation)(refusals[0])
        required, acknowledged = self._order.targets.shortfall(write.holders)
        return NotEnoughReplicas(
            required=required, acknowledged=acknowledged, reasons=reasons, is_write=True
        )

    def _reason(self, node: NodeName, position: int, standing: Standing) -> str:
        if standing is Standing.NEWER:
            return "holds a newer state"
        if standing is Standing.REFUSED:
            return self._refusals[node, position]
        return self._reasons.get(node, "not waited for any longer")


def _is_answer_to(sent: _Sent, reply: AnyReply) -> bool:
    """Whether a reply has the form that the request asks for."""
    if not isinstance(reply, Applied) or len(reply.newer) != len(sent.stamps):
        return False
    if not all(0 <= refusal.position < len(sent.stamps) for refusal in reply.refused):
        return False
    pairs: Sequence[tuple[tuple[int, Version], Version | None]] = list(
        zip(sent.stamps, reply.newer, strict=True)
    )
    return all(newer is None or newer > version for (_, version), newer in pairs)


def _overtaken(write: StateWrite) -> Overloaded:
    return Overloaded(
        f"other writes of the same object overtook this one {write.restamps + 1} times; it may "
        "have become visible between them: try again later"
    )
