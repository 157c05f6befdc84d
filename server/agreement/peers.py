"""Peers: the nodes of the cluster, as this one sees them: members, addresses, who is alive.

Two followers feed it, of `/members/` (who belongs to the cluster) and of `/nodes/` (whose lease
lives), and every call to another node, through `CallObserver`. A thread of its own concludes what
follows from time (cluster/membership.py), and asks for probes.

A member record of this node's own name with a later life than this process's says that another
process has taken the name: `on_superseded` is told, and this one must stop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from weftdb.cluster.membership import (
    Changed,
    Effects,
    Failure,
    Liveness,
    Membership,
    NodeStatus,
    Probe,
)
from weftdb.cluster.metadata.keys import ClusterKeys, name_below
from weftdb.cluster.metadata.records import MemberRecord, MemberState, NodeRecord
from weftdb.cluster.metadata.store import Event
from weftdb.cluster.placement import NodeFacts
from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData
from weftdb.core.types import NodeName

log = logging.getLogger("weftdb.cluster")

Listener = Callable[[Changed], None]


def _nobody(_node: NodeName) -> None:
    """Probe nobody: until there is a caller, leases are all that is known."""


class Peers:
    """Members of the cluster, this node among them. Thread-safe; listeners must not wait."""

    def __init__(
        self,
        own: NodeName,
        generation: int,
        keys: ClusterKeys,
        clock: Clock,
        on_superseded: Callable[[], None],
    ) -> None:
        self.own = own
        self.generation = generation
        self.probe: Callable[[NodeName], None] = _nobody
        """Asks a node whether it is there, without waiting; how that went comes back through
        `on_answer` or `on_failure`."""
        self._keys = keys
        self._clock = clock
        self._on_superseded = on_superseded
        self._turn = threading.Condition()
        self._membership = Membership()
        self._members: dict[NodeName, MemberRecord] = {}
        self._nodes: dict[NodeName, NodeRecord] = {}
        self._addresses: dict[NodeName, str] = {}
        self._listeners: list[Listener] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="weft-peers", daemon=True)

    # --- who there is ----------------------------------------------------------------------------

    def members(self) -> Mapping[NodeName, MemberRecord]:
        """Every node that belongs to the cluster, by name."""
        with self._turn:
            return dict(sorted(self._members.items()))

    def record_of(self, node: NodeName) -> NodeRecord | None:
        """What the node says of itself while its lease lives."""
        with self._turn:
            return self._nodes.get(node)

    def address_of(self, node: NodeName) -> str | None:
        """host:port of the node's service for other nodes, also while its lease is over; None of
        one that was never heard of."""
        with self._turn:
            return self._addresses.get(node)

    def liveness_of(self, node: NodeName) -> Liveness:
        """What the node is taken for; this one is alive."""
        with self._turn:
            return self._liveness(node)

    def status_of(self, node: NodeName) -> NodeStatus:
        """The same in the words of `/v1/nodes`."""
        with self._turn:
            if node == self.own:
                return NodeStatus.HEALTHY
            return self._membership.status_of(node)

    def alive(self) -> tuple[NodeName, ...]:
        """Members that are taken for alive, this node among them."""
        with self._turn:
            return tuple(
                node for node in sorted(self._members) if self._liveness(node) is Liveness.ALIVE
            )

    def takers(self) -> Sequence[NodeFacts]:
        """The members as placement sees them: those that are away count as full, so that they get
        a replica only where too few others are left."""
        with self._turn:
            found = []
            for node, member in sorted(self._members.items()):
                record = self._nodes.get(node)
                is_there = self._liveness(node) is Liveness.ALIVE and record is not None
                found.append(
                    NodeFacts(
                        node,
                        member.zone,
                        record.disk_free_bytes if record is not None and is_there else 0,
                        member.state is MemberState.DRAINING,
                    )
                )
            return found

    def on_change(self, listener: Listener) -> None:
        """Tell `listener` of every change of what a node is taken for."""
        with self._turn:
            self._listeners.append(listener)

    # --- what is heard ---------------------------------------------------------------------------

    def hear_members(self, events: Sequence[Event]) -> None:
        """Listen to the follower of `/members/`."""
        for event in events:
            node = NodeName(name_below(self._keys.members, event.key))
            if event.value is None:
                with self._turn:
                    self._members.pop(node, None)
                    self._nodes.pop(node, None)
                    self._addresses.pop(node, None)
                    self._membership.on_forgotten(node)
                log.info("node %s was removed from the cluster", node)
                continue
            try:
                member = MemberRecord.decode(event.key, event.value)
            except CorruptData as error:
                log.warning("%s", error)  # What was known of it still stands.
                continue
            with self._turn:
                self._members[node] = member
            if node == self.own and member.generation > self.generation:
                log.error("another process has taken the name %s: this one stops", node)
                self._on_superseded()

    def hear_nodes(self, events: Sequence[Event]) -> None:
        """Listen to the follower of `/nodes/`."""
        for event in events:
            node = NodeName(name_below(self._keys.nodes, event.key))
            if node != self.own:
                self._act(self._hear_node(node, event))
            elif event.value is not None:
                with self._turn:
                    self._nodes[node] = NodeRecord.decode(event.key, event.value)
                    self._addresses[node] = self._nodes[node].address

    def on_answer(self, node: NodeName, generation: int) -> None:
        """Hear that a node answered a call, in that life."""
        if node != self.own:
            with self._turn:
                effects = self._membership.on_answer(node, generation, now_s=self._now_s())
            self._act(effects)

    def on_failure(self, node: NodeName, failure: Failure, *, began_s: float) -> None:
        """Hear that a call to a node, begun at `began_s` (monotonic), failed."""
        if node != self.own:
            with self._turn:
                now_s = max(began_s, self._now_s())
                effects = self._membership.on_failure(node, failure, began_s=began_s, now_s=now_s)
            self._act(effects)

    # --- its thread ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to conclude from time."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is known stays."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._turn:
                if self._is_closed:
                    return
                wake_s = self._membership.wake_s
                left_s = None if wake_s is None else wake_s - self._now_s()
                if left_s is None or left_s > 0:
                    self._turn.wait(left_s)
                    continue
                effects = self._membership.on_time(now_s=self._now_s())
            self._act(effects)

    def _hear_node(self, node: NodeName, event: Event) -> Effects:
        with self._turn:
            now_s = self._now_s()
            if event.value is None:
                gone = self._nodes.pop(node, None)
                if gone is None:
                    return ()
                return self._membership.on_lease_lost(node, gone.generation, now_s=now_s)
            try:
                record = NodeRecord.decode(event.key, event.value)
            except CorruptData as error:
                log.warning("%s", error)
                return ()
            self._addresses[node] = record.address
            if record.is_leaving:
                self._nodes.pop(node, None)
                return self._membership.on_left(node, record.generation, now_s=now_s)
            self._nodes[node] = record
            return self._membership.on_lease(node, record.generation, now_s=now_s)

    def _act(self, effects: Effects) -> None:
        """Do what membership wants. Not in the lock: whoever hears of it may ask back."""
        for effect in effects:
            match effect:
                case Probe(node):
                    self.probe(node)
                case Changed(node, old, new, generation, why):
                    was = "new" if old is None else old.value
                    log.info(
                        "node %s (life %d): %s → %s: %s", node, generation, was, new.value, why
                    )
                    with self._turn:
                        listeners = list(self._listeners)
                    for listener in listeners:
                        listener(effect)
        with self._turn:
            self._turn.notify_all()  # The next wake may be earlier now.

    def _liveness(self, node: NodeName) -> Liveness:
        return Liveness.ALIVE if node == self.own else self._membership.liveness_of(node)

    def _now_s(self) -> float:
        return self._clock.monotonic_s()
