"""What a coordination wants done, and how it is told what came of it.

A coordination is one request's conversation with the replicas of a shard: a value that is fed.
Each call returns effects; a driver (asyncio in the server, a seeded scheduler in
`tests/simulation`) carries them out in their order and feeds back what happens:

    effects = coordination.begin(now_s)
    until coordination.is_done: feed on_reply, on_failure or on_time, and carry out what they return

Rules for drivers: every `Send` is fed back at most once as the reply or the failure of its call (a
second time changes nothing); the first `Answer` is the only one; a coordination lives on after its
answer until `is_done`, because hints and repairs are decided then; `on_time` may come late, early
or too often. Times are monotonic seconds of the coordinating node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NewType, Protocol, TypeAlias, TypeVar

from weftdb.cluster.replication.messages import Reply, Request, ShardRef
from weftdb.cluster.search.messages import SearchReply, SearchRequest
from weftdb.core.errors import RequestError, WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName

ResultT = TypeVar("ResultT")

AnyRequest: TypeAlias = Request | SearchRequest
AnyReply: TypeAlias = Reply | SearchReply

CallNumber = NewType("CallNumber", int)
"""Names one request of one coordination, from 0 up."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no reply: the connection broke, the replica refused, its own deadline passed.

    `is_final` says that the same request will never be taken there (the shard is gone).
    """

    reason: str
    is_final: bool = False
    refusal: RequestError | None = None
    """What the replica raised because the request asks for something wrong, where it said so."""
    is_read_only: bool = False
    """Somebody set the shard read-only: a write must not be sent behind that as a hint, either."""


@dataclass(frozen=True, slots=True)
class Send:
    """Ask a replica; the coordinating node itself is asked like every other."""

    call: CallNumber
    to: NodeName
    request: AnyRequest


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `on_time` at `at_s`, or soon after."""

    at_s: float


@dataclass(frozen=True, slots=True)
class KeepHint:
    """Store durably, here, what `to` has missed; `HintReplay` sends it when that node is back."""

    to: NodeName
    shard: ShardRef
    states: tuple[ObjectState, ...]


@dataclass(frozen=True, slots=True)
class Answer(Generic[ResultT]):
    """Tell the caller: the result, or the error that is to be raised there."""

    outcome: ResultT | WeftError


Effect: TypeAlias = Send | Wake | KeepHint | Answer[ResultT]
Effects: TypeAlias = list[Effect[ResultT]]


class Coordination(Protocol[ResultT]):
    """What drivers run: a write, a read, an exchange of hash trees."""

    @property
    def is_done(self) -> bool:
        """True once nothing that could be fed would have an effect."""
        ...

    def begin(self, now_s: float) -> Effects[ResultT]:
        """Start. Requires: called once, before everything else."""
        ...

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> Effects[ResultT]:
        """Take what a replica answered; late and repeated answers change nothing."""
        ...

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[ResultT]:
        """Take that a call will have no reply."""
        ...

    def on_time(self, now_s: float) -> Effects[ResultT]:
        """Take that time has passed."""
        ...
