"""Requests serialised before the clock runs, and replies read back after it has stopped."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weftdb.proto.v1 import batch_pb2, search_pb2

SEARCH = "/weaviate.v1.Weaviate/Search"
BATCH_OBJECTS = "/weaviate.v1.Weaviate/BatchObjects"
LIMIT = 10


def object_id(number: int) -> str:
    """The id of the object with this number, so that replies can be scored."""
    return str(uuid.UUID(int=number + 1))


def number_of(object_id_text: str) -> int:
    """The number of the object with this id."""
    return uuid.UUID(object_id_text).int - 1


def batch_requests(
    collection: str,
    properties: Sequence[Mapping[str, str | int]],
    rows: NDArray[np.float32] | None,
    *,
    size: int = 1000,
    first: int = 0,
) -> Iterator[bytes]:
    """BatchObjects requests of `size` objects; without rows the server makes the vectors."""
    for start in range(0, len(properties), size):
        request = batch_pb2.BatchObjectsRequest()
        for offset, values in enumerate(properties[start : start + size], start):
            item = request.objects.add(uuid=object_id(first + offset), collection=collection)
            item.properties.non_ref_properties.update(dict(values))
            if rows is not None:
                item.vector_bytes = rows[offset].astype("<f4").tobytes()
        yield request.SerializeToString()


def _search(collection: str, properties: Sequence[str]) -> search_pb2.SearchRequest:
    request = search_pb2.SearchRequest(collection=collection, limit=LIMIT, uses_127_api=True)
    request.properties.non_ref_properties.extend(properties)
    request.metadata.uuid = True
    return request


def vector_requests(
    collection: str, queries: NDArray[np.float32], properties: Sequence[str]
) -> Iterator[bytes]:
    """Near-vector searches, k = 10, with properties and distance."""
    for query in queries:
        request = _search(collection, properties)
        request.metadata.distance = True
        request.near_vector.vector_bytes = query.astype("<f4").tobytes()
        yield request.SerializeToString()


def keyword_requests(
    collection: str, queries: Sequence[str], searched: str, properties: Sequence[str]
) -> Iterator[bytes]:
    """BM25 searches over one property."""
    for text in queries:
        request = _search(collection, properties)
        request.metadata.score = True
        request.bm25_search.query = text
        request.bm25_search.properties.append(searched)
        yield request.SerializeToString()


def hybrid_requests(
    collection: str,
    queries: Sequence[str],
    rows: NDArray[np.float32],
    searched: str,
    properties: Sequence[str],
) -> Iterator[bytes]:
    """Hybrid searches with the vector given, alpha 0.5, relative score fusion."""
    for text, row in zip(queries, rows, strict=True):
        request = _search(collection, properties)
        request.metadata.score = True
        hybrid = request.hybrid_search
        hybrid.query, hybrid.alpha_param, hybrid.use_alpha_param = text, 0.5, True
        hybrid.properties.append(searched)
        hybrid.fusion_type = 2
        hybrid.vector_bytes = row.astype("<f4").tobytes()
        yield request.SerializeToString()


def batch_errors(reply: bytes) -> list[str]:
    """The errors in a BatchObjects reply."""
    return [item.error for item in batch_pb2.BatchObjectsReply.FromString(reply).errors]


def found_numbers(reply: bytes | None) -> list[int]:
    """The numbers of the objects in a search reply, best first."""
    if reply is None:
        return []
    results = search_pb2.SearchReply.FromString(reply).results
    return [number_of(item.metadata.id) for item in results]
