"""Is there one order of the calls on a register that explains what everyone saw?

Wing and Gong's search ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of the
states that were tried ("Testing for linearizability", 2017). A call takes effect at one moment
between its beginning and its end; one without a known end may also never take effect. A write that
was stamped anew (`may_repeat`) may take effect at several moments: its first stamp may be seen,
overtaken, and its second stamp wins then. That is what is promised of it, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

STATES_MAX = 200_000
"""Per register; past it the question stays open, and the report says so."""


@dataclass(frozen=True, slots=True)
class Call:
    """A read or write of the register. `value` is what was written or seen; None is absence."""

    number: int
    is_write: bool
    value: int | None
    begun: float
    ended: float = math.inf
    may_repeat: bool = False

    def __post_init__(self) -> None:
        assert self.begun <= self.ended, self
        assert self.is_write or math.isfinite(self.ended), "a read without an answer says nothing"


class Verdict(Enum):
    """What the search found."""

    LINEAR = "linear"
    NOT_LINEAR = "not linear"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class _State:
    """Which calls have taken effect (bits), and the value then."""

    done: int
    value: int | None


def judge(calls: Sequence[Call], *, states_max: int = STATES_MAX) -> Verdict:
    """Search for an order of `calls` on a register that is absent at first."""
    search = _Search(_relevant(calls))
    start = _State(0, None)
    seen = {start}
    stack = [start]
    while stack:
        state = stack.pop()
        if search.is_complete(state):
            return Verdict.LINEAR
        for following in search.successors(state):
            if following not in seen:
                if len(seen) >= states_max:
                    return Verdict.UNDECIDED
                seen.add(following)
                stack.append(following)
    return Verdict.NOT_LINEAR


def _relevant(calls: Sequence[Call]) -> list[Call]:
    """Leave out writes without an answer that nobody saw: they may never have taken effect."""
    seen = {call.value for call in calls if not call.is_write}
    kept = [call for call in calls if math.isfinite(call.ended) or call.value in seen]
    return sorted(kept, key=lambda call: (call.begun, call.number))


class _Search:
    """The moves from one state to the next."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._answered = sum(
            1 << bit for bit, call in enumerate(calls) if math.isfinite(call.ended)
        )

    def is_complete(self, state: _State) -> bool:
        """True when every answered call has taken effect."""
        return state.done & self._answered == self._answered

    def successors(self, state: _State) -> Iterator[_State]:
        """What may take effect next."""
        open_calls = [
            (bit, call) for bit, call in enumerate(self._calls) if not state.done >> bit & 1
        ]
        first_end = min((call.ended for _, call in open_calls), default=math.inf)
        ready = [(bit, call) for bit, call in open_calls if call.begun <= first_end]
        repeats = self._repeats(state)
        for bit, call in ready:
            is_explained = not call.is_write and call.value == state.value
            if is_explained and all(call.begun <= again.ended for again in repeats):
                # Nothing is gained by letting a read wait that is explained now.
                yield _State(state.done | 1 << bit, state.value)
                return
        for bit, call in ready:
            if call.is_write:
                yield _State(state.done | 1 << bit, call.value)
            elif call.value == state.value:
                yield _State(state.done | 1 << bit, state.value)
        for again in repeats:
            if again.value != state.value:
                yield _State(state.done, again.value)

    def _repeats(self, state: _State) -> list[Call]:
        """Writes that took effect and may do so again: none that has come later began after their
        end."""
        done = [call for bit, call in enumerate(self._calls) if state.done >> bit & 1]
        latest = max((call.begun for call in done), default=0.0)
        return [call for call in done if call.may_repeat and latest <= call.ended]
