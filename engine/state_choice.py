"""StateChoice: which states of a batch from another replica are taken, and what is said of each.

Pure: what is held comes in. The greatest version of an id wins, whether it is an object or a
deletion; the same version is the same state. So the order in which states come, and how often, does
not matter in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from weftdb.core.errors import RequestError
from weftdb.core.objects import Digest, ObjectState
from weftdb.core.types import ObjectId, Version

Outcome: TypeAlias = Version | RequestError | None
"""Of one state: None where it is held now, the newer version that is held instead, or why it
cannot be taken."""


class StateChoice:
    """Of one batch. Lifecycle: `ids`, `take` with what is held of them, then `outcomes`."""

    def __init__(self, states: Sequence[ObjectState], refusals: Mapping[int, RequestError]) -> None:
        """`refusals` says by position which states cannot be taken, whatever is held."""
        self._states = states
        self._refusals = dict(refusals)
        self._best: dict[ObjectId, int] = {}
        self._now: dict[ObjectId, Version] = {}
        for at, state in enumerate(states):
            best = self._best.get(state.id)
            if at not in refusals and (best is None or state.version > states[best].version):
                self._best[state.id] = at

    @property
    def ids(self) -> list[ObjectId]:
        """The ids of which something could be taken."""
        return list(self._best)

    def take(
        self,
        held: Sequence[Digest | None],
        *,
        is_wanted: Callable[[ObjectState, Digest | None], bool],
        refusal: Callable[[ObjectState], RequestError | None],
    ) -> list[int]:
        """Positions of the states to store, given what is held, in the order of `ids`.

        `is_wanted` may pass over a state that is newer than what is held, `refusal` may refuse it.
        """
        taken = []
        for at, before in zip(self._best.values(), held, strict=True):
            state = self._states[at]
            if before is not None:
                self._now[state.id] = before.version
            if before is not None and before.version >= state.version:
                continue
            error = refusal(state)
            if error is not None:
                self._refusals[at] = error
                continue
            self._now[state.id] = state.version
            if is_wanted(state, before):
                taken.append(at)
        return taken

    def outcomes(self) -> list[Outcome]:
        """What to say of each state, in their order."""
        return [self._outcome(at, state) for at, state in enumerate(self._states)]

    def _outcome(self, at: int, state: ObjectState) -> Outcome:
        refusal = self._refusals.get(at)
        if refusal is not None:
            return refusal
        now = self._now.get(state.id)
        if now is None or now < state.version:
            # The greatest of its id was refused, and so this one is not held either.
            return self._refusals[self._best[state.id]]
        return now if now > state.version else None


__all__ = ["Outcome", "StateChoice"]
