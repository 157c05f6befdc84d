"""SimulatedNode: one process on one machine: clocks, disk, replicas, and what befalls them.

What a process does is lost when it crashes: answers that wait for the disk, timers, coordinations.
A paused process gets its messages and timers all at once when it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import Apply, Reply, Request, ShardRef
from weftdb.core.errors import WeftError
from weftdb.core.types import NodeName
from weftdb.storage.kv import Ticket

from .disk import LossyStore
from .events import Events, SkewedClock
from .journal import Journal
from .network import Network
from .replicas import Replica

NOTHING = Ticket(0)
Answered = Callable[[Reply | Failure], None]
"""Called with what came of a request."""
OpenReplicas = Callable[["SimulatedNode"], Mapping[ShardRef, Replica]]
"""Opens what a node holds, from its disk, as a process does when it starts."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How fast a node is. Each is the median of a log-normal time, in seconds."""

    work_s: float = 0.0002
    sync_s: float = 0.002


@dataclass(slots=True)
class Surroundings:
    """What the nodes of a run share."""

    events: Events
    network: Network
    journal: Journal
    dice: random.Random
    machine: Machine
    waits_for_sync: bool = True
    """False is a canary: answers go out before what they tell is durable."""
    compares: bool = True
    """Whether trees are compared now and then; not while hints are judged."""
    pace: float = 1.0
    """How much more slowly than usual nodes look around: long quiet times are passed quickly."""


class SimulatedNode:
    """One node of the cluster."""

    def __init__(
        self, name: NodeName, clock: SkewedClock, around: Surroundings, open_replicas: OpenReplicas
    ) -> None:
        self.name = name
        self.clock = clock
        self.around = around
        self.disk = LossyStore()
        self.is_up = False
        self.down_since = 0.0
        self.rebuilding: set[ShardRef] = set()
        """Shards whose data is gone: they take states, but vouch for nothing."""
        self.replicas: Mapping[ShardRef, Replica] = {}
        self.on_start: list[Callable[[], None]] = []
        """Called when the process has started: coordinators and timers of the new process."""
        self._open_replicas = open_replicas
        self.life = 0
        self._is_paused = False
        self._backlog: list[Callable[[], None]] = []
        self._is_syncing = False
        self._waiting: list[tuple[Ticket, Callable[[], None]]] = []

    @property
    def is_paused(self) -> bool:
        """True while the process is stopped."""
        return self._is_paused

    # Life.

    def start(self) -> None:
        """Start the process over what the disk holds."""
        assert not self.is_up, f"{self.name} runs"
        self.is_up = True
        self.life += 1
        self.replicas = self._open_replicas(self)
        self.note("starts", f"life {self.life}")
        for begin in self.on_start:
            begin()

    def crash(self, *, wipe: bool) -> None:
        """Kill the process; lose what was not synced, or everything."""
        if self.is_up:
            self.is_up = False
            self.down_since = self.around.events.now
        self._is_paused = self._is_syncing = False
        self._backlog.clear()
        self._waiting.clear()
        self.replicas = {}
        lost = self.disk.crash(self.around.dice)
        if wipe:
            self.disk.wipe()
        self.note("crashes", "its disk is empty" if wipe else f"{lost} writes are lost")

    def pause(self) -> None:
        """Stop the process; its machine goes on."""
        if self.is_up:
            self._is_paused = True
            self.note("pauses", "")

    def resume(self) -> None:
        """Let the process go on, with all that has piled up."""
        if not self._is_paused:
            return
        self._is_paused = False
        self.note("goes on", f"{len(self._backlog)} events have piled up")
        backlog, self._backlog = self._backlog, []
        for action in backlog:
            if self._is_paused or not self.is_up:
                break
            action()

    def when(self, delay: float, action: Callable[[], None]) -> None:
        """Let this process do something later, unless it is dead by then."""
        self.around.events.after(delay, self.bound(action))

    def every(self, mean_s: float, action: Callable[[], None]) -> None:
        """Let this process do something now and then, for as long as it lives."""

        def act() -> None:
            action()
            again()

        def again() -> None:
            delay = mean_s * self.around.pace * self.around.dice.uniform(0.5, 1.5)
            self.when(delay, act)

        again()

    def bound(self, action: Callable[[], None]) -> Callable[[], None]:
        """`action` as something that only this life of the process does."""
        life = self.life

        def act() -> None:
            if not self.is_up or life != self.life:
                return
            if self._is_paused:
                self._backlog.append(act)
            else:
                action()

        return act

    # Requests.

    def ask(
        self,
        target: SimulatedNode,
        request: Request,
        answered: Answered,
        *,
        patience_s: float | None = None,
        is_repair: bool = False,
    ) -> None:
        """Send a request; `answered` is called with the reply, with a refusal, or never; with
        `patience_s`, at the latest then with a failure. The answer to a repair does not count as a
        replica's word, so one that is being rebuilt gives it, too."""
        hear = self._once(answered)
        if patience_s is not None:
            self.when(patience_s, lambda: hear(Failure("no answer in time")))
        network, source = self.around.network, self.name

        def arrive() -> None:
            if not target.is_up:
                refusal = Failure("connection refused")
                network.carry(target.name, source, lambda: hear(refusal))
                return
            target.bound(serve)()

        def serve() -> None:
            target.serve(
                request,
                is_repair,
                lambda outcome: network.carry(target.name, source, lambda: hear(outcome)),
            )

        network.carry(source, target.name, arrive)

    def serve(self, request: Request, is_repair: bool, reply: Answered) -> None:
        """Answer a request when what the answer says is durable."""
        delay = self._time(self.around.machine.work_s)
        self.when(delay, lambda: self._serve(request, is_repair, reply))

    def _serve(self, request: Request, is_repair: bool, reply: Answered) -> None:
        replica = self.replicas.get(request.shard)
        if replica is None:
            reply(Failure("no such shard here", is_final=True))
            return
        vouches = is_repair or request.shard not in self.rebuilding
        if not vouches and not isinstance(request, Apply):
            reply(Failure("the replica is being rebuilt"))
            return
        self.disk.awaited = NOTHING
        try:
            answer: Reply | Failure = replica.answer(request)
        except WeftError as error:
            answer = Failure(f"{type(error).__name__}: {error}")
        ticket = self.disk.awaited
        if not vouches:
            # It takes what it is given; but what it acknowledges must not count, since it may have
            # lost what it acknowledged before.
            answer = Failure("the replica is being rebuilt")
        if self.around.waits_for_sync:
            self.when_durable(ticket, lambda: reply(answer))
        else:
            reply(answer)

    def when_durable(self, ticket: Ticket, action: Callable[[], None]) -> None:
        """Do something once `ticket` is synced. One sync serves all who wait."""
        if ticket <= self.disk.synced:
            action()
            return
        self._waiting.append((ticket, action))
        self._begin_sync()

    def _begin_sync(self) -> None:
        if self._is_syncing or not self._waiting:
            return
        self._is_syncing = True
        ticket = self.disk.written
        # The disk works on while the process is stopped, but nobody hears of it.
        self.when(self._time(self.around.machine.sync_s), lambda: self._end_sync(ticket))

    def _end_sync(self, ticket: Ticket) -> None:
        self.disk.sync(ticket)
        self._is_syncing = False
        ready = [action for wanted, action in self._waiting if wanted <= ticket]
        self._waiting = [(wanted, action) for wanted, action in self._waiting if wanted > ticket]
        for action in ready:
            action()
        self._begin_sync()

    def note(self, verb: str, text: str, *, about: bytes | None = None) -> None:
        """Write into the journal of the run."""
        self.around.journal.note(self.around.events.now, self.name, verb, text, about=about)

    def _once(self, answered: Answered) -> Answered:
        """A stub that waits for one answer and throws away any second one, and all after death."""
        heard = False
        life = self.life

        def hear(outcome: Reply | Failure) -> None:
            nonlocal heard

            def take() -> None:
                nonlocal heard
                if not heard:
                    heard = True
                    answered(outcome)

            if life == self.life:
                self.bound(take)()

        return hear

    def _time(self, median_s: float) -> float:
        return median_s * self.around.dice.lognormvariate(0.0, 0.5)
