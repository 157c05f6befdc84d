"""Answers an aggregation over one shard: which docs, then how often each value is among them.

The inverted index tells it of numbers, booleans and dates, one an object. Texts, arrays and groups
with statistics come from the stored objects, read in chunks and tallied natively: an index knows
the terms of a text and the different values of an array, not how often each is there. Docs that are
replaced while a long aggregation reads are left out; a short one then reads again with the shard
held still, so it is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

import numpy as np
from pyroaring import BitMap

from weftdb.core.aggregation import Aggregate, Aggregated, Group
from weftdb.core.errors import CorruptData, InvalidRequest, LimitExceeded
from weftdb.core.query import NearVector, Threshold
from weftdb.core.schema import Collection, DataType, Metric, Property, canonical_property_name
from weftdb.core.types import DocId
from weftdb.core.validation import unknown_property
from weftdb.engine.hybrid_search import HybridAim, resolve_hybrid, search_legs
from weftdb.engine.moved import Moved
from weftdb.engine.near import VectorReader, resolve_near
from weftdb.engine.occurrences import Occurrences, is_in_index
from weftdb.engine.shard import Shard
from weftdb.engine.steps import Steps, run
from weftdb.engine.tally import (
    check_grouping,
    check_statistics,
    group_value,
    summary,
    summary_of_rows,
)
from weftdb.engine.vector_search import search_vectors
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels import _native
from weftdb.modules.ports import Vectorizers

ROWS_PER_CHUNK = 1_000
SCANNED_SHARE = 0.5
"""From this share of docs between the first and the last one, passing over all of them is quicker
than finding each (0.7 and 1.5 microseconds a row)."""
HELD_DOCS_MAX = 10_000
"""Up to so many docs are read again with the shard held still when one of them has moved."""

READ_TYPES = frozenset(DataType) - {DataType.REFERENCE}
"""Types whose values are looked at."""
_NO_BOUND = "must provide certainty or objectLimit with vector search"


def aggregate(shard: Shard, query: Aggregate, vectorizers: Vectorizers) -> Steps[Aggregated]:
    """Answer `query`. Raises RequestError for what it asks wrongly."""
    if is_group_unknown(shard.schema, query):
        return Aggregated()
    grouped = check_aggregate(shard.schema, query)
    search = yield from resolve_search(query, shard.schema, shard, vectorizers)
    if search is None and grouped is None and not query.properties:
        count = shard.count if query.filter is None else shard.allow(query.filter).count
        return Aggregated(total=Group(None, count))
    docs = yield from _docs(shard, query, search)
    try:
        return _answer(shard, query, grouped, docs, is_strict=docs.count <= HELD_DOCS_MAX)
    except Moved:
        with shard.publishing:
            docs = run(_docs(shard, query, search))
            return _answer(shard, query, grouped, docs, is_strict=False)


def is_group_unknown(schema: Collection, query: Aggregate) -> bool:
    """Whether the property to group by does not exist, which is answered with nothing."""
    if query.group_by is None:
        return False
    return canonical_property_name(query.group_by) not in schema.property_by_name


def check_aggregate(schema: Collection, query: Aggregate) -> Property | None:
    """Check all but the search; the property to group by. Raises RequestError."""
    grouped: Property | None = None
    if query.group_by is not None:
        if is_group_unknown(schema, query):
            raise unknown_property(query.group_by, schema.name)
        grouped = schema.property_by_name[canonical_property_name(query.group_by)]
        check_grouping(grouped)
    if query.limit is not None and query.limit < 1:
        raise InvalidRequest(f"limit must be at least 1, got {query.limit}")
    items_of(schema, query)
    return grouped


def _answer(
    shard: Shard, query: Aggregate, grouped: Property | None, docs: AllowList, *, is_strict: bool
) -> Aggregated:
    items = items_of(shard.schema, query)
    if grouped is not None:
        groups = _groups(shard, query, grouped, items, docs, is_strict=is_strict)
        return Aggregated(groups=groups)
    names = [item.name for item in items if item.data_type in READ_TYPES and not is_in_index(item)]
    tally = tally_rows(shard, names, docs, is_grouped=False, is_strict=is_strict)
    summaries = []
    for item, wanted in zip(items, query.properties, strict=True):
        if is_in_index(item):
            summaries.append(summary(indexed_counts(shard, item, docs, is_strict=is_strict)))
        else:
            number = names.index(item.name) if item.name in names else 0
            summaries.append(summary_of_rows(item, wanted.top, tally, b"", number))
    tally.clear()
    return Aggregated(total=Group(None, docs.count, tuple(summaries)))


def _groups(
    shard: Shard,
    query: Aggregate,
    grouped: Property,
    items: Sequence[Property],
    docs: AllowList,
    *,
    is_strict: bool,
) -> tuple[Group, ...]:
    if not items and is_in_index(grouped):
        counts = indexed_counts(shard, grouped, docs, is_strict=is_strict).groups()
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(Group(value, count) for value, count in ordered[: query.limit])
    names = [grouped.name, *(item.name for item in items)]
    tally = tally_rows(shard, names, docs, is_grouped=True, is_strict=is_strict)
    groups = groups_of_rows(query, grouped, items, tally)
    tally.clear()
    return groups


def groups_of_rows(
    query: Aggregate, grouped: Property, items: Sequence[Property], tally: _native.RowTally
) -> tuple[Group, ...]:
    """The largest groups of a tally of `grouped` and then `items`, summed up."""
    found = [(group_value(grouped, raw), count, raw) for raw, count in tally.groups()]
    found.sort(key=lambda group: (-group[1], group[0]))
    return tuple(
        Group(
            value,
            count,
            tuple(
                summary_of_rows(item, wanted.top, tally, raw, number)
                for number, (item, wanted) in enumerate(
                    zip(items, query.properties, strict=True), start=1
                )
            ),
        )
        for value, count, raw in found[: query.limit]
    )


def items_of(schema: Collection, query: Aggregate) -> list[Property]:
    """The properties that are summed up. Raises RequestError for one that cannot be."""
    known, items = schema.property_by_name, []
    for wanted in query.properties:
        item = known.get(canonical_property_name(wanted.name))
        if item is None:
            raise unknown_property(wanted.name, schema.name)
        check_statistics(item)
        items.append(item)
    return items


def indexed_counts(
    shard: Shard, item: Property, docs: AllowList, *, is_strict: bool
) -> Occurrences:
    """Values and their counts from the inverted index. Raises Moved as `tally_rows` does."""
    joined, counts = shard.text.counts(item.name, docs)
    if is_strict and not docs.bitmap.issubset(shard.live):
        raise Moved  # The index may have let a doc go before it was counted.
    return Occurrences.of_index(item, joined, counts)


def tally_rows(
    shard: Shard, names: Sequence[str], docs: AllowList, *, is_grouped: bool, is_strict: bool
) -> _native.RowTally:
    """Count the values of properties over stored rows; of an empty name there are none. Raises
    Moved if a row is gone, and that matters; CorruptData."""
    tally = _native.RowTally([name.encode() for name in names], grouped=is_grouped)
    if not any(names):
        return tally
    read = 0
    for rows in _rows(shard, docs):
        read += len(rows)
        try:
            tally.add(rows)
        except _native.DamagedReply as error:
            raise CorruptData(f"an object of {shard.schema.name}: {error}") from error
    if is_strict and read < docs.count:
        raise Moved
    return tally


def _rows(shard: Shard, docs: AllowList) -> Iterator[list[bytes]]:
    """The rows of `docs` that are still there, in chunks: found one by one, or in one pass over
    their neighbours as well where that is less work."""
    doc_ids = docs.doc_ids()
    if not len(doc_ids):
        return
    first, last = int(doc_ids[0]), int(doc_ids[-1])
    if docs.count < SCANNED_SHARE * (last - first + 1):
        for start in range(0, len(doc_ids), ROWS_PER_CHUNK):
            rows = shard.objects.get_many(doc_ids[start : start + ROWS_PER_CHUNK].tolist())
            yield [row for row in rows if row is not None]
        return
    words = docs.words()
    for found, values in shard.objects.scan_rows(DocId(first), DocId(last)):
        wanted = (words[found >> 6] >> (found & 63).astype(np.uint64)) & 1
        yield values if wanted.all() else list(compress(values, wanted.tolist()))


# Which docs.


def resolve_search(
    query: Aggregate, schema: Collection, vectors: VectorReader, vectorizers: Vectorizers
) -> Steps[NearVector | HybridAim | None]:
    """Make the vectors that are searched with; None without a search."""
    if query.near is not None and query.hybrid is not None:
        raise InvalidRequest("at most one of near and hybrid can be searched at a time")
    if query.near is not None:
        near = yield from resolve_near(query.near, schema, vectors, vectorizers)
        if query.object_limit is None and not _has_certainty(schema, near):
            raise InvalidRequest(_NO_BOUND)
        return near
    if query.hybrid is None:
        return None
    if query.object_limit is None:
        raise InvalidRequest(_NO_BOUND)
    return (yield from resolve_hybrid(query.hybrid, schema, vectors, vectorizers))


def _docs(
    shard: Shard, query: Aggregate, search: NearVector | HybridAim | None
) -> Steps[AllowList]:
    """What is summed up. Raises LimitExceeded when a search without a limit finds too much."""
    allow = None if query.filter is None else shard.allow(query.filter)
    if search is None:
        return AllowList(shard.live) if allow is None else allow
    depth = depth_of(query, shard.config.query.maximum_results)
    if isinstance(search, HybridAim):
        assert query.hybrid is not None
        legs = yield from search_legs(shard, query.hybrid, search, depth, allow, is_ordered=True)
        return AllowList(BitMap(doc for leg in legs for doc in leg.doc_ids))
    found = yield from search_vectors(shard, search, depth, allow, None)
    check_found(query, len(found), depth)
    return AllowList(BitMap(found.doc_ids))


def check_found(query: Aggregate, found: int, depth: int) -> None:
    """Raise LimitExceeded when a search without a limit found too much."""
    if query.object_limit is None and found == depth:
        raise LimitExceeded(
            f"more than {depth - 1} objects (QUERY_MAXIMUM_RESULTS) are that near: an aggregation "
            "over a search needs an objectLimit or a closer threshold"
        )


def depth_of(query: Aggregate, maximum: int) -> int:
    """How many objects the search takes, of QUERY_MAXIMUM_RESULTS. Raises InvalidRequest,
    LimitExceeded."""
    if query.object_limit is None:
        return maximum + 1
    if query.object_limit < 1:
        raise InvalidRequest(f"objectLimit must be at least 1, got {query.object_limit}")
    if query.object_limit > maximum:
        raise LimitExceeded(
            f"objectLimit {query.object_limit} is above QUERY_MAXIMUM_RESULTS {maximum}"
        )
    return query.object_limit


def _has_certainty(schema: Collection, near: NearVector) -> bool:
    """Whether there is a threshold that can be told as a certainty."""
    spaces = schema.vector_by_name
    is_cosine = all(spaces[target.name].metric is Metric.COSINE for target in near.targets)
    return near.threshold != Threshold() and is_cosine
