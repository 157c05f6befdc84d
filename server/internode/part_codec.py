"""Parts of searches and aggregations (core/partial.py), to and from protobuf.

The rules are those of codec.py and query_codec.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from weftdb.cluster.search import messages as values
from weftdb.core.errors import CorruptData
from weftdb.core.partial import (
    AggregatedPart,
    DistanceRange,
    FoundIds,
    KeywordStatistics,
    PartAggregate,
    PartHits,
    PartIds,
    PartLeg,
    PartRows,
    PartSearch,
    PropertyLength,
    SearchStatistics,
    TokenRanges,
)
from weftdb.core.search_explanation import CandidateAccount, SearchAccount
from weftdb.core.types import ObjectId, VectorName
from weftdb.proto.internode import envelope_pb2 as envelope
from weftdb.proto.internode import parts_pb2 as wire
from weftdb.server.internode.codec import check_count, shard_of
from weftdb.server.internode.query_codec import (
    aggregate_message,
    aggregate_of,
    filter_message,
    filter_of,
    id_of,
    scalars_message,
    scalars_of,
    search_message,
    search_of,
)
from weftdb.storage.vector_codec import decode_vector, encode_vector

# --- what is asked -----------------------------------------------------------------------------


def statistics_message(basis: envelope.ShardBasis, part: PartSearch) -> wire.StatisticsRequest:
    """Write a question for statistics."""
    return wire.StatisticsRequest(shard=basis, part=_part_message(part))


def statistics_request(message: wire.StatisticsRequest) -> values.GatherStatistics:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    told = message.shard
    return values.GatherStatistics(shard_of(told), told.schema_version, _part(message.part))


def search_question(basis: envelope.ShardBasis, part: PartSearch) -> wire.SearchRequest:
    """Write a question for hits."""
    return wire.SearchRequest(shard=basis, part=_part_message(part))


def search_request(message: wire.SearchRequest) -> values.SearchShard:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    told = message.shard
    return values.SearchShard(shard_of(told), told.schema_version, _part(message.part))


def rows_message(
    basis: envelope.ShardBasis, ids: Iterable[ObjectId], vectors: Iterable[VectorName]
) -> wire.RowsRequest:
    """Write a question for objects."""
    return wire.RowsRequest(shard=basis, ids=ids, vectors=vectors)


def rows_request(message: wire.RowsRequest) -> values.FetchRows:
    """Read it back. Raises CorruptData."""
    told = message.shard
    vectors = tuple(map(VectorName, message.vectors))
    return values.FetchRows(shard_of(told), told.schema_version, _ids(message.ids), vectors)


def aggregate_question(basis: envelope.ShardBasis, part: PartAggregate) -> wire.AggregateRequest:
    """Write a question for a part of an aggregation."""
    return wire.AggregateRequest(
        shard=basis,
        query=aggregate_message(part.query),
        owned=_owned_message(part.owned),
        ids=None if part.ids is None else wire.Ids(values=part.ids),
    )


def aggregate_request(message: wire.AggregateRequest) -> values.AggregateShard:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    told = message.shard
    part = PartAggregate(
        aggregate_of(message.query),
        _owned(message.owned) if message.HasField("owned") else None,
        _ids(message.ids.values) if message.HasField("ids") else None,
    )
    return values.AggregateShard(shard_of(told), told.schema_version, part)


def ids_message(basis: envelope.ShardBasis, part: PartIds) -> wire.IdsRequest:
    """Write a question for ids."""
    return wire.IdsRequest(
        shard=basis,
        filter=filter_message(part.filter),
        limit=part.limit,
        after=part.after or b"",
        owned=_owned_message(part.owned),
    )


def ids_request(message: wire.IdsRequest) -> values.FindIds:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    told = message.shard
    part = PartIds(
        filter_of(message.filter),
        message.limit,
        id_of(message.after) if message.after else None,
        _owned(message.owned) if message.HasField("owned") else None,
    )
    return values.FindIds(shard_of(told), told.schema_version, part)


def _part_message(part: PartSearch) -> wire.PartSearch:
    message = wire.PartSearch(
        query=search_message(part.query),
        owned=_owned_message(part.owned),
        with_rows=part.with_rows,
    )
    if part.statistics is not None:
        message.statistics.CopyFrom(_statistics_message(part.statistics))
    return message


def _part(message: wire.PartSearch) -> PartSearch:
    has_statistics = message.HasField("statistics")
    return PartSearch(
        search_of(message.query),
        _owned(message.owned) if message.HasField("owned") else None,
        _statistics(message.statistics) if has_statistics else None,
        with_rows=message.with_rows,
    )


def _owned_message(owned: TokenRanges | None) -> wire.TokenRanges | None:
    if owned is None:
        return None
    return wire.TokenRanges(
        ranges=(wire.TokenRange(first=start, last=stop - 1) for start, stop in owned)
    )


def _owned(message: wire.TokenRanges) -> TokenRanges:
    return tuple((one.first, one.last + 1) for one in message.ranges)


def _ids(found: Iterable[bytes]) -> tuple[ObjectId, ...]:
    return tuple(map(id_of, found))


# --- statistics --------------------------------------------------------------------------------


def statistics_answer(found: SearchStatistics) -> wire.StatisticsReply:
    """Write the answer."""
    return wire.StatisticsReply(statistics=_statistics_message(found))


def statistics_reply(message: wire.StatisticsReply) -> SearchStatistics:
    """Read it back."""
    return _statistics(message.statistics)


def _statistics_message(found: SearchStatistics) -> wire.SearchStatistics:
    message = wire.SearchStatistics()
    if found.keyword is not None:
        message.keyword.CopyFrom(_keyword_message(found.keyword))
    if found.ranges is not None:
        message.ranges.SetInParent()
        for one in found.ranges:
            message.ranges.ranges.add(low=one.low, high=one.high)
    return message


def _keyword_message(found: KeywordStatistics) -> wire.KeywordStatistics:
    return wire.KeywordStatistics(
        documents=found.documents,
        lengths=(
            wire.PropertyLength(property=name, documents=one.documents, terms=one.terms)
            for name, one in sorted(found.lengths.items())
        ),
        frequencies=(
            wire.Frequency(property=name, term=term, documents=count)
            for (name, term), count in sorted(found.frequencies.items())
        ),
    )


def _statistics(message: wire.SearchStatistics) -> SearchStatistics:
    keyword, ranges = None, None
    if message.HasField("keyword"):
        told = message.keyword
        keyword = KeywordStatistics(
            told.documents,
            {one.property: PropertyLength(one.documents, one.terms) for one in told.lengths},
            {(one.property, one.term): one.documents for one in told.frequencies},
        )
    if message.HasField("ranges"):
        ranges = tuple(DistanceRange(one.low, one.high) for one in message.ranges.ranges)
    return SearchStatistics(keyword, ranges)


# --- hits --------------------------------------------------------------------------------------


def hits_answer(found: PartHits) -> wire.SearchReply:
    """Write the answer."""
    message = wire.SearchReply(
        legs=map(_leg_message, found.legs), searches=map(_account_message, found.searches)
    )
    if found.rows is not None:
        message.rows.CopyFrom(_rows_message(found.rows))
    return message


def hits_reply(message: wire.SearchReply) -> PartHits:
    """Read it back. Raises CorruptData."""
    legs = tuple(map(_leg, message.legs))
    rows = None
    if message.HasField("rows"):
        if len(legs) != 1:
            raise CorruptData(f"rows answer {len(legs)} legs")
        rows = _rows(message.rows, len(legs[0].ids))
        if None in rows.stored:
            raise CorruptData("a hit has no row")
    return PartHits(legs, rows, tuple(map(_account, message.searches)))


def _leg_message(leg: PartLeg) -> wire.Leg:
    message = wire.Leg(ids=leg.ids)
    if leg.distances is not None:
        message.distances.CopyFrom(wire.Numbers(values=leg.distances))
    if leg.scores is not None:
        message.scores.CopyFrom(wire.Numbers(values=leg.scores))
    if leg.sort_keys is not None:
        message.sort_keys.CopyFrom(wire.SortKeys(values=map(scalars_message, leg.sort_keys)))
    if leg.explanations is not None:
        message.explanations.CopyFrom(wire.Texts(values=leg.explanations))
    if leg.is_near is not None:
        message.is_near.CopyFrom(wire.Flags(values=leg.is_near))
    return message


def _leg(message: wire.Leg) -> PartLeg:
    has, count = message.HasField, len(message.ids)
    for name in ("distances", "scores", "sort_keys", "explanations", "is_near"):
        if has(name):
            check_count(name, len(getattr(message, name).values), count)
    keys = tuple(tuple(scalars_of(one)) for one in message.sort_keys.values)
    return PartLeg(
        ids=_ids(message.ids),
        distances=tuple(message.distances.values) if has("distances") else None,
        scores=tuple(message.scores.values) if has("scores") else None,
        sort_keys=keys if has("sort_keys") else None,
        explanations=tuple(message.explanations.values) if has("explanations") else None,
        is_near=tuple(message.is_near.values) if has("is_near") else None,
    )


def _account_message(account: SearchAccount) -> wire.SearchAccount:
    message = wire.SearchAccount(
        plan=account.plan,
        reason=account.reason,
        overrides=account.overrides,
        ef=account.ef,
        gave_up=account.gave_up,
        visited=account.visited,
        distances=account.distances,
    )
    if isinstance(account, CandidateAccount):
        message.candidates.count = account.candidates
        message.candidates.expected_recall = account.expected_recall
        message.candidates.SetInParent()
    return message


def _account(message: wire.SearchAccount) -> SearchAccount:
    common = (
        message.plan,
        message.reason,
        message.overrides,
        message.ef,
        message.gave_up,
        message.visited,
        message.distances,
    )
    if message.HasField("candidates"):
        told = message.candidates
        return CandidateAccount(*common, told.count, told.expected_recall)
    return SearchAccount(*common)


# --- rows --------------------------------------------------------------------------------------


def rows_answer(found: PartRows) -> wire.RowsReply:
    """Write the answer."""
    return wire.RowsReply(rows=_rows_message(found))


def rows_reply(message: wire.RowsReply, asked: int) -> PartRows:
    """Read the rows of the first of `asked` ids back, one at least. Raises CorruptData."""
    count = len(message.rows.stored)
    if not (0 < count <= asked or asked == count == 0):
        raise CorruptData(f"{count} rows answer a question for {asked}")
    return _rows(message.rows, count)


def joined_rows(parts: Iterable[PartRows]) -> PartRows:
    """Rows one after the other."""
    stored: list[bytes | None] = []
    vectors: dict[VectorName, list[NDArray[np.float32] | None]] = {}
    for part in parts:
        stored += part.stored
        for name, column in part.vectors.items():
            vectors.setdefault(name, []).extend(column)
    return PartRows(tuple(stored), {name: tuple(column) for name, column in vectors.items()})


def rows_bytes(rows: PartRows) -> int:
    """What rows take in a message, about."""
    size = sum(len(one) for one in rows.stored if one is not None)
    for column in rows.vectors.values():
        size += sum(vector.nbytes for vector in column if vector is not None)
    return size


def _rows_message(rows: PartRows) -> wire.Rows:
    return wire.Rows(
        stored=(one or b"" for one in rows.stored),
        vectors=(
            wire.VectorColumn(
                name=name,
                vectors=(b"" if one is None else encode_vector(one) for one in column),
            )
            for name, column in sorted(rows.vectors.items())
        ),
    )


def _rows(message: wire.Rows, count: int) -> PartRows:
    check_count("rows", len(message.stored), count)
    columns: Mapping[VectorName, tuple[NDArray[np.float32] | None, ...]] = {
        VectorName(column.name): tuple(
            decode_vector(one) if one else None for one in column.vectors
        )
        for column in message.vectors
    }
    for name, column in columns.items():
        check_count(f"vectors {name!r}", len(column), count)
    return PartRows(tuple(one or None for one in message.stored), columns)


# --- counts and ids ----------------------------------------------------------------------------


def aggregated_answer(found: AggregatedPart) -> wire.AggregateReply:
    """Write the answer."""
    return wire.AggregateReply(count=found.count, tally=found.tally)


def aggregated_reply(message: wire.AggregateReply) -> AggregatedPart:
    """Read it back."""
    return AggregatedPart(message.count, message.tally)


def ids_answer(found: FoundIds) -> wire.IdsReply:
    """Write the answer."""
    return wire.IdsReply(ids=found.ids, is_last=found.is_last)


def ids_reply(message: wire.IdsReply, limit: int) -> FoundIds:
    """Read a page of at most `limit` ids back. Raises CorruptData."""
    if len(message.ids) > limit or not (message.ids or message.is_last):
        raise CorruptData(f"a page of {limit} ids has {len(message.ids)}")
    return FoundIds(_ids(message.ids), message.is_last)
