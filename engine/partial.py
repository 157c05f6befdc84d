"""What one shard answers for its part of a search: legs, rows, statistics, ids.

A part is ranked by the code of a whole search (`search_vectors`, `TextSide.search`, `list_docs`,
`sort_docs`); what follows the ranking (fusion, autocut, diversity, paging) happens once, after the
merge (cluster/search). Hits go by object id, equal ones by ascending id. As in reader.py the first
try takes no lock, and the second holds the shard still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import MiB
from weftdb.core.partial import (
    FoundIds,
    PartHits,
    PartIds,
    PartLeg,
    PartRows,
    PartSearch,
    SearchStatistics,
    TokenRanges,
)
from weftdb.core.query import Combination, Filter, Hybrid, NearVector, Search
from weftdb.core.search_explanation import account_of
from weftdb.core.types import DocId, ObjectId, PropertyValue, VectorName
from weftdb.engine.hybrid_search import HybridAim, near_enough, within_distance, words_of
from weftdb.engine.listing import list_by_id, list_docs, sort_docs
from weftdb.engine.moved import Moved, steadily
from weftdb.engine.near import check_near
from weftdb.engine.planner import Plan, Read, read_of
from weftdb.engine.ranked import Ranked
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps, run
from weftdb.engine.vector_search import ranges_of, search_vectors
from weftdb.index.allow_list import AllowList
from weftdb.index.sorting import portable

T = TypeVar("T")

ROWS_BYTES_MAX = 16 * MiB
"""Larger objects do not come with the hits: who asked fetches what is on the page."""
_GONE = ObjectId(bytes(16))
"""What `IdCache` says of a doc that was replaced or deleted, and is not known any more."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One leg before its ids are known."""

    ranked: Ranked
    sort_keys: Sequence[tuple[PropertyValue, ...]] | None = None
    is_near: Sequence[bool] | None = None


def search_part(shard: Shard, part: PartSearch) -> Steps[PartHits]:
    """The shard's best hits. Raises RequestError for what the query asks wrongly."""
    resolved = _checked(shard, part)
    return (yield from steadily(shard, lambda: _hits(shard, resolved)))


def statistics_part(shard: Shard, part: PartSearch) -> Steps[SearchStatistics]:
    """What the shard contributes to the statistics that the part is scored with; nothing where the
    search needs none. Raises RequestError."""
    query = _checked(shard, part).query
    words = query.keyword if query.hybrid is None else words_of(query.hybrid)
    keyword = None
    if words is not None:
        owned = None if part.owned is None else shard.owned.among(part.owned)
        keyword = shard.text.statistics(words, owned)
    near = _near_of(query)
    ranges = None
    if near is not None and is_joined_by_range(near):
        allow = allowed(shard, query.filter, part.owned)
        ranges = yield from ranges_of(shard, near, allow, query.ef)
    return SearchStatistics(keyword, ranges)


def is_joined_by_range(near: NearVector) -> bool:
    """Whether the distances of one object depend on those of all others."""
    return len(near.targets) > 1 and near.combination is Combination.RELATIVE_SCORE


def rows_part(
    shard: Shard, ids: Sequence[ObjectId], vectors: Sequence[VectorName] = ()
) -> PartRows:
    """Objects by id, with the vectors that are named; None for an id that is not stored."""
    return run(steadily(shard, lambda: _rows_by_id(shard, ids, vectors)))


def ids_part(shard: Shard, part: PartIds) -> FoundIds:
    """The next ids of what a filter matches. Raises RequestError."""
    if part.limit < 1:
        raise InvalidRequest(f"a page of {part.limit} ids")
    return run(steadily(shard, lambda: _ids(shard, part)))


def allowed(shard: Shard, condition: Filter | None, owned: TokenRanges | None) -> AllowList | None:
    """The live docs that pass a filter and lie in the ranges; None when all do."""
    allow = None if condition is None else shard.allow(condition)
    if owned is None:
        return allow
    own = shard.owned.among(owned)
    if own == shard.live:  # As a rule nothing is astray, and a search without a filter is quicker.
        return allow
    return AllowList(own if allow is None else own & allow.bitmap)


# Putting a part together.


def _checked(shard: Shard, part: PartSearch) -> PartSearch:
    """The part with its vectors checked. Raises InvalidRequest, SchemaViolation."""
    query = part.query
    if query.limit is None or query.limit < 0 or query.offset or query.autocut:
        raise InvalidRequest("a part of a search has a limit, and neither offset nor autocut")
    near = _near_of(query)
    if near is None:
        return part
    checked = check_near(near, shard.schema)
    if checked is near:
        return part
    if query.hybrid is not None:
        query = replace(query, hybrid=replace(query.hybrid, near=checked))
    else:
        query = replace(query, near=checked)
    return replace(part, query=query)


def _near_of(query: Search) -> NearVector | None:
    """What is searched by vectors. Raises InvalidRequest for what still has to be resolved."""
    near = query.near if query.hybrid is None else query.hybrid.near
    if query.hybrid is not None and query.hybrid.alpha == 0:
        return None
    if near is not None and not isinstance(near, NearVector):
        raise InvalidRequest("a part of a search has its vectors")
    return near


def _hits(shard: Shard, part: PartSearch) -> Steps[PartHits]:
    query = part.query
    allow = allowed(shard, query.filter, part.owned)
    found = yield from _legs(shard, part, allow)
    legs, order = [], list[DocId]()
    for each in found:
        leg, order = _leg(shard, each)
        legs.append(leg)
        if allow is not None and _may_lack(len(leg.ids), query, allow, shard):
            raise Moved
    rows = None
    if part.with_rows:
        if len(legs) != 1:
            raise InvalidRequest("rows belong to one leg: a hybrid search fetches them later")
        rows = _rows(shard, order, query.vectors)
        if _bytes_of(rows) > ROWS_BYTES_MAX:
            rows = None
    searches = tuple(account_of(one) for each in found for one in each.ranked.vector_searches)
    return PartHits(tuple(legs), rows, searches)


def _may_lack(found: int, query: Search, allow: AllowList, shard: Shard) -> bool:
    """Whether a short leg lacks a doc that was replaced after the filter was read (reader.py)."""
    assert query.limit is not None
    return found < min(query.limit, allow.count) and not allow.bitmap.issubset(shard.live)


def _legs(shard: Shard, part: PartSearch, allow: AllowList | None) -> Steps[list[_Found]]:
    query, statistics = part.query, part.statistics or SearchStatistics()
    assert query.limit is not None
    depth, read = query.limit, read_of(query)
    if depth == 0:
        return [_Found(Ranked([]))]
    if query.hybrid is not None:
        return (yield from _hybrid_legs(shard, part, query.hybrid, allow))
    if query.keyword is not None:
        return [
            _Found(
                shard.text.search(
                    query.keyword,
                    depth,
                    allow,
                    is_explained=query.explain,
                    statistics=statistics.keyword,
                )
            )
        ]
    near = _near_of(query)
    if near is not None:
        ranked = yield from search_vectors(shard, near, depth, allow, query.ef, statistics.ranges)
        return [_Found(ranked)]
    plan = Plan(read, limit=depth, offset=0)
    if read is Read.SORTED:
        ordered = sort_docs(shard, query, plan, allow)
        columns = [[portable(value) for value in column] for column in ordered.columns]
        keys = list(zip(*columns, strict=True))
        return [_Found(Ranked(ordered.doc_ids), sort_keys=keys)]
    if allow is None:
        return [_Found(list_docs(shard, query, plan, None))]
    pairs = list_by_id(shard, allow, after=query.after, count=depth)
    return [_Found(Ranked([doc_id for _, doc_id in pairs]))]


def _hybrid_legs(
    shard: Shard, part: PartSearch, hybrid: Hybrid, allow: AllowList | None
) -> Steps[list[_Found]]:
    query, statistics = part.query, part.statistics or SearchStatistics()
    assert query.limit is not None
    aim = HybridAim(_near_of(query), "")
    legs: list[_Found] = []
    if aim.near is not None:
        near = within_distance(aim.near, hybrid.vector_distance_max)
        ranked = yield from search_vectors(
            shard, near, query.limit, allow, query.ef, statistics.ranges
        )
        legs.append(_Found(ranked))
    words = words_of(hybrid)
    if words is not None:
        scored = shard.text.search(
            words,
            query.limit,
            allow,
            is_explained=False,
            is_ordered=False,
            statistics=statistics.keyword,
        )
        legs.append(_Found(scored, is_near=near_enough(shard, hybrid, aim, scored.doc_ids)))
    return legs


def _leg(shard: Shard, found: _Found) -> tuple[PartLeg, list[DocId]]:
    """The leg by object id, and its docs in the same order. Raises Moved."""
    ranked = found.ranked
    ids = shard.ids.get_many(ranked.doc_ids)
    if _GONE in ids and None in shard.fetch(ranked.doc_ids):
        raise Moved
    live = shard.live
    if not all(doc_id in live for doc_id in ranked.doc_ids):
        raise Moved
    order: Sequence[int] = range(len(ids))
    worths = ranked.distances
    if ranked.scores is not None:
        worths = [-score for score in ranked.scores]
    if worths is not None and len(set(worths)) < len(worths):
        order = sorted(order, key=list(zip(worths, ids, strict=True)).__getitem__)
    leg = PartLeg(
        tuple([ids[at] for at in order]),
        distances=_picked(ranked.distances, order),
        scores=_picked(ranked.scores, order),
        sort_keys=_picked(found.sort_keys, order),
        explanations=_picked(ranked.explanations, order),
        is_near=_picked(found.is_near, order),
    )
    return leg, [ranked.doc_ids[at] for at in order]


def _picked(column: Sequence[T] | None, order: Sequence[int]) -> tuple[T, ...] | None:
    return None if column is None else tuple([column[at] for at in order])


def _rows(shard: Shard, doc_ids: list[DocId], vectors: Sequence[VectorName]) -> PartRows:
    """Raises Moved where a row is gone."""
    stored = shard.fetch(doc_ids)
    if None in stored:
        raise Moved
    columns = {name: tuple(shard.objects.vectors(name, doc_ids)) for name in vectors}
    return PartRows(tuple(stored), columns)


def _bytes_of(rows: PartRows) -> int:
    """About what they take on the wire."""
    vectors = (vector for column in rows.vectors.values() for vector in column)
    return sum(len(row or b"") for row in rows.stored) + sum(
        vector.nbytes for vector in vectors if vector is not None
    )


def _rows_by_id(
    shard: Shard, ids: Sequence[ObjectId], vectors: Sequence[VectorName]
) -> Steps[PartRows]:
    yield from ()
    docs = shard.objects.doc_ids_of(ids)
    present = [doc for doc in docs if doc is not None]
    found = _rows(shard, present, vectors)
    places = {doc: at for at, doc in enumerate(present)}
    order = [None if doc is None else places[doc] for doc in docs]
    return PartRows(
        tuple([None if at is None else found.stored[at] for at in order]),
        {
            name: tuple([None if at is None else column[at] for at in order])
            for name, column in found.vectors.items()
        },
    )


def _ids(shard: Shard, part: PartIds) -> Steps[FoundIds]:
    yield from ()
    allow = allowed(shard, part.filter, part.owned)
    assert allow is not None
    pairs = list_by_id(shard, allow, after=part.after, count=part.limit + 1)
    ids = [object_id for object_id, _ in pairs]
    if len(ids) <= part.limit and not allow.bitmap.issubset(shard.live):
        raise Moved
    return FoundIds(tuple(ids[: part.limit]), is_last=len(ids) <= part.limit)
