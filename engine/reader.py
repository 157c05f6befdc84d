"""Runs one read on one shard: filter, rank, page, and the rows of the page.

The first try takes no lock. If a row of the page is gone by the time it is read, an object was
moving; the second try holds `shard.publishing`, so that nothing moves, and always succeeds.
"""

from __future__ import annotations

from weftdb.core.errors import Unsupported
from weftdb.core.query import Hits, NearVector, Search
from weftdb.core.schema import Metric
from weftdb.engine.listing import list_docs
from weftdb.engine.near import resolve_near
from weftdb.engine.planner import Plan, Read, plan_search
from weftdb.engine.ranked import Ranked
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps, run
from weftdb.engine.vector_search import search_vectors
from weftdb.index.allow_list import AllowList
from weftdb.modules.ports import Vectorizers


def read(shard: Shard, query: Search, vectorizers: Vectorizers) -> Steps[Hits]:
    """Answer `query`. Raises RequestError for what the query asks wrongly."""
    plan = plan_search(query, shard.config.query)
    near = None
    if query.near is not None:
        near = yield from resolve_near(query.near, shard.schema, shard, vectorizers)
    if plan.limit == 0:
        return Hits(stored=[])
    hits = yield from _attempt(shard, query, plan, near)
    if hits is None:
        with shard.publishing:
            hits = run(_attempt(shard, query, plan, near))
    assert hits is not None, "a row went missing while nothing was moving"
    return hits


def _attempt(
    shard: Shard, query: Search, plan: Plan, near: NearVector | None
) -> Steps[Hits | None]:
    """One try; None if an object moved meanwhile."""
    allow = None if query.filter is None else shard.allow(query.filter)
    page = yield from _page(shard, query, plan, near, allow)
    stored = shard.fetch(page.doc_ids)
    if any(value is None for value in stored):
        return None
    hits = Hits(
        stored=[value for value in stored if value is not None],
        distances=page.distances,
        scores=page.scores,
        explanations=page.explanations,
        has_certainty=near is not None and _is_cosine(shard, near),
    )
    if query.vectors:
        hits.vectors = {name: shard.objects.vectors(name, page.doc_ids) for name in query.vectors}
    return hits


def _page(
    shard: Shard,
    query: Search,
    plan: Plan,
    near: NearVector | None,
    allow: AllowList | None,
) -> Steps[Ranked]:
    if plan.read in (Read.LIST, Read.CURSOR):
        return list_docs(shard, query, plan, allow)
    if plan.read is Read.VECTOR:
        assert near is not None
        ranked = yield from search_vectors(shard, near, plan.depth, allow, query.ef)
        return ranked.slice(plan.offset, plan.depth)
    raise Unsupported(f"{plan.read.value} reads are not supported by this build yet")


def _is_cosine(shard: Shard, near: NearVector) -> bool:
    return all(
        shard.schema.vector_by_name[target.name].metric is Metric.COSINE for target in near.targets
    )
