"""The calls for parts of searches: of each request its method, and how it is written and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchReply,
    SearchRequest,
    SearchShard,
)
from weftdb.core.limits import INTERNODE_REPLY_BYTES
from weftdb.core.partial import PartRows
from weftdb.proto.internode import envelope_pb2 as envelope
from weftdb.proto.internode import parts_pb2 as wire
from weftdb.server.internode import methods, part_codec
from weftdb.server.internode.methods import Method
from weftdb.server.internode.part_codec import joined_rows, rows_bytes

_ROWS_AT_ONCE = 64
"""Objects that are read before it is looked how large they are."""


@dataclass(frozen=True, slots=True)
class PartCall:
    """One kind of request. The types of the four fit together; the table below sees to that."""

    method: Method[Any, Any]
    question: Callable[[envelope.ShardBasis, Any], Any]
    """Request to message. Raises InvalidRequest."""
    request: Callable[[Any], SearchRequest]
    """And back. Raises CorruptData, Unsupported, LimitExceeded."""
    answer: Callable[[Any], Any]
    """Reply to message."""
    reply: Callable[[Any, Any], SearchReply]
    """And back, to the request. Raises CorruptData."""


PART_CALLS: dict[type[SearchRequest], PartCall] = {
    GatherStatistics: PartCall(
        methods.STATISTICS,
        lambda basis, request: part_codec.statistics_message(basis, request.part),
        part_codec.statistics_request,
        part_codec.statistics_answer,
        lambda message, _request: part_codec.statistics_reply(message),
    ),
    SearchShard: PartCall(
        methods.SEARCH,
        lambda basis, request: part_codec.search_question(basis, request.part),
        part_codec.search_request,
        part_codec.hits_answer,
        lambda message, _request: part_codec.hits_reply(message),
    ),
    FetchRows: PartCall(
        methods.ROWS,
        lambda basis, request: part_codec.rows_message(basis, request.ids, request.vectors),
        part_codec.rows_request,
        part_codec.rows_answer,
        lambda message, request: part_codec.rows_reply(message, len(request.ids)),
    ),
    AggregateShard: PartCall(
        methods.AGGREGATE,
        lambda basis, request: part_codec.aggregate_question(basis, request.part),
        part_codec.aggregate_request,
        part_codec.aggregated_answer,
        lambda message, _request: part_codec.aggregated_reply(message),
    ),
    FindIds: PartCall(
        methods.IDS,
        lambda basis, request: part_codec.ids_message(basis, request.part),
        part_codec.ids_request,
        part_codec.ids_answer,
        lambda message, request: part_codec.ids_reply(message, request.part.limit),
    ),
}


def first_rows(fetch: Callable[[FetchRows], PartRows], asked: FetchRows) -> wire.RowsReply:
    """The rows of the first ids, as many as fit in an answer; one at least."""
    parts: list[PartRows] = []
    at, size = 0, 0
    while at < len(asked.ids) and size < INTERNODE_REPLY_BYTES:
        few = asked.ids[at : at + _ROWS_AT_ONCE]
        parts.append(fetch(FetchRows(asked.shard, asked.schema_version, few, asked.vectors)))
        at, size = at + len(few), size + rows_bytes(parts[-1])
    return part_codec.rows_answer(joined_rows(parts))
