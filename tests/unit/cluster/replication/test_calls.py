"""Requests that wait, answers that match, and those that do not."""

from __future__ import annotations

import pytest

from weftdb.cluster.replication.calls import Calls
from weftdb.cluster.replication.effects import CallNumber
from weftdb.cluster.replication.messages import ReadTree, ShardRef
from weftdb.core.types import CollectionName, NodeName, ShardName

REQUEST = ReadTree(ShardRef(CollectionName("C"), ShardName("s")), 1, 0, (0,))


def test_an_answer_is_taken_once() -> None:
    calls: Calls[str] = Calls()
    sent = calls.open(NodeName("a"), REQUEST, "why")
    assert calls
    closed = calls.close(sent.call)
    assert closed is not None
    assert (closed.to, closed.purpose) == ("a", "why")
    assert calls.close(sent.call) is None
    assert not calls


def test_a_stranger_is_the_drivers_mistake() -> None:
    calls: Calls[str] = Calls()
    with pytest.raises(AssertionError, match="never made"):
        calls.close(CallNumber(0))


def test_closing_all_keeps_the_order() -> None:
    calls: Calls[int] = Calls()
    for number in range(3):
        calls.open(NodeName("a"), REQUEST, number)
    calls.close(CallNumber(1))
    assert [call.purpose for call in calls.close_all()] == [0, 2]
    assert calls.close(CallNumber(2)) is None
