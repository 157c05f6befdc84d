"""A scale plan of a client is checked before anything of it is begun."""

from __future__ import annotations

from typing import Any

import pytest

from weftdb.cluster.rebalance.changes import CopyReplica, DropReplica, SetFactor
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import InvalidRequest
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.rest.replication_routes import scaling

BOOK, S = CollectionName("Book"), ShardName("s")
N1, N2 = NodeName("n1"), NodeName("n2")
ALONE = ShardingState.create([PlacedShard(S, (N1,))], factor=1)


def test_copies_come_before_what_goes() -> None:
    plan = scaling(ALONE, BOOK, {"s": {"addNodes": {"n2": "n1"}, "removeNodes": ["n1"]}})
    changes = [step.change for step in plan.steps]
    assert changes == [CopyReplica(BOOK, S, N1, N2), DropReplica(BOOK, S, N1)]
    assert plan.steps[1].after == (0,)
    more = scaling(ALONE, BOOK, {"s": {"addNodes": {"n2": "n1"}}})
    assert more.steps[-1].change == SetFactor(BOOK, 2)


@pytest.mark.parametrize(
    ("actions", "why"),
    [
        ({"t": {}}, "has no shard t"),
        ({"s": []}, None),
        ({"s": {"removeNodes": ["n1"]}}, "would be lost"),
        ({"s": {"addNodes": {"n2": "n3"}}}, "n3 has no replica"),
        ({"s": {"addNodes": ["n2"]}}, "are no plan"),
        ({"s": {"removeNodes": [[]]}}, "by texts"),
        ({"s": 7}, "are no plan"),
    ],
)
def test_what_is_no_plan_is_refused(actions: dict[str, Any], why: str | None) -> None:
    if why is None:
        assert scaling(ALONE, BOOK, actions).steps == ()
        return
    with pytest.raises(InvalidRequest, match=why):
        scaling(ALONE, BOOK, actions)
