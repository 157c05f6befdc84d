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
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.env import SystemClock
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.moving.mover import Mover, MovingPace

BOOK, SHARD = CollectionName("Book"), ShardName("s")
N1, N2, N3 = NodeName("n1"), NodeName("n2"), NodeName("n3")
COPY = CopyReplica(BOOK, SHARD, N1, N3)
PACE = MovingPace(look_s=0.001, sweep_s=60.0, retry_s=0.001)


def operation_at(state: OperationState) -> Operation:
    operation = Operation.registered("op", COPY, now_ms=0)
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

    async def compare(self, shard: ShardRef, left: NodeName, right: NodeName, **_: Any) -> Any:
        assert left != right
        self.compared.append((left, right))
        outcome = SimpleNamespace(is_complete=True, sent=0, failure=None)
        return SimpleNamespace(outcome=outcome)


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
