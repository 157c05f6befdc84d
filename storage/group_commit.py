"""Group commit: writers that wait at the same time share one sync.

The first waiter becomes the leader and syncs everything written so far; those who come meanwhile
wait on a lock of their own and are released together when a sync that began after their write has
ended. So n concurrent writers cost about one sync per round trip instead of n.

A failed sync is final for the process (after a failed fsync the kernel may have dropped the pages:
what is on disk is unknown until the log is read again): every later wait raises too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from weftdb.core.errors import Fault, WeftError
from weftdb.storage.kv import Ticket


class GroupCommit:
    """Hands out tickets and makes them durable with as few syncs as possible."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._written = 0
        self._durable = 0
        self._is_syncing = False
        self._waiting: list[tuple[int, threading.Lock]] = []
        self._failure: WeftError | None = None
        self.syncs = 0

    @property
    def written(self) -> int:
        """Tickets given out so far."""
        return self._written

    def ticket(self) -> Ticket:
        """The ticket of a write that has just been applied."""
        with self._lock:
            self._written += 1
            return Ticket(self._written)

    def wait(self, ticket: Ticket) -> None:
        """Return when `ticket` is durable. Raises what the sync raised."""
        while True:
            with self._lock:
                if self._failure is not None:
                    raise Fault(f"an earlier sync failed: {self._failure}") from self._failure
                if self._durable >= ticket:
                    return
                is_leader = not self._is_syncing
                if is_leader:
                    self._is_syncing = True
                    target = self._written
                else:
                    turn = threading.Lock()
                    turn.acquire()
                    self._waiting.append((ticket, turn))
            if is_leader:
                self._lead(target)
            else:
                turn.acquire()

    def _lead(self, target: int) -> None:
        failure: WeftError | None = None
        try:
            self._sync()
        except WeftError as error:
            failure = error
        with self._lock:
            self._is_syncing = False
            self.syncs += 1
            if failure is None:
                self._durable = max(self._durable, target)
            else:
                self._failure = failure
            done = [turn for ticket, turn in self._waiting if failure or ticket <= target]
            rest = [entry for entry in self._waiting if not failure and entry[0] > target]
            if rest:
                done.append(rest.pop(0)[1])  # It finds no leader and leads the next sync.
            self._waiting = rest
        for turn in done:
            turn.release()
        if failure is not None:
            raise failure
