from weftdb.proto.internode import envelope_pb2 as _envelope_pb2
from weftdb.proto.internode import queries_pb2 as _queries_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TokenRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class TokenRanges(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[TokenRange]
    def __init__(self, ranges: _Optional[_Iterable[_Union[TokenRange, _Mapping]]] = ...) -> None: ...

class PropertyLength(_message.Message):
    __slots__ = ("property", "documents", "terms")
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    property: str
    documents: int
    terms: int
    def __init__(self, property: _Optional[str] = ..., documents: _Optional[int] = ..., terms: _Optional[int] = ...) -> None: ...

class Frequency(_message.Message):
    __slots__ = ("property", "term", "documents")
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    property: str
    term: str
    documents: int
    def __init__(self, property: _Optional[str] = ..., term: _Optional[str] = ..., documents: _Optional[int] = ...) -> None: ...

class KeywordStatistics(_message.Message):
    __slots__ = ("documents", "lengths", "frequencies")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    FREQUENCIES_FIELD_NUMBER: _ClassVar[int]
    documents: int
    lengths: _containers.RepeatedCompositeFieldContainer[PropertyLength]
    frequencies: _containers.RepeatedCompositeFieldContainer[Frequency]
    def __init__(self, documents: _Optional[int] = ..., lengths: _Optional[_Iterable[_Union[PropertyLength, _Mapping]]] = ..., frequencies: _Optional[_Iterable[_Union[Frequency, _Mapping]]] = ...) -> None: ...

class DistanceRange(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: float
    high: float
    def __init__(self, low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...

class DistanceRanges(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[DistanceRange]
    def __init__(self, ranges: _Optional[_Iterable[_Union[DistanceRange, _Mapping]]] = ...) -> None: ...

class SearchStatistics(_message.Message):
    __slots__ = ("keyword", "ranges")
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    keyword: KeywordStatistics
    ranges: DistanceRanges
    def __init__(self, keyword: _Optional[_Union[KeywordStatistics, _Mapping]] = ..., ranges: _Optional[_Union[DistanceRanges, _Mapping]] = ...) -> None: ...

class PartSearch(_message.Message):
    __slots__ = ("query", "owned", "statistics", "with_rows")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OWNED_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    WITH_ROWS_FIELD_NUMBER: _ClassVar[int]
    query: _queries_pb2.Search
    owned: TokenRanges
    statistics: SearchStatistics
    with_rows: bool
    def __init__(self, query: _Optional[_Union[_queries_pb2.Search, _Mapping]] = ..., owned: _Optional[_Union[TokenRanges, _Mapping]] = ..., statistics: _Optional[_Union[SearchStatistics, _Mapping]] = ..., with_rows: bool = ...) -> None: ...

class StatisticsRequest(_message.Message):
    __slots__ = ("head", "shard", "part")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    part: PartSearch
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., part: _Optional[_Union[PartSearch, _Mapping]] = ...) -> None: ...

class StatisticsReply(_message.Message):
    __slots__ = ("head", "statistics")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    statistics: SearchStatistics
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., statistics: _Optional[_Union[SearchStatistics, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("head", "shard", "part")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    part: PartSearch
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., part: _Optional[_Union[PartSearch, _Mapping]] = ...) -> None: ...

class SearchReply(_message.Message):
    __slots__ = ("head", "legs", "rows", "searches")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    legs: _containers.RepeatedCompositeFieldContainer[Leg]
    rows: Rows
    searches: _containers.RepeatedCompositeFieldContainer[SearchAccount]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., legs: _Optional[_Iterable[_Union[Leg, _Mapping]]] = ..., rows: _Optional[_Union[Rows, _Mapping]] = ..., searches: _Optional[_Iterable[_Union[SearchAccount, _Mapping]]] = ...) -> None: ...

class Leg(_message.Message):
    __slots__ = ("ids", "distances", "scores", "sort_keys", "explanations", "is_near")
    IDS_FIELD_NUMBER: _ClassVar[int]
    DISTANCES_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    SORT_KEYS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATIONS_FIELD_NUMBER: _ClassVar[int]
    IS_NEAR_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    distances: Numbers
    scores: Numbers
    sort_keys: SortKeys
    explanations: Texts
    is_near: Flags
    def __init__(self, ids: _Optional[_Iterable[bytes]] = ..., distances: _Optional[_Union[Numbers, _Mapping]] = ..., scores: _Optional[_Union[Numbers, _Mapping]] = ..., sort_keys: _Optional[_Union[SortKeys, _Mapping]] = ..., explanations: _Optional[_Union[Texts, _Mapping]] = ..., is_near: _Optional[_Union[Flags, _Mapping]] = ...) -> None: ...

class Numbers(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Texts(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Flags(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, values: _Optional[_Iterable[bool]] = ...) -> None: ...

class SortKeys(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_queries_pb2.Scalars]
    def __init__(self, values: _Optional[_Iterable[_Union[_queries_pb2.Scalars, _Mapping]]] = ...) -> None: ...

class SearchAccount(_message.Message):
    __slots__ = ("plan", "reason", "overrides", "ef", "gave_up", "visited", "distances", "candidates")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    EF_FIELD_NUMBER: _ClassVar[int]
    GAVE_UP_FIELD_NUMBER: _ClassVar[int]
    VISITED_FIELD_NUMBER: _ClassVar[int]
    DISTANCES_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    plan: str
    reason: str
    overrides: str
    ef: int
    gave_up: bool
    visited: int
    distances: int
    candidates: CandidateAccount
    def __init__(self, plan: _Optional[str] = ..., reason: _Optional[str] = ..., overrides: _Optional[str] = ..., ef: _Optional[int] = ..., gave_up: bool = ..., visited: _Optional[int] = ..., distances: _Optional[int] = ..., candidates: _Optional[_Union[CandidateAccount, _Mapping]] = ...) -> None: ...

class CandidateAccount(_message.Message):
    __slots__ = ("count", "expected_recall")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_RECALL_FIELD_NUMBER: _ClassVar[int]
    count: int
    expected_recall: float
    def __init__(self, count: _Optional[int] = ..., expected_recall: _Optional[float] = ...) -> None: ...

class Rows(_message.Message):
    __slots__ = ("stored", "vectors")
    STORED_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    stored: _containers.RepeatedScalarFieldContainer[bytes]
    vectors: _containers.RepeatedCompositeFieldContainer[VectorColumn]
    def __init__(self, stored: _Optional[_Iterable[bytes]] = ..., vectors: _Optional[_Iterable[_Union[VectorColumn, _Mapping]]] = ...) -> None: ...

class VectorColumn(_message.Message):
    __slots__ = ("name", "vectors")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    vectors: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, name: _Optional[str] = ..., vectors: _Optional[_Iterable[bytes]] = ...) -> None: ...

class RowsRequest(_message.Message):
    __slots__ = ("head", "shard", "ids", "vectors")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    vectors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., ids: _Optional[_Iterable[bytes]] = ..., vectors: _Optional[_Iterable[str]] = ...) -> None: ...

class RowsReply(_message.Message):
    __slots__ = ("head", "rows")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    rows: Rows
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., rows: _Optional[_Union[Rows, _Mapping]] = ...) -> None: ...

class AggregateRequest(_message.Message):
    __slots__ = ("head", "shard", "query", "owned", "ids")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OWNED_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    query: _queries_pb2.Aggregate
    owned: TokenRanges
    ids: Ids
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., query: _Optional[_Union[_queries_pb2.Aggregate, _Mapping]] = ..., owned: _Optional[_Union[TokenRanges, _Mapping]] = ..., ids: _Optional[_Union[Ids, _Mapping]] = ...) -> None: ...

class Ids(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, values: _Optional[_Iterable[bytes]] = ...) -> None: ...

class AggregateReply(_message.Message):
    __slots__ = ("head", "count", "tally")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TALLY_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    count: int
    tally: bytes
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., count: _Optional[int] = ..., tally: _Optional[bytes] = ...) -> None: ...

class IdsRequest(_message.Message):
    __slots__ = ("head", "shard", "filter", "limit", "after", "owned")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    OWNED_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.RequestHead
    shard: _envelope_pb2.ShardBasis
    filter: _queries_pb2.Filter
    limit: int
    after: bytes
    owned: TokenRanges
    def __init__(self, head: _Optional[_Union[_envelope_pb2.RequestHead, _Mapping]] = ..., shard: _Optional[_Union[_envelope_pb2.ShardBasis, _Mapping]] = ..., filter: _Optional[_Union[_queries_pb2.Filter, _Mapping]] = ..., limit: _Optional[int] = ..., after: _Optional[bytes] = ..., owned: _Optional[_Union[TokenRanges, _Mapping]] = ...) -> None: ...

class IdsReply(_message.Message):
    __slots__ = ("head", "ids", "is_last")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    IS_LAST_FIELD_NUMBER: _ClassVar[int]
    head: _envelope_pb2.ReplyHead
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    is_last: bool
    def __init__(self, head: _Optional[_Union[_envelope_pb2.ReplyHead, _Mapping]] = ..., ids: _Optional[_Iterable[bytes]] = ..., is_last: bool = ...) -> None: ...
