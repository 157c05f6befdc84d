"""Searches the shards of a collection as if they were one: the rounds of one search.

1. What the query names is made whole, once: texts are embedded, vectors of named objects are read.
2. Where scores depend on all objects (BM25, relative scores of several targets), the statistics of
   all shards are gathered and added up.
3. Every shard ranks its own; the rankings are merged, then cut, diversified and paged as one shard
   does it (merge.py).
4. The objects of the page come with the hits, or are fetched by id (rows.py); above ONE, replicas
   are asked whether they are the newest.

Pure: a generator that yields calls (for a thread) and rounds (for whoever asks other nodes).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from weftdb.cluster.search import rows
from weftdb.cluster.search.layout import Round, Rounds
from weftdb.cluster.search.merge import (
    cut_count,
    merge_hybrid,
    merge_legs,
    merge_sorted,
    only_legs,
)
from weftdb.cluster.search.messages import GatherStatistics, SearchShard
from weftdb.cluster.search.naming import named_ids
from weftdb.cluster.search.rows import NamedVectors, RowsById
from weftdb.cluster.search.scatter import Gathered
from weftdb.cluster.search.statistics import needs_statistics, total
from weftdb.core.config import IndexConfig
from weftdb.core.errors import InvalidRequest, Unsupported
from weftdb.core.partial import PartHits, PartSearch, SearchStatistics
from weftdb.core.query import Hits, Hybrid, Mmr, Near, NearObject, NearText, NearVector, Search
from weftdb.core.schema import Collection
from weftdb.core.types import ObjectId, VectorName, format_object_id
from weftdb.engine.hybrid_search import resolve_hybrid
from weftdb.engine.near import resolve_near
from weftdb.engine.planner import Plan, Read, plan_search
from weftdb.engine.reader import is_cosine
from weftdb.engine.steps import Call, Work
from weftdb.index.factory import make_scan
from weftdb.index.fusion import explain
from weftdb.index.mmr import diversify
from weftdb.index.sorting import sort_keys
from weftdb.modules.ports import Vectorizers

T = TypeVar("T")

Questions: TypeAlias = Generator[Call | Round, Any, T]
"""As `engine.steps.Steps`, with rounds beside calls."""

ROWS_AT_ONCE_MAX = 100
"""Pages that end before this hit get their objects with the hits of every shard, in one round;
later ones fetch only what is on the page."""
HITS_INLINE_MAX = 2_000
"""More hits than this are merged in a thread."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The merged ranking; columns as in `Hits`, all of one length."""

    ids: list[ObjectId]
    distances: list[float] | None = None
    scores: list[float] | None = None
    explanations: list[str] | None = None

    def pick(self, positions: Sequence[int]) -> _Ranked:
        """The hits at `positions`, in that order."""
        return _Ranked(
            [self.ids[at] for at in positions],
            _picked(self.distances, positions),
            _picked(self.scores, positions),
            _picked(self.explanations, positions),
        )


def _picked(column: list[T] | None, positions: Sequence[int]) -> list[T] | None:
    return None if column is None else [column[at] for at in positions]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search that is whole in itself."""

    query: Search
    plan: Plan
    vector_leg: str = ""

    @property
    def leg_depth(self) -> int:
        """How many hits are wanted of each shard."""
        assert self.query.limit is not None
        return self.query.limit


def search_rounds(rounds: Rounds, query: Search, vectorizers: Vectorizers) -> Questions[Hits]:
    """Answer `query`. Raises RequestError for what it asks wrongly, NotEnoughReplicas where a shard
    has nobody who answers."""
    plan = plan_search(query, rounds.terms.limits)
    asked, mmr = yield from _resolve(rounds, query, plan, vectorizers)
    if plan.limit == 0:
        return Hits(stored=[])
    wanted = named_ids(query) if rounds.is_checked else None
    if wanted is not None:
        there = yield from rows.read_checked(rounds, wanted)
        page = [one for one in wanted if one in there][plan.offset : plan.depth]
        return _hits(rounds, asked, _Ranked(page), there, ())
    name = _diverse_vector(rounds.layout.schema, asked.query) if mmr is not None else None
    vectors = query.vectors
    if name is not None and name not in vectors:
        vectors = (*vectors, name)
    gathered = yield from _rank(rounds, asked, vectors)
    parts = [_part_hits(reply) for reply in gathered.replies]
    merge = Work(lambda: _merged(rounds.layout.schema, asked, parts))
    is_long = sum(len(leg.ids) for part in parts for leg in part.legs) > HITS_INLINE_MAX
    ranked: _Ranked = (yield merge) if is_long else merge.run()
    values = ranked.distances if ranked.distances is not None else ranked.scores
    if query.autocut > 0 and values is not None:
        ranked = ranked.pick(range(cut_count(values, query.autocut, plan.depth)))
    if mmr is None:
        ranked = ranked.pick(range(plan.offset, min(plan.depth, len(ranked.ids))))
    found = _rows_at_hand(parts)
    if found is not None and rounds.is_checked:
        found = yield from rows.read_checked(rounds, ranked.ids, found)
    elif found is None:
        nodes = {
            shard.name: node
            for shard, node in zip(rounds.layout.shards, gathered.nodes, strict=True)
        }
        found = yield from rows.fetch(rounds, ranked.ids, vectors, nodes)
    ranked = ranked.pick([at for at, one in enumerate(ranked.ids) if one in found])
    if mmr is not None and name is not None:
        diverse = Work(lambda: _diverse(rounds.layout.schema, name, mmr, ranked, found))
        ranked = yield diverse
        ranked = ranked.pick(range(plan.offset, min(plan.depth, len(ranked.ids))))
    return _hits(rounds, asked, ranked, found, parts)


# 1. Made whole.


def _resolve(
    rounds: Rounds, query: Search, plan: Plan, vectorizers: Vectorizers
) -> Questions[tuple[_Asked, Mmr | None]]:
    """The query with its vectors, as it is asked of shards; and the diversity wanted of all."""
    schema = rounds.layout.schema
    part = replace(query, limit=plan.depth, offset=0, autocut=0)
    named = yield from named_vectors(rounds, query.near, query.hybrid)
    if query.near is not None:
        near = yield from resolve_near(query.near, schema, named, vectorizers)
        whole = near if near.mmr is None else replace(near, mmr=None)
        return _Asked(replace(part, near=whole), plan), near.mmr
    if query.hybrid is not None:
        aim = yield from resolve_hybrid(query.hybrid, schema, named, vectorizers)
        depth = max(plan.depth, rounds.terms.limits.hybrid_maximum_results)
        hybrid = replace(query.hybrid, near=aim.near)
        return _Asked(replace(part, hybrid=hybrid, limit=depth), plan, aim.leg), None
    return _Asked(part, plan), None


def named_vectors(
    rounds: Rounds, near: Near | None, hybrid: Hybrid | None
) -> Generator[Round, Any, NamedVectors]:
    """The vectors of the objects that a query names, read at its level."""
    if near is None and hybrid is not None and hybrid.alpha > 0:
        near = hybrid.near
    ids: list[ObjectId] = []
    if isinstance(near, NearObject):
        ids.append(near.id)
    elif isinstance(near, NearText):
        for move in (near.move_to, near.move_away):
            ids += [] if move is None or move.force == 0 else move.objects
    states = (yield from rows.read_states(rounds, list(dict.fromkeys(ids)))) if ids else []
    return NamedVectors(rounds.layout.schema, states)


# 2. and 3. Ranked.


def _rank(
    rounds: Rounds, asked: _Asked, vectors: tuple[VectorName, ...]
) -> Generator[Round, Any, Gathered]:
    """Every shard's part of the ranking."""
    query = asked.query
    with_rows = query.hybrid is None and asked.leg_depth <= ROWS_AT_ONCE_MAX
    if query.vectors != (vectors if with_rows else ()):
        query = replace(query, vectors=vectors if with_rows else ())
    statistics: SearchStatistics | None = None
    if len(rounds.layout.shards) > 1 and needs_statistics(query):
        statistics = yield from gather_statistics(rounds, query)
    return (yield from ask_shards(rounds, query, statistics, with_rows=with_rows))


def gather_statistics(rounds: Rounds, query: Search) -> Generator[Round, Any, SearchStatistics]:
    """The statistics of all shards. `query` is whole in itself."""
    layout = rounds.layout
    asked = [
        (
            shard,
            GatherStatistics(
                layout.ref(shard.name), layout.schema_version, PartSearch(query, shard.owned)
            ),
        )
        for shard in layout.shards
    ]
    gathered: Gathered
    (gathered,) = yield rounds.ask(asked)
    return total([reply for reply in gathered.replies if isinstance(reply, SearchStatistics)])


def ask_shards(
    rounds: Rounds, query: Search, statistics: SearchStatistics | None, *, with_rows: bool
) -> Generator[Round, Any, Gathered]:
    """Every shard's best hits. `query` is whole in itself."""
    layout = rounds.layout
    asked = [
        (
            shard,
            SearchShard(
                layout.ref(shard.name),
                layout.schema_version,
                PartSearch(query, shard.owned, statistics, with_rows=with_rows),
            ),
        )
        for shard in layout.shards
    ]
    gathered: Gathered
    (gathered,) = yield rounds.ask(asked)
    return gathered


def _part_hits(reply: object) -> PartHits:
    assert isinstance(reply, PartHits), reply
    return reply


def _merged(schema: Collection, asked: _Asked, parts: Sequence[PartHits]) -> _Ranked:
    query, depth = asked.query, asked.plan.depth
    if query.hybrid is not None:
        return _merged_hybrid(asked, query.hybrid, parts)
    legs = only_legs(parts)
    if asked.plan.read is Read.SORTED:
        hits = merge_sorted(legs, sort_keys(query.sort, schema), depth)
        return _Ranked([hit[1] for hit in hits])
    hits = merge_legs(legs, depth)
    explanations = None
    if query.explain and query.keyword is not None:
        explanations = [(legs[part].explanations or ())[place] for _, _, part, place in hits]
    return _Ranked(
        [hit[1] for hit in hits],
        distances=[hit[0] for hit in hits] if query.near is not None else None,
        scores=[-hit[0] for hit in hits] if query.keyword is not None else None,
        explanations=explanations,
    )


def _merged_hybrid(asked: _Asked, hybrid: Hybrid, parts: Sequence[PartHits]) -> _Ranked:
    fused = merge_hybrid(
        parts,
        hybrid,
        vector_leg=asked.vector_leg,
        leg_depth=asked.leg_depth,
        depth=asked.plan.depth,
    )
    explanations = None
    if asked.query.explain:
        explanations = [explain(hybrid.fusion, hit.doc, format_object_id(hit.id)) for hit in fused]
    scores = [hit.doc.score for hit in fused]
    return _Ranked([hit.id for hit in fused], scores=scores, explanations=explanations)


# 4. With rows.


def _rows_at_hand(parts: Sequence[PartHits]) -> RowsById | None:
    """The rows that came with the hits; None when they have to be fetched."""
    found: RowsById = {}
    for part in parts:
        if part.rows is None:
            return None
        found |= rows.rows_of(part.rows, part.legs[0].ids)
    return found


def _diverse_vector(schema: Collection, query: Search) -> VectorName:
    """The vector by which hits are diversified. Raises Unsupported, InvalidRequest."""
    assert isinstance(query.near, NearVector), query.near
    if len(query.near.targets) > 1:
        raise Unsupported("a diversity selection over several targets is not supported yet")
    name = query.near.targets[0].name
    if schema.vector_by_name[name].multi_vector:
        raise InvalidRequest("MMR is not supported on multi-vector targets")
    return name


def _diverse(
    schema: Collection, name: VectorName, mmr: Mmr, ranked: _Ranked, found: RowsById
) -> _Ranked:
    """The hits that maximal marginal relevance keeps. O(hits^2) distances."""
    vectors = [found[one].vectors.get(name) for one in ranked.ids]
    ranked = ranked.pick([at for at, vector in enumerate(vectors) if vector is not None])
    matrix = [vector for vector in vectors if vector is not None]
    assert ranked.distances is not None
    if not matrix:
        return ranked
    scan = make_scan(schema.vector_by_name[name], IndexConfig())
    doc_ids = np.arange(len(matrix), dtype=np.uint32)
    scan.add(doc_ids, np.stack(matrix))
    between = np.array([scan.distances(row, doc_ids) for row in matrix])
    scan.close()
    limit = len(matrix) if mmr.limit is None else mmr.limit
    return ranked.pick(diversify(ranked.distances, between, limit, mmr.balance))


def _hits(
    rounds: Rounds,
    asked: _Asked,
    ranked: _Ranked,
    found: Mapping[ObjectId, rows.RowFound],
    parts: Sequence[PartHits],
) -> Hits:
    near = asked.query.near
    page = [found[one] for one in ranked.ids]
    checks = [row.is_consistent for row in page if row.is_consistent is not None]
    return Hits(
        stored=[row.stored for row in page],
        distances=ranked.distances,
        scores=ranked.scores,
        explanations=ranked.explanations,
        vectors={name: [row.vectors.get(name) for row in page] for name in asked.query.vectors},
        has_certainty=isinstance(near, NearVector) and is_cosine(rounds.layout.schema, near),
        is_consistent=checks if rounds.is_checked else None,
        vector_searches=tuple(one for part in parts for one in part.searches),
    )
