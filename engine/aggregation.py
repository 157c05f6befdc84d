"""Answers an aggregation over one shard: which docs, then their rows, tallied.

Statistics come from the stored objects, read in chunks: an index knows the different values of an
array, not how often each is there. Docs that are replaced while a long aggregation reads are left
out; a short one then reads again with the shard held still, so it is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from weftdb.core.aggregation import Aggregate, Aggregated, Group, GroupValue
from weftdb.core.errors import InvalidRequest, LimitExceeded
from weftdb.core.query import NearVector, Threshold
from weftdb.core.schema import Metric, Property, canonical_property_name
from weftdb.core.types import DocId
from weftdb.core.validation import unknown_property
from weftdb.engine.hybrid_search import HybridAim, resolve_hybrid, search_legs
from weftdb.engine.near import resolve_near
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps, run
from weftdb.engine.tally import Tally, check_grouping, group_values
from weftdb.engine.vector_search import search_vectors
from weftdb.modules.ports import Vectorizers
from weftdb.storage.object_codec import stored_properties
from weftdb.storage.property_codec import decode_properties

ROWS_PER_CHUNK = 1_000
HELD_DOCS_MAX = 10_000
"""Up to so many docs are read again with the shard held still when one of them has moved."""

_NO_BOUND = "must provide certainty or objectLimit with vector search"


class _Moved(Exception):
    """A doc was replaced between finding and reading it."""


def aggregate(shard: Shard, query: Aggregate, vectorizers: Vectorizers) -> Steps[Aggregated]:
    """Answer `query`. Raises RequestError for what it asks wrongly."""
    known = shard.schema.property_by_name
    grouped: Property | None = None
    if query.group_by is not None:
        grouped = known.get(canonical_property_name(query.group_by))
        if grouped is None:
            return Aggregated()
        check_grouping(grouped)
    if query.limit is not None and query.limit < 1:
        raise InvalidRequest(f"limit must be at least 1, got {query.limit}")
    _tallies(shard, query)  # What is wrong with them is said before anything is read.
    search = yield from _resolve(shard, query, vectorizers)
    if search is None and grouped is None and not query.properties:
        count = shard.count if query.filter is None else shard.allow(query.filter).count
        return Aggregated(total=Group(None, count))
    docs = yield from _docs(shard, query, search)
    try:
        return _answer(shard, query, grouped, docs, is_strict=len(docs) <= HELD_DOCS_MAX)
    except _Moved:
        with shard.publishing:
            docs = run(_docs(shard, query, search))
            return _answer(shard, query, grouped, docs, is_strict=False)


def _answer(
    shard: Shard, query: Aggregate, grouped: Property | None, docs: list[DocId], *, is_strict: bool
) -> Aggregated:
    if grouped is not None:
        return Aggregated(groups=_groups(shard, query, grouped, docs, is_strict=is_strict))
    tallies = _tallies(shard, query)
    if tallies:
        names = frozenset(tally.name for tally in tallies)
        for properties in _rows(shard, docs, names, is_strict=is_strict):
            _add(tallies, properties)
    return Aggregated(total=Group(None, len(docs), tuple(tally.summary() for tally in tallies)))


def _groups(
    shard: Shard, query: Aggregate, item: Property, docs: list[DocId], *, is_strict: bool
) -> tuple[Group, ...]:
    counts: dict[GroupValue, int] = {}
    tallies: dict[GroupValue, list[Tally]] = {}
    names = frozenset((item.name, *(tally.name for tally in _tallies(shard, query))))
    for properties in _rows(shard, docs, names, is_strict=is_strict):
        for value in group_values(item, properties.get(item.name)):
            counts[value] = counts.get(value, 0) + 1
            if query.properties:
                if value not in tallies:
                    tallies[value] = _tallies(shard, query)
                _add(tallies[value], properties)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: query.limit]
    return tuple(
        Group(value, count, tuple(tally.summary() for tally in tallies.get(value, ())))
        for value, count in ordered
    )


def _tallies(shard: Shard, query: Aggregate) -> list[Tally]:
    known, made = shard.schema.property_by_name, []
    for wanted in query.properties:
        item = known.get(canonical_property_name(wanted.name))
        if item is None:
            raise unknown_property(wanted.name, shard.schema.name)
        made.append(Tally(item, wanted.top))
    return made


def _add(tallies: Sequence[Tally], properties: dict[str, Any]) -> None:
    for tally in tallies:
        tally.add(properties.get(tally.name))


def _rows(
    shard: Shard, docs: list[DocId], names: frozenset[str], *, is_strict: bool
) -> Iterator[dict[str, Any]]:
    """The properties `names` of each doc. Raises _Moved if one is gone, and that matters."""
    for start in range(0, len(docs), ROWS_PER_CHUNK):
        for row in shard.objects.get_many(docs[start : start + ROWS_PER_CHUNK]):
            if row is not None:
                yield decode_properties(stored_properties(row), names)
            elif is_strict:
                raise _Moved


# Which docs.


def _resolve(
    shard: Shard, query: Aggregate, vectorizers: Vectorizers
) -> Steps[NearVector | HybridAim | None]:
    """Make the vectors that are searched with; None without a search."""
    if query.near is not None and query.hybrid is not None:
        raise InvalidRequest("at most one of near and hybrid can be searched at a time")
    if query.near is not None:
        near = yield from resolve_near(query.near, shard.schema, shard, vectorizers)
        if query.object_limit is None and not _has_certainty(shard, near):
            raise InvalidRequest(_NO_BOUND)
        return near
    if query.hybrid is None:
        return None
    if query.object_limit is None:
        raise InvalidRequest(_NO_BOUND)
    return (yield from resolve_hybrid(query.hybrid, shard.schema, shard, vectorizers))


def _docs(
    shard: Shard, query: Aggregate, search: NearVector | HybridAim | None
) -> Steps[list[DocId]]:
    """Raises LimitExceeded when a search without a limit finds too much."""
    allow = None if query.filter is None else shard.allow(query.filter)
    if search is None:
        return [DocId(doc) for doc in (shard.live if allow is None else allow.bitmap)]
    depth = _depth(shard, query)
    if isinstance(search, HybridAim):
        assert query.hybrid is not None
        legs = yield from search_legs(shard, query.hybrid, search, depth, allow, is_ordered=True)
        return list(dict.fromkeys(doc for leg in legs for doc in leg.doc_ids))
    found = yield from search_vectors(shard, search, depth, allow, None)
    if query.object_limit is None and len(found) == depth:
        raise LimitExceeded(
            f"more than {depth - 1} objects (QUERY_MAXIMUM_RESULTS) are that near: an aggregation "
            "over a search needs an objectLimit or a closer threshold"
        )
    return found.doc_ids


def _depth(shard: Shard, query: Aggregate) -> int:
    """How many objects the search takes. Raises InvalidRequest, LimitExceeded."""
    maximum = shard.config.query.maximum_results
    if query.object_limit is None:
        return maximum + 1
    if query.object_limit < 1:
        raise InvalidRequest(f"objectLimit must be at least 1, got {query.object_limit}")
    if query.object_limit > maximum:
        raise LimitExceeded(
            f"objectLimit {query.object_limit} is above QUERY_MAXIMUM_RESULTS {maximum}"
        )
    return query.object_limit


def _has_certainty(shard: Shard, near: NearVector) -> bool:
    """Whether there is a threshold that can be told as a certainty."""
    spaces = shard.schema.vector_by_name
    is_cosine = all(spaces[target.name].metric is Metric.COSINE for target in near.targets)
    return near.threshold != Threshold() and is_cosine
