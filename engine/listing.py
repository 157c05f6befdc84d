"""Reads without a search: lists by id, by filter, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import Any

from weftdb.core.query import Search
from weftdb.core.types import DocId, ObjectId
from weftdb.engine.planner import Plan
from weftdb.engine.ranked import Ranked
from weftdb.engine.shard import Shard
from weftdb.index.allow_list import AllowList
from weftdb.index.fields import CREATED, OBJECT_ID, UPDATED
from weftdb.index.sorting import SortKey, sort_keys, sort_positions
from weftdb.storage.object_codec import stored_id, stored_properties, stored_times
from weftdb.storage.property_codec import decode_properties

SORT_CHUNK_DOCS = 4_096
"""Objects read at once while sorting: bounds the memory of undecoded bytes."""


def list_docs(shard: Shard, query: Search, plan: Plan, allow: AllowList | None) -> Ranked:
    """The page of an unsorted list: ascending ids, or ascending doc ids under a filter."""
    if allow is None:
        found = shard.objects.ids_after(query.after, skip=plan.offset, count=plan.limit)
        return Ranked([doc_id for _, doc_id in found])
    page = allow.bitmap[plan.offset : plan.offset + plan.limit]
    return Ranked([DocId(doc) for doc in page])


def list_by_id(
    shard: Shard, allow: AllowList, *, after: ObjectId | None, count: int
) -> list[tuple[ObjectId, DocId]]:
    """The first allowed docs by ascending id, strictly after `after`.

    Few docs are looked up and ordered, many are met soon in a pass over all ids: O(docs) either
    way, and O(count x objects / docs) where that is less and ids are spread evenly.
    """
    docs = allow.bitmap
    if count * shard.count <= allow.count**2:
        start = ObjectId(bytes(16)) if after is None else after
        found: list[tuple[ObjectId, DocId]] = []
        met = 0
        for object_id, doc_id in islice(shard.objects.scan_ids(start), allow.count):
            met += 1
            if doc_id in docs and object_id != after:
                found.append((object_id, doc_id))
                if len(found) == count:
                    return found
        if met < allow.count:
            return found  # That was the last id.
    doc_ids = [DocId(doc) for doc in docs]
    pairs = zip(shard.ids.get_many(doc_ids), doc_ids, strict=True)
    return nsmallest(count, (pair for pair in pairs if after is None or pair[0] > after))


@dataclass(frozen=True, slots=True)
class SortedDocs:
    """Docs in the order of sort keys; `columns[k][i]` is the value of doc i under key k."""

    doc_ids: list[DocId]
    columns: list[list[Any]]


def sort_docs(shard: Shard, query: Search, plan: Plan, allow: AllowList | None) -> SortedDocs:
    """The page of a sorted list. O(n) objects read, O(n log n) comparisons, O(n) keys held."""
    keys = sort_keys(query.sort, shard.schema)
    rows: list[tuple[ObjectId, DocId, list[Any]]] = []
    docs = list(shard.live if allow is None else allow.bitmap)
    for start in range(0, len(docs), SORT_CHUNK_DOCS):
        chunk = [DocId(doc) for doc in docs[start : start + SORT_CHUNK_DOCS]]
        for doc_id, stored in zip(chunk, shard.objects.get_many(chunk), strict=True):
            if stored is not None:
                rows.append((stored_id(stored), doc_id, _values(keys, stored)))
    rows.sort(key=lambda row: row[0])
    columns = [[row[2][at] for row in rows] for at in range(len(keys))]
    order = sort_positions(keys, columns)[plan.offset : plan.offset + plan.limit]
    return SortedDocs(
        [rows[position][1] for position in order],
        [[column[position] for position in order] for column in columns],
    )


def _values(keys: Sequence[SortKey], stored: bytes) -> list[Any]:
    names = frozenset(key.name for key in keys)
    properties = decode_properties(stored_properties(stored), names)
    created_ms, updated_ms = stored_times(stored)
    own = {OBJECT_ID: stored_id(stored), CREATED: created_ms, UPDATED: updated_ms}
    return [own[key.name] if key.name in own else properties.get(key.name) for key in keys]
