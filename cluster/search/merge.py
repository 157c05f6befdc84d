"""Merges the rankings of shards into one, as one shard would rank all objects. Pure.

Each leg comes best first with ties by ascending id, and is as long as what is wanted of the whole,
so the best of all are among those that came. Ties go by id, whoever held what. An object that
two shards named (its row was handed over between the two answers) is there once, where it is best.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import TypeAlias

from weftdb.core.errors import CorruptData
from weftdb.core.partial import PartHits, PartLeg
from weftdb.core.query import Hybrid
from weftdb.core.types import DocId, ObjectId
from weftdb.index.autocut import autocut
from weftdb.index.fusion import KEYWORD_LEG, FusedDoc, Leg, fuse
from weftdb.index.sorting import SortKey, sort_positions

Hit: TypeAlias = tuple[float, ObjectId, int, int]
"""One object of the merged ranking: its worth (a distance, a score with the sign turned, 0 in a
list), its id, the number of its leg and its place there. In the order of tuples, best first."""


def only_legs(parts: Sequence[PartHits]) -> list[PartLeg]:
    """The one leg of each part. Raises CorruptData where there are others."""
    if any(len(part.legs) != 1 for part in parts):
        raise CorruptData("a shard answered a search with another number of legs than one")
    return [part.legs[0] for part in parts]


def merge_legs(legs: Sequence[PartLeg], depth: int) -> list[Hit]:
    """The `depth` best of rankings by distance or score, or of lists by id."""
    if all(leg.distances is not None for leg in legs):
        worths = [leg.distances or () for leg in legs]
    elif all(leg.scores is not None for leg in legs):
        worths = [tuple([-score for score in leg.scores or ()]) for leg in legs]
    else:
        worths = [(0.0,) * len(leg.ids) for leg in legs]
    return _first(sorted(_hits(legs, worths)), depth)


def merge_sorted(legs: Sequence[PartLeg], keys: Sequence[SortKey], depth: int) -> list[Hit]:
    """The `depth` first of lists in the order of sort keys. Raises CorruptData for a leg without
    them."""
    if any(leg.ids and leg.sort_keys is None for leg in legs):
        raise CorruptData("a shard answered a sorted list without sort keys")
    hits = sorted(_hits(legs, [(0.0,) * len(leg.ids) for leg in legs]))
    rows = [(legs[part].sort_keys or ())[place] for _, _, part, place in hits]
    if any(len(row) != len(keys) for row in rows):
        raise CorruptData("a shard answered a sorted list with other sort keys")
    columns = [[row[at] for row in rows] for at in range(len(keys))]
    return _first([hits[at] for at in sort_positions(keys, columns)], depth)


def merge_hybrid(
    parts: Sequence[PartHits], hybrid: Hybrid, *, vector_leg: str, leg_depth: int, depth: int
) -> list[FusedHit]:
    """The `depth` best of both legs, each merged first and then fused as one shard fuses its own.

    `vector_leg` is the name of the leg by vectors.
    """
    by_vectors, by_words = _both_legs(parts, leg_depth)
    ids = list(dict.fromkeys(hit[1] for hit in (*(by_vectors or ()), *(by_words or ()))))
    numbers = {object_id: DocId(at) for at, object_id in enumerate(ids)}
    fusable: list[Leg] = []
    if by_vectors is not None:
        docs = [numbers[hit[1]] for hit in by_vectors]
        fusable.append(Leg(vector_leg, hybrid.alpha, docs, [1.0 - hit[0] for hit in by_vectors]))
    if by_words is not None:
        docs = [numbers[hit[1]] for hit in by_words]
        fusable.append(Leg(KEYWORD_LEG, 1.0 - hybrid.alpha, docs, [-hit[0] for hit in by_words]))
    fused = fuse(hybrid.fusion, fusable, lambda doc: ids[doc], depth=depth)
    return [FusedHit(ids[doc.doc_id], doc) for doc in fused]


def merge_hybrid_ids(parts: Sequence[PartHits], leg_depth: int) -> list[ObjectId]:
    """What the legs of a hybrid search find together, each merged by itself."""
    hits = [hit for leg in _both_legs(parts, leg_depth) for hit in leg or ()]
    return list(dict.fromkeys(hit[1] for hit in hits))


@dataclass(frozen=True, slots=True)
class FusedHit:
    """One object of a fused ranking; doc ids in it mean nothing."""

    id: ObjectId
    doc: FusedDoc


def cut_count(values: Sequence[float], jumps: int, depth: int) -> int:
    """How many of the first hits autocut and depth leave."""
    return min(autocut(values, jumps), depth) if jumps > 0 else min(len(values), depth)


def _hits(legs: Sequence[PartLeg], worths: Sequence[Sequence[float]]) -> Iterable[Hit]:
    for part, (leg, column) in enumerate(zip(legs, worths, strict=True)):
        if len(column) != len(leg.ids):
            raise CorruptData("a shard answered columns of different lengths")
        yield from zip(column, leg.ids, repeat(part), count())


def _both_legs(parts: Sequence[PartHits], depth: int) -> tuple[list[Hit] | None, list[Hit] | None]:
    """The leg by vectors and the leg by words, merged; None where the search has no such leg."""
    legs = [leg for part in parts for leg in part.legs]
    spaced = [leg for leg in legs if leg.distances is not None]
    worded = [leg for leg in legs if leg.scores is not None]
    by_words = [hit for hit in merge_legs(worded, depth) if _is_near(worded, hit)]
    return merge_legs(spaced, depth) if spaced else None, by_words if worded else None


def _first(hits: Sequence[Hit], depth: int) -> list[Hit]:
    """The first hits, each object once."""
    found = list(hits[:depth])
    if len({hit[1] for hit in found}) == len(found):
        return found
    once: dict[ObjectId, Hit] = {}
    for hit in hits:
        once.setdefault(hit[1], hit)
    return list(once.values())[:depth]


def _is_near(legs: Sequence[PartLeg], hit: Hit) -> bool:
    _, _, part, place = hit
    is_near = legs[part].is_near
    return is_near is None or is_near[place]
