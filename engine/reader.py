"""Runs one read on one shard: filter, rank, cut, page, and the rows of the page.

The first try takes no lock. If a row of the page is gone by the time it is read, an object was
moving; the second try holds `shard.publishing`, so that nothing moves, and always succeeds.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.query import Hits, Mmr, NearVector, Search
from weftdb.core.schema import Collection, Metric
from weftdb.engine.hybrid_search import HybridAim, resolve_hybrid, search_hybrid
from weftdb.engine.listing import list_docs, sort_docs
from weftdb.engine.moved import Moved, steadily
from weftdb.engine.near import resolve_near
from weftdb.engine.planner import Plan, Read, plan_search
from weftdb.engine.ranked import Ranked
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps
from weftdb.engine.vector_search import search_vectors
from weftdb.index.allow_list import AllowList
from weftdb.index.autocut import autocut
from weftdb.index.mmr import diversify
from weftdb.modules.ports import Vectorizers


@dataclass(frozen=True, slots=True)
class _Request:
    """A read with everything resolved that may not change between its tries."""

    shard: Shard
    query: Search
    plan: Plan
    near: NearVector | None
    aim: HybridAim | None


def read(shard: Shard, query: Search, vectorizers: Vectorizers) -> Steps[Hits]:
    """Answer `query`. Raises RequestError for what the query asks wrongly."""
    plan = plan_search(query, shard.config.query)
    near, aim = None, None
    if query.near is not None:
        near = yield from resolve_near(query.near, shard.schema, shard, vectorizers)
    elif query.hybrid is not None:
        aim = yield from resolve_hybrid(query.hybrid, shard.schema, shard, vectorizers)
    if plan.limit == 0:
        return Hits(stored=[])
    request = _Request(shard, query, plan, near, aim)
    return (yield from steadily(shard, lambda: _attempt(request)))


def _attempt(request: _Request) -> Generator[Any, Any, Hits]:
    """One try. Raises Moved if an object moved meanwhile."""
    shard, query = request.shard, request.query
    allow = None if query.filter is None else shard.allow(query.filter)
    page = yield from _page(request, allow)
    if allow is not None and _may_lack(request.plan, len(page.doc_ids), allow, shard):
        raise Moved
    stored = shard.fetch(page.doc_ids)
    if None in stored:
        raise Moved
    hits = Hits(
        stored=stored,  # type: ignore[arg-type]  # None is excluded above
        distances=page.distances,
        scores=page.scores,
        explanations=page.explanations,
        vector_searches=page.vector_searches,
        has_certainty=request.near is not None and is_cosine(shard.schema, request.near),
    )
    if query.vectors:
        hits.vectors = {name: shard.objects.vectors(name, page.doc_ids) for name in query.vectors}
    return hits


def _may_lack(plan: Plan, found: int, allow: AllowList, shard: Shard) -> bool:
    """Whether a short page lacks a doc that matched when the filter was read and was replaced
    before it could be found: its new state has a doc id that the filter did not give."""
    is_short = found < min(plan.limit, allow.count - plan.offset)
    return is_short and not allow.bitmap.issubset(shard.live)


def _page(request: _Request, allow: AllowList | None) -> Steps[Ranked]:
    shard, query, plan = request.shard, request.query, request.plan
    if plan.read in (Read.LIST, Read.CURSOR):
        return list_docs(shard, query, plan, allow)
    if plan.read is Read.SORTED:
        return Ranked(sort_docs(shard, query, plan, allow).doc_ids)
    ranked = yield from _rank(request, allow)
    values = ranked.distances if ranked.distances is not None else ranked.scores
    if query.autocut > 0 and values is not None:
        ranked = ranked.slice(0, min(autocut(values, query.autocut), plan.depth))
    if request.near is not None and request.near.mmr is not None:
        ranked = _diverse(shard, request.near, request.near.mmr, ranked)
    return ranked.slice(plan.offset, plan.depth)


def _rank(request: _Request, allow: AllowList | None) -> Steps[Ranked]:
    shard, query, depth = request.shard, request.query, request.plan.depth
    if request.near is not None:
        return (yield from search_vectors(shard, request.near, depth, allow, query.ef))
    if query.keyword is not None:
        return shard.text.search(query.keyword, depth, allow, is_explained=query.explain)
    assert query.hybrid is not None
    assert request.aim is not None
    return (
        yield from search_hybrid(
            shard,
            query.hybrid,
            request.aim,
            depth,
            allow,
            ef=query.ef,
            is_explained=query.explain,
        )
    )


def _diverse(shard: Shard, near: NearVector, mmr: Mmr, ranked: Ranked) -> Ranked:
    """The hits that maximal marginal relevance keeps. O(hits^2) distances."""
    if len(near.targets) > 1:
        raise Unsupported("a diversity selection over several targets is not supported yet")
    assert ranked.distances is not None
    name = near.targets[0].name
    if shard.schema.vector_by_name[name].multi_vector:
        raise InvalidRequest("MMR is not supported on multi-vector targets")
    if not len(ranked):
        return ranked
    doc_ids = np.array(ranked.doc_ids, dtype=np.uint32)
    rows = shard.objects.vectors(name, ranked.doc_ids)
    if any(row is None for row in rows):
        raise Moved
    index = shard.vectors[name]
    between = np.array([index.distances(row, doc_ids) for row in rows if row is not None])
    limit = len(doc_ids) if mmr.limit is None else mmr.limit
    return ranked.pick(diversify(ranked.distances, between, limit, mmr.balance))


def is_cosine(schema: Collection, near: NearVector) -> bool:
    """Whether certainties can be told of the distances."""
    configs = [schema.vector_by_name[target.name] for target in near.targets]
    return all(config.metric is Metric.COSINE and not config.multi_vector for config in configs)
