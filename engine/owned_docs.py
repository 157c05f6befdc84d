"""OwnedDocs: the docs of a shard whose objects lie in given ranges of tokens.

While a row of virtual shards moves, its objects lie in two shards, and a search over both takes
from each only what is its own (cluster/sharding.py). The tokens of docs that came since the last
question are looked at, so that questions beside writes cost what was written.
"""

from __future__ import annotations

from threading import Lock

import numpy as np
from pyroaring import BitMap

from weftdb.core.hashing import tokens
from weftdb.core.partial import TokenRanges
from weftdb.core.types import DocId
from weftdb.storage.doc_ids import DocIdTable
from weftdb.storage.id_cache import IdCache

DOCS_PER_CHUNK = 10_000


class OwnedDocs:
    """Of one shard. Concurrency: any thread."""

    def __init__(self, docs: DocIdTable, ids: IdCache) -> None:
        self._docs = docs
        self._ids = ids
        self._lock = Lock()
        self._ranges: TokenRanges = ()
        self._owned = BitMap()
        self._end = 0

    def among(self, ranges: TokenRanges) -> BitMap:
        """The live docs whose tokens lie in `ranges`. O(docs that came since), of other ranges than
        the last O(docs)."""
        with self._lock:
            if ranges != self._ranges:
                self._ranges, self._owned, self._end = ranges, BitMap(), 0
            # In this order: every live doc below the end is settled (storage/doc_ids.py).
            end = self._docs.end
            live = self._docs.live
            come = live & BitMap(range(self._end, end))
            for start in range(0, len(come), DOCS_PER_CHUNK):
                self._owned |= self._among(come[start : start + DOCS_PER_CHUNK], ranges)
            self._end = end
            return self._owned & live

    def _among(self, docs: BitMap, ranges: TokenRanges) -> BitMap:
        doc_ids = [DocId(doc) for doc in docs]
        found = tokens(self._ids.get_many(doc_ids))
        is_in = np.zeros(len(doc_ids), dtype=np.bool_)
        for start, stop in ranges:
            below = found <= np.uint64(stop - 1)
            is_in |= below & (found >= np.uint64(start))
        return BitMap(np.array(doc_ids, dtype=np.uint32)[is_in].tolist())
