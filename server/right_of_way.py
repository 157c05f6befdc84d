"""RightOfWay: lets the event loop go first where threads that write want the interpreter, too.

Python's lock goes to whoever has waited for the switch interval, in the middle of what its holder
does. Beside an import the loop so lost it three to six times in a slow search, and waited each time
until the thread that got it had been given a processor. Here threads step aside instead:
between two objects they look whether the loop works or has something to do. If so, they sleep
without the lock until the loop waits for the network again, and then work for a ration undisturbed.
So the loop waits for one ration or one object at most, and an import always goes on.

    thread:  object, object, look: the loop is wanted -> sleep ... ration: object, object, ...
    loop:    data arrives -> works -> replies are written -> rests, and wakes who sleeps

Whether the loop has something to do is told by an epoll of our own over what it waits for.
"""

from __future__ import annotations

import select
import threading
import time
from collections import deque

WAIT_S_MAX = 0.002
"""A thread goes on after this, also where the loop never rests."""
RATION_S = 0.0003
"""A thread's work beside one search at a time: about as long as that search takes."""
RATION_S_MAX = 0.001
"""The same beside several: they wait for each other that long anyway."""


class RightOfWay:
    """One an event loop. `give_way` comes from any thread, everything else from the loop's."""

    def __init__(self) -> None:
        self._ready = select.epoll() if hasattr(select, "epoll") else None  # Linux has it.
        self._works = False
        self._searches_max = 0
        self._sleeping: deque[threading.Lock] = deque()
        self._ration_end_s = 0.0

    def watch(self, descriptor: int) -> None:
        """Take it as work for the loop when `descriptor` can be read."""
        if self._ready is not None:
            self._ready.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Undo `watch`. Requires: the descriptor is still open."""
        if self._ready is not None:
            self._ready.unregister(descriptor)

    def close(self) -> None:
        """Let go of the epoll. Requires: nobody calls `give_way` any more."""
        if self._ready is not None:
            self._ready.close()

    def note_searches(self, running: int) -> None:
        """Say how many searches are on their way."""
        self._searches_max = max(self._searches_max, running)

    def loop_works(self) -> None:
        """Say that the loop has something to do. Requires: `loop_rests` follows."""
        self._works = True

    def loop_rests(self) -> None:
        """Say that the loop has done what there was, and wake who sleeps for it."""
        self._works = False
        while self._sleeping:
            self._sleeping.popleft().release()

    def give_way(self) -> None:
        """Let the loop go first if it wants to, `WAIT_S_MAX` at most."""
        if not self._is_wanted():
            return
        begun_s = time.perf_counter()
        if begun_s < self._ration_end_s:
            return
        turn = threading.Lock()
        turn.acquire()
        self._sleeping.append(turn)
        if self._is_wanted():  # Else it may have rested before it could see us.
            turn.acquire(timeout=WAIT_S_MAX)
        ration_s = RATION_S if self._searches_max <= 1 else RATION_S_MAX
        self._searches_max = 0
        self._ration_end_s = time.perf_counter() + ration_s

    def _is_wanted(self) -> bool:
        return self._works or (self._ready is not None and bool(self._ready.poll(0, 1)))
