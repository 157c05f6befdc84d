"""Operations as JSON: they come back in every state, and impossible ones are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weftdb.cluster.rebalance.changes import Change, CopyReplica, DropReplica, MoveRow
from weftdb.cluster.rebalance.operation import Fact, Operation
from weftdb.cluster.rebalance.stored_operation import decode_operation, encode_operation
from weftdb.core.errors import CorruptData
from weftdb.core.types import CollectionName, NodeName, ShardName

DOC, A, B = CollectionName("Doc"), ShardName("A"), ShardName("B")
COPY = CopyReplica(DOC, A, NodeName("n1"), NodeName("n2"))
V1 = (
    b'{"format":1,"id":"op-1","change":{"kind":"CopyReplica","collection":"Doc","shard":"A",'
    b'"source":"n1","target":"n2"},"states":[["REGISTERED",5,[["no route",6]],0],'
    b'["HYDRATING",7,[],2]]}'
)


@pytest.mark.parametrize(
    "change", [COPY, DropReplica(DOC, A, NodeName("n1")), MoveRow(DOC, A, B, 3, 4)]
)
def test_an_operation_goes_on_after_a_crash_in_any_state(change: Change) -> None:
    operation = Operation.registered("op-1", change, now_ms=1)
    for at, fact in enumerate(Fact):
        operation = operation.with_error("try again", now_ms=10 + at)
        assert decode_operation(encode_operation(operation)) == operation
        if operation.is_cancelable:
            cancelled = operation.cancelled(now_ms=50)
            assert decode_operation(encode_operation(cancelled)) == cancelled
        operation = decode_operation(encode_operation(operation)).after(fact, now_ms=20 + at)
    assert operation.is_over
    assert decode_operation(encode_operation(operation)) == operation


def test_an_operation_that_was_written_once_is_read_for_ever() -> None:
    assert encode_operation(decode_operation(V1)) == V1


def damaged(**changes: Any) -> bytes:
    return json.dumps({**json.loads(V1), **changes}).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "an operation is damaged: no JSON"),
        (damaged(id=None), "id is None"),
        (damaged(change={"kind": "Explode"}), "its change is of the kind 'Explode'"),
        (damaged(states=[]), "the states: none"),
        (damaged(states=[["HYDRATING", 5, [], 0]]), "the states: HYDRATING"),
        (damaged(states=[["REGISTERED", 5, [], 0], ["READY", 6, [], 0]]), "REGISTERED READY"),
        (damaged(states=[["CANCELLED", 5, [], 0]]), "the states: CANCELLED"),
        (damaged(states=[["REGISTERED", 5]]), "a state is"),
        (damaged(states=[["NEVER", 5, [], 0]]), "in the state 'NEVER'"),
        (damaged(states=[["REGISTERED", "5", [], 0]]), "when REGISTERED began"),
        (damaged(states=[["REGISTERED", 5, 7, 0]]), "the errors of REGISTERED are 7"),
        (damaged(states=[["REGISTERED", 5, [[1, 2]], 0]]), "an error of REGISTERED says 1"),
    ],
)
def test_a_damaged_operation_is_refused_with_the_reason(value: bytes, reason: str) -> None:
    with pytest.raises(CorruptData, match=reason):
        decode_operation(value)
