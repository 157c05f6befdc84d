"""What a coordinator asks of a shard for a search or an aggregation, and the answers: values.

As those of `replication/messages.py` they name the shard and the version of the schema that the
sender knew. They change nothing, so each may be sent twice, and to several replicas at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.partial import (
    AggregatedPart,
    FoundIds,
    PartAggregate,
    PartHits,
    PartIds,
    PartRows,
    PartSearch,
    SearchStatistics,
)
from weftdb.core.types import ObjectId, VectorName


@dataclass(frozen=True, slots=True)
class GatherStatistics:
    """What the shard contributes to the statistics that `part` is scored with; answered by
    `SearchStatistics`. Requires: `needs_statistics` (statistics.py)."""

    shard: ShardRef
    schema_version: int
    part: PartSearch


@dataclass(frozen=True, slots=True)
class SearchShard:
    """The shard's best hits; answered by `PartHits`."""

    shard: ShardRef
    schema_version: int
    part: PartSearch


@dataclass(frozen=True, slots=True)
class FetchRows:
    """Objects by id, with the vectors that are named; answered by `PartRows`."""

    shard: ShardRef
    schema_version: int
    ids: tuple[ObjectId, ...]
    vectors: tuple[VectorName, ...] = ()


@dataclass(frozen=True, slots=True)
class AggregateShard:
    """How often each value occurs; answered by `AggregatedPart`."""

    shard: ShardRef
    schema_version: int
    part: PartAggregate


@dataclass(frozen=True, slots=True)
class FindIds:
    """Ids of what a filter matches; answered by `FoundIds`."""

    shard: ShardRef
    schema_version: int
    part: PartIds


SearchRequest: TypeAlias = GatherStatistics | SearchShard | FetchRows | AggregateShard | FindIds
SearchReply: TypeAlias = SearchStatistics | PartHits | PartRows | AggregatedPart | FoundIds
