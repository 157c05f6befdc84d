"""Keyword and hybrid searches off the wire: properties with boosts, operators, the two legs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.query import (
    Fusion,
    Hybrid,
    Keyword,
    Near,
    NearVector,
    Target,
    TermOperator,
    Threshold,
)
from weftdb.core.schema import Collection, canonical_property_name
from weftdb.core.types import UNNAMED
from weftdb.proto.v1 import near_pb2
from weftdb.server.grpc.near import (
    parse_mmr,
    parse_near_text,
    parse_near_vector,
    parse_targets,
)
from weftdb.server.grpc.vectors import decode_any, decode_vectors

ALPHA_DEFAULT = 0.75

_Options = near_pb2.SearchOperatorOptions
_OPERATORS = {
    _Options.OPERATOR_UNSPECIFIED: TermOperator.OR,
    _Options.OPERATOR_OR: TermOperator.OR,
    _Options.OPERATOR_AND: TermOperator.AND,
    _Options.OPERATOR_AND_CROSS: TermOperator.AND_CROSS,
}
_FUSIONS = {
    near_pb2.Hybrid.FUSION_TYPE_UNSPECIFIED: Fusion.RELATIVE_SCORE,
    near_pb2.Hybrid.FUSION_TYPE_RANKED: Fusion.RANKED,
    near_pb2.Hybrid.FUSION_TYPE_RELATIVE_SCORE: Fusion.RELATIVE_SCORE,
}


def parse_keyword(wire: near_pb2.BM25) -> Keyword:
    """Read `bm25_search`. Raises InvalidRequest."""
    if not wire.query:
        raise InvalidRequest("keyword search (bm25) must have query set")
    operator, minimum = TermOperator.OR, 1
    if wire.HasField("search_operator"):
        operator, minimum = _operator(wire.search_operator)
    return Keyword(wire.query, parse_boosts(wire.properties), operator, minimum)


def parse_boosts(names: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Read `title^2` and the like. Raises InvalidRequest for a boost that is no number."""
    out = []
    for text in names:
        name, caret, boost_text = text.partition("^")
        boost = 1.0
        if caret:
            try:
                boost = float(boost_text)
            except ValueError:
                raise InvalidRequest(
                    f"property '{text}': the boost after ^ must be a number, got '{boost_text}'"
                ) from None
            if not 0.0 <= boost < float("inf"):
                raise InvalidRequest(
                    f"property '{text}': the boost after ^ must be finite and not negative"
                )
        out.append((canonical_property_name(name), boost))
    return tuple(out)


def parse_hybrid(wire: near_pb2.Hybrid, collection: Collection) -> Hybrid:
    """Read `hybrid_search`. Raises InvalidRequest, Unsupported."""
    fusion = _FUSIONS.get(wire.fusion_type)
    if fusion is None:
        raise Unsupported(f"hybrid: fusion {wire.fusion_type} is not known to this build")
    operator, minimum = TermOperator.OR, 1
    if wire.HasField("bm25_search_operator"):
        operator, minimum = _operator(wire.bm25_search_operator)
    combination, targets = parse_targets(wire)
    near = _near(wire, targets, collection)
    if isinstance(near, NearVector) and not wire.HasField("near_vector"):
        near = replace(near, combination=combination)
    return Hybrid(
        query=wire.query,
        near=near,
        properties=parse_boosts(wire.properties),
        alpha=_alpha(wire),
        fusion=fusion,
        operator=operator,
        minimum_match=minimum,
        vector_distance_max=wire.vector_distance if wire.HasField("vector_distance") else None,
        targets=targets,
        combination=combination,
        mmr=parse_mmr(wire),
    )


def _alpha(wire: near_pb2.Hybrid) -> float:
    """The newer pair of fields tells 0 from not given; the older field alone does not."""
    if wire.use_alpha_param:
        alpha = wire.alpha_param if wire.HasField("alpha_param") else ALPHA_DEFAULT
    else:
        alpha = wire.alpha
    if not 0.0 <= alpha <= 1.0:
        raise InvalidRequest(f"hybrid: alpha must be between 0 and 1, got {alpha:g}")
    return alpha


def _operator(wire: near_pb2.SearchOperatorOptions) -> tuple[TermOperator, int]:
    operator = _OPERATORS.get(wire.operator)
    if operator is None:
        raise Unsupported(f"search operator {wire.operator} is not known to this build")
    minimum = wire.minimum_or_tokens_match if wire.HasField("minimum_or_tokens_match") else 1
    # Less than one word cannot be asked for; clients send 0 and -1 for "no minimum".
    return operator, max(1, minimum)


def _near(
    wire: near_pb2.Hybrid, targets: tuple[Target, ...], collection: Collection
) -> Near | None:
    """The vector leg as it was given: a search of its own, or a vector for the targets."""
    if wire.HasField("near_vector"):
        near_vector = parse_near_vector(wire.near_vector, collection)
        if targets and all(target.name == UNNAMED for target in near_vector.targets):
            vector = near_vector.targets[0].vector
            named = tuple(replace(target, vector=vector) for target in targets)
            near_vector = replace(near_vector, targets=named)
        return near_vector
    if wire.HasField("near_text"):
        near_text = parse_near_text(wire.near_text)
        return near_text if near_text.targets else replace(near_text, targets=targets)
    vectors = [decode_vectors(entry) for entry in wire.vectors]
    if not vectors:
        older = decode_any(wire.vector_bytes, wire.vector)
        if older is None:
            return None
        vectors = [older]
    if len(vectors) > 1:
        raise InvalidRequest("hybrid: one vector is expected; give several through near_vector")
    wanted = targets or (Target(UNNAMED),)
    return NearVector(
        tuple(replace(target, vector=vectors[0]) for target in wanted), threshold=Threshold()
    )
