"""Ranks the objects of one shard by distance to one or several query vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from weftdb.core.partial import DistanceRange
from weftdb.core.query import Combination, NearVector, Reach, RecallTarget, Target
from weftdb.core.schema import Collection
from weftdb.core.search_explanation import SearchExplanation
from weftdb.core.types import DocId, DocIds, VectorName
from weftdb.engine.near import distance_limit
from weftdb.engine.ranked import Ranked
from weftdb.engine.steps import Steps, VectorCall
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Neighbours, RecallBound, Tunable, VectorIndex
from weftdb.index.targets import combine_distances, distance_ranges


class VectorSpaces(Protocol):
    """What this needs of a shard."""

    @property
    def schema(self) -> Collection:
        """The collection."""
        ...

    @property
    def vectors(self) -> Mapping[VectorName, VectorIndex]:
        """The vector indexes by name."""
        ...


def search_vectors(
    shard: VectorSpaces,
    near: NearVector,
    depth: int,
    allow: AllowList | None,
    ef: Reach,
    ranges: Sequence[DistanceRange] | None = None,
) -> Steps[Ranked]:
    """The `depth` closest docs. `near` is resolved (engine/near.py).

    `ranges` of a collection with more shards than this one replace its own, where several targets
    are joined by relative score.
    """
    if len(near.targets) == 1:
        target = near.targets[0]
        limit = distance_limit(near.threshold, shard.schema.vector_by_name[target.name])
        found = yield _call(shard, target, depth, allow, ef, limit)
        return Ranked(
            found.doc_ids.tolist(),
            distances=found.distances.tolist(),
            vector_searches=_explained([found]),
        )
    return (yield from _search_several(shard, near, depth, allow, ef, ranges))


def _call(
    shard: VectorSpaces,
    target: Target,
    k: int,
    allow: AllowList | None,
    ef: Reach,
    distance_max: float | None,
) -> VectorCall:
    assert target.vector is not None, target.name
    index = shard.vectors[target.name]
    if isinstance(ef, RecallTarget):
        wanted, ef = ef.recall, None
        if isinstance(index, Tunable):
            ef = index.ef_reaching(wanted, target.vector, k, allow)
        elif isinstance(index, RecallBound):
            index = index.reaching(wanted)
    return VectorCall(index, target.vector, k, allow, ef, distance_max)


def _search_several(
    shard: VectorSpaces,
    near: NearVector,
    depth: int,
    allow: AllowList | None,
    ef: Reach,
    ranges: Sequence[DistanceRange] | None,
) -> Steps[Ranked]:
    """Join the targets exactly: deepen every list until no unseen doc can be among the best.

    The bound is Fagin's threshold algorithm: a doc that no list has shown yet is at least as far
    from each target as the last one shown. O(targets x k') distances, k' doubled each round.
    """
    limit = near.threshold.distance
    if near.threshold.certainty is not None:
        limit = distance_limit(near.threshold, shard.schema.vector_by_name[near.targets[0].name])
    weights = [target.weight for target in near.targets]
    size = _size(shard, near)
    k = min(max(depth, 1), size)
    if near.combination is Combination.RELATIVE_SCORE:
        k = size  # The normalisation looks at every doc that has all vectors.
    while True:
        lists = yield from _lists(shard, near, k, allow, ef)
        candidates: DocIds = np.unique(np.concatenate([found.doc_ids for found in lists]))
        matrix = _distance_matrix(shard, near.targets, candidates)
        joined = combine_distances(near.combination, matrix, weights, ranges)
        order = np.argsort(joined, kind="stable")
        order = order[~np.isnan(joined[order])]
        if k >= size or _is_final(near.combination, lists, k, joined[order], weights, depth):
            break
        k = min(k * 2, size)
    if limit is not None:
        order = order[joined[order] <= np.float32(limit)]
    order = order[:depth]
    doc_ids = [DocId(int(doc)) for doc in candidates[order]]
    return Ranked(
        doc_ids,
        distances=joined[order].astype(np.float64).tolist(),
        vector_searches=_explained(lists),
    )


def ranges_of(
    shard: VectorSpaces, near: NearVector, allow: AllowList | None, ef: Reach
) -> Steps[tuple[DistanceRange, ...]]:
    """What this shard contributes to the ranges by which distances are joined by relative score:
    those of its docs that have all targets; empty when none has."""
    lists = yield from _lists(shard, near, _size(shard, near), allow, ef)
    candidates: DocIds = np.unique(np.concatenate([found.doc_ids for found in lists]))
    return distance_ranges(_distance_matrix(shard, near.targets, candidates))


def _size(shard: VectorSpaces, near: NearVector) -> int:
    return max(shard.vectors[target.name].count for target in near.targets)


def _lists(
    shard: VectorSpaces, near: NearVector, k: int, allow: AllowList | None, ef: Reach
) -> Steps[list[Neighbours]]:
    lists: list[Neighbours] = []
    for target in near.targets:
        lists.append((yield _call(shard, target, max(k, 1), allow, ef, None)))
    return lists


def _explained(lists: Sequence[Neighbours]) -> tuple[SearchExplanation, ...]:
    return tuple(found.explanation for found in lists if found.explanation is not None)


def _distance_matrix(
    shard: VectorSpaces, targets: Sequence[Target], doc_ids: DocIds
) -> NDArray[np.float32]:
    """float32[targets, docs]; NaN where a doc lacks the vector."""
    rows = []
    for target in targets:
        assert target.vector is not None, target.name
        rows.append(shard.vectors[target.name].distances(target.vector, doc_ids))
    return np.stack(rows)


def _is_final(
    combination: Combination,
    lists: Sequence[Neighbours],
    k: int,
    joined: NDArray[np.float64],
    weights: Sequence[float],
    depth: int,
) -> bool:
    if all(len(found.doc_ids) < k for found in lists):
        return True
    if combination is Combination.MINIMUM:
        return True  # The k best of each list hold the k best minima.
    if len(joined) < depth or min(weights) < 0:
        return False
    last = np.array([found.distances[-1] if len(found.distances) else 0.0 for found in lists])
    bound = float(combine_distances(combination, last[:, None], weights)[0])
    return float(joined[depth - 1]) <= bound
