"""Canaries: planted bugs that the checkers must find. Each breaks one part of the cluster.

A checker that no canary can make fail proves nothing; so `catches` names, for every canary, a
checker that must object within `seeds_max` seeds, and every checker is named by one at least.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import permutations

from weftdb.cluster.rebalance.operation import Operation
from weftdb.cluster.replication.effects import (
    Answer,
    CallNumber,
    Coordination,
    Effects,
    Failure,
    Send,
)
from weftdb.cluster.replication.merge import DeletionStrategy
from weftdb.cluster.replication.merkle import Exchange, Exchanged
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digest,
    Digests,
    Reply,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.cluster.replication.read import Found, ReadCoordination, ReadOrder
from weftdb.cluster.replication.write import Restamp, WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.cluster.sharding import PlacedShard
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import NotEnoughReplicas
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId, Version
from weftdb.server.moving.mover import Mover
from weftdb.storage.kv import Family, WriteBatch

from .changes import Change, ChangeKind
from .coordinator import Conversations
from .faults import Fault, FaultKind
from .history import Verb
from .plan import Plan, Size, draw_plan
from .repair import Bugs
from .replicas import ModelReplica
from .world import Parts


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted bug."""

    tells: str
    catches: str
    seeds_max: int
    plant: Callable[[Parts], Parts]
    tune: Callable[[Plan], Plan] = lambda plan: plan
    """Faults under which the bug shows: a rare one would need very many seeds."""
    kind: str = "still"
    """Of the runs in which the bug shows (plan.py)."""

    def plan(self, seed: int, size: Size) -> Plan:
        """The plan of a seed, for this bug."""
        plan = draw_plan(seed, size, self.kind)
        return self.tune(replace(plan, strategy=DeletionStrategy.TIME_BASED_RESOLUTION))


class Twisted:
    """A coordination whose replies, failures and effects pass through wrong hands."""

    def __init__(self, inner: Coordination[object]) -> None:
        self._inner = inner

    @property
    def is_done(self) -> bool:
        """As the coordination says."""
        return self._inner.is_done

    def begin(self, now_s: float) -> Effects[object]:
        """Pass on."""
        return self.effects(self._inner.begin(now_s), now_s)

    def on_reply(self, call: CallNumber, reply: Reply, now_s: float) -> Effects[object]:
        """Pass on what became of the reply."""
        return self.effects(self._inner.on_reply(call, self.reply(reply), now_s), now_s)

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[object]:
        """Pass on."""
        return self.effects(self._inner.on_failure(call, failure, now_s), now_s)

    def on_time(self, now_s: float) -> Effects[object]:
        """Pass on."""
        return self.effects(self._inner.on_time(now_s), now_s)

    def reply(self, reply: Reply) -> Reply:
        """What becomes of a reply."""
        return reply

    def effects(self, effects: Effects[object], now_s: float) -> Effects[object]:
        """What becomes of effects."""
        return effects


class NoRestamp(Twisted):
    """Takes "I hold a newer one" for "I hold it"."""

    def reply(self, reply: Reply) -> Reply:
        return Applied((None,) * len(reply.newer)) if isinstance(reply, Applied) else reply


class RepairCountedWhenSent(Twisted):
    """Answers a read before the replicas that it repairs have said that they are."""

    def effects(self, effects: Effects[object], now_s: float) -> Effects[object]:
        out: Effects[object] = []
        for effect in effects:
            out.append(effect)
            if isinstance(effect, Send) and isinstance(effect.request, Apply):
                taken = Applied((None,) * len(effect.request.states))
                out += self.effects(self._inner.on_reply(effect.call, taken, now_s), now_s)
        return out


class RepairStampsAnew(Twisted):
    """Gives what it repairs a stamp of the time of the repair: a second later."""

    def effects(self, effects: Effects[object], now_s: float) -> Effects[object]:
        return [_with_states(effect, _second_later) for effect in effects]


class RepairWritesOlder(Twisted):
    """Sends the content of the older state under the version of the newer one."""

    def __init__(self, inner: Coordination[object]) -> None:
        super().__init__(inner)
        self._older: dict[ObjectId, ObjectState] = {}

    def reply(self, reply: Reply) -> Reply:
        if isinstance(reply, States):
            for state in reply.states:
                if state is not None and not state.is_deleted:
                    known = self._older.get(state.id)
                    if known is None or state.version < known.version:
                        self._older[state.id] = state
        return reply

    def effects(self, effects: Effects[object], now_s: float) -> Effects[object]:
        def mixed(state: ObjectState) -> ObjectState:
            older = self._older.get(state.id)
            return state if older is None else replace(older, version=state.version)

        return [_with_states(effect, mixed) for effect in effects]


class BelievesFirst(Twisted):
    """Reads what the first replica says, and takes all others to agree."""

    def __init__(self, inner: Coordination[object]) -> None:
        super().__init__(inner)
        self._first: Reply | None = None

    def reply(self, reply: Reply) -> Reply:
        if self._first is None and isinstance(reply, Digests | States):
            self._first = reply
        match reply, self._first:
            case Digests(), Digests():
                return self._first
            case Digests(), States(states=states):
                digests = [s and Digest(s.version, s.is_deleted) for s in states]
                return Digests(tuple(digests))
        return reply


class GivesUpEarly(Twisted):
    """Tells the client of the first replica that fails, though a majority is there."""

    _gave_up = False
    _answered = False

    def on_failure(self, call: CallNumber, failure: Failure, now_s: float) -> Effects[object]:
        effects = super().on_failure(call, failure, now_s)
        if self._gave_up or self._answered:
            return effects
        self._gave_up = True
        reasons = {"one": failure.reason}
        error = NotEnoughReplicas(required=2, acknowledged=1, reasons=reasons, is_write=True)
        return [*effects, Answer(error)]

    def effects(self, effects: Effects[object], now_s: float) -> Effects[object]:
        self._answered = self._answered or any(isinstance(one, Answer) for one in effects)
        if not self._gave_up:
            return effects
        return [effect for effect in effects if not isinstance(effect, Answer)]


class DeletesWithoutVersion(ModelReplica):
    """Removes an object, and remembers nothing of it."""

    def store(self, state: ObjectState) -> Version | None:
        newer = super().store(state)
        if newer is None and state.is_deleted:
            batch = WriteBatch()
            batch.delete(Family.OBJECTS, self._prefix + state.id)
            self._store.write(batch)
        return newer


class AppliesAnything(ModelReplica):
    """Takes every state, also one that is older than what it holds."""

    def store(self, state: ObjectState) -> Version | None:
        self._put(state)
        return None


def _with_states(effect: object, change: Callable[[ObjectState], ObjectState]) -> object:
    if isinstance(effect, Send) and isinstance(effect.request, Apply):
        states = tuple(map(change, effect.request.states))
        return replace(effect, request=replace(effect.request, states=states))
    return effect


def _second_later(state: ObjectState) -> ObjectState:
    return replace(state, version=replace(state.version, time_ms=state.version.time_ms + 1000))


class LooksLeft(Twisted):
    """Never sees that trees differ on the right."""

    def reply(self, reply: Reply) -> Reply:
        if not isinstance(reply, TreeNodes) or len(reply.hashes) == 1:
            return reply
        half = len(reply.hashes) // 2
        return TreeNodes(reply.hashes[:half] + (bytes(16),) * (len(reply.hashes) - half))


def _half_blind(exchange: Exchange) -> Coordination[Exchanged]:
    return LooksLeft(exchange)


def _one_short(order: WriteOrder, restamp: Restamp) -> Coordination[Written]:
    targets = order.targets
    if targets.level is ConsistencyLevel.QUORUM:
        order = replace(order, targets=WriteTargets(targets.groups, ConsistencyLevel.ONE))
    return WriteCoordination(order, restamp)


class CatchesNothingUp(Mover):
    """Counts what joins without having compared it with anybody."""

    async def _make_equal(self, *arguments: object, **named: object) -> None:
        return


class ForgetsMoves(Mover):
    """After a start, knows nothing of the moves of its former life."""

    _own: frozenset[str] | None = None

    def _look(self) -> None:
        if self._own is None:
            self._own = frozenset(each.id for each in self._board.known())
        super()._look()

    async def _step(self, operation: Operation) -> None:
        if self._own is None or operation.id not in self._own:
            await super()._step(operation)
        else:
            await asyncio.sleep(1e9)


class NeverTidies(Mover):
    """Never removes what has moved away."""

    async def _drop(self, shard: ShardRef) -> None:
        return


class StumblesOnce(Mover):
    """A step of a move ends with an error that nobody has foreseen."""

    _has_stumbled = False

    async def _step(self, operation: Operation) -> None:
        if not self._has_stumbled:
            self._has_stumbled = True
            raise AssertionError("planted")
        await super()._step(operation)


def _move_with(kind: type[Mover]) -> Callable[[Parts], Parts]:
    return lambda parts: replace(parts, bugs=Bugs(mover=kind))


def _replicas_only(placed: PlacedShard) -> tuple[tuple[NodeName, ...], ...]:
    """The groups of a write, without what joins."""
    return (placed.replicas,)


def _calm(plan: Plan) -> Plan:
    """Many moves and no faults, so that nothing else can be the reason."""
    return replace(plan, faults=(), changes=_moves(16))


def _moving_once_under_imports(plan: Plan) -> Plan:
    """One move while every request writes another object, so that what a replica lacks is never
    written again; nodes hear of it a little late."""
    steps = tuple(
        replace(step, verb=Verb.PUT, key=_key(at), level=ConsistencyLevel.QUORUM, think_s=0.1)
        for at, step in enumerate(plan.steps)
    )
    return replace(plan, steps=steps, faults=(), changes=_moves(1), lag_s=0.3)


def _moving_behind_the_back(plan: Plan) -> Plan:
    """The same through a coordinator that does not hear of it."""
    one = _moving_once_under_imports(plan)
    blind = one.names[0]
    steps = tuple(replace(step, coordinator=blind, think_s=0.4) for step in one.steps)
    return replace(one, steps=steps, faults=(Fault(FaultKind.CUT_OFF, 0.0, 1e3, blind),))


def _key(number: int) -> ObjectId:
    return ObjectId(blake2b(number.to_bytes(2, "big"), digest_size=16).digest())


def _moves(count: int) -> tuple[Change, ...]:
    return tuple(Change(ChangeKind.MOVE, 0.2 + 0.7 * at, 17 * at) for at in range(count))


def _deleted_while_away(plan: Plan) -> Plan:
    """One node is away while everything is deleted, and until that is forgotten."""

    def verb(at: int) -> Verb:
        return Verb.PUT if at < 20 else Verb.DELETE if 30 <= at < 70 else Verb.READ

    return replace(
        plan,
        steps=tuple(
            replace(step, verb=verb(at), level=ConsistencyLevel.QUORUM, think_s=10.0)
            for at, step in enumerate(plan.steps)
        ),
        faults=(Fault(FaultKind.CRASH, 60.0, 270.0, plan.names[-1]),),
    )


def _twist_write(kind: type[Twisted]) -> Callable[[Parts], Parts]:
    def make(order: WriteOrder, restamp: Restamp) -> Coordination[Written]:
        return kind(WriteCoordination(order, restamp))

    return lambda parts: replace(parts, conversations=Conversations(write=make))


def _twist_read(kind: type[Twisted]) -> Callable[[Parts], Parts]:
    def make(order: ReadOrder) -> Coordination[Found]:
        return kind(ReadCoordination(order))

    return lambda parts: replace(parts, conversations=Conversations(read=make))


def _only_lossy(plan: Plan) -> Plan:
    """Half of all messages are lost."""
    links = tuple(permutations(plan.names, 2))
    return plan.cut(faults=[Fault(FaultKind.LOSSY, 0.0, 1e3, links=links, amount=0.5)])


def _wiped_while_another_is_behind(plan: Plan) -> Plan:
    """One node misses everything; when it is back, another has just lost its disk."""
    first, *others, last = plan.names
    links = tuple(link for other in (first, *others) for link in ((last, other), (other, last)))
    return plan.cut(
        faults=[
            Fault(FaultKind.PARTITION, 0.0, 1.0, links=links),
            Fault(FaultKind.WIPE, 0.95, 0.01, first),
        ]
    )


CANARIES: Mapping[str, Canary] = {
    "ack_before_sync": Canary(
        "replicas acknowledge what is not durable yet", "nonlinear_objects", 60,
        lambda parts: replace(parts, waits_for_sync=False),
    ),
    "quorum_one_short": Canary(
        "a QUORUM write is content with one replica", "stale_reads", 30,
        lambda parts: replace(parts, conversations=Conversations(write=_one_short)),
    ),
    "no_restamp": Canary(
        "a write whose clock is behind is acknowledged without winning", "nonlinear_objects", 30,
        _twist_write(NoRestamp),
    ),
    "hint_dropped": Canary(
        "nothing is kept for a replica that misses a write", "missed_hints", 30,
        lambda parts: replace(parts, bugs=Bugs(keeps_hints=False)),
    ),
    "read_believes_first": Canary(
        "a read counts replicas without comparing them", "stale_reads", 30,
        _twist_read(BelievesFirst),
    ),
    "repair_counted_when_sent": Canary(
        "a read answers before a majority holds what it answers", "nonlinear_objects", 100,
        _twist_read(RepairCountedWhenSent), _only_lossy,
    ),
    "repair_stamps_anew": Canary(
        "read repair makes an old state the newest", "nonlinear_objects", 100,
        _twist_read(RepairStampsAnew),
    ),
    "repair_writes_older": Canary(
        "read repair sends the older content under the newer version", "nonlinear_objects", 30,
        _twist_read(RepairWritesOlder), _only_lossy,
    ),
    "gives_up_early": Canary(
        "one replica that fails fails the request", "refusals", 30, _twist_write(GivesUpEarly)
    ),
    "delete_without_version": Canary(
        "a deletion removes the object and leaves nothing", "lost_writes", 30,
        lambda parts: replace(parts, replica=DeletesWithoutVersion.on),
    ),
    "tombstone_forgotten": Canary(
        "deletions are forgotten long before their grace ends", "resurrections", 100,
        lambda parts: replace(parts, bugs=Bugs(forgets_after_ms=500)),
    ),
    "applies_anything": Canary(
        "a replica takes the older state for the newer", "nonlinear_objects", 30,
        lambda parts: replace(parts, replica=AppliesAnything.on),
    ),
    "wiped_vouches": Canary(
        "a replica that lost its data counts before it is rebuilt", "stale_reads", 50,
        lambda parts: replace(parts, bugs=Bugs(wiped_vouches=True)), _wiped_while_another_is_behind,
    ),
    "merkle_skips_branch": Canary(
        "the comparison of trees never looks to the right", "divergence", 100,
        lambda parts: replace(parts, conversations=Conversations(exchange=_half_blind),
            bugs=Bugs(keeps_hints=False),
        ),
        _only_lossy,
    ),
    "move_drops_capture": Canary(
        "what is written while a replica joins does not go to it", "missed_hints", 30,
        lambda parts: replace(parts, conversations=Conversations(write_groups=_replicas_only)),
        _moving_once_under_imports, "moving",
    ),
    "move_catches_nothing_up": Canary(
        "a replica that joins is counted before it has what the others have", "missed_hints", 30,
        _move_with(CatchesNothingUp), _calm, "moving",
    ),
    "move_is_forgotten": Canary(
        "who works on a move and is killed does not go on with it", "unfinished_changes", 30,
        _move_with(ForgetsMoves), kind="moving",
    ),
    "move_leaves_data": Canary(
        "a replica that has left is not removed", "stray_replicas", 30,
        _move_with(NeverTidies), _calm, "moving",
    ),
    "move_stumbles": Canary(
        "a step of a move breaks, and is tried again", "broken_tasks", 10,
        _move_with(StumblesOnce), _calm, "moving",
    ),
    "old_placement_served": Canary(
        "replicas answer who goes by an older sharding state", "missed_hints", 30,
        lambda parts: replace(parts, checks_revisions=False),
        _moving_behind_the_back, "moving",
    ),
    "marks_ignored": Canary(
        "who was given up comes back with what others have forgotten the deletion of",
        "resurrections", 30,
        lambda parts: replace(parts, bugs=Bugs(heeds_marks=False)), _deleted_while_away,
        "forgetful",
    ),
}  # fmt: skip
