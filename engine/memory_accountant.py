"""MemoryAccountant: what this process takes of its memory budget, and what may still come.

In use is what the process takes by itself (core/machine.py), with what was promised on top:
writes that run, writes that ended after the process was last looked at, and links that the tail of
the graphs will get. A promise is an upper estimate, so the budget is met rather early than late.

Concurrency: any thread. One lock, held for a few instructions and, every `SAMPLE_S`, for a look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from weftdb.core.config import ResourcesConfig
from weftdb.core.env import Clock
from weftdb.core.errors import Overloaded
from weftdb.core.limits import MiB
from weftdb.core.machine import give_back_memory, memory_limit_bytes, memory_used_bytes

log = logging.getLogger("weftdb.memory")

SAMPLE_S = 0.1
WARNING_S = 60.0
"""A process that stays above the mark says so this often."""

GIVE_BACK_S = 5.0
"""It takes a walk over the heap, tens of milliseconds."""

DEFAULT_SHARE = 0.9
"""Of the memory that the process may have; the rest is for the kernel and for mapped files."""
LIMITED_SHARE = 0.8
"""The same where LIMIT_RESOURCES asks to leave more to others."""


@dataclass(frozen=True, slots=True)
class Consumption:
    """What takes memory at one moment: parts by name, and links that are still to come."""

    parts: Mapping[str, int]
    coming: int = 0


class MemoryAccountant:
    """Grants memory to writes, below a budget."""

    def __init__(
        self,
        config: ResourcesConfig,
        clock: Clock,
        consumption: Callable[[], Consumption],
        *,
        used: Callable[[], int | None] = memory_used_bytes,
        limit: Callable[[], int | None] = memory_limit_bytes,
        give_back: Callable[[], None] = give_back_memory,
    ) -> None:
        """`consumption` is asked for every `SAMPLE_S` while writes come."""
        self._config = config
        self._clock = clock
        self._consumption = consumption
        self._used = used
        self._give_back = give_back
        self._gave_back_s = float("-inf")
        self.budget_bytes = _budget(config, limit())
        self._lock = threading.Lock()
        self._sampled_s = float("-inf")
        self._sampled_bytes = 0
        self._running_bytes = 0
        self._ended_bytes = 0
        self._warned_s = float("-inf")
        self.refused = 0

    @property
    def used_bytes(self) -> int:
        """What counts against the budget now."""
        with self._lock:
            return self._in_use()

    def consumption(self) -> Consumption:
        """What the parts of the engine say they take."""
        return self._consumption()

    @contextmanager
    def grant(self, wanted_bytes: int) -> Iterator[None]:
        """Hold `wanted_bytes` for a write. Raises Overloaded, before anything is written."""
        if not self.budget_bytes:
            yield
            return
        with self._lock:
            self._admit(wanted_bytes)
            self._running_bytes += wanted_bytes
        try:
            yield
        finally:
            with self._lock:
                self._running_bytes -= wanted_bytes
                self._ended_bytes += wanted_bytes

    def claim(self, wanted_bytes: int) -> str:
        """Take `wanted_bytes` for background work, until the process is looked at again and the
        work counts by itself. Returns what is missing, or the empty text."""
        if not self.budget_bytes:
            return ""
        with self._lock:
            in_use, budget = self._in_use(), self.budget_bytes
            if in_use + wanted_bytes > budget and self._could_give_back():
                in_use = self._in_use()
            if in_use + wanted_bytes > budget:
                return (
                    f"it needs {_mib(wanted_bytes)} of memory, {_mib(in_use)} of the budget of "
                    f"{_mib(budget)} are in use"
                )
            self._ended_bytes += wanted_bytes
            return ""

    def _admit(self, wanted_bytes: int) -> None:
        in_use, budget = self._in_use(), self.budget_bytes
        if in_use + wanted_bytes > budget and self._could_give_back():
            in_use = self._in_use()
        readonly = self._config.memory_readonly_percentage
        if readonly and 100 * in_use > readonly * budget:
            self.refused += 1
            raise Overloaded(
                f"store is read-only due to: memory usage too high, {100 * in_use / budget:.1f} % "
                f"of {_mib(budget)} used, limit {readonly} %; searches go on"
            )
        if in_use + wanted_bytes > budget:
            self.refused += 1
            raise Overloaded(
                f"not enough memory: this write needs {_mib(wanted_bytes)}, {_mib(in_use)} of the "
                f"budget of {_mib(budget)} are in use; nothing was written and searches go on. "
                "Send it again later, or give more memory (resources.memory_budget_bytes)"
            )
        self._warn(in_use)

    def give_back(self) -> None:
        """Let the allocator return freed memory: much was freed just now."""
        self._give_back()

    def _could_give_back(self) -> bool:
        """Ask the allocator for freed memory before a write is refused, once in `GIVE_BACK_S`."""
        now_s = self._clock.monotonic_s()
        if now_s - self._gave_back_s < GIVE_BACK_S:
            return False
        self._gave_back_s = now_s
        self._give_back()
        self._sampled_s = float("-inf")
        return True

    def _in_use(self) -> int:
        now_s = self._clock.monotonic_s()
        if now_s - self._sampled_s >= SAMPLE_S:
            found = self._consumption()
            held = self._used()
            self._sampled_bytes = (sum(found.parts.values()) if held is None else held) + (
                found.coming
            )
            self._sampled_s = now_s
            self._ended_bytes = 0
        return self._sampled_bytes + self._running_bytes + self._ended_bytes

    def _warn(self, in_use: int) -> None:
        warning = self._config.memory_warning_percentage
        now_s = self._clock.monotonic_s()
        if not warning or 100 * in_use <= warning * self.budget_bytes:
            return
        if now_s - self._warned_s >= WARNING_S:
            self._warned_s = now_s
            log.warning(
                "memory: %s of the budget of %s are in use (warning at %d %%)",
                _mib(in_use), _mib(self.budget_bytes), warning,
            )  # fmt: skip


def _budget(config: ResourcesConfig, limit: int | None) -> int:
    """The budget in bytes; 0 where there is none to be known."""
    if config.memory_budget_bytes or limit is None:
        return config.memory_budget_bytes
    return int(limit * (LIMITED_SHARE if config.limited else DEFAULT_SHARE))


def _mib(size: int) -> str:
    return f"{size / MiB:,.1f} MiB"
