"""Aggregations in parts: what one shard counts, and what all of them make together.

A part is a tally of values (index/kernels/src/row_tally.h); tallies add up, and statistics are made
of their sum by the code of a whole aggregation (tally.py): the answer is that of one shard, to the
last digit. A tally has every distinct value once, in at most `AGGREGATED_PART_BYTES_MAX`; a shard
with more refuses, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyroaring import BitMap

from weftdb.core.aggregation import Aggregate, Aggregated, Group, GroupValue
from weftdb.core.errors import CorruptData, LimitExceeded
from weftdb.core.limits import AGGREGATED_PART_BYTES_MAX, MiB
from weftdb.core.partial import AggregatedPart, PartAggregate
from weftdb.core.schema import Collection, Property
from weftdb.engine.aggregation import (
    HELD_DOCS_MAX,
    READ_TYPES,
    check_aggregate,
    groups_of_rows,
    indexed_counts,
    items_of,
    tally_rows,
)
from weftdb.engine.moved import Moved
from weftdb.engine.occurrences import is_in_index
from weftdb.engine.partial import allowed
from weftdb.engine.shard import Shard
from weftdb.engine.tally import group_value, summary_of_rows
from weftdb.index.allow_list import AllowList
from weftdb.index.kernels import _native


def aggregate_part(
    shard: Shard, part: PartAggregate, *, bytes_max: int = AGGREGATED_PART_BYTES_MAX
) -> AggregatedPart:
    """Count a shard's part. Raises RequestError for what it asks wrongly, LimitExceeded where the
    values do not fit into `bytes_max`."""
    grouped = check_aggregate(shard.schema, part.query)
    names = _names(shard.schema, part.query, grouped)
    docs = _docs(shard, part)
    if docs is None and not names:
        return AggregatedPart(shard.count)
    docs = docs or AllowList(shard.live)
    try:
        return _count(shard, part.query, docs, bytes_max, is_strict=docs.count <= HELD_DOCS_MAX)
    except Moved:
        with shard.publishing:
            docs = _docs(shard, part) or AllowList(shard.live)
            return _count(shard, part.query, docs, bytes_max, is_strict=False)


def join_parts(schema: Collection, query: Aggregate, parts: Sequence[AggregatedPart]) -> Aggregated:
    """What all parts make together. Raises CorruptData for a part of another question."""
    grouped, items = check_aggregate(schema, query), items_of(schema, query)
    names = _names(schema, query, grouped)
    tally = _native.RowTally([name.encode() for name in names], grouped=grouped is not None)
    for part in parts if names else ():
        try:
            tally.take(part.tally)
        except _native.DamagedReply as error:
            raise CorruptData(f"a part of an aggregation of {schema.name}: {error}") from error
    if grouped is not None:
        groups = _groups(query, grouped, items, tally)
        tally.clear()
        return Aggregated(groups=groups)
    summaries = [
        summary_of_rows(item, wanted.top, tally, b"", _number(names, item))
        for item, wanted in zip(items, query.properties, strict=True)
    ]
    tally.clear()
    return Aggregated(total=Group(None, sum(part.count for part in parts), tuple(summaries)))


def _names(schema: Collection, query: Aggregate, grouped: Property | None) -> list[str]:
    """The columns of the tally."""
    items = items_of(schema, query)
    if grouped is not None:
        return [grouped.name, *(item.name for item in items)]
    return list(dict.fromkeys(item.name for item in items if item.data_type in READ_TYPES))


def _number(names: Sequence[str], item: Property) -> int:
    return names.index(item.name) if item.name in names else 0


def _docs(shard: Shard, part: PartAggregate) -> AllowList | None:
    """What is counted; None: everything that lives."""
    if part.ids is None:
        return allowed(shard, part.query.filter, part.owned)
    found = BitMap(doc for doc in shard.objects.doc_ids_of(part.ids) if doc is not None)
    own = found if part.owned is None else found & shard.owned.among(part.owned)
    return AllowList(own & shard.live)


def _count(
    shard: Shard, query: Aggregate, docs: AllowList, bytes_max: int, *, is_strict: bool
) -> AggregatedPart:
    grouped = check_aggregate(shard.schema, query)
    names = _names(shard.schema, query, grouped)
    if not names:
        return AggregatedPart(docs.count)
    indexed = _indexed(shard, names, grouped)
    rest = ["" if at in indexed else name for at, name in enumerate(names)]
    tally = tally_rows(shard, rest, docs, is_grouped=grouped is not None, is_strict=is_strict)
    for at, item in indexed.items():
        found = indexed_counts(shard, item, docs, is_strict=is_strict)
        if len(found.values):
            joined = found.row_values
            width, counts = len(joined) // len(found.values), found.counts.astype(np.uint64)
            tally.take_values(at, joined, width, counts, group=grouped is not None)
    written = tally.dump(bytes_max)
    tally.clear()
    if written is None:
        raise LimitExceeded(
            f"the values of {', '.join(names)} in one shard of {shard.schema.name} take more than "
            f"{bytes_max / MiB:g} MiB, and statistics over several shards need all of them in one "
            "place: aggregate fewer properties at a time, or fewer objects (filter)"
        )
    return AggregatedPart(docs.count, written)


def _indexed(shard: Shard, names: Sequence[str], grouped: Property | None) -> dict[int, Property]:
    """The columns that the inverted index counts. The values of groups have to be in hand for each
    object, so with groups it helps only where nothing else is asked."""
    if grouped is not None and len(names) > 1:
        return {}
    known = [shard.schema.property_by_name[name] for name in names]
    return {at: item for at, item in enumerate(known) if is_in_index(item)}


def _groups(
    query: Aggregate, grouped: Property, items: Sequence[Property], tally: _native.RowTally
) -> tuple[Group, ...]:
    if not items and is_in_index(grouped):
        counts: dict[GroupValue, int] = {}
        for raw, count in tally.groups():
            value = group_value(grouped, raw)
            counts[value] = counts.get(value, 0) + count
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(Group(value, count) for value, count in ordered[: query.limit])
    return groups_of_rows(query, grouped, items, tally)
