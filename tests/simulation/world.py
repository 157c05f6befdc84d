"""World: a whole cluster in one process, under a virtual clock, network and disk.

One plan is one run: faults and clients first; then everything heals, hints are played back, one
repair cycle runs, and what happened is handed to the checkers.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from weftdb.cluster.placement import NodeFacts, place_new
from weftdb.cluster.rebalance.changes import OperationState
from weftdb.cluster.rebalance.operation import Operation as Rebalancing
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.server.moving.footprint import filled_by, leaves_from
from weftdb.storage.versions import LIFE_BITS, writer_number

from .agreed import Metadata, MetadataDoor, NodeView, Terms
from .changes import Change, Changes
from .clients import PATIENCE_S, Clients
from .coordinator import Conversations, Coordinator
from .driver import Driver
from .events import START_MS, Events, SkewedClock
from .faults import NODE_FAULTS, Fault, FaultKind
from .history import Facts, Operation, ShardEnd
from .journal import Complaints, Journal
from .network import LATE_S_MAX, Network
from .node import Machine, SimulatedNode, Surroundings
from .plan import GRACE_S, SKEW_S_MAX, Plan
from .repair import Bugs, Repair
from .replicas import MakeReplica, ModelReplica

COLLECTION = CollectionName("Thing")
DEADLINE_S = 2.0
"""Of a request."""
LEASE_S = 3.0
"""How long membership takes to notice that a node is gone."""
REPAIR_S_MAX = 900.0
PROMPT_S = 0.2
"""Nodes that hear of changes within this time (in the median) can serve without a pause."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a cluster is made of. A canary replaces one part by a broken one."""

    replica: MakeReplica = ModelReplica.on
    conversations: Conversations = field(default_factory=Conversations)
    bugs: Bugs = field(default_factory=Bugs)
    close: Callable[[], None] = lambda: None
    """Lets go of what the replicas of a run hold outside memory."""
    waits_for_sync: bool = True
    checks_revisions: bool = True
    machine: Machine = field(default_factory=Machine)
    lives_differ: bool = True
    """Whether versions tell one life of a process from the next."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a plan."""

    plan: Plan
    facts: Facts
    journal: Journal
    virtual_s: float
    events: int


class World:
    """One cluster, once."""

    def __init__(self, plan: Plan, parts: Parts) -> None:
        self.plan = plan
        self.parts = parts
        self.events = Events(random.Random(f"{plan.seed}/events"))
        self.journal = Journal()
        self.network = Network(self.events, random.Random(f"{plan.seed}/network"), plan.weather)
        self._around = around = Surroundings(
            self.events,
            self.network,
            self.journal,
            random.Random(f"{plan.seed}/nodes"),
            parts.machine,
            waits_for_sync=parts.waits_for_sync,
            checks_revisions=parts.checks_revisions,
        )
        terms = Terms(COLLECTION, plan.strategy, plan.factor, plan.grace_s)
        dice = random.Random(f"{plan.seed}/metadata")
        self.metadata = Metadata(
            terms, place(plan), SkewedClock(self.events), dice, lag_s=plan.lag_s
        )
        self.metadata.committed.append(self._look_for_ambushes)
        self.nodes: dict[str, SimulatedNode] = {}
        self.coordinators: dict[str, Coordinator] = {}
        self.repairs: dict[str, Repair] = {}
        self.changes = Changes(
            COLLECTION, self.metadata, self.nodes, self.repairs,
            living=self._living, members=self._members, note=self._note,
        )  # fmt: skip
        self._complaints = Complaints()
        self._healed = False
        self._struck: list[Fault] = []
        """Ambushes that happened, as crashes."""
        self._waiting = [fault for fault in plan.faults if fault.kind is FaultKind.AMBUSH]
        self._seen: dict[str, OperationState] = {}
        self._cut_since: dict[str, float] = {}
        self._hinted: tuple[ShardEnd, ...] = ()
        self._unfinished: list[str] = []
        for node in plan.nodes:
            clock = SkewedClock(self.events, offset_s=node.offset_s, drift=node.drift)
            name = NodeName(node.name)
            self.nodes[name] = SimulatedNode(name, clock, around, terms, parts.replica)
        for number, one in enumerate(self.nodes.values(), 1):
            one.on_start.append(partial(self._equip, one, number))

    def play(self) -> Run:
        """Run the plan to its end."""
        logger = logging.getLogger("weftdb")
        logger.addHandler(self._complaints)
        try:
            return self._play()
        finally:
            logger.removeHandler(self._complaints)
            for node in self.nodes.values():
                for loop in node.loops:
                    loop.end()
            self.parts.close()

    def _play(self) -> Run:
        for node in self.plan.nodes:
            self.events.at(node.joins_at, partial(self._join, node.name))
        self.events.run(0.0)
        clients = Clients(
            self.plan.steps, self.coordinators,
            events=self.events, journal=self.journal, deadline_s=DEADLINE_S,
            shard_of=lambda key: self.metadata.state.shard_of(key).name,
        )  # fmt: skip
        for fault in self.plan.faults:
            self.events.at(fault.at, partial(self._begin, fault))
        for change in self.plan.changes:
            self.events.at(change.at, partial(self._ask, change))
        self.events.run(self.plan.seconds_max, done=lambda: clients.are_done)
        self._heal()
        # What is still on its way arrives, and coordinations end, before anyone is judged.
        self.events.run(self.events.now + LATE_S_MAX + DEADLINE_S + PATIENCE_S)
        self._come_to_rest()
        self._repair()
        if self.plan.outlives_grace:
            self._outlive_grace()
        return Run(self.plan, self._facts(clients.operations), self.journal,
                   self.events.now, self.events.happened)  # fmt: skip

    def _join(self, name: str) -> None:
        if not self.nodes[name].is_up:
            self._note("joins", name)
            self.nodes[name].start()

    def _ask(self, change: Change) -> None:
        if not self._healed:
            self.changes.ask(change)

    def _equip(self, node: SimulatedNode, number: int) -> None:
        """Give a process that has just started what it works with."""
        life = self._around.dice.getrandbits(LIFE_BITS) if self.parts.lives_differ else 0
        view = NodeView(node, self.metadata, living=self._living, members=self._members)
        repair = Repair(
            node,
            self.nodes,
            view,
            MetadataDoor(self.metadata, node),
            make_exchange=self.parts.conversations.exchange,
            bugs=self.parts.bugs,
        )
        view.apply()
        self.repairs[node.name] = repair
        repair.begin()
        self.coordinators[node.name] = Coordinator(
            node,
            Driver(node, self.nodes, repair.keep),
            view,
            self.parts.conversations,
            writer=writer_number(number, life),
        )

    # Membership.

    def _members(self) -> frozenset[NodeName]:
        """Who belongs to the cluster: who has joined, and has not left for good."""
        return frozenset(
            name
            for name, node in self.nodes.items()
            if node.life > 0 and name not in self.changes.gone
        )

    def _living(self) -> list[NodeName]:
        """What membership believes: a lease runs out some time after its node has died, or has
        lost the metadata."""
        return sorted(filter(self._is_there, self._members()))

    def _is_there(self, name: NodeName) -> bool:
        node, now = self.nodes[name], self.events.now
        is_up = node.is_up or now - node.down_since <= LEASE_S
        return is_up and now - self._cut_since.get(name, now) <= LEASE_S

    # Faults.

    def _begin(self, fault: Fault) -> None:
        if self._healed:
            return
        self._note("fault", str(fault))
        match fault.kind:
            case FaultKind.CRASH | FaultKind.WIPE:
                self._crash(fault)
            case FaultKind.PAUSE:
                self.nodes[fault.node].pause()
            case FaultKind.PARTITION:
                self.network.block(list(fault.links))
            case FaultKind.SLOW:
                self.network.slow.update(dict.fromkeys(fault.links, fault.amount))
            case FaultKind.LOSSY:
                self.network.lossy.update(dict.fromkeys(fault.links, fault.amount))
            case FaultKind.CLOCK:
                self.nodes[fault.node].clock.step(fault.amount)
            case FaultKind.CUT_OFF:
                self.nodes[fault.node].is_cut_off = True
                self._cut_since.setdefault(fault.node, self.events.now)
            case FaultKind.AMBUSH:
                return
        self.events.after(fault.lasts, partial(self._end, fault))

    def _crash(self, fault: Fault) -> None:
        node = self.nodes[fault.node]
        if node.life == 0 or node.name in self.changes.gone:
            return
        node.crash(wipe=fault.kind is FaultKind.WIPE)
        if fault.kind is FaultKind.WIPE:
            node.was_emptied = True

    def _look_for_ambushes(self) -> None:
        """See which operations have come into another state, and who waited for that."""
        for operation in self.metadata.operations():
            if self._seen.get(operation.id) is operation.state:
                continue
            self._seen[operation.id] = operation.state
            self._note("state", f"{operation.state.value} {operation.id}: {operation.change}")
            for fault in list(self._waiting):
                state, role = fault.node.split()
                if state == operation.state.value and not self._healed:
                    self._waiting.remove(fault)
                    self._strike(fault, operation, role)

    def _strike(self, fault: Fault, operation: Rebalancing, role: str) -> None:
        change = operation.change
        victims = {
            "target": filled_by(change),
            "leaving": leaves_from(change),
            "source": getattr(change, "source", None),
        }
        victim = victims.get(role) or self._around.dice.choice(sorted(self._members()))
        crash = Fault(FaultKind.CRASH, self.events.now + fault.amount, fault.lasts, victim)
        self._struck.append(crash)
        self.events.at(crash.at, partial(self._begin, crash))

    def _end(self, fault: Fault) -> None:
        if self._healed:
            return
        self._note("over", str(fault))
        match fault.kind:
            case FaultKind.CRASH | FaultKind.WIPE:
                self._start_again(self.nodes[fault.node])
            case FaultKind.CUT_OFF:
                self._reconnect(fault.node)
            case FaultKind.PAUSE:
                self.nodes[fault.node].resume()
            case FaultKind.PARTITION:
                self.network.unblock(list(fault.links))
            case FaultKind.SLOW:
                for link in fault.links:
                    self.network.slow.pop(link, None)
            case FaultKind.LOSSY:
                for link in fault.links:
                    self.network.lossy.pop(link, None)

    def _start_again(self, node: SimulatedNode) -> None:
        if not node.is_up and node.life > 0 and node.name not in self.changes.gone:
            node.start()

    def _reconnect(self, name: str) -> None:
        node = self.nodes[name]
        if node.is_cut_off:
            node.is_cut_off = False
            self._cut_since.pop(name, None)
            if node.is_up:
                self.metadata.views[node.name].reconnect()

    def _heal(self) -> None:
        self._note("heals", "every fault is over")
        self._healed = True
        self._around.compares = False
        self.network.cut.clear()
        self.network.slow.clear()
        self.network.lossy.clear()
        self.network.weather = self.plan.weather.calmed()
        for node in self.nodes.values():
            node.resume()
            self._reconnect(node.name)
            self._start_again(node)
            self._join(node.name) if node.life == 0 else None

    def _come_to_rest(self) -> None:
        """Let moves come to their end, replicas be rebuilt, drained nodes go."""
        self._note("rests", "until everything that moves has arrived")

        def is_at_rest() -> bool:
            return not self.changes.unfinished() and all(
                self.repairs[name].is_settled for name in self._members()
            )

        limit = self.events.now + REPAIR_S_MAX
        while self.events.now < limit and not is_at_rest():
            self.events.run(self.events.now + 2.0)
        for _ in range(3):
            self.changes.let_go()
            # Somebody sweeps up what lies where it should not.
            self.events.run(self.events.now + 4.0)
        self._unfinished = self.changes.unfinished() + [
            f"{name} does not vouch for what it has"
            for name in sorted(self._members())
            if not self.repairs[name].is_settled
        ]

    def _repair(self) -> None:
        """Play hints back and run one repair cycle."""
        self._note("repairs", "hints, then one cycle")
        limit = self.events.now + REPAIR_S_MAX
        members = sorted(self._members())
        for name in members:
            self.repairs[name].hints.play()
        self.events.run(limit, done=lambda: all(self.repairs[n].hints.is_idle for n in members))
        self._hinted = self._ends()
        self._around.compares = True
        is_done = False

        def done() -> None:
            nonlocal is_done
            is_done = True

        shards = [ShardRef(COLLECTION, shard.name) for shard in self.metadata.state.shards]
        self.repairs[members[0]].compare_all(shards, done)
        self.events.run(limit, done=lambda: is_done)
        self.events.run(self.events.now + DEADLINE_S + PATIENCE_S)

    def _outlive_grace(self) -> None:
        """Let time go on until every replica has forgotten every deletion, each by its own clock
        and after comparing, while trees are compared."""
        self._note("waits", "for the end of the grace")
        self._around.pace = 60.0
        self.events.run(self.events.now + 1.5 * GRACE_S + 5 * SKEW_S_MAX + 40 * 60.0)

    # Facts.

    def _facts(self, operations: list[Operation]) -> Facts:
        for one in operations:
            one.is_calm = self._is_calm(one)
        state = self.metadata.state
        return Facts(
            operations=tuple(operations),
            ends=self._ends(),
            hinted=self._hinted,
            replicas={shard.name: shard.replicas for shard in state.shards},
            wiped=frozenset(
                {fault.node for fault in self.plan.faults if fault.kind is FaultKind.WIPE}
                | {name for name, node in self.nodes.items() if node.was_given_up}
            ),
            unhinted=frozenset(one.number for one in operations if self._may_lack_hints(one)),
            grace_ms=round(self.plan.grace_s * 1000),
            ended_ms=START_MS + round(self.events.now * 1000),
            strategy=self.plan.strategy,
            has_changes=bool(self.plan.changes),
            loses_hints=self.plan.is_forgetful,
            unfinished=tuple(self._unfinished),
            lies=self._lies(),
            broken=(
                *self._complaints.found,
                *(
                    repr(context["exception"])
                    for node in self.nodes.values()
                    for loop in node.loops
                    for context in loop.broken
                ),
            ),
        )

    def _lies(self) -> dict[ShardName, tuple[str, ...]]:
        """By shard, the nodes on which anything of it lies, those that left not counted."""
        return {
            shard.name: tuple(
                name
                for name in sorted(self._members())
                if ShardRef(COLLECTION, shard.name) in self.nodes[name].replicas
            )
            for shard in self.metadata.state.shards
        }

    def _ends(self) -> tuple[ShardEnd, ...]:
        return tuple(self._end_of(shard) for shard in self.metadata.state.shards)

    def _may_lack_hints(self, one: Operation) -> bool:
        """Whether the coordinator died before it knew, and had kept durably, who missed the write:
        at the latest a little after the deadline; or left, with the hints that it had."""
        return one.coordinator in self.changes.gone or any(
            fault.node == one.coordinator and fault.touches(one.begun, one.begun + DEADLINE_S + 0.5)
            for fault in (*self.plan.faults, *self._struck)
            if fault.kind in NODE_FAULTS
        )

    def _end_of(self, shard: PlacedShard) -> ShardEnd:
        ref = ShardRef(COLLECTION, shard.name)
        held = {name: self.nodes[name].replicas.get(ref) for name in shard.replicas}
        return ShardEnd(
            shard.name,
            {name: local.contents() if local else {} for name, local in held.items()},
            {name: local.root() if local else b"" for name, local in held.items()},
        )

    def _is_calm(self, one: Operation) -> bool:
        """Whether the coordinator and a majority of the replicas were up and in touch from the
        beginning of an operation to its deadline."""
        if self.plan.weather.loss > 0:
            return False
        touching = [
            fault
            for fault in (*self.plan.faults, *self._struck)
            if fault.kind is not FaultKind.AMBUSH
            and (
                fault.touches(one.begun, one.begun + DEADLINE_S)
                or (fault.kind is FaultKind.WIPE and fault.at <= one.begun)
            )
        ]
        if self.plan.changes:
            return self._is_calm_while_moving(one, touching)
        troubled = {
            fault.node for fault in touching if fault.kind in (*NODE_FAULTS, FaultKind.CUT_OFF)
        }
        broken = {link for fault in touching for link in fault.links}
        if one.coordinator in troubled:
            return False
        if self.plan.is_forgetful:
            return not touching  # A replica that was away is rebuilt before it counts.
        replicas = next(s.replicas for s in self.metadata.state.shards if s.name == one.shard)
        reached = [
            name
            for name in replicas
            if name not in troubled
            and (one.coordinator, name) not in broken
            and (name, one.coordinator) not in broken
        ]
        return len(reached) > len(replicas) // 2

    def _is_calm_while_moving(self, one: Operation, touching: list[Fault]) -> bool:
        """Whether nothing but the moves went on, so that who serves may change, but not whether:
        only the coordinator may be cut off from the metadata."""
        if self.plan.lag_s > PROMPT_S or one.coordinator in self.changes.gone:
            return False
        joins_at = next(n.joins_at for n in self.plan.nodes if n.name == one.coordinator)
        harmless = (FaultKind.CLOCK,)
        return one.begun >= joins_at and all(
            fault.kind in harmless
            or (fault.kind is FaultKind.CUT_OFF and fault.node == one.coordinator)
            for fault in touching
        )

    def _note(self, verb: str, text: str) -> None:
        self.journal.note(self.events.now, "world", verb, text)


def place(plan: Plan) -> ShardingState:
    """Place the shards as a new collection's are, on the nodes that are there from the first."""
    names = [ShardName(f"s{at}") for at in range(plan.shards)]
    nodes = [NodeFacts(NodeName(node.name)) for node in plan.nodes if node.joins_at == 0.0]
    placed = [
        PlacedShard(placement.shard, placement.replicas)
        for placement in place_new(nodes, names, factor=plan.factor)
    ]
    return ShardingState.create(placed, factor=plan.factor)
