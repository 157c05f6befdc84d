"""LinkQueue: vectors of one index that wait for their links; how old they are, and how many are
too many.

Waiting vectors are scanned by every search, so their number bounds what an import costs a search.
Where it grows past what can be scanned within `index.tail_scan_s_max`, writers wait until the
linking threads have caught up, or `index.tail_wait_s_max` are over: slower, never refused. Several
that wait for the same room get it one after the other. Nobody waits for links that are not made
because linking has failed (engine/relinking.py).

Concurrency: any thread. Writers wait without a lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from weftdb.core.config import IndexConfig
from weftdb.core.env import Clock
from weftdb.core.memory_estimate import row_bytes
from weftdb.core.objects import ObjectDraft, ObjectState
from weftdb.core.types import VectorName
from weftdb.index.ports import Linked, VectorIndex

SCAN_BYTES_PER_S = 3e9
"""One thread of a small server over rows of 32 to 1,536 dimensions: 2.6 to 5.5 measured."""
TAIL_MIN = 256
"""A tail this short is never too long: it keeps the linking threads busy until the next slice of a
batch comes (engine/change.py)."""
WAIT_S_PER_OBJECT = 0.03
"""Many times what linking one vector takes. A single insert is not held up by a long tail, as there
is after a start without snapshot; a batch of 1,000 is."""
MARK_S = 0.1
"""Ages are told to this precision."""
MARKS_MAX = 4_096
_PAUSE_S_MIN = 0.001
_PAUSE_S_MAX = 0.004


@dataclass(slots=True)
class _Mark:
    total: int
    """Vectors written up to `time_s`, since the queue was made."""
    time_s: float


@dataclass(slots=True)
class LinkQueue:
    """The queue of the index `name` in what `spaces` gives, where another may take its place."""

    spaces: Callable[[], Mapping[VectorName, VectorIndex]]
    name: VectorName
    clock: Clock
    slowed_s: float = 0.0
    _coming: int = 0
    """Of writers that have been let in and have not written yet."""
    _total: int = 0
    _marks: deque[_Mark] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pause: threading.Event = field(default_factory=threading.Event)  # Never set: a sleep.

    @property
    def pending(self) -> int:
        """Vectors that wait."""
        return self.spaces()[self.name].pending

    def note(self, count: int) -> None:
        """Say that `count` vectors were just written."""
        now_s = self.clock.monotonic_s()
        with self._lock:
            self._forget_linked()
            self._total += count
            last = self._marks[-1] if self._marks else None
            if last is not None and now_s - last.time_s < MARK_S:
                last.total = self._total
            elif len(self._marks) < MARKS_MAX:
                self._marks.append(_Mark(self._total, now_s))
            else:
                # Seven minutes of writes wait: from here on ages are those of the mark before.
                self._marks[-1].total = self._total

    def oldest_s(self) -> float:
        """Age of the oldest vector that waits; 0 where none does."""
        with self._lock:
            self._forget_linked()
            if not self._marks:
                return 0.0
            return max(self.clock.monotonic_s() - self._marks[0].time_s, 0.0)

    def enter(self, config: IndexConfig, objects: int) -> None:
        """Hold back a writer of `objects` while too many vectors wait; not for longer than it could
        take to link what it brings, nor than `tail_wait_s_max`. It says `leave` once it has
        written."""
        wait_s_max = min(objects * WAIT_S_PER_OBJECT, config.tail_wait_s_max)
        waited_s, pause_s = 0.0, _PAUSE_S_MIN
        while not self._let_in(config, objects, is_patient=waited_s < wait_s_max):
            self._pause.wait(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)
        self.slowed_s += waited_s

    def leave(self, objects: int) -> None:
        """Say that what was let in is written, or will not be."""
        with self._lock:
            self._coming -= objects

    def _let_in(self, config: IndexConfig, objects: int, *, is_patient: bool) -> bool:
        with self._lock:
            if is_patient and self._is_too_long(config):
                return False
            self._coming += objects
            return True

    def _is_too_long(self, config: IndexConfig) -> bool:
        index = self.spaces()[self.name]
        pending = index.pending + self._coming
        if pending <= TAIL_MIN or pending <= tail_max(index.dimensions or 1, config):
            return False
        return not (isinstance(index, Linked) and index.link_fault)

    def _forget_linked(self) -> None:
        """Drop marks of what has its links. Vectors are linked in the order of writing."""
        linked = self._total - self.pending
        while self._marks and self._marks[0].total <= linked:
            self._marks.popleft()


class LinkQueues:
    """The queues of one collection."""

    def __init__(
        self,
        spaces: Callable[[], Mapping[VectorName, VectorIndex]],
        config: IndexConfig,
        clock: Clock,
    ) -> None:
        self._spaces = spaces
        self._config = config
        self._clock = clock
        self._queues: dict[VectorName, LinkQueue] = {}

    @contextmanager
    def room(self, objects: int) -> Iterator[None]:
        """Hold a writer of `objects` back while any queue is too long; then it writes."""
        entered = []
        try:
            for queue in self._all():
                queue.enter(self._config, objects)
                entered.append(queue)
            yield
        finally:
            for queue in entered:
                queue.leave(objects)

    def note(self, drafts: Sequence[ObjectDraft | ObjectState]) -> None:
        """Say that `drafts` were just written."""
        for queue in self._all():
            count = sum(queue.name in draft.vectors for draft in drafts)
            if count:
                queue.note(count)

    @property
    def pending(self) -> int:
        """Vectors that wait."""
        return sum(queue.pending for queue in self._all())

    def faults(self) -> Mapping[VectorName, str]:
        """Why linking rests, by vector; those where it does not are left out."""
        found = {}
        for name, index in self._spaces().items():
            fault = index.link_fault if isinstance(index, Linked) else ""
            if fault:
                found[name] = fault
        return found

    def oldest_s(self) -> float:
        """Age of the oldest vector that waits; 0 where none does."""
        return max((queue.oldest_s() for queue in self._all()), default=0.0)

    @property
    def slowed_s(self) -> float:
        """Seconds that writers have waited, all together."""
        return sum(queue.slowed_s for queue in self._queues.values())

    def _all(self) -> list[LinkQueue]:
        for name in self._spaces():
            if name not in self._queues:
                queue = LinkQueue(self._spaces, name, self._clock)
                self._queues.setdefault(name, queue)
        return list(self._queues.values())


def tail_max(dim: int, config: IndexConfig) -> int:
    """Vectors that one search can scan within `tail_scan_s_max`, at least `TAIL_MIN`."""
    if not config.tail_scan_s_max:
        return 2**62
    return max(int(config.tail_scan_s_max * SCAN_BYTES_PER_S / row_bytes(dim)), TAIL_MIN)
