"""Clients: each does its steps one after the other, and writes down what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from weftdb.core.errors import Unavailable, WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.types import ObjectId, ShardName

from .coordinator import Coordinator
from .events import Events
from .history import Operation, Outcome, Verb
from .journal import Journal
from .plan import Step
from .replicas import VALUE

PATIENCE_S = 1.0
"""How much longer than the request's deadline a client waits for an answer."""


class Clients:
    """All clients of a run. Operations are numbered as they begin."""

    def __init__(
        self, steps: Sequence[Step], coordinators: dict[str, Coordinator], *, events: Events,
        journal: Journal, deadline_s: float, shard_of: Callable[[ObjectId], ShardName],
    ) -> None:  # fmt: skip
        self.operations: list[Operation] = []
        self._coordinators = coordinators
        self._events = events
        self._journal = journal
        self._deadline_s = deadline_s
        self._shard_of = shard_of
        self._open = 0
        for client in sorted({step.client for step in steps}):
            self._open += 1
            self._next(iter([step for step in steps if step.client == client]))

    @property
    def are_done(self) -> bool:
        """True when every client has done all its steps."""
        return self._open == 0

    def _next(self, steps: Iterator[Step]) -> None:
        step = next(steps, None)
        if step is None:
            self._open -= 1
            return
        self._events.after(step.think_s, lambda: self._begin(step, lambda: self._next(steps)))

    def _begin(self, step: Step, then: Callable[[], None]) -> None:
        one = Operation(
            number=len(self.operations),
            client=step.client,
            coordinator=step.coordinator,
            verb=step.verb,
            key=step.key,
            shard=self._shard_of(step.key),
            level=step.level,
            begun=self._events.now,
        )
        if one.verb is Verb.PUT:
            one.value = one.number
        self.operations.append(one)
        self._note(one, "begins", str(one))
        is_over = False

        def end(outcome: ObjectState | WeftError | None) -> None:
            nonlocal is_over
            if is_over:
                return
            is_over = True
            self._end(one, outcome)
            then()

        def give_up() -> None:
            nonlocal is_over
            if is_over:
                return
            is_over = True
            self._note(one, "gives up", f"#{one.number}")
            then()

        self._events.after(self._deadline_s + PATIENCE_S, give_up)
        coordinator = self._coordinators.get(step.coordinator)
        if coordinator is None:
            end(Unavailable("there is no such node yet"))
        else:
            coordinator.take(one, self._deadline_s, end)

    def _end(self, one: Operation, outcome: ObjectState | WeftError | None) -> None:
        one.ended = self._events.now
        if isinstance(outcome, WeftError):
            one.outcome, one.error = Outcome.FAILED, f"{type(outcome).__name__}: {outcome}"
        else:
            one.outcome = Outcome.DONE
            one.version = None if outcome is None else outcome.version
            if one.verb is Verb.READ and outcome is not None and not outcome.is_deleted:
                one.value = int(outcome.properties[VALUE])
        self._note(one, "is told", str(one))

    def _note(self, one: Operation, verb: str, text: str) -> None:
        self._journal.note(self._events.now, f"client {one.client}", verb, text, about=one.key)
