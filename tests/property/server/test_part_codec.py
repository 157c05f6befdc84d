"""What is asked for a part of a search arrives as it was, and what was found comes back so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchReply,
    SearchRequest,
    SearchShard,
)
from weftdb.core.aggregation import Aggregate, PropertyStatistics
from weftdb.core.errors import CorruptData, InvalidRequest, LimitExceeded, Unsupported
from weftdb.core.limits import FILTER_DEPTH_MAX
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
)
from weftdb.core.query import (
    And,
    Aspect,
    Combination,
    Comparison,
    Filter,
    Fusion,
    GeoRange,
    Hybrid,
    Keyword,
    NearVector,
    Not,
    Operator,
    Or,
    RecallTarget,
    Search,
    Sort,
    Target,
    TermOperator,
    Threshold,
    ValueKind,
)
from weftdb.core.search_explanation import CandidateAccount, SearchAccount
from weftdb.core.types import CollectionName, ObjectId, ShardName, VectorName
from weftdb.proto.internode import queries_pb2
from weftdb.server.internode import codec, query_codec
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.part_calls import PART_CALLS

SHARD = ShardRef(CollectionName("Doc"), ShardName("s"))
TOLD = codec.basis_message(Basis(SHARD, 3, 4))
FEW = settings(max_examples=50, deadline=None)

texts = st.text(st.characters(codec="utf-8"), max_size=8)
names = st.text("abcß", min_size=1, max_size=4)
ids = st.binary(min_size=16, max_size=16).map(ObjectId)
numbers = st.floats(allow_nan=False)
scalars = texts | st.integers(-(2**70), 2**70) | numbers | st.booleans()
rows = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3).map(
    lambda values: np.array(values, dtype=np.float32)
)
matrices = st.integers(1, 3).map(lambda n: np.arange(n * 2, dtype=np.float32).reshape(n, 2))
vector_names = names.map(VectorName)
comparisons = st.builds(
    Comparison,
    st.sampled_from(Operator),
    st.lists(names, min_size=1, max_size=3).map(tuple),
    scalars
    | st.lists(scalars, max_size=3).map(tuple)
    | st.builds(GeoRange, numbers, numbers, numbers),
    st.sampled_from(ValueKind),
    st.sampled_from(Aspect),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda found: And(tuple(found))),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: Or(tuple(found))),
        inner.map(Not),
    ),
    max_leaves=5,
)
targets = st.builds(Target, vector_names, st.none() | rows | matrices, numbers)
combinations = st.sampled_from(Combination)
nears = st.builds(
    NearVector,
    st.lists(targets, min_size=1, max_size=2).map(tuple),
    combinations,
    st.builds(Threshold, st.none() | numbers, st.none() | numbers),
)
boosts = st.lists(st.tuples(names, numbers), max_size=2).map(tuple)
small = st.integers(0, 10_000)
terms = st.sampled_from(TermOperator)
keywords = st.builds(Keyword, texts, boosts, terms, small)
hybrids = st.builds(
    Hybrid,
    texts,
    st.none() | nears,
    boosts,
    numbers,
    st.sampled_from(Fusion),
    terms,
    small,
    st.none() | numbers,
    st.lists(targets, max_size=1).map(tuple),
    combinations,
)
searches = st.builds(
    Search,
    collection=names,
    tenant=texts,
    near=st.none() | nears,
    keyword=st.none() | keywords,
    hybrid=st.none() | hybrids,
    filter=st.none() | filters,
    limit=st.none() | small,
    after=st.none() | ids,
    sort=st.lists(
        st.builds(Sort, st.lists(names, max_size=2).map(tuple), st.booleans()), max_size=2
    ).map(tuple),
    vectors=st.lists(vector_names, max_size=2).map(tuple),
    explain=st.booleans(),
    ef=st.none() | small | st.floats(0.1, 0.9).map(RecallTarget),
)
owned = st.none() | st.lists(
    st.tuples(st.integers(0, 2**63), st.integers(2**63 + 1, 2**64)), max_size=2
).map(tuple)
counts = st.integers(0, 2**40)
statistics = st.builds(
    SearchStatistics,
    st.none()
    | st.builds(
        KeywordStatistics,
        counts,
        st.dictionaries(names, st.builds(PropertyLength, counts, counts), max_size=2),
        st.dictionaries(st.tuples(names, texts), counts, max_size=3),
    ),
    st.none() | st.lists(st.builds(DistanceRange, numbers, numbers), max_size=2).map(tuple),
)
parts = st.builds(PartSearch, searches, owned, st.none() | statistics, with_rows=st.booleans())
requests: st.SearchStrategy[SearchRequest] = st.one_of(
    st.builds(GatherStatistics, st.just(SHARD), st.just(3), parts),
    st.builds(SearchShard, st.just(SHARD), st.just(3), parts),
    st.builds(
        FetchRows,
        st.just(SHARD),
        st.just(3),
        st.lists(ids, max_size=3).map(tuple),
        st.lists(vector_names, max_size=2).map(tuple),
    ),
    st.builds(
        AggregateShard,
        st.just(SHARD),
        st.just(3),
        st.builds(
            PartAggregate,
            st.builds(
                Aggregate,
                collection=names,
                tenant=texts,
                filter=st.none() | filters,
                properties=st.lists(st.builds(PropertyStatistics, names, small), max_size=2).map(
                    tuple
                ),
                group_by=st.none() | names,
            ),
            owned,
            st.none() | st.lists(ids, max_size=2).map(tuple),
        ),
    ),
    st.builds(
        FindIds,
        st.just(SHARD),
        st.just(3),
        st.builds(PartIds, filters, small, st.none() | ids, owned),
    ),
)


def plain(value: Any) -> Any:
    """A value that can be compared: arrays as their shape and bytes."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        fields = {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return type(value).__name__, fields
    if isinstance(value, float):
        return "float", value.hex()
    return type(value).__name__, value


def over(message: Any) -> Any:
    """Send it."""
    return type(message).FromString(message.SerializeToString())


@FEW
@given(requests)
def test_requests(request: SearchRequest) -> None:
    call = PART_CALLS[type(request)]
    message = over(call.question(TOLD, request))
    assert plain(call.request(message)) == plain(request)


def columns(count: int) -> st.SearchStrategy[dict[str, Any]]:
    def column(values: Any) -> Any:
        return st.none() | st.lists(values, min_size=count, max_size=count).map(tuple)

    key = st.none() | scalars | ids | st.lists(scalars, max_size=2)
    return st.fixed_dictionaries(
        {
            "ids": st.lists(ids, min_size=count, max_size=count).map(tuple),
            "distances": column(numbers),
            "scores": column(numbers),
            "sort_keys": column(st.lists(key, max_size=2).map(tuple)),
            "explanations": column(texts),
            "is_near": column(st.booleans()),
        }
    )


def rows_of(count: int, *, stored: Any) -> st.SearchStrategy[PartRows]:
    each = st.lists(stored, min_size=count, max_size=count).map(tuple)
    vectors = st.lists(st.none() | rows | matrices, min_size=count, max_size=count).map(tuple)
    return st.builds(PartRows, each, st.dictionaries(vector_names, vectors, max_size=2))


accounts = st.builds(
    SearchAccount, texts, texts, texts, small, st.booleans(), counts, counts
) | st.builds(
    CandidateAccount, texts, texts, texts, small, st.booleans(), counts, counts, counts, numbers
)


@FEW
@given(st.data(), st.integers(0, 4))
def test_hits(data: st.DataObject, count: int) -> None:
    legs = tuple(PartLeg(**data.draw(columns(count))) for _ in range(data.draw(st.integers(1, 2))))
    found = None
    if len(legs) == 1:
        found = data.draw(st.none() | rows_of(count, stored=st.binary(min_size=1, max_size=5)))
    hits = PartHits(legs, found, tuple(data.draw(st.lists(accounts, max_size=2))))
    call = PART_CALLS[SearchShard]
    message = over(call.answer(hits))
    assert plain(call.reply(message, None)) == plain(hits)
    if count and legs[0].distances is not None:
        message.legs[0].distances.values.append(1.0)
        with pytest.raises(CorruptData, match="distances"):
            call.reply(message, None)


@FEW
@given(st.data(), st.integers(0, 3), st.integers(0, 2))
def test_rows(data: st.DataObject, count: int, more: int) -> None:
    found = data.draw(rows_of(count, stored=st.none() | st.binary(min_size=1, max_size=5)))
    asked = FetchRows(SHARD, 3, tuple(ObjectId(bytes([n] * 16)) for n in range(count + more)))
    call = PART_CALLS[FetchRows]
    message = over(call.answer(found))
    if more and not count:
        with pytest.raises(CorruptData):
            call.reply(message, asked)
    else:
        assert plain(call.reply(message, asked)) == plain(found)
    if count:
        with pytest.raises(CorruptData):
            call.reply(message, replace(asked, ids=asked.ids[: count - 1]))


@FEW
@given(statistics, st.builds(AggregatedPart, counts, st.binary(max_size=9)), st.data())
def test_other_answers(found: SearchStatistics, counted: AggregatedPart, data: Any) -> None:
    def answered(kind: type[SearchRequest], reply: SearchReply, request: Any = None) -> Any:
        call = PART_CALLS[kind]
        return call.reply(over(call.answer(reply)), request)

    assert plain(answered(GatherStatistics, found)) == plain(found)
    assert answered(AggregateShard, counted) == counted
    page = FoundIds(tuple(data.draw(st.lists(ids, max_size=3))), data.draw(st.booleans()))
    condition = Comparison(Operator.EQUAL, ("p",), 1, ValueKind.INT)
    asked = FindIds(SHARD, 3, PartIds(condition, 3))
    if page.ids or page.is_last:
        assert answered(FindIds, page, asked) == page
    else:
        with pytest.raises(CorruptData):
            answered(FindIds, page, asked)


def test_the_deepest_filter_that_doors_take_travels() -> None:
    condition: Filter = Comparison(Operator.EQUAL, ("p",), 1, ValueKind.INT)
    for _ in range(FILTER_DEPTH_MAX - 1):
        condition = Not(condition)
    request = FindIds(SHARD, 3, PartIds(condition, 3))
    call = PART_CALLS[FindIds]
    assert call.request(over(call.question(TOLD, request))) == request
    deeper = query_codec.filter_message(Not(condition))
    with pytest.raises(LimitExceeded):
        query_codec.filter_of(deeper)


def test_queries_of_another_release_are_refused() -> None:
    condition = Comparison(Operator.EQUAL, ("p",), 1, ValueKind.INT)
    message = query_codec.filter_message(condition)
    message.comparison.operator = 77  # type: ignore[assignment]
    with pytest.raises(Unsupported, match="77"):
        query_codec.filter_of(over(message))
    joined = query_codec.filter_message(And((condition,)))
    joined.join = 9  # type: ignore[assignment]
    with pytest.raises(Unsupported, match="9"):
        query_codec.filter_of(over(joined))
    with pytest.raises(CorruptData):
        query_codec.filter_of(queries_pb2.Filter(join=queries_pb2.Filter.JOIN_AND))
    empty = query_codec.filter_message(condition)
    empty.comparison.ClearField("value")
    with pytest.raises(CorruptData):
        query_codec.filter_of(empty)
    with pytest.raises(CorruptData):
        query_codec.scalar_of(queries_pb2.Scalar(digits="1" * 2_000))
    with pytest.raises(InvalidRequest):
        query_codec.scalar_message({"a": 1})


def test_ranges_to_the_end_of_the_ring() -> None:
    part = PartSearch(Search("Doc"), owned=((0, 1), (2**64 - 1, 2**64)))
    request = SearchShard(SHARD, 3, part)
    call = PART_CALLS[SearchShard]
    assert call.request(over(call.question(TOLD, request))) == request
