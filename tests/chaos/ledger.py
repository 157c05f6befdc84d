"""Ledger: what a cluster acknowledged, by key, and how its requests ended.

A key has one writer, which sends one request after the other. Where the answer to a write never
came, the same write is sent again until it is acknowledged, and then the key is not written any
more: the first sending may arrive late. So every key has exactly one right state, at any time.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

DELETED = -1
GAP_S = 1.0
SLOW_S = 2.0
NAMED_MAX = 50
"""Failures and broken promises that are kept word by word; all are counted."""


@dataclass(slots=True)
class Key:
    """One object: `revision` is what was acknowledged last (DELETED: it is gone)."""

    id: uuid.UUID
    revision: int
    is_frozen: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it must be found."""
        return self.revision != DELETED

    def fault(self, found: int | None) -> str:
        """What is wrong with having found a revision, or nothing (None); "" where it is right."""
        if found == (self.revision if self.is_there else None):
            return ""
        if found is None:
            return f"{self.id} is lost: revision {self.revision} was acknowledged"
        if not self.is_there:
            return f"{self.id} is there again with revision {found}: its deletion was acknowledged"
        return f"{self.id} has revision {found}, {self.revision} was acknowledged"


@dataclass(slots=True)
class Ledger:
    """Of one run; thread-safe."""

    keys: dict[int, list[Key]] = field(default_factory=dict)
    """By writer; each writer touches its own list only."""
    answered: Counter[str] = field(default_factory=Counter)
    """By operation."""
    victims: Counter[str] = field(default_factory=Counter)
    """Requests that the node under fault did not answer, by fault and kind of error."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests that another node did not answer, or with an error, by operation."""
    named: list[str] = field(default_factory=list)
    """The first of the failed, and of the broken promises, with all words."""
    broken: int = 0
    """Promises: what a read during the run, or the check after it, must not find."""
    gap_s: float = 0.0
    """The longest time in which no write was acknowledged by anybody."""
    gaps: list[str] = field(default_factory=list)
    """Those of `GAP_S` and more: when, how long, under which fault."""
    slowest: dict[str, tuple[float, str]] = field(default_factory=dict)
    """By operation, the longest request of a node that no fault was on, and the fault meanwhile."""
    slow: list[str] = field(default_factory=list)
    """Of those the first of `SLOW_S` and more: when they ended, by which node."""
    scene: str = "no fault"
    """What is done to the cluster at this moment."""
    _acknowledged_s: float = 0.0
    _is_at_rest: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, operation: str, *, is_write: bool) -> None:
        """Count an answer."""
        with self._lock:
            self.answered[operation] += 1
            if is_write:
                self._end_gap()

    def note_time(self, operation: str, node: str, took_s: float) -> None:
        """Take how long a node took for an answer that no fault was on."""
        with self._lock:
            if took_s > self.slowest.get(operation, (0.0, ""))[0]:
                self.slowest[operation] = (took_s, self.scene)
            if took_s >= SLOW_S and len(self.slow) < NAMED_MAX:
                words = f"{operation} by {node} {took_s:.1f} s, {self.scene}"
                self.slow.append(f"{time.strftime('%H:%M:%S')} {words}")

    def note_end(self) -> None:
        """The load ends: what nobody acknowledged lately counts, too."""
        with self._lock:
            self._end_gap()
            self._is_at_rest = True

    def begin(self) -> None:
        """The load begins, again: the time in which nobody was to write does not count."""
        with self._lock:
            self._acknowledged_s = 0.0
            self._is_at_rest = False

    def begin_gap(self) -> None:
        """Measure `gap_s` anew from now on."""
        with self._lock:
            self.gap_s = 0.0

    def end_gap(self) -> float:
        """The longest time without an acknowledged write since `begin_gap`, up to now."""
        with self._lock:
            if not self._is_at_rest:
                self._end_gap(is_over=False)
            return self.gap_s

    def note_victim(self, fault: str, error: str) -> None:
        """Count a request that the node under fault was to answer."""
        with self._lock:
            self.victims[f"{fault}: {error}"] += 1

    def note_failed(self, operation: str, words: str) -> None:
        """Count a request that should have been answered."""
        with self._lock:
            self.failed[operation] += 1
            self._name(f"failed {operation}: {words}")

    def note_broken(self, words: str) -> None:
        """Count a broken promise."""
        with self._lock:
            self.broken += 1
            self._name(f"BROKEN {words}")

    def all_keys(self) -> list[Key]:
        """Of all writers."""
        return [key for keys in self.keys.values() for key in keys]

    def _end_gap(self, *, is_over: bool = True) -> None:
        if self._is_at_rest:
            return
        now_s = time.monotonic()
        gap_s = now_s - (self._acknowledged_s or now_s)
        self.gap_s = max(self.gap_s, gap_s)
        if is_over:
            if gap_s >= GAP_S and len(self.gaps) < NAMED_MAX:
                self.gaps.append(f"{time.strftime('%H:%M:%S')} {gap_s:.1f} s, {self.scene}")
            self._acknowledged_s = now_s

    def _name(self, words: str) -> None:
        if len(self.named) < NAMED_MAX:
            self.named.append(words)
