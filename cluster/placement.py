"""Placement: on which nodes the replicas of a shard should lie, and why there.

One rule, applied replica by replica to the nodes that hold nothing of the shard yet:

    choose the least of (replicas of this shard in the node's zone,
                         replicas of this collection on the node / its disk weight,
                         replicas of everything on the node / its disk weight,
                         the node's name)

So zones come before disk, a collection is spread before the cluster is filled up, and the same
nodes give the same answer everywhere. A node's disk weight is its free disk in eighths of the most
that a node has free, rounded up: nodes that are about equal count as equal, one with half as much
room gets half as many. Draining nodes get nothing; full ones only when there are too few others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeAlias

from weftdb.core.errors import SchemaViolation, TooFewNodes
from weftdb.core.types import NodeName, ShardName

DISK_WEIGHTS = 8
_COMMON_MULTIPLE = 840
"""Of 1 to `DISK_WEIGHTS`: load / weight is a whole number of 840ths, so ties are exact."""

Counts: TypeAlias = Mapping[NodeName, int]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What placement knows of a node."""

    name: NodeName
    zone: str = ""
    """Nodes of one zone fail together (rack, room); nodes without one share the zone ""."""
    disk_free_bytes: int | None = None
    """None where nobody knows it; such a node counts as one with the most room."""
    is_draining: bool = False
    """It is about to leave: it keeps what it has, and gets nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Why one replica lies where it does: the node as it was found."""

    node: NodeName
    zone: str
    zone_replicas: int
    """Replicas of this shard that its zone had already."""
    collection_replicas: int
    """Replicas of this collection that the node had already."""
    disk_weight: int
    """1 to 8, of the most free disk."""
    is_full: bool = False

    def __str__(self) -> str:
        beside = f"{self.zone_replicas} of this shard there" if self.zone_replicas else "new"
        zone = f"zone {self.zone} ({beside}), " if self.zone else ""
        room = (
            "no room, but nobody else is left"
            if self.is_full
            else f"free disk {self.disk_weight}/{DISK_WEIGHTS} of the most"
        )
        return f"{self.node}: {zone}{self.collection_replicas} of the collection here, {room}"


@dataclass(frozen=True, slots=True)
class Placement:
    """The nodes of one shard, in order, each with its reason."""

    shard: ShardName
    kept: tuple[NodeName, ...]
    """Replicas that were there before."""
    choices: tuple[Choice, ...]

    @property
    def replicas(self) -> tuple[NodeName, ...]:
        """Every node that should hold the shard."""
        return (*self.kept, *(choice.node for choice in self.choices))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A shard that wants `wanted` replicas, and has some."""

    shard: ShardName
    wanted: int
    present: tuple[NodeName, ...] = ()
    avoid: frozenset[NodeName] = field(default_factory=frozenset)
    """Nodes that may not be chosen for this shard."""


def check_factor(factor: int, *, least: int = 1, most: int = 0) -> None:
    """Raise SchemaViolation unless the node's settings allow the factor; `most` 0 is no bound."""
    if factor < least:
        raise SchemaViolation(
            "invalid replication factor: setup requires a minimum replication factor of "
            f"{least}: got {factor}"
        )
    if most and factor > most:
        raise SchemaViolation(
            f"invalid replication factor: setup caps replication at {most}: got {factor}"
        )


def place_new(
    nodes: Sequence[NodeFacts],
    shards: Sequence[ShardName],
    *,
    factor: int,
    load: Counts | None = None,
    bytes_needed: int = 0,
) -> tuple[Placement, ...]:
    """Place the shards of a new collection. Raises SchemaViolation with the text of the API.

    `load` is how many replicas of other collections each node holds; a node with less free disk
    than `bytes_needed` counts as full.
    """
    placer = Placer(nodes, load=load, bytes_needed=bytes_needed)
    try:
        return tuple(placer.place(Candidate(shard, factor)) for shard in shards)
    except TooFewNodes as error:
        raise SchemaViolation(f"init sharding state: {error}") from None


class Placer:
    """Places shards of one collection, one after the other, each beside those before it."""

    def __init__(
        self,
        nodes: Sequence[NodeFacts],
        *,
        load: Counts | None = None,
        held: Counts | None = None,
        bytes_needed: int = 0,
    ) -> None:
        """`held` counts this collection's replicas on each node, `load` those of all others."""
        assert len({node.name for node in nodes}) == len(nodes), "nodes have different names"
        most = max((node.disk_free_bytes or 0 for node in nodes), default=0)
        self._nodes = {node.name: node for node in nodes}
        self._weights = {node.name: _disk_weight(node.disk_free_bytes, most) for node in nodes}
        self._load = dict(load or {})
        self._held = dict(held or {})
        able = [node for node in nodes if not node.is_draining]
        self._full = {
            node.name
            for node in able
            if node.disk_free_bytes is not None and node.disk_free_bytes < max(1, bytes_needed)
        }
        self._able = frozenset(node.name for node in able)
        # One heap a zone, so that a choice costs a look at each zone and not at each node.
        self._heaps: dict[str, list[tuple[int, int, NodeName]]] = {}
        for node in able:
            if node.name not in self._full:
                self._push(node.name)

    def place(self, wish: Candidate) -> Placement:
        """Choose the nodes that `wish` lacks. Raises TooFewNodes."""
        zones: dict[str, int] = {}
        for name in wish.present:
            zone = self.zone_of(name)
            zones[zone] = zones.get(zone, 0) + 1
        barred = wish.avoid | set(wish.present)
        missing = wish.wanted - len(wish.present)
        if len(self._able - barred) < missing:
            available = len(self._able - wish.avoid | set(wish.present))
            raise TooFewNodes(
                "could not find enough weaviate nodes for replication: "
                f"{available} available, {wish.wanted} requested"
            )
        choices: list[Choice] = []
        aside: list[NodeName] = []
        while len(choices) < missing:
            name = self._best(zones, barred, aside) or self._best_full(zones, barred, choices)
            zone = self.zone_of(name)
            choices.append(
                Choice(
                    name,
                    zone,
                    zones.get(zone, 0),
                    self._held.get(name, 0),
                    self._weights[name],
                    name in self._full,
                )
            )
            zones[zone] = zones.get(zone, 0) + 1
            self._held[name] = self._held.get(name, 0) + 1
        for name in aside:
            self._push(name)
        return Placement(wish.shard, wish.present, tuple(choices))

    def zone_of(self, name: NodeName) -> str:
        """The zone of a node; "" of one that is not known any more."""
        node = self._nodes.get(name)
        return node.zone if node else ""

    def _best(
        self, zones: Mapping[str, int], barred: Set[NodeName], aside: list[NodeName]
    ) -> NodeName | None:
        """Take the least loaded node of the least used zones off its heap; what is passed over
        goes `aside` with it."""
        best: tuple[int, tuple[int, int, NodeName], str] | None = None
        for zone, heap in self._heaps.items():
            while heap and heap[0][2] in barred:
                aside.append(heapq.heappop(heap)[2])
            if heap and (best is None or (zones.get(zone, 0), heap[0]) < best[:2]):
                best = (zones.get(zone, 0), heap[0], zone)
        if best is None:
            return None
        name = heapq.heappop(self._heaps[best[2]])[2]
        aside.append(name)
        return name

    def _best_full(
        self, zones: Mapping[str, int], barred: Set[NodeName], choices: Iterable[Choice]
    ) -> NodeName:
        """The best of the full nodes. Requires: one is left."""
        left = self._full - barred - {choice.node for choice in choices}
        return min(left, key=lambda name: (zones.get(self.zone_of(name), 0), self._rank(name)))

    def _push(self, name: NodeName) -> None:
        heap = self._heaps.setdefault(self._nodes[name].zone, [])
        heapq.heappush(heap, self._rank(name))

    def _rank(self, name: NodeName) -> tuple[int, int, NodeName]:
        part = _COMMON_MULTIPLE // self._weights[name]
        held = self._held.get(name, 0)
        return ((held + 1) * part, (held + self._load.get(name, 0) + 1) * part, name)


def _disk_weight(free_bytes: int | None, most: int) -> int:
    if free_bytes is None or most == 0:
        return DISK_WEIGHTS
    return max(1, -(-free_bytes * DISK_WEIGHTS // most))
