"""RecallTuner: keeps the ef of one index at the least that reaches the recall asked for.

Searches leave their queries in a bounded ring. Now and then, when the engine finds the time, some
of them are answered again exactly and with every ef of the table, on the linking threads
(recall_probe.h), and the table takes in what was found.

Concurrency: `note` from any thread, the rest from one.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from weftdb.core.types import Row
from weftdb.index.hnsw.recall_table import EFS, RecallTable, row_of
from weftdb.index.kernels import _native

QUERIES_KEPT = 256
QUERIES_PER_PROBE = 8
SHARE_BUSY = 0.05
"""Of one thread's time, while searches come."""
SHARE_IDLE = 0.5
"""The same, when none came since the last probe."""


class RecallTuner:
    """The tuner of one index."""

    def __init__(self, native: _native.VectorIndex) -> None:
        self._native = native
        self._recent: deque[tuple[Row, int]] = deque(maxlen=QUERIES_KEPT)
        self.table = RecallTable()
        self._noted = 0
        self._noted_before = 0
        self._probe: _native.RecallProbe | None = None
        self._probe_k = 0
        self._rest_until_s = 0.0

    def note(self, query: Row, k: int) -> None:
        """Remember a query. A deque takes it without a lock."""
        self._recent.append((query, k))
        self._noted += 1

    def step(self, now_s: float) -> bool:
        """Start a probe, or take in what one has found; tell whether there was anything to do."""
        if self._probe is None:
            return now_s >= self._rest_until_s and self._begin()
        found = self._probe.result()
        if found is None:
            return False
        self._probe = None
        recalls, queries, seconds, _ = found
        self.table.add(self._probe_k, recalls, queries)
        is_idle = self._noted == self._noted_before
        self._noted_before = self._noted
        share = SHARE_IDLE if is_idle else SHARE_BUSY
        self._rest_until_s = now_s + seconds * (1.0 - share) / share
        return True

    def _begin(self) -> bool:
        """Measure queries of about one k, those first that came last."""
        chosen: list[tuple[Row, int]] = []
        dimensions = self._native.dimensions
        for _ in range(QUERIES_KEPT):
            if len(chosen) == QUERIES_PER_PROBE:
                break
            try:
                query, k = self._recent.pop()
            except IndexError:
                break
            is_alike = not chosen or row_of(k) == row_of(chosen[0][1])
            if len(query) == dimensions and is_alike:
                chosen.append((query, k))
        if not chosen:
            return False
        self._probe_k = max(k for _, k in chosen)
        queries = np.stack([query for query, _ in chosen]).astype(np.float32)
        efs = [max(ef, self._probe_k) for ef in EFS]
        self._probe = _native.start_recall_probe(self._native, queries, self._probe_k, efs)
        return True
