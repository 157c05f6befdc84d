"""Asks one replica of each shard for its part: the conversation.

1. Every part goes to the first of its shard's replicas: the coordinating node itself where it holds
   one, else the nearest.
2. A replica that fails is replaced by the next. One that is slow gets company after `hedge_s`, and
   again each time; the first answer counts.
3. The answer comes when every part is there. When a shard has no replica left to ask, or time is
   up, the error names shards and nodes: a part is never passed off as the whole.

What a replica refuses because the request is wrong, every other would refuse, too: that error is
the answer.

Replicas that membership calls away are asked last, when there is nobody else.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeGuard

from weftdb.cluster.replication.calls import Calls
from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    CallNumber,
    Effects,
    Failure,
    Wake,
)
from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchReply,
    SearchRequest,
    SearchShard,
)
from weftdb.core.errors import NotEnoughReplicas
from weftdb.core.partial import AggregatedPart, FoundIds, PartHits, PartRows, SearchStatistics
from weftdb.core.types import NodeName


@dataclass(frozen=True, slots=True)
class Part:
    """What one shard is asked, and its replicas, best first."""

    request: SearchRequest
    replicas: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True)
class ScatterOrder:
    """What is to be asked of whom, and until when (monotonic seconds)."""

    parts: tuple[Part, ...]
    deadline_s: float
    hedge_s: float | None = None
    """How long to wait before asking one replica more of each shard that is silent; None: never."""
    unavailable: AbstractSet[NodeName] = frozenset()
    """Nodes that membership calls away."""

    def __post_init__(self) -> None:
        assert self.parts, "nothing to ask"
        assert self.hedge_s is None or self.hedge_s > 0, self.hedge_s
        for part in self.parts:
            assert part.replicas, f"{part.request.shard} has no replicas"
            assert len(set(part.replicas)) == len(part.replicas), part.replicas


@dataclass(frozen=True, slots=True)
class Gathered:
    """In the order of the parts: what was answered, and by whom."""

    replies: tuple[SearchReply, ...]
    nodes: tuple[NodeName, ...]


class ScatterRead:
    """One round of questions to shards. Satisfies `Coordination[Gathered]`."""

    def __init__(self, order: ScatterOrder) -> None:
        self._order = order
        self._candidates = [
            sorted(part.replicas, key=lambda node: node in order.unavailable)
            for part in order.parts
        ]
        self._calls: Calls[int] = Calls()
        """The purpose of a call is the number of its part."""
        self._replies: dict[int, tuple[NodeName, SearchReply]] = {}
        self._failures: dict[int, dict[NodeName, str]] = {}
        self._hedge_at_s: float | None = None
        self._is_answered = False

    @property
    def is_done(self) -> bool:
        """True once the caller is answered: replies that are still to come change nothing."""
        return self._is_answered

    def begin(self, now_s: float) -> Effects[Gathered]:
        """Ask the first replica of every shard."""
        effects: Effects[Gathered] = [Wake(self._order.deadline_s)]
        for number in range(len(self._order.parts)):
            self._ask_next(number, effects)
        self._plan_hedge(now_s, effects)
        return effects

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> Effects[Gathered]:
        """Take a shard's part; of several answers the first."""
        closed = self._calls.close(call)
        if closed is None or self._is_answered:
            return []
        number = closed.purpose
        if not _is_answer(reply, self._order.parts[number].request):
            return self._failed(number, closed.to, Failure("answered out of protocol"))
        self._replies.setdefault(number, (closed.to, reply))
        return self._finished()

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[Gathered]:
        """Ask another replica; when there is none, give up."""
        closed = self._calls.close(call)
        if closed is None or self._is_answered:
            return []
        return self._failed(closed.purpose, closed.to, failure)

    def on_time(self, now_s: float) -> Effects[Gathered]:
        """Give slow replicas company; at the deadline, give up."""
        effects: Effects[Gathered] = []
        if self._is_answered:
            return effects
        if now_s >= self._order.deadline_s:
            for closed in self._calls.close_all():
                self._note(closed.purpose, closed.to, "did not answer in time")
            self._refuse(effects)
        elif self._hedge_at_s is not None and now_s >= self._hedge_at_s:
            for number in range(len(self._order.parts)):
                if number not in self._replies:
                    self._ask_next(number, effects)
            self._plan_hedge(now_s, effects)
        return effects

    def _ask_next(self, number: int, effects: Effects[Gathered]) -> bool:
        """Ask one replica more of a shard; False when there is none."""
        if not self._candidates[number]:
            return False
        node = self._candidates[number].pop(0)
        effects.append(self._calls.open(node, self._order.parts[number].request, number))
        return True

    def _plan_hedge(self, now_s: float, effects: Effects[Gathered]) -> None:
        self._hedge_at_s = None
        open_parts = (n for n in range(len(self._order.parts)) if n not in self._replies)
        if self._order.hedge_s is None or not any(self._candidates[n] for n in open_parts):
            return
        at_s = now_s + self._order.hedge_s
        if at_s < self._order.deadline_s:
            self._hedge_at_s = at_s
            effects.append(Wake(at_s))

    def _failed(self, number: int, node: NodeName, failure: Failure) -> Effects[Gathered]:
        effects: Effects[Gathered] = []
        if failure.refusal is not None:
            self._is_answered = True
            effects.append(Answer(failure.refusal))
            return effects
        self._note(number, node, failure.reason)
        if number in self._replies or self._ask_next(number, effects):
            return effects
        if not any(call.purpose == number for call in self._calls.waiting()):
            self._refuse(effects)
        return effects

    def _note(self, number: int, node: NodeName, reason: str) -> None:
        self._failures.setdefault(number, {}).setdefault(node, reason)

    def _finished(self) -> Effects[Gathered]:
        if len(self._replies) < len(self._order.parts):
            return []
        self._is_answered = True
        answers = [self._replies[number] for number in range(len(self._order.parts))]
        nodes = tuple(node for node, _ in answers)
        return [Answer(Gathered(tuple(reply for _, reply in answers), nodes))]

    def _refuse(self, effects: Effects[Gathered]) -> None:
        """Say which shards have not answered, and what each of their nodes lacked."""
        self._is_answered = True
        reasons: dict[str, str] = {}
        for number, part in enumerate(self._order.parts):
            if number not in self._replies:
                where = f"shard {part.request.shard.shard} on "
                for node, reason in self._failures.get(number, {}).items():
                    reasons[where + node] = reason
        error = NotEnoughReplicas(required=1, acknowledged=0, reasons=reasons, is_write=False)
        effects.append(Answer(error))


def _is_answer(reply: AnyReply, request: SearchRequest) -> TypeGuard[SearchReply]:
    match request, reply:
        case (GatherStatistics(), SearchStatistics()) | (AggregateShard(), AggregatedPart()):
            return True
        case (SearchShard(), PartHits()) | (FindIds(), FoundIds()):
            return True
        case FetchRows(ids=ids), PartRows(stored=stored):
            return len(stored) == len(ids)
    return False
