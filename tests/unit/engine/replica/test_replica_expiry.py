"""Expiry on replicas: what expires in one does not undo what another knows better."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.replicas import PowerStore, open_node, replicated, state, version
from tests.unit.engine.samples import uid
from weftdb.core.env import ManualClock
from weftdb.core.query import Comparison, Operator, ValueKind
from weftdb.engine.collection import LocalCollection

FEW = Comparison(Operator.LESS_THAN, ("size",), 5, ValueKind.INT)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[LocalCollection, LocalCollection]:
    """Two replicas of a shard; the clock of the second is two seconds ahead."""
    ahead = ManualClock(ManualClock().now_ms() + 2_000)
    clocks = (ManualClock(), ahead)
    first, second = (
        replicated(open_node(tmp_path / f"{at}", PowerStore(), clock, writer=at + 1))
        for at, clock in enumerate(clocks)
    )
    return first, second


def test_both_end_a_state_alike(pair: tuple[LocalCollection, LocalCollection]) -> None:
    for docs in pair:
        docs.replica.apply([state(uid(n), version(100, n)) for n in range(8)])
        assert docs.only.expire(FEW) == 5
        assert docs.count() == 3
        assert docs.figures.tombstones == 5
    first, second = (docs.replica for docs in pair)
    ids = [uid(n) for n in range(8)]
    assert first.digests(ids) == second.digests(ids)
    assert first.tree_nodes(0, [0]) == second.tree_nodes(0, [0])


def test_a_renewal_that_one_missed_stays(pair: tuple[LocalCollection, LocalCollection]) -> None:
    first, second = pair
    for docs in pair:
        docs.replica.apply([state(uid(1), version(100, 1))])
    renewed = state(uid(1), version(200, 9))
    first.replica.apply([renewed])
    assert second.only.expire(FEW) == 1
    (deleted,) = second.replica.states([uid(1)])
    assert deleted is not None
    assert deleted.is_deleted
    assert first.replica.apply([deleted]) == [renewed.version], "what is newer stays"
    assert first.count() == 1
    assert second.replica.apply([renewed]) == [None]
    assert first.replica.tree_nodes(0, [0]) == second.replica.tree_nodes(0, [0])


def test_a_write_goes_above_it(pair: tuple[LocalCollection, LocalCollection]) -> None:
    docs, _ = pair
    docs.replica.apply([state(uid(1), version(100, 1))])
    assert docs.only.expire(FEW) == 1
    assert docs.only.expire(FEW) == 0
    docs.replica.apply([state(uid(1), version(100, 2))])
    assert docs.count() == 1


def test_in_a_cluster_nothing_is_forgotten_before_it_says_so(
    pair: tuple[LocalCollection, LocalCollection],
) -> None:
    docs, _ = pair
    docs.replica.apply([state(uid(1), version(-(10**9), 1))])
    assert docs.only.expire(FEW) == 1
    assert docs.replica.forget_deletions() == 0
    docs.replica.forgotten_ms = lambda: version(0).time_ms
    assert docs.replica.forget_deletions() == 1
