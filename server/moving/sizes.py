"""How large the objects of a collection are, for the estimates of plans."""

from __future__ import annotations

from itertools import islice

from weftdb.core.errors import UnknownCollection
from weftdb.core.types import CollectionName, DocId
from weftdb.engine.database import Database

SAMPLE_OBJECTS = 100


def object_bytes(database: Database, name: CollectionName) -> int:
    """The mean bytes of an object with its vectors, as stored and before compression, of some that
    lie on this node; 0 where there are none."""
    try:
        shards = list(database.collection(name).shards.values())
    except UnknownCollection:
        return 0
    count = total = 0
    for local in shards:
        shard = local.shard
        docs = [DocId(doc) for doc in islice(shard.live, SAMPLE_OBJECTS)]
        rows = [row for row in shard.objects.get_many(docs) if row is not None]
        vectors = [
            value
            for vector in shard.vectors
            for value in shard.objects.raw_vectors(vector, docs)
            if value is not None
        ]
        count += len(rows)
        total += sum(map(len, rows)) + sum(map(len, vectors))
    return total // count if count else 0
