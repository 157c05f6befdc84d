"""SimulatedNode: one process on one machine: clocks, disk, replicas, and what befalls them.

What a process does is lost when it crashes: answers that wait for the disk, timers, coordinations.
A paused process gets its messages and timers all at once when it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import Purpose, Reply, Request, ShardRef
from weftdb.core.errors import WeftError
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.internode.answers import Answers, Lanes
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.messages import Moved, Noted, Tell
from weftdb.server.internode.ports import CallFailed
from weftdb.storage.kv import Family, Ticket, WriteBatch

from .agreed import HeldView, NodeView, Terms
from .disk import LossyStore
from .events import Events, SkewedClock
from .journal import Journal
from .loop import VirtualLoop
from .network import Network
from .replicas import Local, MakeReplica

NOTHING = Ticket(0)
SERVE_S = 2.0
"""How long a request may wait at a node that has to hear of something first."""
_HELD = b"held/"
Answered: TypeAlias = Callable[[Any], None]
"""Called with what came of a request: a reply, or a Failure."""


@dataclass(frozen=True)
class MovedFailure(Failure):
    """A refusal that comes with the newer sharding state."""

    moved: Moved | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request to a replica goes by."""

    revision: int
    purpose: Purpose = Purpose.SERVE


class AtOnce:
    """A lane without threads (`server.internode.lane.Lane`)."""

    threads = 1

    async def run(self, work: Callable[[], Any], deadline_s: float) -> Any:
        """Do it."""
        return work()

    def close(self) -> None:
        """Nothing to wait for."""


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
    checks_revisions: bool = True
    """False is a canary: replicas answer who goes by an older sharding state."""
    pace: float = 1.0
    """How much more slowly than usual nodes look around: long quiet times are passed quickly."""


class SimulatedNode:
    """One node of the cluster."""

    def __init__(
        self,
        name: NodeName,
        clock: SkewedClock,
        around: Surroundings,
        terms: Terms,
        make_replica: MakeReplica,
    ) -> None:
        self.name = name
        self.clock = clock
        self.around = around
        self.terms = terms
        self.disk = LossyStore()
        self.is_up = False
        self.is_cut_off = False
        """From the metadata."""
        self.down_since = 0.0
        self.was_emptied = False
        """Whether it lost its data, and has not made that good yet."""
        self.was_given_up = False
        """Whether anything here was ever emptied, because others had forgotten deletions."""
        self.replicas: dict[ShardRef, Local] = {}
        self.on_start: list[Callable[[], None]] = []
        """Called when the process has started: coordinators and timers of the new process."""
        self.loops: list[VirtualLoop] = []
        self.note_told: Callable[[NodeName, Tell], Noted] = lambda _sender, _tell: Noted()
        self._make_replica = make_replica
        self._answers: Answers | None = None
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
        self.loops.append(VirtualLoop(self))
        self.replicas = {}
        for shard, number in self._held():
            self.replicas[shard] = self._make_replica(shard, self, number)
        self.note("starts", f"life {self.life}")
        for begin in self.on_start:
            begin()

    @property
    def loop(self) -> VirtualLoop:
        """Of the present life."""
        return self.loops[-1]

    def answer_for(self, view: NodeView) -> None:
        """Answer other nodes by what `view` knows."""
        lanes = Lanes(AtOnce(), AtOnce())  # type: ignore[arg-type]
        self._answers = Answers(
            HeldView(view), self, lanes, generation=self.life, release="simulated"
        )  # type: ignore[arg-type]

    # Shards.

    def open_replica(self, shard: ShardRef) -> None:
        """Begin a shard with nothing, durably."""
        assert shard not in self.replicas, shard
        number = 1 + max((number for _, number in self._held()), default=0)
        self.replicas[shard] = self._make_replica(shard, self, number)
        batch = WriteBatch()
        batch.put(Family.METADATA, _row(shard), number.to_bytes(4, "big"))
        self.disk.sync(self.disk.write(batch))
        self.note("opens", shard.shard)

    def drop_replica(self, shard: ShardRef) -> None:
        """Remove a shard with its data, durably."""
        self.replicas.pop(shard).drop()
        batch = WriteBatch()
        batch.delete(Family.METADATA, _row(shard))
        self.disk.sync(self.disk.write(batch))
        self.note("drops", shard.shard)

    def _held(self) -> list[tuple[ShardRef, int]]:
        rows = self.disk.scan(Family.METADATA, _HELD, _HELD + b"\xff")
        found = []
        for key, value in rows:
            collection, _, shard = key[len(_HELD) :].decode().partition("/")
            ref = ShardRef(CollectionName(collection), ShardName(shard))
            found.append((ref, int.from_bytes(value, "big")))
        return found

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
        asked: Asked,
        *,
        patience_s: float | None = None,
    ) -> None:
        """Ask the replica of a shard, as `call` does."""

        def serve(reply: Answered) -> None:
            target.serve(request, asked, reply)

        self.call(target, serve, answered, patience_s=patience_s)

    def call(
        self,
        target: SimulatedNode,
        serve: Callable[[Answered], None],
        answered: Answered,
        *,
        patience_s: float | None = None,
    ) -> None:
        """Have `serve` called at another node; `answered` is called with what it replies, with a
        refusal, or never; with `patience_s`, at the latest then with a failure."""
        hear = self._once(answered)
        if patience_s is not None:
            self.when(patience_s, lambda: hear(Failure("no answer in time")))
        network, source = self.around.network, self.name

        def reply(outcome: Any) -> None:
            network.carry(target.name, source, lambda: hear(outcome))

        def arrive() -> None:
            if not target.is_up:
                reply(Failure("connection refused"))
                return
            target.bound(lambda: serve(reply))()

        network.carry(source, target.name, arrive)

    def serve(self, request: Request, asked: Asked, reply: Answered) -> None:
        """Answer a request when what the answer says is durable."""
        delay = self._time(self.around.machine.work_s)
        self.when(delay, lambda: self.loop.begin(self._serve(request, asked, reply)))

    async def _serve(self, request: Request, asked: Asked, reply: Answered) -> None:
        answers = self._answers
        assert answers is not None
        revision = asked.revision if self.around.checks_revisions else 0
        basis = Basis(request.shard, request.schema_version, revision, asked.purpose)
        ticket = NOTHING

        def work(say: Callable[[Request], Reply]) -> Reply:
            nonlocal ticket
            self.disk.awaited = NOTHING
            try:
                return say(request)
            finally:
                ticket = self.disk.awaited

        answer: Reply | Failure
        deadline_s = self.clock.monotonic_s() + SERVE_S
        try:
            answer = await answers.replica(basis, answers.lanes.reads, work, deadline_s)
        except CallFailed as failed:
            answer = _failure(failed)
        if self.around.waits_for_sync:
            self.when_durable(ticket, lambda: reply(answer))
        else:
            reply(answer)

    def serve_know(
        self, collection: CollectionName, revision: int, patience_s: float, reply: Answered
    ) -> None:
        """Say when a sharding state is known here, and all that was written before is durable."""
        self.loop.begin(self._serve_know(collection, revision, patience_s, reply))

    async def _serve_know(
        self, collection: CollectionName, revision: int, patience_s: float, reply: Answered
    ) -> None:
        answers = self._answers
        assert answers is not None
        answer: int | Failure
        deadline_s = self.clock.monotonic_s() + patience_s
        try:
            answer = await answers.know(collection, revision, deadline_s)
        except CallFailed as failed:
            answer = _failure(failed)
        self.when_durable(self.disk.written, lambda: reply(answer))

    def serve_tell(self, sender: NodeName, tell: Tell, reply: Answered) -> None:
        """Keep what is told."""
        answer: Noted | Failure
        try:
            answer = self.note_told(sender, tell)
        except WeftError as error:
            answer = Failure(f"{type(error).__name__}: {error}")
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

        def hear(outcome: Any) -> None:
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


def _row(shard: ShardRef) -> bytes:
    return _HELD + f"{shard.collection}/{shard.shard}".encode()


def _failure(failed: CallFailed) -> Failure:
    if failed.moved is None:
        return failed.failure
    return MovedFailure(failed.failure.reason, moved=failed.moved)
