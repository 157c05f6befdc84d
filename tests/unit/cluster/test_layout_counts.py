"""The counts of a new sharding state are those that the definition of its collection shows."""

from __future__ import annotations

import pytest

from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.definition.json_fields import Fields
from weftdb.core.definition.layout import parse_layout
from weftdb.core.types import NodeName, ShardName


@pytest.mark.parametrize(("count", "virtual"), [(1, 128), (3, 128), (1024, 128), (5, 7)])
def test_counts_agree(count: int, virtual: int) -> None:
    config = {"desiredCount": count, "virtualPerPhysical": virtual}
    rendered = parse_layout(Fields({"shardingConfig": config}, ""), None).rendered
    shards = [PlacedShard(ShardName(f"s{at}"), (NodeName("n"),)) for at in range(count)]
    state = ShardingState.create(shards, factor=1, virtual_per_shard=virtual)
    assert rendered["shardingConfig"] | state.sharding_counts() == rendered["shardingConfig"]
