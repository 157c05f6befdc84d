"""Reads without a search: lists by id, by filter, sorted."""

from __future__ import annotations

from weftdb.core.query import Search
from weftdb.core.types import DocId
from weftdb.engine.planner import Plan
from weftdb.engine.ranked import Ranked
from weftdb.engine.shard import Shard
from weftdb.index.allow_list import AllowList


def list_docs(shard: Shard, query: Search, plan: Plan, allow: AllowList | None) -> Ranked:
    """The page of an unsorted list: ascending ids, or ascending doc ids under a filter."""
    if allow is None:
        found = shard.objects.ids_after(query.after, skip=plan.offset, count=plan.limit)
        return Ranked([doc_id for _, doc_id in found])
    page = allow.bitmap[plan.offset : plan.offset + plan.limit]
    return Ranked([DocId(doc) for doc in page])
