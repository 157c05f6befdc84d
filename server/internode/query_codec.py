"""Queries (core/query.py), to and from protobuf: what a shard needs of them for its part.

What is done after the merge does not travel: offset, autocut, groups, diversity. A value of a
closed set that is not known is Unsupported: a query of a newer release, that another node may
answer. The other rules are codec.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from weftdb.core.aggregation import Aggregate, PropertyStatistics
from weftdb.core.errors import CorruptData, InvalidRequest, LimitExceeded, Unsupported
from weftdb.core.limits import FILTER_DEPTH_MAX
from weftdb.core.query import (
    And,
    Aspect,
    Combination,
    Comparison,
    Filter,
    FilterValue,
    Fusion,
    GeoRange,
    Hybrid,
    Keyword,
    Near,
    NearVector,
    Not,
    Operator,
    Or,
    Reach,
    RecallTarget,
    Search,
    Sort,
    Target,
    TermOperator,
    Threshold,
    ValueKind,
)
from weftdb.core.types import ObjectId, PropertyValue, VectorName
from weftdb.proto.internode import queries_pb2 as wire
from weftdb.storage.vector_codec import decode_vector, encode_vector

ValueT = TypeVar("ValueT")
_WHOLE_MAX = 2**63
_DIGITS_MAX = 1_000
_ID_BYTES = 16

_OPERATORS: dict[Operator, Any] = {
    each: wire.Comparison.Operator.Value(each.name) for each in Operator
}
_KINDS: dict[ValueKind, Any] = {each: wire.Comparison.Kind.Value(each.name) for each in ValueKind}
_ASPECTS: dict[Aspect, Any] = {each: wire.Comparison.Aspect.Value(each.name) for each in Aspect}
_COMBINATIONS: dict[Combination, Any] = {
    each: wire.Combination.Value(f"COMBINATION_{each.name}") for each in Combination
}
_TERMS: dict[TermOperator, Any] = {
    each: wire.TermOperator.Value(f"TERM_OPERATOR_{each.name}") for each in TermOperator
}
_FUSIONS: dict[Fusion, Any] = {each: wire.Fusion.Value(f"FUSION_{each.name}") for each in Fusion}


def _turned(numbers: Mapping[ValueT, Any]) -> Mapping[int, ValueT]:
    return {number: value for value, number in numbers.items()}


_OPERATOR_OF = _turned(_OPERATORS)
_KIND_OF = _turned(_KINDS)
_ASPECT_OF = _turned(_ASPECTS)
_COMBINATION_OF = _turned(_COMBINATIONS)
_TERM_OF = _turned(_TERMS)
_FUSION_OF = _turned(_FUSIONS)


# --- searches ----------------------------------------------------------------------------------


def search_message(query: Search) -> wire.Search:
    """Write a search. Requires: its vectors are there, and nothing is left for after the merge."""
    message = wire.Search(
        collection=query.collection,
        tenant=query.tenant,
        limit=query.limit,
        after=query.after or b"",
        sort=(wire.Sort(path=one.path, ascending=one.ascending) for one in query.sort),
        vectors=query.vectors,
        explain=query.explain,
    )
    if query.near is not None:
        message.near.CopyFrom(_near_message(query.near))
    if query.keyword is not None:
        message.keyword.CopyFrom(_keyword_message(query.keyword))
    if query.hybrid is not None:
        message.hybrid.CopyFrom(_hybrid_message(query.hybrid))
    if query.filter is not None:
        message.filter.CopyFrom(filter_message(query.filter))
    if isinstance(query.ef, RecallTarget):
        message.recall = query.ef.recall
    elif query.ef is not None:
        message.ef = query.ef
    return message


def search_of(message: wire.Search) -> Search:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    return Search(
        collection=message.collection,
        tenant=message.tenant,
        near=_near(message.near) if message.HasField("near") else None,
        keyword=_keyword(message.keyword) if message.HasField("keyword") else None,
        hybrid=_hybrid(message.hybrid) if message.HasField("hybrid") else None,
        filter=filter_of(message.filter) if message.HasField("filter") else None,
        limit=message.limit if message.HasField("limit") else None,
        after=id_of(message.after) if message.after else None,
        sort=tuple(Sort(tuple(one.path), one.ascending) for one in message.sort),
        vectors=tuple(map(VectorName, message.vectors)),
        explain=message.explain,
        ef=_reach(message),
    )


def aggregate_message(query: Aggregate) -> wire.Aggregate:
    """Write an aggregation. Requires: no search, no limit."""
    message = wire.Aggregate(
        collection=query.collection,
        tenant=query.tenant,
        properties=(
            wire.AggregatedProperty(name=one.name, top=one.top) for one in query.properties
        ),
        group_by=query.group_by,
    )
    if query.filter is not None:
        message.filter.CopyFrom(filter_message(query.filter))
    return message


def aggregate_of(message: wire.Aggregate) -> Aggregate:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    return Aggregate(
        collection=message.collection,
        tenant=message.tenant,
        filter=filter_of(message.filter) if message.HasField("filter") else None,
        properties=tuple(PropertyStatistics(one.name, one.top) for one in message.properties),
        group_by=message.group_by if message.HasField("group_by") else None,
    )


def id_of(found: bytes) -> ObjectId:
    """Read an id. Raises CorruptData."""
    if len(found) != _ID_BYTES:
        raise CorruptData(f"an id has {len(found)} bytes")
    return ObjectId(found)


def _near_message(near: Near) -> wire.NearVector:
    assert isinstance(near, NearVector), "a part of a search has its vectors"
    return wire.NearVector(
        targets=map(_target_message, near.targets),
        combination=_COMBINATIONS[near.combination],
        distance=near.threshold.distance,
        certainty=near.threshold.certainty,
    )


def _near(message: wire.NearVector) -> NearVector:
    return NearVector(
        targets=tuple(map(_target, message.targets)),
        combination=_known(_COMBINATION_OF, message.combination, "combination of vectors"),
        threshold=Threshold(
            message.distance if message.HasField("distance") else None,
            message.certainty if message.HasField("certainty") else None,
        ),
    )


def _target_message(target: Target) -> wire.Target:
    vector = b"" if target.vector is None else encode_vector(target.vector)
    return wire.Target(name=target.name, vector=vector, weight=target.weight)


def _target(message: wire.Target) -> Target:
    vector = decode_vector(message.vector) if message.vector else None
    return Target(VectorName(message.name), vector, message.weight)


def _keyword_message(keyword: Keyword) -> wire.Keyword:
    return wire.Keyword(
        query=keyword.query,
        properties=_boosts_message(keyword.properties),
        operator=_TERMS[keyword.operator],
        minimum_match=keyword.minimum_match,
    )


def _keyword(message: wire.Keyword) -> Keyword:
    return Keyword(
        query=message.query,
        properties=_boosts(message.properties),
        operator=_known(_TERM_OF, message.operator, "operator of terms"),
        minimum_match=message.minimum_match,
    )


def _hybrid_message(hybrid: Hybrid) -> wire.Hybrid:
    message = wire.Hybrid(
        query=hybrid.query,
        properties=_boosts_message(hybrid.properties),
        alpha=hybrid.alpha,
        fusion=_FUSIONS[hybrid.fusion],
        operator=_TERMS[hybrid.operator],
        minimum_match=hybrid.minimum_match,
        vector_distance_max=hybrid.vector_distance_max,
        targets=map(_target_message, hybrid.targets),
        combination=_COMBINATIONS[hybrid.combination],
    )
    if hybrid.near is not None:
        message.near.CopyFrom(_near_message(hybrid.near))
    return message


def _hybrid(message: wire.Hybrid) -> Hybrid:
    has_distance = message.HasField("vector_distance_max")
    return Hybrid(
        query=message.query,
        near=_near(message.near) if message.HasField("near") else None,
        properties=_boosts(message.properties),
        alpha=message.alpha,
        fusion=_known(_FUSION_OF, message.fusion, "fusion"),
        operator=_known(_TERM_OF, message.operator, "operator of terms"),
        minimum_match=message.minimum_match,
        vector_distance_max=message.vector_distance_max if has_distance else None,
        targets=tuple(map(_target, message.targets)),
        combination=_known(_COMBINATION_OF, message.combination, "combination of vectors"),
    )


def _boosts_message(found: Iterable[tuple[str, float]]) -> list[wire.BoostedProperty]:
    return [wire.BoostedProperty(name=name, boost=boost) for name, boost in found]


def _boosts(found: Iterable[wire.BoostedProperty]) -> tuple[tuple[str, float], ...]:
    return tuple((one.name, one.boost) for one in found)


def _reach(message: wire.Search) -> Reach:
    match message.WhichOneof("reach"):
        case "ef":
            return message.ef
        case "recall":
            return RecallTarget(message.recall)
    return None


# --- filters -----------------------------------------------------------------------------------


def filter_message(condition: Filter) -> wire.Filter:
    """Write a filter. Requires: it is nested as deep as doors allow at most."""
    match condition:
        case Comparison():
            return wire.Filter(comparison=_comparison_message(condition))
        case And(operands=operands):
            return wire.Filter(join=wire.Filter.JOIN_AND, operands=map(filter_message, operands))
        case Or(operands=operands):
            return wire.Filter(join=wire.Filter.JOIN_OR, operands=map(filter_message, operands))
        case Not(operand=operand):
            return wire.Filter(join=wire.Filter.JOIN_NOT, operands=[filter_message(operand)])


def filter_of(message: wire.Filter, depth: int = 1) -> Filter:
    """Read it back. Raises CorruptData, Unsupported, LimitExceeded."""
    if depth > FILTER_DEPTH_MAX:
        raise LimitExceeded(f"filter is nested deeper than {FILTER_DEPTH_MAX} levels")
    if message.HasField("comparison"):
        return _comparison(message.comparison)
    operands = tuple(filter_of(one, depth + 1) for one in message.operands)
    if not operands:
        raise CorruptData("a filter has neither a comparison nor operands")
    match message.join:
        case wire.Filter.JOIN_AND:
            return And(operands)
        case wire.Filter.JOIN_OR:
            return Or(operands)
        case wire.Filter.JOIN_NOT:
            return Not(operands[0])
    raise Unsupported(f"this release does not know how a filter is joined: {message.join}")


def _comparison_message(comparison: Comparison) -> wire.Comparison:
    message = wire.Comparison(
        operator=_OPERATORS[comparison.operator],
        path=comparison.path,
        kind=_KINDS[comparison.kind],
        aspect=_ASPECTS[comparison.aspect],
    )
    value = comparison.value
    if isinstance(value, GeoRange):
        message.geo.latitude = value.latitude
        message.geo.longitude = value.longitude
        message.geo.distance_m = value.distance_m
    elif isinstance(value, tuple):
        message.list.CopyFrom(scalars_message(value))
    else:
        message.scalar.CopyFrom(scalar_message(value))
    return message


def _comparison(message: wire.Comparison) -> Comparison:
    return Comparison(
        operator=_known(_OPERATOR_OF, message.operator, "operator of a filter"),
        path=tuple(message.path),
        value=_filter_value(message),
        kind=_known(_KIND_OF, message.kind, "type of a filter's value"),
        aspect=_known(_ASPECT_OF, message.aspect, "aspect of a property"),
    )


def _filter_value(message: wire.Comparison) -> FilterValue:
    match message.WhichOneof("value"):
        case "geo":
            geo = message.geo
            return GeoRange(geo.latitude, geo.longitude, geo.distance_m)
        case "list":
            return tuple(scalars_of(message.list))
        case "scalar":
            value: FilterValue | None = scalar_of(message.scalar)
            if value is not None:
                return value
    raise CorruptData("a comparison has no value")


# --- values ------------------------------------------------------------------------------------


def scalars_message(values: Iterable[PropertyValue]) -> wire.Scalars:
    """Write values of properties."""
    return wire.Scalars(values=map(scalar_message, values))


def scalars_of(message: wire.Scalars) -> Sequence[Any]:
    """Read them back. Raises CorruptData."""
    return [scalar_of(one) for one in message.values]


def scalar_message(value: PropertyValue) -> wire.Scalar:
    """Write a value of a property, None for no value. Raises InvalidRequest for what has no order,
    such as an object."""
    match value:
        case None:
            return wire.Scalar()
        case bool():
            return wire.Scalar(flag=value)
        case int():
            if -_WHOLE_MAX <= value < _WHOLE_MAX:
                return wire.Scalar(whole=value)
            return wire.Scalar(digits=str(value))
        case float():
            return wire.Scalar(number=value)
        case str():
            return wire.Scalar(text=value)
        case bytes():
            return wire.Scalar(raw=value)
        case list() | tuple():
            return wire.Scalar(list=scalars_message(value))
    raise InvalidRequest(f"a {type(value).__name__} is no value to compare or sort by")


def scalar_of(message: wire.Scalar) -> Any:
    """Read it back. Raises CorruptData."""
    match message.WhichOneof("value"):
        case "digits":
            return _digits(message.digits)
        case "list":
            return list(scalars_of(message.list))
        case None:
            return None
        case name:
            return getattr(message, name)


def _digits(text: str) -> int:
    if len(text) > _DIGITS_MAX or not text.removeprefix("-").isdecimal():
        raise CorruptData(f"{text[:40]!r} is no whole number")
    return int(text)


def _known(values: Mapping[int, ValueT], number: int, what: str) -> ValueT:
    value = values.get(number)
    if value is None:
        raise Unsupported(f"this release does not know that {what}: {number}")
    return value
