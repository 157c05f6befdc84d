"""How many answers a level needs."""

from __future__ import annotations

import pytest

from weftdb.core.consistency import ConsistencyLevel


@pytest.mark.parametrize(
    ("replicas", "one", "quorum", "everyone"),
    [(1, 1, 1, 1), (2, 1, 2, 2), (3, 1, 2, 3), (4, 1, 3, 4), (5, 1, 3, 5)],
)
def test_required(replicas: int, one: int, quorum: int, everyone: int) -> None:
    assert ConsistencyLevel.ONE.required(replicas) == one
    assert ConsistencyLevel.QUORUM.required(replicas) == quorum
    assert ConsistencyLevel.ALL.required(replicas) == everyone


@pytest.mark.parametrize("replicas", range(1, 10))
def test_two_quorums_share_a_replica(replicas: int) -> None:
    assert 2 * ConsistencyLevel.QUORUM.required(replicas) > replicas
