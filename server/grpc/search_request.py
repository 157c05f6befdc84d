"""The read off the wire: `SearchRequest` to `core.query.Search`.

Everything that a client may ask for is recognised: what this build does not have is refused by
name, never passed over. What the parts of a read ask of each other (page, cursor, sorting,
diversity) is checked for every door at once, in engine/planner.py.
"""

from __future__ import annotations

from weftdb.core.config import QueryConfig
from weftdb.core.errors import InvalidRequest, SchemaViolation, Unsupported
from weftdb.core.query import GroupBy, Search, Sort
from weftdb.core.schema import Collection, DataType, canonical_property_name
from weftdb.core.types import ObjectId, VectorName, parse_object_id
from weftdb.core.validation import unknown_property
from weftdb.proto.v1 import search_pb2
from weftdb.server.grpc.filters import parse_filter
from weftdb.server.grpc.keyword import parse_hybrid, parse_keyword
from weftdb.server.grpc.near import MEDIA, NEAR_FIELDS, parse_near

_OWN_FIELDS = ("_id", "_creationTimeUnix", "_lastUpdateTimeUnix")
_SEARCHES = {*NEAR_FIELDS, *MEDIA, "hybrid_search", "bm25_search"}
_ABSENT_FEATURES = {
    "generative": "generation from results (generative)",
    "rerank": "reranking of results (rerank)",
    "boost": "boosting of results (boost)",
}


def parse_search(
    request: search_pb2.SearchRequest,
    collection: Collection,
    limits: QueryConfig,
    vectors: tuple[VectorName, ...] = (),
) -> Search:
    """Read a search of `collection`; `vectors` are those that the reply needs.

    Raises InvalidRequest, SchemaViolation, LimitExceeded, Unsupported.
    """
    # Asking for every field by itself would take longer than all the rest of the parsing.
    present = {field.name for field, _ in request.ListFields()}
    for field in present & _ABSENT_FEATURES.keys():
        raise Unsupported(f"{_ABSENT_FEATURES[field]} is not part of this build yet")
    searches = sorted(present & _SEARCHES)
    if len(searches) > 1:
        raise InvalidRequest(f"one search is allowed in a request, got {' and '.join(searches)}")
    near = parse_near(request, collection) if searches else None
    keyword = parse_keyword(request.bm25_search) if "bm25_search" in present else None
    hybrid = parse_hybrid(request.hybrid_search, collection) if "hybrid_search" in present else None
    return Search(
        collection=collection.name,
        tenant=request.tenant,
        near=near,
        keyword=keyword,
        hybrid=hybrid,
        filter=parse_filter(request.filters) if "filters" in present else None,
        # On this wire no limit and 0 are the same: the default.
        limit=request.limit or limits.default_limit,
        offset=request.offset,
        after=_after(request),
        autocut=request.autocut,
        sort=_sort(request, collection),
        group_by=_group_by(request, collection, searches),
        vectors=vectors,
        explain=request.metadata.explain_score,
    )


def _after(request: search_pb2.SearchRequest) -> ObjectId | None:
    """The cursor. An empty one is an ordinary list, which is how an iteration starts."""
    if not request.after:
        return None
    try:
        return parse_object_id(request.after)
    except InvalidRequest:
        raise InvalidRequest(
            f"cursor api: invalid 'after' parameter: after parameter '{request.after}' is not a "
            "valid uuid"
        ) from None


def _sort(request: search_pb2.SearchRequest, collection: Collection) -> tuple[Sort, ...]:
    out = []
    for position, item in enumerate(request.sort_by):
        label = f"invalid 'sort' parameter: sort parameter at position {position}: "
        if len(item.path) != 1:
            raise InvalidRequest(f"{label}path must have exactly one argument")
        name = item.path[0]
        if name not in _OWN_FIELDS:
            name = canonical_property_name(name)
            known = collection.property_by_name.get(name)
            if known is None:
                raise SchemaViolation(label + str(unknown_property(name, collection.name)))
            if known.data_type is DataType.UUID:
                raise SchemaViolation(
                    f'{label}prop "{name}" is of type uuid/uuid[]: '
                    "sorting by uuid is currently not supported"
                )
        out.append(Sort((name,), item.ascending))
    return tuple(out)


def _group_by(
    request: search_pb2.SearchRequest, collection: Collection, searches: list[str]
) -> GroupBy | None:
    if not request.HasField("group_by"):
        return None
    wire = request.group_by
    if len(wire.path) != 1:
        raise InvalidRequest(
            f"groupby path can only have one entry, received [{' '.join(wire.path)}]"
        )
    if not searches:
        raise InvalidRequest("group_by needs a search: vector, keyword or hybrid")
    if wire.number_of_groups < 0 or wire.objects_per_group < 0:
        raise InvalidRequest(
            "group_by: number_of_groups and objects_per_group must not be negative, got "
            f"{wire.number_of_groups} and {wire.objects_per_group}"
        )
    name = canonical_property_name(wire.path[0])
    if name not in collection.property_by_name:
        raise unknown_property(name, collection.name)
    return GroupBy((name,), wire.number_of_groups, wire.objects_per_group)
