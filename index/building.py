"""BuildingIndex: an index that is being filled from the store while it is used already.

It stands in a shard where vectors were stored without an index and one has been asked for since.
New vectors go straight into the index to be (the target). Older ones are carried over in slices, by
ascending doc id; a search joins what the target finds with an exact scan of the rest, read from the
store. Such a search is slow, but right; it is over when the last slice is in.

Concurrency: `fill` belongs to the writer's side, as `add` and `delete` do: the caller takes turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from weftdb.core.schema import HnswSettings
from weftdb.core.types import DocId, DocIds, Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Neighbours, VectorIndex, VectorSource


class BuildingIndex:
    """`target`, and what it lacks of `source`: docs from `_next` up to `end`."""

    def __init__(
        self,
        target: VectorIndex,
        source: VectorSource,
        make_scan: Callable[[], VectorIndex],
        *,
        settle: Callable[[], None],
        end: DocId,
        dimensions: int | None,
    ) -> None:
        """`target` is empty and takes every doc from `end` on; `make_scan` makes an empty exact
        index of the same metric; `settle` returns when everything that `source` shows has reached
        the indexes; `dimensions` is the length of the vectors in `source`."""
        self.target = target
        self._source = source
        self._make_scan = make_scan
        self._settle = settle
        self._end = end
        self._next = DocId(0)
        self._dimensions = dimensions
        self._filled = Event()

    @property
    def is_filled(self) -> bool:
        """Whether the target holds everything and can stand alone."""
        return self._filled.is_set()

    def fill(self) -> None:
        """Carry one slice over. Raises CorruptData, DimensionMismatch."""
        doc_ids, rows = next(self._rest(self._next), (None, None))
        if doc_ids is None or rows is None:
            self._next = self._end
            self._filled.set()
            return
        self.target.add(doc_ids, rows)
        # After the target has them: a search that begins in between finds them twice, never not.
        self._next = DocId(int(doc_ids[-1]) + 1)

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors."""
        return self.target.dimensions or self._dimensions

    @property
    def count(self) -> int:
        """Live vectors, at most: docs of the rest that have none count, too."""
        return self.target.count + max(self._end - self._next, 0)

    @property
    def pending(self) -> int:
        """Vectors that wait to be carried over (at most) or linked."""
        return self.target.pending + max(self._end - self._next, 0)

    def add(self, doc_ids: DocIds, rows: Rows) -> None:
        """Add to the target. Requires: all from `end` on."""
        assert int(doc_ids[0]) >= self._end, f"doc {doc_ids[0]} is older than {self._end}"
        self.target.add(doc_ids, rows)

    def delete(self, doc_ids: DocIds) -> None:
        """Delete from the target; what it lacks goes from the store."""
        self.target.delete(doc_ids)

    def search(
        self,
        query: Row,
        k: int,
        *,
        allow: AllowList | None = None,
        ef: int | None = None,
        distance_max: float | None = None,
    ) -> Neighbours:
        """The `k` closest allowed vectors of target and rest."""
        best: list[Neighbours] = []
        for doc_ids, rows in self._rest(self._next):
            scan = self._make_scan()
            scan.add(doc_ids, rows)
            best.append(scan.search(query, k, allow=allow, distance_max=distance_max))
            scan.close()
            best = [_closest(best, k)]
        # The target comes last: what left the rest meanwhile, carried over or replaced by an
        # update, is in it by now.
        self._settle()
        best.append(self.target.search(query, k, allow=allow, ef=ef, distance_max=distance_max))
        return _closest(best, k)

    def distances(self, query: Row, doc_ids: DocIds) -> NDArray[np.float32]:
        """Exact distances to given vectors, NaN where there is none."""
        out = self.target.distances(query, doc_ids)
        lacking = np.flatnonzero(np.isnan(out) & (doc_ids < self._end))
        if len(lacking):
            wanted = np.unique(doc_ids[lacking])
            known, rows = self._source.fetch([DocId(doc) for doc in wanted.tolist()])
            if len(known):
                scan = self._make_scan()
                scan.add(known, rows)
                out[lacking] = scan.distances(query, doc_ids[lacking])
        return out

    def configure(self, settings: HnswSettings) -> None:
        """Configure the target."""
        self.target.configure(settings)

    def wait_indexed(self, timeout_s: float) -> bool:
        """Wait until everything is carried over and linked; False when the time is up."""
        until = time.monotonic() + timeout_s
        is_in_time = self._filled.wait(timeout_s)
        return is_in_time and self.target.wait_indexed(max(until - time.monotonic(), 0.0))

    def save(self, path: Path) -> None:
        """Do nothing: a snapshot of a part would be taken for the whole."""

    def load(self, path: Path, live: AllowList) -> DocIds:
        """Take nothing over: every live doc comes from the store."""
        return live.doc_ids()

    def memory_bytes(self) -> int:
        """Bytes of the target."""
        return self.target.memory_bytes()

    def close(self) -> None:
        """Close the target; the filling ends."""
        self._filled.set()
        self.target.close()

    def _rest(self, first: DocId) -> Iterator[tuple[DocIds, Rows]]:
        """What the store has from `first` up to `end`, in chunks."""
        if first >= self._end:
            return
        for doc_ids, rows in self._source.scan(first):
            is_old = doc_ids < self._end
            if is_old.any():
                yield doc_ids[is_old], np.ascontiguousarray(rows[is_old])
            if not is_old.all():
                return


def _closest(parts: list[Neighbours], k: int) -> Neighbours:
    """The `k` closest of all parts, each doc once."""
    doc_ids = np.concatenate([part.doc_ids for part in parts])
    distances = np.concatenate([part.distances for part in parts])
    order = np.lexsort((doc_ids, distances))
    seen = BitMap()
    chosen = []
    for at in order.tolist():
        doc = int(doc_ids[at])
        if doc not in seen:
            seen.add(doc)
            chosen.append(at)
            if len(chosen) == k:
                break
    return Neighbours(doc_ids[chosen], distances[chosen])
