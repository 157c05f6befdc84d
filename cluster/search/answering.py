"""Answers a coordinator's request for a part with what a shard of the engine says.

Whoever calls has compared schema versions: a request that knows a newer schema than this node is
held back until the node has it.
"""

from __future__ import annotations

from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchReply,
    SearchRequest,
    SearchShard,
)
from weftdb.engine.local_shard import LocalShard
from weftdb.engine.partial import ids_part, rows_part, search_part, statistics_part
from weftdb.engine.partial_aggregation import aggregate_part
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps


def answer_steps(local: LocalShard, request: SearchRequest) -> Steps[SearchReply]:
    """What the shard says to a request for it, as steps: graph searches are calls for a driver.
    Raises what the engine raises: RequestError for what is asked wrongly, Closed."""
    local.check()
    return local.swept_first(_answer(local.shard, request))


def _answer(shard: Shard, request: SearchRequest) -> Steps[SearchReply]:
    match request:
        case GatherStatistics(part=part):
            return (yield from statistics_part(shard, part))
        case SearchShard(part=part):
            return (yield from search_part(shard, part))
        case FetchRows(ids=ids, vectors=vectors):
            return rows_part(shard, ids, vectors)
        case AggregateShard(part=counted):
            return aggregate_part(shard, counted)
        case FindIds(part=wanted):
            return ids_part(shard, wanted)
