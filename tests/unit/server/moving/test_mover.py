"""The mover does what an operation waits for now, not what this node last heard of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from weftdb.cluster.rebalance.changes import CopyReplica, OperationState
from weftdb.cluster.rebalance.operation import Fact, Operation
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.env import SystemClock
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.moving.mover import Mover, MovingPace

BOOK, SHARD = CollectionName("Book"), ShardName("s")
N1, N2, N3, N4 = (NodeName(f"n{at}") for at in range(1, 5))
COPY = CopyReplica(BOOK, SHARD, N1, N3)
PACE = MovingPace(look_s=0.001, sweep_s=60.0, retry_s=0.001)


def operation_at(state: OperationState, change: CopyReplica = COPY) -> Operation:
    operation = Operation.registered("op", change, now_ms=0)
    for fact in Fact:
        if operation.state is state:
            return operation
        operation = operation.after(fact, now_ms=0)
    raise AssertionError(state)


class Board:
    """A board that has gone further than what was heard of it."""

    def __init__(self, *, known: OperationState, present: OperationState) -> None:
        self._known, self._present = operation_at(known), operation_at(present)
        self.reported: list[Fact] = []

    def known(self) -> list[Operation]:
        return [self._known]

    def get(self, operation_id: str) -> Operation:
        return self._present

    def is_void(self, operation: Operation) -> bool:
        return False

    def sharding(self, collection: CollectionName) -> tuple[ShardingState, int]:
        placed = PlacedShard(SHARD, (N1, N2, N3))
        return ShardingState.create([placed], factor=3), 7

    def report(self, operation_id: str, fact: Fact) -> None:
        self.reported.append(fact)

    def note_error(self, *noted: object) -> None:
        raise AssertionError(noted)


class Here:
    node = N3
    is_complete = True

    def here(self) -> Sequence[ShardRef]:
        return []

    def alive(self) -> Sequence[NodeName]:
        return (N1, N2, N3)


class Comparer:
    grace_ms = 1_000

    def __init__(self) -> None:
        self.compared: list[tuple[NodeName, NodeName]] = []
        self.rebuilding: set[NodeName] = set()
        """They answer comparisons, and do not vouch."""
        self.lost_when_compared: set[NodeName] = set()

    async def vouches(self, shard: ShardRef, node: NodeName) -> Failure | None:
        return Failure(f"{node} is being rebuilt") if node in self.rebuilding else None

    async def compare(self, shard: ShardRef, left: NodeName, right: NodeName, **_: Any) -> Any:
        assert left != right
        self.compared.append((left, right))
        if right in self.lost_when_compared:
            self.rebuilding.add(right)
        outcome = SimpleNamespace(is_complete=True, sent=0, failure=None)
        return SimpleNamespace(outcome=outcome)


class JoiningBoard(Board):
    """n4 joins n1, n2 and n3, and is filled."""

    def __init__(self) -> None:
        super().__init__(known=OperationState.FINALIZING, present=OperationState.FINALIZING)
        joining = CopyReplica(BOOK, SHARD, N1, N4)
        self._known = self._present = operation_at(OperationState.FINALIZING, joining)
        self.errors: list[str] = []

    def sharding(self, collection: CollectionName) -> tuple[ShardingState, int]:
        placed = PlacedShard(SHARD, (N1, N2, N3), (N4,))
        return ShardingState.create([placed], factor=3), 7

    def report(self, operation_id: str, fact: Fact) -> None:
        super().report(operation_id, fact)
        self._known = self._present = operation_at(OperationState.READY, COPY)

    def note_error(self, *noted: object) -> None:
        self.errors.append(str(noted[-1]))


class Fourth(Here):
    node = N4

    def alive(self) -> Sequence[NodeName]:
        return (N1, N2, N3, N4)


class Nodes:
    async def know(
        self, node: NodeName, collection: CollectionName, revision: int, deadline_s: float
    ) -> int:
        return revision


def test_a_step_that_was_taken_is_not_taken_again(caplog: pytest.LogCaptureFixture) -> None:
    """The board says that n3 is a replica already; this node still hears that it is filled."""
    board = Board(known=OperationState.FINALIZING, present=OperationState.INTEGRATING)
    comparer = Comparer()

    async def look_for_a_while() -> None:
        mover = Mover(board, Here(), comparer, Nodes(), SystemClock(), pace=PACE)  # type: ignore[arg-type]
        mover.start()
        await asyncio.sleep(0.2)
        await mover.stop()

    with caplog.at_level(logging.ERROR, "weftdb.moving"):
        asyncio.run(look_for_a_while())
    assert not caplog.records
    assert comparer.compared == []
    assert board.reported == []


def fill_n4(comparer: Comparer) -> JoiningBoard:
    board = JoiningBoard()

    async def look_for_a_while() -> None:
        mover = Mover(board, Fourth(), comparer, Nodes(), SystemClock(), pace=PACE)  # type: ignore[arg-type]
        mover.start()
        for _ in range(1000):
            if board.reported or board.errors:
                break
            await asyncio.sleep(0.005)
        await mover.stop()

    asyncio.run(look_for_a_while())
    return board


def test_who_is_being_rebuilt_proves_nothing_to_who_joins() -> None:
    """A write of n1 and n3, n1 loses its disk: n1 and n2 know nothing of it, and answer."""
    comparer = Comparer()
    comparer.rebuilding.add(N1)
    board = fill_n4(comparer)
    assert board.reported == [Fact.CAUGHT_UP]
    assert comparer.compared == [(N4, N2), (N4, N3)]


def test_who_loses_its_disk_while_it_is_compared_proves_nothing() -> None:
    comparer = Comparer()
    comparer.lost_when_compared.add(N2)
    board = fill_n4(comparer)
    assert board.reported == [Fact.CAUGHT_UP]
    assert comparer.compared == [(N4, N1), (N4, N2), (N4, N3)]


def test_too_few_who_vouch_are_waited_for() -> None:
    comparer = Comparer()
    comparer.rebuilding.update({N1, N3})
    board = fill_n4(comparer)
    assert board.reported == []
    assert "n1 is being rebuilt" in board.errors[0]
    assert "1 of 2" in board.errors[0]
