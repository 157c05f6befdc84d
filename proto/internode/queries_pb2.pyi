from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Combination(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMBINATION_UNSPECIFIED: _ClassVar[Combination]
    COMBINATION_SUM: _ClassVar[Combination]
    COMBINATION_MINIMUM: _ClassVar[Combination]
    COMBINATION_AVERAGE: _ClassVar[Combination]
    COMBINATION_RELATIVE_SCORE: _ClassVar[Combination]
    COMBINATION_MANUAL: _ClassVar[Combination]

class TermOperator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TERM_OPERATOR_UNSPECIFIED: _ClassVar[TermOperator]
    TERM_OPERATOR_OR: _ClassVar[TermOperator]
    TERM_OPERATOR_AND: _ClassVar[TermOperator]
    TERM_OPERATOR_AND_CROSS: _ClassVar[TermOperator]

class Fusion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUSION_UNSPECIFIED: _ClassVar[Fusion]
    FUSION_RANKED: _ClassVar[Fusion]
    FUSION_RELATIVE_SCORE: _ClassVar[Fusion]
COMBINATION_UNSPECIFIED: Combination
COMBINATION_SUM: Combination
COMBINATION_MINIMUM: Combination
COMBINATION_AVERAGE: Combination
COMBINATION_RELATIVE_SCORE: Combination
COMBINATION_MANUAL: Combination
TERM_OPERATOR_UNSPECIFIED: TermOperator
TERM_OPERATOR_OR: TermOperator
TERM_OPERATOR_AND: TermOperator
TERM_OPERATOR_AND_CROSS: TermOperator
FUSION_UNSPECIFIED: Fusion
FUSION_RANKED: Fusion
FUSION_RELATIVE_SCORE: Fusion

class Scalar(_message.Message):
    __slots__ = ("text", "whole", "number", "flag", "raw", "digits", "list")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    DIGITS_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    text: str
    whole: int
    number: float
    flag: bool
    raw: bytes
    digits: str
    list: Scalars
    def __init__(self, text: _Optional[str] = ..., whole: _Optional[int] = ..., number: _Optional[float] = ..., flag: bool = ..., raw: _Optional[bytes] = ..., digits: _Optional[str] = ..., list: _Optional[_Union[Scalars, _Mapping]] = ...) -> None: ...

class Scalars(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Scalar]
    def __init__(self, values: _Optional[_Iterable[_Union[Scalar, _Mapping]]] = ...) -> None: ...

class GeoRange(_message.Message):
    __slots__ = ("latitude", "longitude", "distance_m")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_M_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    distance_m: float
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., distance_m: _Optional[float] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("comparison", "join", "operands")
    class Join(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        JOIN_UNSPECIFIED: _ClassVar[Filter.Join]
        JOIN_AND: _ClassVar[Filter.Join]
        JOIN_OR: _ClassVar[Filter.Join]
        JOIN_NOT: _ClassVar[Filter.Join]
    JOIN_UNSPECIFIED: Filter.Join
    JOIN_AND: Filter.Join
    JOIN_OR: Filter.Join
    JOIN_NOT: Filter.Join
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    OPERANDS_FIELD_NUMBER: _ClassVar[int]
    comparison: Comparison
    join: Filter.Join
    operands: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, comparison: _Optional[_Union[Comparison, _Mapping]] = ..., join: _Optional[_Union[Filter.Join, str]] = ..., operands: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("operator", "path", "kind", "aspect", "scalar", "list", "geo")
    class Operator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OPERATOR_UNSPECIFIED: _ClassVar[Comparison.Operator]
        EQUAL: _ClassVar[Comparison.Operator]
        NOT_EQUAL: _ClassVar[Comparison.Operator]
        GREATER_THAN: _ClassVar[Comparison.Operator]
        GREATER_THAN_EQUAL: _ClassVar[Comparison.Operator]
        LESS_THAN: _ClassVar[Comparison.Operator]
        LESS_THAN_EQUAL: _ClassVar[Comparison.Operator]
        LIKE: _ClassVar[Comparison.Operator]
        IS_NULL: _ClassVar[Comparison.Operator]
        CONTAINS_ANY: _ClassVar[Comparison.Operator]
        CONTAINS_ALL: _ClassVar[Comparison.Operator]
        CONTAINS_NONE: _ClassVar[Comparison.Operator]
        WITHIN_GEO_RANGE: _ClassVar[Comparison.Operator]
    OPERATOR_UNSPECIFIED: Comparison.Operator
    EQUAL: Comparison.Operator
    NOT_EQUAL: Comparison.Operator
    GREATER_THAN: Comparison.Operator
    GREATER_THAN_EQUAL: Comparison.Operator
    LESS_THAN: Comparison.Operator
    LESS_THAN_EQUAL: Comparison.Operator
    LIKE: Comparison.Operator
    IS_NULL: Comparison.Operator
    CONTAINS_ANY: Comparison.Operator
    CONTAINS_ALL: Comparison.Operator
    CONTAINS_NONE: Comparison.Operator
    WITHIN_GEO_RANGE: Comparison.Operator
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Comparison.Kind]
        TEXT: _ClassVar[Comparison.Kind]
        INT: _ClassVar[Comparison.Kind]
        NUMBER: _ClassVar[Comparison.Kind]
        BOOLEAN: _ClassVar[Comparison.Kind]
        DATE: _ClassVar[Comparison.Kind]
        GEO: _ClassVar[Comparison.Kind]
    KIND_UNSPECIFIED: Comparison.Kind
    TEXT: Comparison.Kind
    INT: Comparison.Kind
    NUMBER: Comparison.Kind
    BOOLEAN: Comparison.Kind
    DATE: Comparison.Kind
    GEO: Comparison.Kind
    class Aspect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ASPECT_UNSPECIFIED: _ClassVar[Comparison.Aspect]
        VALUE: _ClassVar[Comparison.Aspect]
        LENGTH: _ClassVar[Comparison.Aspect]
        COUNT: _ClassVar[Comparison.Aspect]
    ASPECT_UNSPECIFIED: Comparison.Aspect
    VALUE: Comparison.Aspect
    LENGTH: Comparison.Aspect
    COUNT: Comparison.Aspect
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    SCALAR_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    GEO_FIELD_NUMBER: _ClassVar[int]
    operator: Comparison.Operator
    path: _containers.RepeatedScalarFieldContainer[str]
    kind: Comparison.Kind
    aspect: Comparison.Aspect
    scalar: Scalar
    list: Scalars
    geo: GeoRange
    def __init__(self, operator: _Optional[_Union[Comparison.Operator, str]] = ..., path: _Optional[_Iterable[str]] = ..., kind: _Optional[_Union[Comparison.Kind, str]] = ..., aspect: _Optional[_Union[Comparison.Aspect, str]] = ..., scalar: _Optional[_Union[Scalar, _Mapping]] = ..., list: _Optional[_Union[Scalars, _Mapping]] = ..., geo: _Optional[_Union[GeoRange, _Mapping]] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("name", "vector", "weight")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    vector: bytes
    weight: float
    def __init__(self, name: _Optional[str] = ..., vector: _Optional[bytes] = ..., weight: _Optional[float] = ...) -> None: ...

class NearVector(_message.Message):
    __slots__ = ("targets", "combination", "distance", "certainty")
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    COMBINATION_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    combination: Combination
    distance: float
    certainty: float
    def __init__(self, targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., combination: _Optional[_Union[Combination, str]] = ..., distance: _Optional[float] = ..., certainty: _Optional[float] = ...) -> None: ...

class BoostedProperty(_message.Message):
    __slots__ = ("name", "boost")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BOOST_FIELD_NUMBER: _ClassVar[int]
    name: str
    boost: float
    def __init__(self, name: _Optional[str] = ..., boost: _Optional[float] = ...) -> None: ...

class Keyword(_message.Message):
    __slots__ = ("query", "properties", "operator", "minimum_match")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_MATCH_FIELD_NUMBER: _ClassVar[int]
    query: str
    properties: _containers.RepeatedCompositeFieldContainer[BoostedProperty]
    operator: TermOperator
    minimum_match: int
    def __init__(self, query: _Optional[str] = ..., properties: _Optional[_Iterable[_Union[BoostedProperty, _Mapping]]] = ..., operator: _Optional[_Union[TermOperator, str]] = ..., minimum_match: _Optional[int] = ...) -> None: ...

class Hybrid(_message.Message):
    __slots__ = ("query", "near", "properties", "alpha", "fusion", "operator", "minimum_match", "vector_distance_max", "targets", "combination")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_MATCH_FIELD_NUMBER: _ClassVar[int]
    VECTOR_DISTANCE_MAX_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    COMBINATION_FIELD_NUMBER: _ClassVar[int]
    query: str
    near: NearVector
    properties: _containers.RepeatedCompositeFieldContainer[BoostedProperty]
    alpha: float
    fusion: Fusion
    operator: TermOperator
    minimum_match: int
    vector_distance_max: float
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    combination: Combination
    def __init__(self, query: _Optional[str] = ..., near: _Optional[_Union[NearVector, _Mapping]] = ..., properties: _Optional[_Iterable[_Union[BoostedProperty, _Mapping]]] = ..., alpha: _Optional[float] = ..., fusion: _Optional[_Union[Fusion, str]] = ..., operator: _Optional[_Union[TermOperator, str]] = ..., minimum_match: _Optional[int] = ..., vector_distance_max: _Optional[float] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., combination: _Optional[_Union[Combination, str]] = ...) -> None: ...

class Sort(_message.Message):
    __slots__ = ("path", "ascending")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ASCENDING_FIELD_NUMBER: _ClassVar[int]
    path: _containers.RepeatedScalarFieldContainer[str]
    ascending: bool
    def __init__(self, path: _Optional[_Iterable[str]] = ..., ascending: bool = ...) -> None: ...

class Search(_message.Message):
    __slots__ = ("collection", "tenant", "near", "keyword", "hybrid", "filter", "limit", "after", "sort", "vectors", "explain", "ef", "recall")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    HYBRID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    EF_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    collection: str
    tenant: str
    near: NearVector
    keyword: Keyword
    hybrid: Hybrid
    filter: Filter
    limit: int
    after: bytes
    sort: _containers.RepeatedCompositeFieldContainer[Sort]
    vectors: _containers.RepeatedScalarFieldContainer[str]
    explain: bool
    ef: int
    recall: float
    def __init__(self, collection: _Optional[str] = ..., tenant: _Optional[str] = ..., near: _Optional[_Union[NearVector, _Mapping]] = ..., keyword: _Optional[_Union[Keyword, _Mapping]] = ..., hybrid: _Optional[_Union[Hybrid, _Mapping]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., limit: _Optional[int] = ..., after: _Optional[bytes] = ..., sort: _Optional[_Iterable[_Union[Sort, _Mapping]]] = ..., vectors: _Optional[_Iterable[str]] = ..., explain: bool = ..., ef: _Optional[int] = ..., recall: _Optional[float] = ...) -> None: ...

class Aggregate(_message.Message):
    __slots__ = ("collection", "tenant", "filter", "properties", "group_by")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    collection: str
    tenant: str
    filter: Filter
    properties: _containers.RepeatedCompositeFieldContainer[AggregatedProperty]
    group_by: str
    def __init__(self, collection: _Optional[str] = ..., tenant: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., properties: _Optional[_Iterable[_Union[AggregatedProperty, _Mapping]]] = ..., group_by: _Optional[str] = ...) -> None: ...

class AggregatedProperty(_message.Message):
    __slots__ = ("name", "top")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    name: str
    top: int
    def __init__(self, name: _Optional[str] = ..., top: _Optional[int] = ...) -> None: ...
