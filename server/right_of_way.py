"""RightOfWay: lets the event loop go first where threads that write want the interpreter, too.

Python's lock goes to whoever has waited for the switch interval, in the middle of what its holder
does. Beside an import the loop so lost it three to six times in a slow search, and waited each time
until the thread that got it had been given a processor. Here threads step aside instead:
every few microseconds of their work they look whether the loop works or has something to do. If so,
they sleep without the lock until the loop waits for the network again, and then work for a ration
undisturbed. So the loop waits for one ration at most, and an import always goes on.

    thread:  object, object, look: the loop is wanted -> sleep ... ration: object, object, ...
    loop:    data arrives -> works -> replies are written -> rests, and wakes who sleeps

Whether the loop has something to do is told by an epoll of our own over what it waits for. The
waiting is native (grpc/src/right_of_way.h).
"""

from __future__ import annotations

from weftdb.server.grpc import _session

WAIT_S_MAX = 0.002
"""A thread goes on after this, also where the loop never rests."""
RATION_S = 0.0004
"""A thread's work between two searches of which one is on its way at a time: about as long as that
search takes."""
RATION_OF_SEVERAL_S = 0.0002
"""The same beside several. The loop then rests many times a search."""
LOOK_S = 0.00002
"""A thread does not look again for this long: it is asked more often than a look is worth."""


class RightOfWay(_session.RightOfWay):
    """One an event loop. `give_way` comes from any thread, and `end_turn`, which is the same with
    what is left of a ration given up; everything else comes from the loop's:

    `watch` takes it as work for the loop when a descriptor can be read, `forget` undoes that;
    `loop_works` is followed by `loop_rests`, `search_begins` by `search_ends`. While a single
    search is on its way in the pool, threads work, but look as often as without a ration.
    """

    def __init__(
        self,
        *,
        wait_s_max: float = WAIT_S_MAX,
        look_s: float = LOOK_S,
        ration_s: float = RATION_S,
        ration_of_several_s: float = RATION_OF_SEVERAL_S,
    ) -> None:
        super().__init__(
            wait_s_max=wait_s_max,
            look_s=look_s,
            ration_s=ration_s,
            ration_of_several_s=ration_of_several_s,
        )
