"""Reads as wire messages, and replies as objects."""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime
from typing import Any

from . import requests
from ._proto import near_pb2, search_pb2, vectors_pb2
from .errors import RequestRefused
from .options import HybridFusion, KeywordOperator
from .remote_filters import wire_filter
from .remote_objects import read_properties, wire_vector
from .requests import SearchRequest
from .results import MetadataReturn, Object

DEFAULT_VECTOR = "default"


def wire_search(request: SearchRequest) -> search_pb2.SearchRequest:
    """Translate a read. Raises RequestRefused for what the wire cannot carry."""
    message = search_pb2.SearchRequest(
        collection=request.collection,
        properties=_properties(request),
        metadata=_metadata(request),
        limit=_count(request.limit, 1, "limit") if request.limit is not None else 0,
        offset=_count(request.offset, 0, "offset"),
        autocut=_count(request.auto_limit, 0, "auto_limit"),
        after=request.after or "",
        sort_by=[
            search_pb2.SortBy(ascending=key.ascending, path=[key.name]) for key in request.sort
        ],
        uses_123_api=True,
        uses_125_api=True,
        uses_127_api=True,
    )
    if request.filters is not None:
        message.filters.CopyFrom(wire_filter(request.filters))
    _set_search(message, request)
    return message


def _set_search(message: search_pb2.SearchRequest, request: SearchRequest) -> None:
    search = request.search
    if isinstance(search, requests.NearVector):
        message.near_vector.CopyFrom(_near_vector(search))
    elif isinstance(search, requests.NearObject):
        message.near_object.CopyFrom(
            near_pb2.NearObject(
                id=search.object_id,
                targets=_targets(search.target),
                **_threshold(search.threshold),
            )
        )
    elif isinstance(search, requests.NearText):
        message.near_text.CopyFrom(_near_text(search))
    elif isinstance(search, requests.Keyword):
        message.bm25_search.CopyFrom(
            near_pb2.BM25(
                query=search.query,
                properties=search.properties,
                search_operator=_operator(search.operator),
            )
        )
    elif isinstance(search, requests.Hybrid):
        message.hybrid_search.CopyFrom(_hybrid(search))


def _count(value: Any, least: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**32:
        raise RequestRefused(f"{name} must be a whole number of at least {least}, got {value!r}")
    return value


def _properties(request: SearchRequest) -> search_pb2.PropertiesRequest:
    if request.properties is None:
        return search_pb2.PropertiesRequest(return_all_nonref_properties=True)
    return search_pb2.PropertiesRequest(non_ref_properties=request.properties)


def _metadata(request: SearchRequest) -> search_pb2.MetadataRequest:
    wanted, vectors = request.metadata, request.vectors
    return search_pb2.MetadataRequest(
        uuid=True,
        vector=vectors is True or (vectors is not False and DEFAULT_VECTOR in vectors),
        vectors=() if isinstance(vectors, bool) else vectors,
        creation_time_unix=wanted.creation_time,
        last_update_time_unix=wanted.last_update_time,
        distance=wanted.distance,
        certainty=wanted.certainty,
        score=wanted.score,
        explain_score=wanted.explain_score,
    )


def _threshold(threshold: requests.Threshold) -> dict[str, Any]:
    given = {"distance": threshold.distance, "certainty": threshold.certainty}
    return {name: value for name, value in given.items() if value is not None}


def _targets(name: str) -> vectors_pb2.Targets | None:
    return vectors_pb2.Targets(target_vectors=[name]) if name else None


def _near_vector(search: requests.NearVector) -> near_pb2.NearVector:
    threshold = _threshold(search.threshold)
    if not search.target:
        vectors = [wire_vector("", search.vector)]
        return near_pb2.NearVector(vectors=vectors, **threshold)
    vector = vectors_pb2.VectorForTarget(
        name=search.target, vectors=[wire_vector(search.target, search.vector)]
    )
    return near_pb2.NearVector(
        vector_for_targets=[vector], targets=_targets(search.target), **threshold
    )


def _near_text(search: requests.NearText) -> near_pb2.NearTextSearch:
    return near_pb2.NearTextSearch(
        query=search.concepts,
        targets=_targets(search.target),
        move_to=_move(search.move_to),
        move_away=_move(search.move_away),
        **_threshold(search.threshold),
    )


def _move(move: requests.MoveRequest | None) -> near_pb2.NearTextSearch.Move | None:
    if move is None:
        return None
    return near_pb2.NearTextSearch.Move(
        force=move.force, concepts=move.concepts, uuids=move.objects
    )


def _operator(operator: KeywordOperator | None) -> near_pb2.SearchOperatorOptions | None:
    if operator is None:
        return None
    if operator.name == "And":
        kind = near_pb2.SearchOperatorOptions.OPERATOR_AND
        return near_pb2.SearchOperatorOptions(operator=kind)
    return near_pb2.SearchOperatorOptions(
        operator=near_pb2.SearchOperatorOptions.OPERATOR_OR,
        minimum_or_tokens_match=operator.minimum_match,
    )


def _hybrid(search: requests.Hybrid) -> near_pb2.Hybrid:
    fusion = near_pb2.Hybrid.FUSION_TYPE_RELATIVE_SCORE
    if search.fusion is HybridFusion.RANKED:
        fusion = near_pb2.Hybrid.FUSION_TYPE_RANKED
    message = near_pb2.Hybrid(
        query=search.query,
        properties=search.properties,
        fusion_type=fusion,
        use_alpha_param=True,
        alpha_param=search.alpha,
        targets=_targets(search.target),
        bm25_search_operator=_operator(search.operator),
    )
    if search.vector is not None:
        message.vectors.append(wire_vector(search.target, search.vector))
    if search.vector_distance_max is not None:
        message.vector_distance = search.vector_distance_max
    return message


def objects_of_reply(reply: search_pb2.SearchReply, request: SearchRequest) -> list[Object]:
    """Read a reply."""
    return [_object(result, request) for result in reply.results]


def _object(result: search_pb2.SearchResult, request: SearchRequest) -> Object:
    found, wanted = result.metadata, request.metadata
    values = read_properties(result.properties.non_ref_props)
    if request.properties is not None:
        values = {
            name: values.get(name)
            for name in (given[:1].lower() + given[1:] for given in request.properties)
        }
    metadata = MetadataReturn(
        creation_time=_time(found.creation_time_unix)
        if wanted.creation_time and found.creation_time_unix_present
        else None,
        last_update_time=_time(found.last_update_time_unix)
        if wanted.last_update_time and found.last_update_time_unix_present
        else None,
        distance=found.distance if found.distance_present else None,
        certainty=found.certainty if found.certainty_present else None,
        score=found.score if found.score_present else None,
        explain_score=found.explain_score if found.explain_score_present else None,
    )
    return Object(
        uuid=uuid.UUID(bytes=found.id_as_bytes),
        properties=values,
        metadata=metadata,
        vector=_vectors(found),
        collection=result.properties.target_collection or request.collection,
    )


def _vectors(found: search_pb2.MetadataResult) -> dict[str, Any]:
    vectors = {item.name: _read_vector(item) for item in found.vectors}
    if found.vector_bytes:
        vectors[DEFAULT_VECTOR] = _floats(found.vector_bytes)
    return vectors


def _read_vector(item: vectors_pb2.Vectors) -> list[Any]:
    data = item.vector_bytes
    if item.type != vectors_pb2.Vectors.VECTOR_TYPE_MULTI_FP32:
        return _floats(data)
    (dimensions,) = struct.unpack_from("<H", data)
    size = 4 * dimensions
    return [_floats(data[start : start + size]) for start in range(2, len(data), size)]


def _floats(data: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
