"""Mover: carries out the operations that change where data lies, together with the other nodes.

    REGISTERED    nothing older is under way on the shard; of a row or a shard
                  that goes, nothing lies where nothing may lie               → BEGUN
    HYDRATING     the target compares with the source until it has all        → COPIED
    FINALIZING    told that it joins; compares with so many replicas that
                  one of them has any write at QUORUM                         → CAUGHT_UP
    INTEGRATING   told that it is a replica                                   → TOLD
    DEHYDRATING   told that it has left; a majority of those who stay is
                  given what it has, its shard is dropped; of a row, its
                  living replicas have removed it (leftovers.py)              → CLEANED

Each node looks at the board and works on what is its part (`footprint.worker_of`); a step that was
broken off, by a crash of anybody, is begun again by whoever has it then. Beside operations a node
drops what lies on it without a reason: parts of copies that were given up, and replicas that left
while it was away.

Concurrency: lives in one event loop; the metadata is asked in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from weftdb.cluster.rebalance.changes import (
    CopyReplica,
    DropShard,
    MoveReplica,
    MoveRow,
    OperationState,
)
from weftdb.cluster.rebalance.operation import Fact, Operation
from weftdb.cluster.rebalance.plan import describe
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.env import Clock
from weftdb.core.errors import InvalidRequest, WeftError
from weftdb.core.partial import TokenRanges, outside
from weftdb.core.types import NodeName
from weftdb.server.internode.comparing import Comparer, Comparison
from weftdb.server.internode.ports import NodeCaller
from weftdb.server.internode.throttle import Throttle
from weftdb.server.moving.board import OperationBoard, Rest
from weftdb.server.moving.figures import MovingTally
from weftdb.server.moving.footprint import (
    before,
    filled_by,
    is_first,
    leaves_from,
    obstacle,
    refs_of,
    worker_of,
)
from weftdb.server.moving.leftovers import Held, Leftovers
from weftdb.server.moving.plans import PlanBoard
from weftdb.server.moving.rows import RowFiller, until_complete
from weftdb.server.moving.telling import Telling

log = logging.getLogger("weftdb.moving")

LET_GO_S = 30.0
"""After that it is said who has not removed what it has of a row that left."""
EVERYTHING: TokenRanges = outside(())


class Here(Held, Protocol):
    """What lies on this node, and what it has heard."""

    @property
    def is_complete(self) -> bool:
        """Whether all that is agreed is made here."""
        ...

    def here(self) -> Sequence[ShardRef]:
        """The shards that lie here."""
        ...

    def holds(self, shard: ShardRef) -> bool:
        """Whether the sharding state that is known gives the shard to this node."""
        ...

    def drop(self, shard: ShardRef) -> None:
        """Remove a shard with its data, durably. Blocks."""
        ...

    def add(self, shard: ShardRef) -> None:
        """Begin a shard with nothing; none where its collection is gone. Blocks."""
        ...

    def alive(self) -> Sequence[NodeName]:
        """The members that are taken for alive."""
        ...


@dataclass(frozen=True, slots=True)
class MovingPace:
    """How often things are looked at, in seconds, and how much is done at a time."""

    look_s: float = 0.25
    sweep_s: float = 2.0
    retry_s: float = 1.0
    plan_s: float = 0.5
    at_once: int = 2
    """Operations that this node works on."""


class Mover:
    """Of one node."""

    def __init__(
        self,
        board: OperationBoard,
        here: Here,
        comparer: Comparer,
        nodes: NodeCaller,
        clock: Clock,
        *,
        plans: PlanBoard | None = None,
        pace: MovingPace | None = None,
        bytes_per_s_max: int = 0,
    ) -> None:
        """`plans` are gone on with while this node is the first of the living."""
        self._throttle = Throttle(bytes_per_s_max, clock)
        self._plans = plans
        self._planning: asyncio.Task[None] | None = None
        self._board = board
        self._here = here
        self._comparer = comparer
        self._clock = clock
        self._pace = pace or MovingPace()
        self._telling = Telling(nodes, here.alive, clock)
        self._rows = RowFiller(comparer, here.alive, self._note_sent, self._throttle)
        self._leftovers = Leftovers(here, self._rows, clock, grace_ms=comparer.grace_ms)
        self._tasks: dict[tuple[str, OperationState], asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self.tally = MovingTally()

    def start(self) -> None:
        """Begin, in the event loop."""
        self._looking = asyncio.ensure_future(self._look_on())
        self._sweeping = asyncio.ensure_future(self._sweep_on())
        if self._plans is not None:
            self._planning = asyncio.ensure_future(self._plan_on(self._plans))

    async def stop(self) -> None:
        """Break off what runs: it is begun again, here or elsewhere."""
        loops = (self._looking, self._sweeping, self._planning)
        tasks = [task for task in loops if task is not None]
        tasks += self._tasks.values()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is to be done ----------------------------------------------------------------------

    async def _look_on(self) -> None:
        while True:
            try:
                self._look()
            except WeftError as error:
                log.warning("the operations cannot be read: %s", error)
            await asyncio.sleep(self._pace.look_s)

    def _look(self) -> None:
        """Begin what is this node's part, break off what is over."""
        known = self._board.known()
        self.tally.under_way = sum(not each.is_over for each in known)
        if not self._here.is_complete:
            return
        living, own = self._here.alive(), self._here.node
        mine = [each for each in known if worker_of(each, living) == own]
        # What began comes to its end before something else begins.
        mine.sort(key=lambda each: each.state is OperationState.REGISTERED)
        keys = {(each.id, each.state) for each in mine}
        for key, task in list(self._tasks.items()):
            if key not in keys:
                task.cancel()
        for each in mine:
            key = (each.id, each.state)
            if key in self._tasks or len(self._tasks) >= self._pace.at_once:
                continue
            if each.state is OperationState.REGISTERED and not is_first(each, known):
                continue
            task = self._tasks[key] = asyncio.ensure_future(self._carry(each))
            task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: tuple[str, OperationState], task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("an operation broke", exc_info=task.exception())

    async def _carry(self, operation: Operation) -> None:
        """Work on one state of an operation until it is over."""
        log.info("%s, %s: %s", operation.id, operation.state.value, describe(operation.change))
        while True:
            try:
                await self._step(operation)
            except WeftError as error:
                await self._note(operation, str(error))
                await asyncio.sleep(self._pace.retry_s)
            else:
                # The follower tells of the new state; until then nothing may begin it again.
                await asyncio.sleep(self._pace.look_s)
                return

    async def _step(self, operation: Operation) -> None:
        present = await asyncio.to_thread(self._board.get, operation.id)
        if present is None or present.state is not operation.state:
            return  # It has gone on, which has not been heard of here yet.
        if await asyncio.to_thread(self._board.is_void, operation):
            await self._report(operation, Fact(operation.state))
            return
        match operation.state:
            case OperationState.REGISTERED:
                await self._prepare(operation)
                await self._report(operation, Fact.BEGUN)
            case OperationState.HYDRATING:
                await self._hydrate(operation)
            case OperationState.FINALIZING:
                await self._finalize(operation)
            case OperationState.INTEGRATING:
                await self._tell(operation)
                await self._report(operation, Fact.TOLD)
            case OperationState.DEHYDRATING:
                await self._dehydrate(operation)
            case _:
                raise AssertionError(f"{operation.state} has nothing to do")

    # --- steps -----------------------------------------------------------------------------------

    async def _prepare(self, operation: Operation) -> None:
        """Wait for what has to be so before the first step."""
        change = operation.change
        if not isinstance(change, MoveRow | DropShard):
            return
        state, _ = await asyncio.to_thread(self._board.sharding, change.collection)
        if obstacle(state, change) is not None:
            return  # The board gives it up.
        if isinstance(change, MoveRow):
            await self._rows.prepare(change, state)
            return
        placed, living = state.shard(change.shard), self._here.alive()
        replicas = () if placed is None else placed.replicas
        there = [node for node in replicas if node in living]
        await self._rows.check_vacant(_ref(operation), there, EVERYTHING)

    async def _hydrate(self, operation: Operation) -> None:
        change = operation.change
        if isinstance(change, MoveRow):
            await self._tell(operation)
            state, _ = await asyncio.to_thread(self._board.sharding, change.collection)
            living = self._here.alive()
            placed = state.shard(change.source)
            holders = () if placed is None else placed.replicas
            source = min(holders, key=lambda node: node not in living, default=self._here.node)
            await self._rows.fill(change, state, source)
            await self._report(operation, Fact.COPIED)
            return
        shard = _ref(operation)
        assert isinstance(change, CopyReplica | MoveReplica), change
        state, _ = await asyncio.to_thread(self._board.sharding, change.collection)
        placed = state.shard(shard.shard)
        replicas = () if placed is None else placed.replicas
        # The source first; where it is away, another one has most of it, too.
        sources = sorted(replicas, key=lambda node: node != change.source)
        await self._make_equal(shard, change.target, sources, least=1)
        await self._report(operation, Fact.COPIED)

    async def _finalize(self, operation: Operation) -> None:
        placed = await self._tell(operation)
        change = operation.change
        if isinstance(change, MoveRow):
            state, _ = await asyncio.to_thread(self._board.sharding, change.collection)
            shard = ShardRef(change.collection, change.source)
            # Twice: a write between may have been stamped anew in the source, above one that the
            # target did not know yet. In the second round the target knows what the source does.
            for _ in range(2):
                source = await self._collect(shard, placed.replicas)
                await self._rows.fill(change, state, source)
            await self._report(operation, Fact.CAUGHT_UP)
            return
        target = filled_by(operation.change)
        assert target is not None
        await self._make_equal(
            _ref(operation),
            target,
            placed.replicas,
            least=ConsistencyLevel.QUORUM.shared(len(placed.replicas)),
            vouching=True,
        )
        await self._report(operation, Fact.CAUGHT_UP)

    async def _dehydrate(self, operation: Operation) -> None:
        """What leaves gives what it has to a majority of those who stay, and goes; where it is
        away, those who stay compare with each other."""
        placed, leaving = await self._tell(operation), leaves_from(operation.change)
        if leaving is None:
            await self._let_go(operation)
            await self._report(operation, Fact.CLEANED)
            return
        shard, staying = _ref(operation), placed.replicas
        if leaving == self._here.node:
            if shard in self._here.here():
                await self._make_equal(shard, leaving, staying, least=_majority(staying))
                await self._drop(shard)
        else:
            await self._bring_together(shard, staying)
        await self._report(operation, Fact.CLEANED)

    async def _let_go(self, operation: Operation) -> None:
        """Wait until the living replicas of a row's source have removed it."""
        change = operation.change
        if not isinstance(change, MoveRow):
            return  # Of a shard that goes, each node drops what it has.
        until_s = self._clock.monotonic_s() + LET_GO_S
        while True:
            state, _ = await asyncio.to_thread(self._board.sharding, change.collection)
            try:
                return await self._rows.check_left(change, state)
            except InvalidRequest:
                if self._clock.monotonic_s() > until_s:
                    raise
            await asyncio.sleep(self._pace.look_s)

    async def _bring_together(self, shard: ShardRef, staying: Sequence[NodeName]) -> None:
        """Compare a majority with a majority: one collects, then gives to those before."""
        hub = await self._collect(shard, staying)
        others = [node for node in staying if node != hub]
        await self._make_equal(shard, hub, others, least=_majority(staying) - 1)

    async def _collect(self, shard: ShardRef, staying: Sequence[NodeName]) -> NodeName:
        """A replica that knows what a majority knows, by comparing it with the others."""
        living = [node for node in staying if node in self._here.alive()]
        least = _majority(staying)
        if len(living) < least:
            raise InvalidRequest(
                f"{len(living)} of {len(staying)} replicas of shard {shard.shard} are there, "
                f"{least} are needed"
            )
        refusals = []
        for hub in living:
            refusal = await self._comparer.vouches(shard, hub)
            if refusal is None:
                others = [node for node in living if node != hub]
                await self._make_equal(shard, hub, others, least=least - 1, vouching=True)
                return hub
            refusals.append(f"{hub}: {refusal.reason}")
        raise InvalidRequest(f"no replica of shard {shard.shard} vouches: {'; '.join(refusals)}")

    async def _make_equal(
        self,
        shard: ShardRef,
        node: NodeName,
        others: Sequence[NodeName],
        *,
        least: int,
        vouching: bool = False,
    ) -> None:
        """Compare `node` with `least` of the others, completely; `vouching` where it has to know
        what they have acknowledged. Raises WeftError when too few can be reached."""
        reached, failures = 0, []
        living = self._here.alive()
        # An operation that has gone on meanwhile may have made `node` one of them.
        others = [other for other in others if other != node]
        for other in sorted(others, key=lambda each: each not in living):
            if reached >= least:
                return
            failure = await self._compare(shard, node, other, vouching=vouching)
            if failure is None:
                reached += 1
            else:
                failures.append(f"{other}: {failure}")
        if reached < least:
            raise InvalidRequest(
                f"{node} was compared with {reached} of {least} replicas of shard {shard.shard}: "
                + ("; ".join(failures) or "there are no others")
            )

    async def _compare(
        self, shard: ShardRef, node: NodeName, other: NodeName, *, vouching: bool
    ) -> str | None:
        """Compare two until nothing is left; why that failed, or None. A disk may be lost while
        they are compared, so a replica that vouches does so before and after."""
        if vouching and (refusal := await self._comparer.vouches(shard, other)) is not None:
            return refusal.reason

        async def once() -> Comparison:
            return await self._comparer.compare(
                shard, node, other, is_full=True, newest_wins=True, throttle=self._throttle
            )

        failure = await until_complete(once, self._note_sent)
        if failure is None and vouching:
            refusal = await self._comparer.vouches(shard, other)
            failure = None if refusal is None else refusal.reason
        return failure

    def _note_sent(self, count: int) -> None:
        self.tally.objects += count
        self.tally.bytes = self._throttle.passed_bytes

    async def _tell(self, operation: Operation) -> PlacedShard:
        """Wait until the present sharding state is told; the shard as it is in it."""
        change = operation.change
        state, revision = await asyncio.to_thread(self._board.sharding, change.collection)
        was = before(state, change, operation.state)
        await self._telling.wait(
            change.collection, was, state, revision, partial(self._note, operation)
        )
        ref = next(iter(refs_of(change)), None)  # Of a row, its source.
        placed = None if ref is None else state.shard(ref.shard)
        return placed or state.shards[0]

    async def _report(self, operation: Operation, fact: Fact) -> None:
        after = await asyncio.to_thread(self._board.report, operation.id, fact)
        if after is not None and after.is_over:
            self.tally.ended[after.state.value] += 1
            log.info("%s is %s: %s", after.id, after.state.value, describe(after.change))

    async def _note(self, operation: Operation, message: str) -> None:
        """Write down what went wrong; where that fails as well, the log has it."""
        log.info("%s, %s: %s", operation.id, operation.state.value, message)
        self.tally.errors += 1
        try:
            await asyncio.to_thread(self._board.note_error, operation.id, operation.state, message)
        except WeftError as error:
            log.warning("%s cannot be written to: %s", operation.id, error)

    # --- plans -----------------------------------------------------------------------------------

    async def _plan_on(self, plans: PlanBoard) -> None:
        while True:
            await asyncio.sleep(self._pace.plan_s)
            if min(self._here.alive(), default=None) != self._here.node:
                continue
            try:
                await asyncio.to_thread(plans.advance)
            except WeftError as error:
                log.info("plans are gone on with later: %s", error)

    # --- what lies here without a reason ---------------------------------------------------------

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(self._pace.sweep_s)
            try:
                await self._sweep()
            except WeftError as error:
                log.info("what is left over is looked at later: %s", error)

    async def _sweep(self) -> None:
        """Drop shards that nobody gives to this node, and that are handed over; drop of the others
        what is not theirs."""
        if not self._here.is_complete:
            return
        for shard in self._here.here():
            try:
                await self._sweep_shard(shard)
            except WeftError as error:
                log.info("shard %s is looked at later: %s", shard.shard, error)

    async def _sweep_shard(self, shard: ShardRef) -> None:
        if self._here.holds(shard):
            await self._leftovers.clear(shard)
            return
        rest, _ = await asyncio.to_thread(self._board.rest, shard, self._here.node)
        if rest is Rest.DROP and await self._leftovers.hand_over(shard):
            await self._drop(shard)

    async def _drop(self, shard: ShardRef) -> None:
        await asyncio.to_thread(self._here.drop, shard)
        rest, _ = await asyncio.to_thread(self._board.rest, shard, self._here.node)
        if rest is Rest.HELD:
            # It was given to this node anew meanwhile, and is not filled yet.
            await asyncio.to_thread(self._here.add, shard)
        self.tally.dropped += 1
        log.info("shard %s of %s has left this node", shard.shard, shard.collection)


def _ref(operation: Operation) -> ShardRef:
    (shard,) = refs_of(operation.change)
    return shard


def _majority(replicas: Sequence[NodeName]) -> int:
    return ConsistencyLevel.QUORUM.required(len(replicas))
