"""World: a whole cluster in one process, under a virtual clock, network and disk.

One plan is one run: faults and clients first; then everything heals, hints are played back, one
repair cycle runs, and what happened is handed to the checkers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from weftdb.cluster.placement import NodeFacts, place_new
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.types import CollectionName, NodeName, ShardName
from weftdb.storage.versions import LIFE_BITS, writer_number

from .clients import PATIENCE_S, Clients
from .coordinator import Conversations, Coordinator, Places
from .driver import Driver
from .events import START_MS, Events, SkewedClock
from .faults import NODE_FAULTS, Fault, FaultKind
from .history import Facts, Operation, ShardEnd
from .journal import Journal
from .network import LATE_S_MAX, Network
from .node import Machine, SimulatedNode, Surroundings
from .plan import SKEW_S_MAX, Plan
from .repair import Repair
from .replicas import MakeReplica, ModelReplica, Replica

COLLECTION = CollectionName("Thing")
DEADLINE_S = 2.0
"""Of a request."""
LEASE_S = 3.0
"""How long membership takes to notice that a node is gone."""
GRACE_S = 3600.0
"""Of deletions; longer than any run."""
REPAIR_S_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a cluster is made of. A canary replaces one part by a broken one."""

    replica: MakeReplica = ModelReplica.on
    conversations: Conversations = field(default_factory=Conversations)
    close: Callable[[], None] = lambda: None
    """Lets go of what the replicas of a run hold outside memory."""
    waits_for_sync: bool = True
    keeps_hints: bool = True
    machine: Machine = field(default_factory=Machine)
    forgets_after_s: float = GRACE_S
    wiped_vouches: bool = False
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
        )
        self.places = place(plan)
        self.nodes: dict[str, SimulatedNode] = {}
        self.coordinators: dict[str, Coordinator] = {}
        self.repairs: dict[str, Repair] = {}
        self._healed = False
        self._hinted: tuple[ShardEnd, ...] = ()
        for node in plan.nodes:
            clock = SkewedClock(self.events, offset_s=node.offset_s, drift=node.drift)
            name = NodeName(node.name)
            self.nodes[name] = SimulatedNode(name, clock, around, self._open_replicas)
        for number, node in enumerate(self.nodes.values(), 1):
            node.on_start.append(partial(self._equip, node, number))

    def play(self) -> Run:
        """Run the plan to its end."""
        try:
            return self._play()
        finally:
            self.parts.close()

    def _play(self) -> Run:
        for node in self.nodes.values():
            node.start()
        clients = Clients(
            self.plan.steps, self.coordinators,
            events=self.events, journal=self.journal, deadline_s=DEADLINE_S,
        )  # fmt: skip
        for fault in self.plan.faults:
            self.events.at(fault.at, partial(self._begin, fault))
        self.events.run(self.plan.seconds_max, done=lambda: clients.are_done)
        self._heal()
        # What is still on its way arrives, and coordinations end, before anyone is judged.
        self.events.run(self.events.now + LATE_S_MAX + DEADLINE_S + PATIENCE_S)
        self._repair()
        if self.plan.outlives_grace:
            self._outlive_grace()
        return Run(self.plan, self._facts(clients.operations), self.journal,
                   self.events.now, self.events.happened)  # fmt: skip

    def _open_replicas(self, node: SimulatedNode) -> dict[ShardRef, Replica]:
        return {
            shard: self.parts.replica(shard, node)
            for shard in self.places.shards
            if node.name in self.places.replicas[shard]
        }

    def _equip(self, node: SimulatedNode, number: int) -> None:
        """Give a process that has just started what it works with."""
        life = self._around.dice.getrandbits(LIFE_BITS) if self.parts.lives_differ else 0
        repair = Repair(
            node,
            self.nodes,
            self.places,
            is_away=self._is_away,
            keeps_hints=self.parts.keeps_hints,
            make_exchange=self.parts.conversations.exchange,
            grace_s=self.parts.forgets_after_s,
        )
        self.repairs[node.name] = repair
        repair.begin()
        self.coordinators[node.name] = Coordinator(
            node,
            Driver(node, self.nodes, repair.keep),
            self.places,
            self.parts.conversations,
            writer=writer_number(number, life),
            away=self._away,
        )

    def _away(self) -> frozenset[NodeName]:
        """What membership believes: a lease runs out some time after its node has died."""
        return frozenset(filter(self._is_away, self.nodes))

    def _is_away(self, name: NodeName) -> bool:
        node = self.nodes[name]
        return not node.is_up and self.events.now - node.down_since > LEASE_S

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
        self.events.after(fault.lasts, partial(self._end, fault))

    def _crash(self, fault: Fault) -> None:
        node = self.nodes[fault.node]
        node.crash(wipe=fault.kind is FaultKind.WIPE)
        if fault.kind is FaultKind.WIPE and not self.parts.wiped_vouches:
            node.rebuilding = {
                shard for shard in self.places.shards if node.name in self.places.replicas[shard]
            }

    def _end(self, fault: Fault) -> None:
        if self._healed:
            return
        self._note("over", str(fault))
        match fault.kind:
            case FaultKind.CRASH | FaultKind.WIPE:
                if not self.nodes[fault.node].is_up:
                    self.nodes[fault.node].start()
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
            if not node.is_up:
                node.start()

    def _repair(self) -> None:
        """Play hints back and run one repair cycle."""
        self._note("repairs", "hints, then one cycle")
        limit = self.events.now + REPAIR_S_MAX
        for repair in self.repairs.values():
            repair.play_hints()
        self.events.run(limit, done=lambda: all(one.is_idle for one in self.repairs.values()))
        self._hinted = self._ends()
        self._around.compares = True
        for repair in self.repairs.values():
            repair.run_cycle()
        self.events.run(limit, done=lambda: all(one.is_idle for one in self.repairs.values()))
        self.events.run(self.events.now + DEADLINE_S + PATIENCE_S)

    def _outlive_grace(self) -> None:
        """Let time go on until every replica has forgotten every deletion, each by its own clock,
        while trees are compared."""
        self._note("waits", "for the end of the grace")
        self._around.pace = 60.0
        self.events.run(self.events.now + GRACE_S + 5 * SKEW_S_MAX)

    # Facts.

    def _facts(self, operations: list[Operation]) -> Facts:
        for one in operations:
            one.is_calm = self._is_calm(one)
        return Facts(
            operations=tuple(operations),
            ends=self._ends(),
            hinted=self._hinted,
            replicas={ref.shard: nodes for ref, nodes in self.places.replicas.items()},
            wiped=frozenset(
                fault.node for fault in self.plan.faults if fault.kind is FaultKind.WIPE
            ),
            unhinted=frozenset(one.number for one in operations if self._may_lack_hints(one)),
            grace_ms=round(GRACE_S * 1000),
            ended_ms=START_MS + round(self.events.now * 1000),
        )

    def _ends(self) -> tuple[ShardEnd, ...]:
        return tuple(self._end_of(shard) for shard in self.places.shards)

    def _may_lack_hints(self, one: Operation) -> bool:
        """Whether the coordinator died before it knew, and had kept durably, who missed the write:
        at the latest a little after the deadline."""
        return any(
            fault.node == one.coordinator and fault.touches(one.begun, one.begun + DEADLINE_S + 0.5)
            for fault in self.plan.faults
            if fault.kind in NODE_FAULTS
        )

    def _end_of(self, shard: ShardRef) -> ShardEnd:
        names = self.places.replicas[shard]
        held = {name: self.nodes[name].replicas[shard] for name in names}
        return ShardEnd(
            shard.shard,
            {name: replica.contents() for name, replica in held.items()},
            {name: replica.root() for name, replica in held.items()},
        )

    def _is_calm(self, one: Operation) -> bool:
        """Whether the coordinator and a majority of the replicas were up and in touch from the
        beginning of an operation to its deadline."""
        if self.plan.weather.loss > 0:
            return False
        touching = [
            fault
            for fault in self.plan.faults
            if fault.touches(one.begun, one.begun + DEADLINE_S)
            or (fault.kind is FaultKind.WIPE and fault.at <= one.begun)
        ]
        troubled = {fault.node for fault in touching if fault.kind in NODE_FAULTS}
        broken = {link for fault in touching for link in fault.links}
        if one.coordinator in troubled:
            return False
        replicas = self.places.replicas[self.places.shard_of(one.key)]
        reached = [
            name
            for name in replicas
            if name not in troubled
            and (one.coordinator, name) not in broken
            and (name, one.coordinator) not in broken
        ]
        return len(reached) > len(replicas) // 2

    def _note(self, verb: str, text: str) -> None:
        self.journal.note(self.events.now, "world", verb, text)


def place(plan: Plan) -> Places:
    """Place the shards as a new collection's are."""
    names = [ShardName(f"s{at}") for at in range(plan.shards)]
    nodes = [NodeFacts(NodeName(name)) for name in plan.names]
    placed = [
        PlacedShard(placement.shard, placement.replicas)
        for placement in place_new(nodes, names, factor=plan.factor)
    ]
    return Places(COLLECTION, ShardingState.create(placed, factor=plan.factor))
