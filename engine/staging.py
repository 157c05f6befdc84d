"""Staging: collects objects that come and docs that go into a change of one shard.

Nothing is written and nothing in memory is changed: that is the commit's (engine/shard.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weftdb.core.types import DocId, ObjectId, PropertyValue, VectorName, Version
from weftdb.engine.change import Change
from weftdb.engine.shard import Shard
from weftdb.index.analysis import Entry
from weftdb.storage import keys
from weftdb.storage.doc_ids import decode_lengths, encode_lengths
from weftdb.storage.kv import Family
from weftdb.storage.object_codec import encode_object


@dataclass(slots=True)  # Not frozen: that takes three times as long to make, for every object.
class NewObject:
    """One version of an object that is going to be stored, in the place of doc `old`."""

    id: ObjectId
    message: bytes
    """`properties`, encoded."""
    properties: Mapping[str, PropertyValue]
    vectors: Mapping[VectorName, NDArray[np.float32]]
    version: Version
    created_ms: int
    updated_ms: int
    old: DocId | None


def stage_objects(
    shard: Shard, change: Change, objects: Sequence[NewObject], give_way: Callable[[], None]
) -> None:
    """Give objects their docs and collect their rows, vectors and terms; `give_way` is called
    before each. Raises LimitExceeded, InvalidRequest for text that is not Unicode."""
    if not objects:
        return
    entries = []
    for item, doc in zip(objects, shard.docs.allocate(len(objects)), strict=True):
        give_way()
        doc_id = DocId(doc)
        value = encode_object(
            doc_id=doc_id,
            object_id=item.id,
            created_ms=item.created_ms,
            updated_ms=item.updated_ms,
            version=item.version,
            properties=item.message,
        )
        shard.objects.put(change.batch, doc_id, item.id, value)
        for name, vector in item.vectors.items():
            shard.objects.put_vector(change.batch, name, doc_id, vector)
            if name in shard.vectors:
                change.add_vector(name, doc_id, vector)
        change.added.append(doc_id)
        change.added_ids.append(item.id)
        entries.append(Entry(doc_id, item.properties, item.created_ms, item.updated_ms))
    _index_text(shard, change, entries, give_way)
    _remove_docs(shard, change, [item.old for item in objects if item.old is not None])


def stage_deletions(shard: Shard, change: Change, gone: Mapping[ObjectId, DocId]) -> None:
    """Collect the end of objects, each with its present doc."""
    for object_id in gone:
        shard.objects.remove_id(change.batch, object_id)
    _remove_docs(shard, change, list(gone.values()))


def _index_text(
    shard: Shard, change: Change, entries: Sequence[Entry], give_way: Callable[[], None]
) -> None:
    change.delta = shard.text.encode(entries, give_way)
    columns = [
        (shard.text.number_of(name), name, terms.tolist())
        for name, terms in change.delta.lengths.items()
    ]
    for row, entry in enumerate(entries):
        give_way()
        lengths = [(number, terms[row]) for number, _, terms in columns if terms[row]]
        if lengths:
            key = keys.object_key(shard.shard_id, entry.doc_id)
            change.batch.put(Family.LENGTHS, key, encode_lengths(lengths))
    for _, name, terms in columns:
        change.count_lengths(name, docs=sum(map(bool, terms)), terms=sum(terms))


def _remove_docs(shard: Shard, change: Change, doc_ids: list[DocId]) -> None:
    if not doc_ids:
        return
    names = list(shard.vectors)
    rows = shard.store.get_many(Family.LENGTHS, keys.object_keys(shard.shard_id, doc_ids))
    for doc_id, row in zip(doc_ids, rows, strict=True):
        shard.objects.remove_doc(change.batch, doc_id, names)
        if row is not None:
            key = keys.object_key(shard.shard_id, doc_id)
            change.batch.delete(Family.LENGTHS, key)
            for number, terms in decode_lengths(row):
                change.count_lengths(shard.text.name_of(number), docs=-1, terms=-terms)
    change.removed.extend(doc_ids)
