"""LiveDocs: which docs of a shard count, in the forms that searches need."""

from __future__ import annotations

from itertools import count
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.index.allow_list import AllowList

_versions = count(1)
_VERSION_MAX = 2**32 - 1


class LiveDocs:
    """One state of the live docs; immutable. `end` is the first doc id not given out yet.

    `version` tells states apart for caches; 0 means that every doc below `end` is live.
    """

    __slots__ = ("_dead", "_lock", "count", "end", "live", "version")

    def __init__(self, live: BitMap, end: int) -> None:
        self.live = AllowList(live)
        self.count = self.live.count
        self.end = end
        self.version = 0 if self.count == end else next(_versions) % _VERSION_MAX + 1
        self._dead: NDArray[np.uint32] | None = None
        self._lock = Lock()

    def dead_bitmap(self) -> BitMap:
        """Ids that were given out and are not live."""
        return self.live.bitmap.flip(0, self.end)

    def dead(self) -> NDArray[np.uint32]:
        """The same, ascending, u32[n]."""
        with self._lock:
            if self._dead is None:
                self._dead = np.asarray(self.dead_bitmap().to_array(), dtype=np.uint32)
            return self._dead
