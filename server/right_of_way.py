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
LOOK_S = 0.00003
"""A thread does not look again for this long: it asks more often than a look is worth."""
RATION_S_MAX = 0.001
"""The same beside several: they wait for each other that long anyway."""


class RightOfWay:
    """One an event loop. `give_way` comes from any thread, everything else from the loop's."""

    def __init__(self) -> None:
        self._ready = select.epoll() if hasattr(select, "epoll") else None  # Linux has it.
        self._works = False
        self._searches = 0
        self._searches_max = 0
        self._is_awaited = False
        self._sleeping: deque[threading.Lock] = deque()
        self._go_on_until_s = 0.0

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

    def search_begins(self) -> None:
        """Say that a search is on its way. Requires: `search_ends` follows."""
        self._searches += 1
        self._searches_max = max(self._searches_max, self._searches)
        self._is_awaited = self._searches == 1

    def search_ends(self) -> None:
        """Say that a search has its result."""
        self._searches -= 1
        self._is_awaited = False

    def loop_works(self) -> None:
        """Say that the loop has something to do. Requires: `loop_rests` follows."""
        self._works = True

    def loop_rests(self) -> None:
        """Say that the loop has done what there was, and wake who sleeps for it: not while it waits
        for the result of a single search, which comes sooner than a ration is over."""
        self._works = False
        if self._is_awaited:
            return
        while self._sleeping:
            self._sleeping.popleft().release()

    def give_way(self) -> None:
        """Let the loop go first if it wants to, `WAIT_S_MAX` at most."""
        now_s = time.perf_counter()
        if now_s < self._go_on_until_s:
            return
        if not self._is_wanted():
            self._go_on_until_s = now_s + LOOK_S
            return
        turn = threading.Lock()
        turn.acquire()
        self._sleeping.append(turn)
        # Not wanted: it has rested before it could see us.
        if self._is_wanted() and not turn.acquire(timeout=WAIT_S_MAX):
            self._is_awaited = False  # It takes long.
        ration_s = RATION_S if self._searches_max <= 1 else RATION_S_MAX
        self._searches_max = 0
        self._go_on_until_s = time.perf_counter() + ration_s

    def _is_wanted(self) -> bool:
        return (
            self._works
            or self._is_awaited
            or (self._ready is not None and bool(self._ready.poll(0, 1)))
        )
