"""Aggregates the shards of a collection as if they were one: the rounds of one aggregation.

Each shard counts its values; tallies add up exactly (engine/partial_aggregation.py). What a search
finds is ranked over all shards first, and counted by id: `objectLimit` is that of the whole.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from weftdb.cluster.search.layout import Round, Rounds
from weftdb.cluster.search.merge import merge_hybrid_ids, merge_legs, only_legs
from weftdb.cluster.search.messages import AggregateShard
from weftdb.cluster.search.scatter import Gathered
from weftdb.cluster.search.searching import (
    Questions,
    ask_shards,
    gather_statistics,
    named_vectors,
)
from weftdb.cluster.search.statistics import needs_statistics
from weftdb.core.aggregation import Aggregate, Aggregated
from weftdb.core.partial import AggregatedPart, PartAggregate, PartHits
from weftdb.core.query import NearVector, Search
from weftdb.core.types import ObjectId, ShardName
from weftdb.engine.aggregation import (
    check_aggregate,
    check_found,
    depth_of,
    is_group_unknown,
    resolve_search,
)
from weftdb.engine.hybrid_search import HybridAim
from weftdb.engine.partial_aggregation import join_parts
from weftdb.engine.steps import Work
from weftdb.modules.ports import Vectorizers


def aggregate_rounds(
    rounds: Rounds, query: Aggregate, vectorizers: Vectorizers
) -> Questions[Aggregated]:
    """Answer `query`. Raises RequestError for what it asks wrongly, NotEnoughReplicas where a shard
    has nobody who answers. One replica of each shard counts, at any level."""
    schema = rounds.layout.schema
    if is_group_unknown(schema, query):
        return Aggregated()
    check_aggregate(schema, query)
    named = yield from named_vectors(rounds, query.near, query.hybrid)
    search = yield from resolve_search(query, schema, named, vectorizers)
    ids: list[ObjectId] | None = None
    if search is not None:
        ids = yield from _find(rounds, query, search)
    counted = replace(query, near=None, hybrid=None, object_limit=None, limit=None)
    if ids is not None:
        counted = replace(counted, filter=None)
    gathered = yield from _count(rounds, counted, ids)
    parts = [reply for reply in gathered.replies if isinstance(reply, AggregatedPart)]
    answer: Aggregated = yield Work(lambda: join_parts(schema, query, parts))
    return answer


def _find(
    rounds: Rounds, query: Aggregate, search: NearVector | HybridAim
) -> Generator[Round, Any, list[ObjectId]]:
    """What a search finds in all shards. Raises LimitExceeded."""
    depth = depth_of(query, rounds.terms.limits.maximum_results)
    asked = Search(query.collection, query.tenant, filter=query.filter, limit=depth)
    if isinstance(search, NearVector):
        asked = replace(asked, near=replace(search, mmr=None))
    else:
        assert query.hybrid is not None
        asked = replace(asked, hybrid=replace(query.hybrid, near=search.near))
    statistics = None
    if len(rounds.layout.shards) > 1 and needs_statistics(asked):
        statistics = yield from gather_statistics(rounds, asked)
    gathered = yield from ask_shards(rounds, asked, statistics, with_rows=False)
    parts = [reply for reply in gathered.replies if isinstance(reply, PartHits)]
    if isinstance(search, HybridAim):
        return merge_hybrid_ids(parts, depth)
    found = [hit[1] for hit in merge_legs(only_legs(parts), depth)]
    check_found(query, len(found), depth)
    return found


def _count(
    rounds: Rounds, query: Aggregate, ids: list[ObjectId] | None
) -> Generator[Round, Any, Gathered]:
    layout = rounds.layout
    chosen: dict[ShardName, tuple[ObjectId, ...]] = {}
    if ids:
        for name, positions in layout.positions_by_shard(ids).items():
            chosen[name] = tuple([ids[int(at)] for at in positions])
    asked = []
    for shard in layout.shards:
        of_shard = None if ids is None else chosen.get(shard.name, ())
        part = PartAggregate(query, shard.owned, of_shard)
        asked.append((shard, AggregateShard(layout.ref(shard.name), layout.schema_version, part)))
    if ids is not None:  # Where nothing was found, one shard says how nothing is summed up.
        asked = [each for each in asked if each[0].name in chosen] or asked[:1]
    gathered: Gathered
    (gathered,) = yield rounds.ask(asked)
    return gathered
