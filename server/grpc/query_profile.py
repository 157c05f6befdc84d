"""QueryProfile: how long a read took and how its vector searches went, as a piece of the reply.

The details of a vector search are `vector_search_plan`, `_reason`, `_ef`, `_visited_nodes` and
`_distance_computations`; `_overrides` names a setting that could not be obeyed, `_gave_up` tells
that the walk did not do. Multi-vectors have `_candidates` (docs that were ranked; distances count
matrices) and, once it is known, `_expected_recall`. A second search of the same read has
`vector_search_2_plan`, and so on.

Where a collection has a `targetRecall`, or the request asks for one: `target_recall`, `tuned_ef`
and, once it was measured, `achieved_recall`; of named vectors with the name behind.
"""

from __future__ import annotations

from collections.abc import Iterator

from weftdb.core.query import Hits, RecallTarget, Search
from weftdb.core.search_explanation import CandidateExplanation, SearchExplanation
from weftdb.engine.collection import LocalCollection
from weftdb.proto.v1 import search_pb2


def query_profile(local: LocalCollection, query: Search, hits: Hits, took_s: float) -> bytes:
    """How long the shard took and how it searched vectors, as a piece of the reply."""
    kind = "object"
    if query.near is not None:
        kind = "vector"
    elif query.keyword is not None:
        kind = "keyword"
    elif query.hybrid is not None:
        kind = "hybrid"
    details = {"total_took": f"{took_s * 1e3:.3f}ms"}
    for number, search in enumerate(hits.vector_searches):
        prefix = "vector_search" if number == 0 else f"vector_search_{number + 1}"
        details |= {f"{prefix}_{key}": text for key, text in _explained(search)}
    if query.near is not None or query.hybrid is not None:
        details |= dict(_recalls(local, query))
    profiled = search_pb2.QueryProfile.SearchProfile(details=details)
    shard = search_pb2.QueryProfile.ShardProfile(name=_name(local), searches={kind: profiled})
    profile = search_pb2.QueryProfile(shards=[shard])
    return search_pb2.SearchReply(query_profile=profile).SerializeToString()


def _name(local: LocalCollection) -> str:
    """Of the shard; of several that answered together, of their collection."""
    return next(iter(local.shards)) if len(local.shards) == 1 else local.schema.name


def _recalls(local: LocalCollection, query: Search) -> Iterator[tuple[str, str]]:
    k = (query.limit or 0) + query.offset or 1
    target = query.ef.recall if isinstance(query.ef, RecallTarget) else None
    for name, found in local.figures.recalls(k, target).items():
        of_vector = f"_{name}" if name else ""
        yield f"target_recall{of_vector}", f"{found.target:g}"
        yield f"tuned_ef{of_vector}", str(found.ef)
        if found.achieved is not None:
            yield f"achieved_recall{of_vector}", f"{found.achieved:.4f}"


def _explained(search: SearchExplanation) -> Iterator[tuple[str, str]]:
    yield "plan", search.plan
    yield "reason", search.reason
    if search.overrides:
        yield "overrides", search.overrides
    if search.gave_up:
        yield "gave_up", "the walk did not do; the exact scan answered"
    yield "ef", str(search.ef)
    yield "visited_nodes", str(search.visited)
    yield "distance_computations", str(search.distances)
    if isinstance(search, CandidateExplanation):
        yield "candidates", str(search.candidates)
        if search.expected_recall >= 0:
            yield "expected_recall", f"{search.expected_recall:.4f}"
