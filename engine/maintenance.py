"""Background work of one database: sealing inverted deltas, saving graph snapshots.

All of it concerns derived or re-encoded state: a task that fails is logged, counted and tried
again later, and no acknowledged write depends on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from weftdb.core.env import Env
from weftdb.core.errors import Closed, WeftError

log = logging.getLogger("weftdb.maintenance")

PAUSE_S = 0.5
"""How often due work is looked for when nobody signals."""
BACKOFF_S_MAX = 60.0


class Chore(Protocol):
    """One repeated piece of background work."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def run_if_due(self) -> bool:
        """Do what is due; tell whether there was anything."""
        ...

    def finish(self) -> None:
        """Leave things tidy: the shard is about to close."""
        ...


@dataclass(slots=True)
class _State:
    failures: int = 0
    rest_until_s: float = 0.0


@dataclass(slots=True)
class MaintenanceCounters:
    """What the metrics report."""

    runs: int = 0
    failures: int = 0
    last_error: str = ""
    by_chore: dict[str, int] = field(default_factory=dict)


class Maintenance:
    """One thread that runs the chores of all shards in turn."""

    def __init__(self, chores: Callable[[], Sequence[Chore]], env: Env) -> None:
        self._chores = chores
        self._env = env
        self._wake = threading.Event()
        self._stopping = False
        self._states: dict[int, _State] = {}
        self.counters = MaintenanceCounters()
        self._thread = threading.Thread(target=self._loop, name="weftdb-maintenance", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def signal(self) -> None:
        """Say that there may be work now."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the running chore and end the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_once(self) -> bool:
        """Give every chore one chance; tell whether any had work. Also for tests."""
        chores = list(self._chores())
        known = {id(chore) for chore in chores}
        self._states = {key: state for key, state in self._states.items() if key in known}
        worked = False
        for chore in chores:
            if not self._stopping:
                worked = self._try(chore) or worked
        return worked

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if not self.run_once():
                self._wake.wait(PAUSE_S)

    def _try(self, chore: Chore) -> bool:
        state = self._states.setdefault(id(chore), _State())
        now_s = self._env.clock.monotonic_s()
        if now_s < state.rest_until_s:
            return False
        try:
            worked = chore.run_if_due()
        except Closed:
            return False  # A drop was faster, or another index has taken over.
        except (WeftError, OSError) as error:
            state.failures += 1
            state.rest_until_s = now_s + min(2.0**state.failures, BACKOFF_S_MAX)
            self.counters.failures += 1
            self.counters.last_error = f"{chore.name}: {error}"
            log.exception("%s failed (%d times)", chore.name, state.failures)
            return False
        state.failures = 0
        if worked:
            self.counters.runs += 1
            self.counters.by_chore[chore.name] = self.counters.by_chore.get(chore.name, 0) + 1
        return worked
