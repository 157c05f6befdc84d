"""The board changes an operation and its sharding state together, once, whoever works on it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from weftdb.cluster.metadata.keys import ClusterKeys
from weftdb.cluster.metadata.records import CollectionRecord
from weftdb.cluster.metadata.store import Delete, Put, Revision, Transaction
from weftdb.cluster.metadata.stored import StoredMetadata
from weftdb.cluster.rebalance.changes import (
    Change,
    CopyReplica,
    DropReplica,
    MoveReplica,
    OperationState,
    SetFactor,
)
from weftdb.cluster.rebalance.operation import Fact
from weftdb.cluster.rebalance.plan import Plan, Step
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState, encode_sharding
from weftdb.core.env import SystemClock
from weftdb.core.errors import InvalidRequest, NotCancelable
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.follower import Follower
from weftdb.server.moving.board import OperationBoard, Rest
from weftdb.server.moving.figures import MovingCollector, MovingTally
from weftdb.server.moving.footprint import before, is_first, worker_of
from weftdb.server.moving.plans import PlanBoard
from weftdb.storage.memory import MemoryStore

KEYS = ClusterKeys("main")
BOOK = CollectionName("Book")
SHARD = ShardName("s")
REF = ShardRef(BOOK, SHARD)
N1, N2, N3 = NodeName("n1"), NodeName("n2"), NodeName("n3")
COPY = CopyReplica(BOOK, SHARD, N1, N2)
MOVE = MoveReplica(BOOK, SHARD, N1, N1, N2)
TO_THE_END = (Fact.BEGUN, Fact.COPIED, Fact.CAUGHT_UP, Fact.TOLD, Fact.CLEANED)


class Table:
    """A board over a store in memory."""

    def __init__(self, *replicas: NodeName) -> None:
        clock = SystemClock()
        self.store = StoredMetadata(MemoryStore(), clock, threading.Condition())
        self.follower = Follower(self.store, KEYS.operations, lambda _events: None)
        self.board = OperationBoard(KEYS, self.store, self.follower, clock, random.Random(1))
        self.plans = PlanBoard(KEYS, self.store, self.board, clock, random.Random(2))
        state = ShardingState.create([PlacedShard(SHARD, replicas)], factor=len(replicas))
        definition = {"class": BOOK, "replicationConfig": {"factor": len(replicas)}}
        self.store.commit(
            Transaction(
                (
                    Put(KEYS.sharding(BOOK), encode_sharding(state)),
                    Put(KEYS.collection(BOOK), CollectionRecord(definition, 1, "a").encode()),
                )
            )
        )
        self.follower.start()
        assert self.follower.wait_for(Revision(0), 10)

    @property
    def shard(self) -> PlacedShard:
        return self.state.shards[0]

    @property
    def state(self) -> ShardingState:
        return self.board.sharding(BOOK)[0]

    def hear(self) -> None:
        """Wait until the follower knows what the store knows."""
        record = self.store.list(KEYS.operations)
        newest = max((each.revision for each in record.records), default=Revision(0))
        assert self.follower.wait_for(newest, 10)


@pytest.fixture
def table() -> Iterator[Table]:
    made = Table(N1)
    yield made
    made.follower.close()


def done(table: Table, change: Change) -> list[tuple[OperationState, PlacedShard]]:
    """The states of an operation with the shard in each."""
    operation = table.board.register(change)
    seen = [(operation.state, table.shard)]
    for fact in TO_THE_END:
        after = table.board.report(operation.id, fact)
        assert after is not None
        if after.state is not seen[-1][0]:
            seen.append((after.state, table.shard))
    return seen


def test_a_move_changes_the_sharding_state_with_itself(table: Table) -> None:
    alone, joining = PlacedShard(SHARD, (N1,)), PlacedShard(SHARD, (N1,), (N2,))
    both, moved = PlacedShard(SHARD, (N1, N2)), PlacedShard(SHARD, (N2,))
    assert done(table, MOVE) == [
        (OperationState.REGISTERED, alone),
        (OperationState.HYDRATING, joining),
        (OperationState.FINALIZING, joining),
        (OperationState.INTEGRATING, both),
        (OperationState.DEHYDRATING, moved),
        (OperationState.READY, moved),
    ]


def test_the_state_before_a_step_is_found_again(table: Table) -> None:
    operation = table.board.register(MOVE)
    was = table.state
    for fact in TO_THE_END:
        after = table.board.report(operation.id, fact)
        assert after is not None
        found = before(table.state, MOVE, after.state)
        if table.state != was and after.state is not OperationState.READY:
            assert {*found.shards[0].replicas} == {*was.shards[0].replicas}
            assert found.shards[0].joining == was.shards[0].joining
        was = table.state


def test_a_fact_counts_once_and_in_its_state_only(table: Table) -> None:
    operation = table.board.register(COPY)
    ahead = table.board.report(operation.id, Fact.CAUGHT_UP)
    assert ahead is not None
    assert ahead.state is OperationState.REGISTERED
    for _ in range(2):
        table.board.report(operation.id, Fact.BEGUN)
    assert table.shard.joining == (N2,)
    assert table.board.report("gone", Fact.BEGUN) is None


def test_cancelled_while_it_is_filled(table: Table) -> None:
    operation = table.board.register(COPY)
    table.board.report(operation.id, Fact.BEGUN)
    assert table.board.rest(REF, N2) == (Rest.HELD, None)
    table.board.cancel(operation.id)
    assert table.shard == PlacedShard(SHARD, (N1,))
    assert table.board.rest(REF, N2) == (Rest.DROP, None)
    assert table.board.delete(operation.id)
    assert not table.board.delete(operation.id)


def test_too_far_to_be_cancelled(table: Table) -> None:
    operation = table.board.register(MOVE)
    for fact in TO_THE_END[:4]:
        table.board.report(operation.id, fact)
    with pytest.raises(NotCancelable):
        table.board.cancel(operation.id)
    rest, found = table.board.rest(REF, N1)
    assert rest is Rest.HAND_OVER
    assert found is not None
    assert table.board.delete_all() == 0


def test_what_cannot_be_is_refused(table: Table) -> None:
    with pytest.raises(InvalidRequest, match="n3 has no replica"):
        table.board.register(CopyReplica(BOOK, SHARD, N3, N2))
    with pytest.raises(InvalidRequest, match="would have no replica"):
        table.board.register(DropReplica(BOOK, SHARD, N1))
    table.board.register(COPY)
    with pytest.raises(InvalidRequest, match="does that already"):
        table.board.register(COPY)


def test_what_became_impossible_is_given_up(table: Table) -> None:
    first, second = table.board.register(COPY), table.board.register(MOVE)
    for fact in TO_THE_END:
        table.board.report(first.id, fact)
    given_up = table.board.report(second.id, Fact.BEGUN)
    assert given_up is not None
    assert given_up.state is OperationState.CANCELLED
    assert "n2 has a replica" in given_up.history[-1].errors[0].message


def test_the_collection_goes_in_the_middle(table: Table) -> None:
    operation = table.board.register(MOVE)
    for fact in TO_THE_END[:3]:
        table.board.report(operation.id, fact)
    table.store.commit(Transaction((Delete(KEYS.sharding(BOOK)),)))
    assert table.board.is_void(operation)
    over = table.board.report(operation.id, Fact.TOLD)
    assert over is not None
    assert over.is_over


def test_the_factor_stands_in_the_definition(table: Table) -> None:
    operation = table.board.register(SetFactor(BOOK, 3))
    table.board.report(operation.id, Fact.BEGUN)
    record = table.store.get(KEYS.collection(BOOK))
    assert record is not None
    known = CollectionRecord.decode(record.key, record.value)
    assert known.definition["replicationConfig"] == {"factor": 3, "asyncEnabled": True}
    assert (known.schema_version, table.state.factor) == (2, 3)


def test_errors_are_written_once_in_a_row(table: Table) -> None:
    operation = table.board.register(COPY)
    for message in ("a", "a", "b"):
        table.board.note_error(operation.id, OperationState.REGISTERED, message)
    table.board.note_error(operation.id, OperationState.HYDRATING, "late")
    found = table.board.get(operation.id)
    assert found is not None
    assert [error.message for error in found.status.errors] == ["a", "b"]


def test_who_works_on_what(table: Table) -> None:
    operation = table.board.register(MOVE)
    assert worker_of(operation, (N1, N2, N3)) == N2
    assert worker_of(operation, (N1, N3)) is None
    for fact in TO_THE_END[:4]:
        found = table.board.report(operation.id, fact)
        assert found is not None
        operation = found
    assert worker_of(operation, (N1, N2, N3)) == N1
    assert worker_of(operation, (N3, N2)) == N2
    later = table.board.register(CopyReplica(BOOK, SHARD, N2, N3))
    assert not is_first(later, [operation, later])
    assert is_first(later, [later])


def test_a_plan_goes_on_step_by_step(table: Table) -> None:
    grow = Plan("grow", (Step(COPY), Step(SetFactor(BOOK, 2), after=(0,))))
    stored = table.plans.add(grow)
    with pytest.raises(InvalidRequest, match="changes Book already"):
        table.plans.add(grow)
    for _ in range(8):
        table.hear()
        table.plans.advance()
        table.hear()
        for operation in table.board.known():
            if not operation.is_over:
                table.board.report(operation.id, Fact(operation.state))
    found = table.plans.get(stored.id)
    assert found is not None
    assert found.state == "DONE"
    assert (table.shard.replicas, table.state.factor) == ((N1, N2), 2)


def test_a_plan_stops_where_a_step_is_taken_back(table: Table) -> None:
    grow = Plan("grow", (Step(COPY), Step(SetFactor(BOOK, 2), after=(0,))))
    stored = table.plans.add(grow)
    table.plans.advance()
    table.board.cancel(stored.operation_id(0))
    table.hear()
    table.plans.advance()
    found = table.plans.get(stored.id)
    assert found is not None
    assert found.state == "STOPPED"
    assert table.plans.stop(stored.id)
    assert not table.plans.stop(stored.id)
    assert table.state.factor == 1


def made_again(table: Table) -> None:
    """The collection is dropped, and made again under its name."""
    state = ShardingState.create([PlacedShard(ShardName("other"), (N1,))], factor=1)
    definition = {"class": BOOK, "replicationConfig": {"factor": 1}}
    table.store.commit(
        Transaction(
            (
                Put(KEYS.sharding(BOOK), encode_sharding(state)),
                Put(KEYS.collection(BOOK), CollectionRecord(definition, 1, "b").encode()),
            )
        )
    )


def test_a_plan_is_not_carried_out_on_another_collection_of_the_name(table: Table) -> None:
    stored = table.plans.add(Plan("scale", (Step(COPY), Step(SetFactor(BOOK, 2), after=(0,)))))
    table.plans.advance()
    for fact in TO_THE_END:
        table.board.report(stored.operation_id(0), fact)
    made_again(table)
    for _ in range(3):
        table.hear()
        table.plans.advance()
    (left,) = table.plans.all()
    assert left.state == "STOPPED"
    assert [each.change for each in table.board.all()] == [COPY]
    assert table.state.factor == 1


def test_a_plan_for_a_collection_that_is_gone_keeps_nobody_waiting(table: Table) -> None:
    old = table.plans.add(Plan("scale", (Step(COPY),)))
    with pytest.raises(InvalidRequest, match="changes Book already"):
        table.plans.add(Plan("scale again", (Step(MOVE),)))
    made_again(table)
    new = CopyReplica(BOOK, ShardName("other"), N1, N3)
    stored = table.plans.add(Plan("scale", (Step(new),)))
    assert [each.id for each in table.plans.all()] == [stored.id]
    assert table.plans.get(old.id) is None


def test_metrics_tell_of_moves() -> None:
    tally = MovingTally(under_way=2, objects=7)
    tally.ended["READY"] += 1
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in MovingCollector(tally).collect()
        for sample in family.samples
    }
    assert samples["weftdb_moving_operations",] == 2
    assert samples["weftdb_moving_ended_total", "READY"] == 1
    assert samples["weftdb_moving_objects_total",] == 7
