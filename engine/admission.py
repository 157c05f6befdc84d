"""Admission: whether a write may begin, and how many run.

One writer at a time works, while others wait for the disk, for links or for a vectorizer.
Asked before an object is embedded or anything is written, so a refusal leaves no trace. Deletions
are not asked: they make room.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from weftdb.core.env import Clock
from weftdb.core.limits import KiB
from weftdb.core.memory_estimate import link_bytes, row_bytes
from weftdb.core.objects import ObjectDraft, ObjectState
from weftdb.core.schema import VectorConfig
from weftdb.engine.disk_guard import DiskGuard
from weftdb.engine.memory_accountant import MemoryAccountant
from weftdb.engine.shard import Shard

OBJECT_BYTES = 2 * KiB
"""An object on its way: draft, encoded row, terms, and its entries in tables that stay."""
_BOOKKEEPING_BYTES = 16
_RATE_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class WriteFigures:
    """Objects that are being written, and objects written a second over the last seconds."""

    running: int
    per_second: float


class Admission:
    """One a database. Thread-safe."""

    def __init__(self, memory: MemoryAccountant, disk: DiskGuard, clock: Clock) -> None:
        self.memory = memory
        self.disk = disk
        self.turn = threading.RLock()
        """Held while Python works on a write: reading its objects, or a slice of them on its way to
        the store. Writers that want the interpreter at the same time take it from each other and
        from searches; in turns they are as fast, and a search waits for one of them only."""
        self._clock = clock
        self._lock = threading.Lock()
        self._running = 0
        self._begun_s = clock.monotonic_s()
        self._written = 0
        self._before = 0.0

    @contextmanager
    def admit(self, shard: Shard, drafts: Sequence[ObjectDraft | ObjectState]) -> Iterator[None]:
        """Hold what the write of `drafts` needs. Raises Overloaded, DiskFull."""
        self.disk.check()
        with self.memory.grant(write_bytes(shard, drafts)):
            with self._lock:
                self._running += len(drafts)
            try:
                yield
            finally:
                with self._lock:
                    self._running -= len(drafts)
                    self._turn_window()
                    self._written += len(drafts)

    def figures(self) -> WriteFigures:
        """The present load."""
        with self._lock:
            self._turn_window()
            taken_s = self._clock.monotonic_s() - self._begun_s
            # The window before this one fades out as this one fills.
            fading = self._before * max(_RATE_WINDOW_S - taken_s, 0.0)
            return WriteFigures(self._running, (self._written + fading) / _RATE_WINDOW_S)

    def _turn_window(self) -> None:
        now_s = self._clock.monotonic_s()
        taken_s = now_s - self._begun_s
        if taken_s < _RATE_WINDOW_S:
            return
        is_next = taken_s < 2 * _RATE_WINDOW_S
        self._before = self._written / _RATE_WINDOW_S if is_next else 0.0
        self._begun_s, self._written = now_s, 0


def write_bytes(shard: Shard, drafts: Sequence[ObjectDraft | ObjectState]) -> int:
    """What a write of `drafts` may take at most, vectors that are still to be made included."""
    total = OBJECT_BYTES * len(drafts)
    for vector in shard.schema.vectors:
        total += _vector_bytes(shard, vector, drafts)
    return total


def _vector_bytes(
    shard: Shard, config: VectorConfig, drafts: Sequence[ObjectDraft | ObjectState]
) -> int:
    index = shard.vectors.get(config.name)
    dim = (index.dimensions if index is not None else None) or 0
    rows = 0
    for draft in drafts:
        vector = draft.vectors.get(config.name)
        if vector is None:
            rows += config.vectorizer != "none"
            continue
        dim = vector.shape[-1]
        rows += vector.shape[0] if vector.ndim > 1 else 1
    if not rows or not dim:
        return 0
    each = row_bytes(dim) + link_bytes(config.hnsw.max_connections) + _BOOKKEEPING_BYTES
    return int(rows * each)
