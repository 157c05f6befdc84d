"""Finds by hash trees what two replicas of a shard hold differently, and brings them together.

A tree covers the tokens of the shard: leaf `p` of `2**height` has the objects whose token's top
`height` bits are p; its hash is the XOR of 16-byte hashes of (id, version, deleted), an inner
node's a real hash of its children's one after the other (were it XOR too, equal changes in two
places would cancel). Both trees are asked through messages, also the coordinating node's own.

    root -> where hashes differ, `stride` levels further down -> ... -> differing leaves
         -> listings of a leaf, page by page -> differing objects -> states, in batches, to the
            replica that lacks them

A row of virtual shards is copied in the same way: from a replica of the one shard to one of the
other, within the row's tokens, and one way only (`Rules`).

Where one side has nothing below a node, as one that is rebuilt, it is not asked for listings: they
are known to be empty. What is written there meanwhile is told twice, which does nothing.

Equal trees cost one request to each side. d differing objects cost at most d * height / stride tree
requests to each side, less where they share branches or requests. Depth first, so that what is
remembered is bounded by the height, and at most `calls_max` requests are open.

One exchange moves at most `differences_max` objects; `Exchanged.is_complete` says whether that, and
the time, were enough. Replicas go on being written meanwhile: a state that was overtaken on its way
is refused by the version, and objects newer than `Rules.settled_before_ms` are left to their own
write.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from weftdb.cluster.replication.calls import Calls
from weftdb.cluster.replication.differences import Differences, Rules, Side
from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    CallNumber,
    Effects,
    Failure,
    Wake,
)
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Leaf,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Request,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.core.hashing import TOKEN_BITS
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId

ItemT = TypeVar("ItemT")

HASH_BYTES = 16
HEIGHT_MAX = 20


@dataclass(frozen=True, slots=True)
class ExchangeBounds:
    """How much travels at once."""

    positions_max: int = 256
    """Tree nodes in one request."""
    calls_max: int = 8
    """Open requests, of both sides together."""
    leaf_ids_max: int = 1000
    """Objects in one page of a leaf; `asyncConfig.diffBatchSize`."""
    states_max: int = 100
    """Objects in one transfer; `asyncConfig.propagationBatchSize`."""
    differences_max: int = 1000
    """Objects in one exchange; `asyncConfig.propagationLimit`."""
    stride: int = 4
    """Levels from one comparison to the next."""

    def __post_init__(self) -> None:
        assert self.positions_max >= 2**self.stride >= 2, self
        assert self.calls_max >= 2, self
        assert min(self.leaf_ids_max, self.states_max, self.differences_max) >= 1, self


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """Which two replicas to compare, and until when (monotonic seconds)."""

    shard: ShardRef
    schema_version: int
    left: NodeName
    right: NodeName
    height: int
    rules: Rules
    deadline_s: float
    bounds: ExchangeBounds = field(default_factory=ExchangeBounds)
    right_shard: ShardRef | None = None
    """The shard on the right, where it is another one of the collection."""

    def __post_init__(self) -> None:
        same = self.shard_of(Side.LEFT) == self.shard_of(Side.RIGHT)
        assert not same or self.left != self.right, self.left
        assert 0 <= self.height <= HEIGHT_MAX, self.height

    def node(self, side: Side) -> NodeName:
        """The replica on that side."""
        return self.left if side is Side.LEFT else self.right

    def shard_of(self, side: Side) -> ShardRef:
        """The shard of that side."""
        return self.shard if side is Side.LEFT else self.right_shard or self.shard


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What an exchange came to."""

    is_complete: bool
    """Everything that was not young was compared, and sent where it lacked."""
    found: int
    """Objects that differed and were to be sent."""
    sent: int
    """States that were taken, each side counted: not those that were overtaken or refused."""
    young: int
    unresolved: int
    """Conflicts left alone by NoAutomatedResolution."""
    leaves: int
    """Leaves whose listings were compared."""
    failure: str | None = None


@dataclass(slots=True)
class _Compare:
    """Compare tree nodes of one level."""

    level: int
    positions: tuple[int, ...]
    heard: dict[Side, tuple[bytes, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class _List:
    """Compare the listings of one leaf, behind `after`."""

    position: int
    after: ObjectId | None
    empty: Side | None = None
    """The side that has nothing in the leaf: it is not asked."""
    heard: dict[Side, Leaf] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.empty is not None:
            self.heard[self.empty] = Leaf((), (), is_last=True)


@dataclass(frozen=True, slots=True)
class _Fetch:
    """Read objects that `towards` lacks from the other side."""

    towards: Side
    ids: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True)
class _Store:
    """Have one side store states."""

    towards: Side
    states: tuple[ObjectState, ...]


_Job: TypeAlias = _Compare | _List | _Fetch | _Store


class Exchange:
    """One comparison of two replicas: a `Coordination[Exchanged]`."""

    def __init__(self, order: ExchangeOrder) -> None:
        self._order = order
        self._differences = Differences(order.rules)
        self._todo: list[_Compare | _List] = [_Compare(0, (0,))]
        self._stores: list[_Store] = []
        self._calls: Calls[tuple[_Job, Side]] = Calls()
        self._sent = 0
        self._leaves = 0
        self._was_cut = False
        self._is_answered = False

    @property
    def is_done(self) -> bool:
        """True once answered: nothing is left open then."""
        return self._is_answered

    def begin(self, now_s: float) -> Effects[Exchanged]:
        """Ask both for the root."""
        effects: Effects[Exchanged] = [Wake(self._order.deadline_s)]
        self._go_on(effects)
        return effects

    def on_reply(self, call: CallNumber, reply: AnyReply, now_s: float) -> Effects[Exchanged]:
        """Compare, go down, send."""
        closed = self._calls.close(call)
        if closed is None:
            return []
        effects: Effects[Exchanged] = []
        job, side = closed.purpose
        if self._learn(job, side, reply):
            self._go_on(effects)
        else:
            self._stop(effects, f"{closed.to}: answered out of protocol")
        return effects

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[Exchanged]:
        """Stop: the next exchange finds what is left."""
        closed = self._calls.close(call)
        effects: Effects[Exchanged] = []
        if closed is not None:
            self._stop(effects, f"{closed.to}: {failure.reason}")
        return effects

    def on_time(self, now_s: float) -> Effects[Exchanged]:
        """Stop at the deadline."""
        effects: Effects[Exchanged] = []
        if now_s >= self._order.deadline_s and not self._is_answered:
            self._stop(effects, "the time was up")
        return effects

    def _learn(self, job: _Job, side: Side, reply: AnyReply) -> bool:
        """Take a reply; False when it has not the form that was asked for."""
        match job, reply:
            case _Compare(), TreeNodes(hashes):
                if len(hashes) != len(job.positions) or any(len(h) != HASH_BYTES for h in hashes):
                    return False
                job.heard[side] = hashes
                if len(job.heard) == 2:
                    self._descend(job)
            case _List(), Leaf():
                if not _is_page(reply, job.after):
                    return False
                job.heard[side] = reply
                if len(job.heard) == 2:
                    self._compare_listings(job)
            case _Fetch(), States(states):
                if len(states) != len(job.ids):
                    return False
                known = [state for state in states if state is not None]
                if any(state.id not in job.ids for state in known):
                    return False
                if known:
                    self._stores.append(_Store(job.towards, tuple(known)))
            case _Store(), Applied(newer):
                if len(newer) != len(job.states):
                    return False
                self._sent += sum(version is None for version in newer) - len(reply.refused)
            case _:
                return False
        return True

    def _descend(self, job: _Compare) -> None:
        """Put what lies below the differing nodes on the stack."""
        height = self._order.height
        pairs = zip(job.positions, job.heard[Side.LEFT], job.heard[Side.RIGHT], strict=True)
        found = [(at, _empty_side(left, right)) for at, left, right in pairs if left != right]
        if job.level == height:
            self._todo += [_List(at, None, empty) for at, empty in reversed(found)]
            return
        differing = [at for at, _ in found]
        level = min(job.level + self._order.bounds.stride, height)
        width = 2 ** (level - job.level)
        shift = TOKEN_BITS - level
        below = [
            at
            for above in differing
            for at in range(above * width, (above + 1) * width)
            if self._order.rules.covers(at << shift, (at + 1) << shift)
        ]
        most = self._order.bounds.positions_max
        chunks = [tuple(below[start : start + most]) for start in range(0, len(below), most)]
        self._todo += [_Compare(level, chunk) for chunk in reversed(chunks)]

    def _compare_listings(self, job: _List) -> None:
        self._leaves += job.after is None
        end = self._differences.compare(job.heard[Side.LEFT], job.heard[Side.RIGHT])
        if end is not None:
            self._todo.append(_List(job.position, end, job.empty))

    def _go_on(self, effects: Effects[Exchanged]) -> None:
        """Start as much as may be open at once; answer when nothing is left."""
        bounds = self._order.bounds
        if self._todo and self._differences.found >= bounds.differences_max:
            self._was_cut = True
            self._todo.clear()
        while len(self._calls) + 2 <= bounds.calls_max and self._start_next(effects):
            pass
        if not self._calls and not self._is_answered:
            self._finish(effects, None)

    def _start_next(self, effects: Effects[Exchanged]) -> bool:
        """Start one job: what is ready to travel first, for it frees memory; False without any."""
        job: _Job | None = self._stores.pop() if self._stores else self._next_transfer()
        if job is None and self._todo:
            job = self._todo.pop()
        if job is None:
            return False
        match job:
            case _Fetch(towards):
                sides: tuple[Side, ...] = (towards.other,)
            case _Store(towards):
                sides = (towards,)
            case _Compare() | _List():
                sides = tuple(side for side in Side if side not in job.heard)
        for side in sides:
            request = self._request(job, side)
            effects.append(self._calls.open(self._order.node(side), request, (job, side)))
        return True

    def _next_transfer(self) -> _Job | None:
        """A batch of what one side lacks: full, or the last one when nothing more can be found."""
        searching = (
            isinstance(call.purpose[0], _Compare | _List) for call in self._calls.waiting()
        )
        most = self._order.bounds.states_max
        least = most if self._todo or any(searching) else 1
        for side, travel in self._differences.towards.items():
            if len(travel.deletions) >= least:
                return _Store(side, _take(travel.deletions, most))
            if len(travel.objects) >= least:
                return _Fetch(side, _take(travel.objects, most))
        return None

    def _request(self, job: _Job, side: Side) -> Request:
        order = self._order
        where = (order.shard_of(side), order.schema_version)
        match job:
            case _Compare(level, positions):
                return ReadTree(*where, level, positions)
            case _List(position, after):
                return ReadLeaf(*where, position, after, order.bounds.leaf_ids_max)
            case _Fetch(_, ids):
                return ReadStates(*where, ids)
            case _Store(_, states):
                return Apply(*where, states)

    def _stop(self, effects: Effects[Exchanged], failure: str) -> None:
        self._calls.close_all()
        self._todo.clear()
        self._finish(effects, failure)

    def _finish(self, effects: Effects[Exchanged], failure: str | None) -> None:
        self._is_answered = True
        found = self._differences
        effects.append(
            Answer(
                Exchanged(
                    is_complete=failure is None and not self._was_cut,
                    found=found.found,
                    sent=self._sent,
                    young=found.young,
                    unresolved=found.unresolved,
                    leaves=self._leaves,
                    failure=failure,
                )
            )
        )


def _take(queue: deque[ItemT], most: int) -> tuple[ItemT, ...]:
    """Take up to `most` from the front."""
    return tuple(queue.popleft() for _ in range(min(most, len(queue))))


def _empty_side(left: bytes, right: bytes) -> Side | None:
    """Which of two nodes that differ has nothing below it."""
    nothing = bytes(HASH_BYTES)
    if left == nothing:
        return Side.LEFT
    return Side.RIGHT if right == nothing else None


def _is_page(page: Leaf, after: ObjectId | None) -> bool:
    """Whether a page of a leaf is in order, and goes on behind `after`."""
    if len(page.ids) != len(page.digests) or (not page.ids and not page.is_last):
        return False
    below = (b"" if after is None else after, *page.ids)
    return all(first < second for first, second in zip(below, page.ids, strict=False))
