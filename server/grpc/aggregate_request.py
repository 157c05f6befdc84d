"""The aggregation off the wire: `AggregateRequest` to `core.aggregation.Aggregate`."""

from __future__ import annotations

from weftdb.core.aggregation import TOP_OCCURRENCES_DEFAULT, Aggregate, PropertyStatistics
from weftdb.core.errors import InvalidRequest
from weftdb.core.schema import Collection
from weftdb.proto.v1 import aggregate_pb2
from weftdb.server.grpc.filters import parse_filter
from weftdb.server.grpc.keyword import parse_hybrid
from weftdb.server.grpc.near import parse_near


def parse_aggregate(request: aggregate_pb2.AggregateRequest, collection: Collection) -> Aggregate:
    """Read an aggregation over `collection`. Raises InvalidRequest, Unsupported."""
    return Aggregate(
        collection=collection.name,
        tenant=request.tenant,
        filter=parse_filter(request.filters) if request.HasField("filters") else None,
        near=parse_near(request, collection),
        hybrid=parse_hybrid(request.hybrid, collection) if request.HasField("hybrid") else None,
        object_limit=request.object_limit if request.HasField("object_limit") else None,
        properties=tuple(_statistics(wire) for wire in request.aggregations),
        group_by=_group_by(request, collection),
        limit=request.limit if request.HasField("limit") else None,
    )


def _statistics(wire: aggregate_pb2.AggregateRequest.Aggregation) -> PropertyStatistics:
    return PropertyStatistics(
        wire.property, wire.text.top_occurences_limit or TOP_OCCURRENCES_DEFAULT
    )


def _group_by(request: aggregate_pb2.AggregateRequest, collection: Collection) -> str | None:
    if not request.HasField("group_by"):
        return None
    named = request.group_by.collection
    if named and named.lower() != collection.name.lower():
        raise InvalidRequest(
            f"group_by: collection {named} is not the one that is asked, {collection.name}"
        )
    return request.group_by.property
