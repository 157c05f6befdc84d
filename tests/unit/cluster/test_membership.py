"""Membership beside its golden scripts: bounds, forgetting, what the rules may not be."""

from __future__ import annotations

from itertools import pairwise

import pytest

from weftdb.cluster.membership import (
    Failure,
    Liveness,
    Membership,
    NodeStatus,
    Probe,
    Suspicion,
)
from weftdb.core.types import NodeName

N2 = NodeName("n2")


def given_up(membership: Membership) -> Membership:
    membership.on_lease(N2, 1, now_s=0.0)
    for second in (1.0, 2.0, 3.0):
        membership.on_failure(N2, Failure.REFUSED, began_s=second, now_s=second)
    membership.on_time(now_s=8.0)
    assert membership.liveness_of(N2) is Liveness.UNAVAILABLE
    return membership


def test_one_failure_may_never_be_enough() -> None:
    with pytest.raises(AssertionError, match="one slow call"):
        Suspicion(failures_min=1)
    with pytest.raises(AssertionError):
        Suspicion(failure_gap_s=0)
    with pytest.raises(AssertionError):
        Suspicion(probe_gap_s=9.0)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(AssertionError):
        Membership().on_failure(N2, Failure.TIMEOUT, began_s=2.0, now_s=1.0)


def test_probes_of_a_lost_node_settle_at_the_longest_gap() -> None:
    membership = given_up(Membership())
    times = []
    for _ in range(20):
        due_s = membership.wake_s
        assert due_s is not None
        if membership.on_time(now_s=due_s) == (Probe(N2),):
            times.append(due_s)
    gaps = [right - left for left, right in pairwise(times)]
    assert gaps[-1] == Suspicion().probe_gap_s_max
    assert gaps == sorted(gaps)


def test_a_node_that_was_removed_is_forgotten() -> None:
    membership = given_up(Membership())
    membership.on_forgotten(N2)
    membership.on_forgotten(N2)
    assert membership.members() == {}
    assert membership.wake_s is None
    assert membership.generation_of(N2) is None
    assert membership.status_of(N2) is NodeStatus.UNAVAILABLE


def test_the_present_life_is_told() -> None:
    membership = given_up(Membership())
    assert membership.generation_of(N2) == 1
    membership.on_answer(N2, 2, now_s=9.0)
    assert membership.generation_of(N2) == 2
    assert membership.members() == {N2: Liveness.ALIVE}
