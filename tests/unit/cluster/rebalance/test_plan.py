"""Plans as data: order, progress, JSON, damage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weftdb.cluster.rebalance.changes import (
    AddShard,
    CopyReplica,
    DropReplica,
    DropShard,
    MoveReplica,
    MoveRow,
    OperationState,
    Refine,
    SetCount,
    SetFactor,
)
from weftdb.cluster.rebalance.plan import Plan, Size, StepList, decode_plan, encode_plan
from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC, OTHER = CollectionName("Doc"), CollectionName("Other")
A, B = ShardName("A"), ShardName("B")
N1, N2, N3 = (NodeName(f"n{number}") for number in range(1, 4))


def every_kind() -> Plan:
    steps = StepList()
    steps.add_barrier(SetCount(DOC, 2))
    steps.add_barrier(Refine(DOC, 2), why="few")
    steps.add(AddShard(DOC, B, (N1, N2)))
    steps.add(MoveRow(DOC, A, B, 3, 4), size=Size(2048, 10))
    steps.add(CopyReplica(DOC, A, N1, N2), size=Size(5_000_000_000, 1_000))
    steps.add(MoveReplica(OTHER, A, N1, N2, N3), size=Size(100, 1))
    steps.add(DropReplica(DOC, A, N1))
    steps.add(DropShard(DOC, A, (N2,)))
    steps.add_barrier(SetFactor(DOC, 3))
    return steps.plan("everything", ["mind the gap"])


def test_steps_wait_for_those_of_their_shard_and_barriers_for_all() -> None:
    assert [step.after for step in every_kind().steps] == [
        (), (0,), (1,), (1, 2), (1, 3), (), (1, 4), (1, 6), (0, 1, 2, 3, 4, 6, 7),
    ]  # fmt: skip


def test_a_step_may_begin_when_those_before_it_are_ready() -> None:
    plan = every_kind()
    assert plan.startable() == (0, 5)
    plan = plan.with_state(0, OperationState.INTEGRATING)
    assert plan.startable() == (5,)
    plan = plan.with_state(0, OperationState.READY)
    assert plan.startable() == (1, 5)
    assert not plan.is_done
    assert Plan("nothing").is_done
    with pytest.raises(AssertionError):
        plan.with_state(1, OperationState.HYDRATING)


def test_a_plan_reads_well() -> None:
    assert every_kind().render().splitlines() == [
        "everything: 9 steps, copies about 4.7 GiB, 1,011 objects",
        "   1 set the shard count of Doc to 2",
        "   2 cut each virtual shard of Doc into 2: few [after 1]",
        "   3 add shard Doc/B on n1, n2 [after 2]",
        "   4 move 4 virtual shards of Doc from A to B (about 2.0 KiB, 10 objects) [after 2, 3]",
        "   5 copy Doc/A from n1 to n2 (about 4.7 GiB, 1,000 objects) [after 2, 4]",
        "   6 move Other/A from n2 to n3, copied from n1 (about 100 B, 1 objects)",
        "   7 drop Doc/A on n1 [after 2, 5]",
        "   8 remove shard Doc/A, which is empty [after 2, 7]",
        "   9 set the replication factor of Doc to 3 [after 1, 2, 3, 4, 5, 7, 8]",
        "note: mind the gap",
    ]


def test_a_plan_comes_back_from_its_json_with_its_progress() -> None:
    plan = every_kind().with_state(5, OperationState.FINALIZING)
    assert decode_plan(encode_plan(plan)) == plan


def damaged(at: int, **changes: Any) -> bytes:
    body = json.loads(encode_plan(every_kind()))
    body["steps"][at].update(changes)
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"?", "a plan is damaged: no JSON"),
        (b'{"format":1,"purpose":"p","notes":[],"steps":[7]}', "step 0 is 7"),
        (b'{"format":1,"purpose":"p","notes":[7],"steps":[]}', "no text"),
        (damaged(0, kind="Explode"), "step 0 is of the kind 'Explode'"),
        (damaged(0, count="2"), "count of step 0 is '2'"),
        (damaged(2, replicas="n1"), "replicas of step 2 is 'n1'"),
        (damaged(3, source=""), "source of step 3 is ''"),
        (damaged(3, bytes=-1), "the bytes of step 3"),
        (damaged(3, after=[3]), "what step 3 waits for is 3, and 3 are there"),
        (damaged(3, after=None), "step 3 waits for None"),
        (damaged(3, state="LOST"), "step 3 is in the state 'LOST'"),
        (damaged(3, why=None), "the reason of step 3 is None"),
    ],
)
def test_a_damaged_plan_is_refused_with_the_reason(value: bytes, reason: str) -> None:
    with pytest.raises(CorruptData, match=reason):
        decode_plan(value)
