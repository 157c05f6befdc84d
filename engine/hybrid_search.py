"""Ranks the objects of one shard by words and by vectors at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weftdb.core.errors import Unsupported
from weftdb.core.query import (
    Fusion,
    Hybrid,
    Keyword,
    NearText,
    NearVector,
    Reach,
    Target,
    Threshold,
)
from weftdb.core.schema import Collection
from weftdb.core.types import DocId, format_object_id
from weftdb.engine.near import VectorReader, embed_query, resolve_near, resolve_targets
from weftdb.engine.ranked import Ranked
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps
from weftdb.engine.vector_search import search_vectors
from weftdb.index.allow_list import AllowList
from weftdb.index.fusion import KEYWORD_LEG, VECTOR_LEG, FusedDoc, Leg, explain, fuse
from weftdb.modules.ports import Vectorizers

TEXT_LEG = "vector,nearText"


@dataclass(frozen=True, slots=True)
class HybridAim:
    """The vector leg's query, resolved; None when words alone are asked."""

    near: NearVector | None
    leg: str


def resolve_hybrid(
    hybrid: Hybrid, schema: Collection, vectors: VectorReader, vectorizers: Vectorizers
) -> Steps[HybridAim]:
    """Make the vector leg's query: the given one, or the embedding of the words."""
    if hybrid.mmr is not None:
        raise Unsupported("hybrid search with a diversity selection is not part of this build yet")
    given = hybrid.near
    targets = hybrid.targets or (given.targets if given is not None else ())
    if schema.vectors or targets:
        targets = resolve_targets(schema, targets)
    if hybrid.alpha == 0:
        return HybridAim(None, VECTOR_LEG)
    if given is not None:
        near = yield from resolve_near(
            replace(given, targets=given.targets or targets), schema, vectors, vectorizers
        )
        leg = TEXT_LEG if isinstance(given, NearText) else VECTOR_LEG
        return HybridAim(near, leg)
    filled: list[Target] = []
    for target in targets or resolve_targets(schema, ()):
        vector = yield from embed_query((hybrid.query,), target.name, schema, vectorizers)
        filled.append(replace(target, vector=vector))
    return HybridAim(NearVector(tuple(filled), hybrid.combination), VECTOR_LEG)


def search_hybrid(
    shard: Shard,
    hybrid: Hybrid,
    aim: HybridAim,
    depth: int,
    allow: AllowList | None,
    *,
    ef: Reach,
    is_explained: bool,
) -> Steps[Ranked]:
    """The `depth` best of the fused ranking; each leg is searched as deep, or a set minimum."""
    leg_depth = max(depth, shard.config.query.hybrid_maximum_results)
    is_ordered = hybrid.fusion is Fusion.RANKED
    legs = yield from search_legs(
        shard, hybrid, aim, leg_depth, allow, ef=ef, is_ordered=is_ordered
    )
    fused = fuse(hybrid.fusion, legs, shard.object_id_of, depth=depth)
    return Ranked(
        [doc.doc_id for doc in fused],
        scores=[doc.score for doc in fused],
        explanations=_explanations(shard, hybrid, fused) if is_explained else None,
        vector_searches=tuple(search for leg in legs for search in leg.vector_searches),
    )


def search_legs(
    shard: Shard,
    hybrid: Hybrid,
    aim: HybridAim,
    leg_depth: int,
    allow: AllowList | None,
    *,
    ef: Reach = None,
    is_ordered: bool,
) -> Steps[list[Leg]]:
    """What each leg finds by itself, `leg_depth` docs at most: by vector, then by words."""
    legs: list[Leg] = []
    if aim.near is not None:
        near = within_distance(aim.near, hybrid.vector_distance_max)
        found = yield from search_vectors(shard, near, leg_depth, allow, ef)
        legs.append(vector_leg(hybrid, aim, found))
    words = words_of(hybrid)
    if words is not None:
        scored = shard.text.search(
            words,
            leg_depth,
            allow,
            is_explained=False,
            is_ordered=is_ordered,
        )
        is_near = near_enough(shard, hybrid, aim, scored.doc_ids)
        if is_near is not None:
            scored = scored.pick([at for at, is_in in enumerate(is_near) if is_in])
        legs.append(keyword_leg(hybrid, scored))
    return legs


def vector_leg(hybrid: Hybrid, aim: HybridAim, found: Ranked) -> Leg:
    """What a search by vectors found, as the first leg."""
    assert found.distances is not None
    similarities = [1.0 - distance for distance in found.distances]
    return Leg(aim.leg, hybrid.alpha, found.doc_ids, similarities, found.vector_searches)


def keyword_leg(hybrid: Hybrid, scored: Ranked) -> Leg:
    """What a search by words found, as the second leg."""
    assert scored.scores is not None
    return Leg(KEYWORD_LEG, 1.0 - hybrid.alpha, scored.doc_ids, scored.scores)


def words_of(hybrid: Hybrid) -> Keyword | None:
    """What the leg by words searches; None when there is no such leg."""
    if hybrid.alpha >= 1 or not hybrid.query:
        return None
    return Keyword(hybrid.query, hybrid.properties, hybrid.operator, hybrid.minimum_match)


def within_distance(near: NearVector, distance_max: float | None) -> NearVector:
    """The leg by vectors, cut at a largest distance if there is one."""
    if distance_max is None:
        return near
    return replace(near, threshold=Threshold(distance=distance_max))


def near_enough(
    shard: Shard, hybrid: Hybrid, aim: HybridAim, doc_ids: Sequence[DocId]
) -> list[bool] | None:
    """Whether each keyword hit lies within the largest vector distance, by its exact distance;
    None where there is no such bound. Raises Unsupported."""
    if aim.near is None or hybrid.vector_distance_max is None:
        return None
    if len(aim.near.targets) > 1:
        raise Unsupported("a largest vector distance over several targets is not supported yet")
    target = aim.near.targets[0]
    assert target.vector is not None
    docs = np.array(doc_ids, dtype=np.uint32)
    distances = shard.vectors[target.name].distances(target.vector, docs)
    found: list[bool] = (distances <= np.float32(hybrid.vector_distance_max)).tolist()
    return found


def _explanations(shard: Shard, hybrid: Hybrid, fused: Sequence[FusedDoc]) -> list[str]:
    return [
        explain(hybrid.fusion, doc, format_object_id(shard.object_id_of(DocId(doc.doc_id))))
        for doc in fused
    ]
