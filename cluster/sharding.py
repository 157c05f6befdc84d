"""ShardingState: the shards of one collection, where their replicas lie, and which ids are theirs.

A value that all nodes agree on (metadata); every change makes another value. Tenants are shards
too, but too many for one value: see tenant_pages.py.

    state  := JSON {"format": 1, "factor": n, "virtualPerPhysical": n, "desiredCount": n,
                    "nodes": [name …], "shards": [shard …], "runs": [[shard number, length] …],
                    "moving": [[first, length, shard number] …],         # left out when empty
                    "mayStray": true}                       # left out when false, or moving
    shard  := [name, [node number …]] | [name, [node number …], [node number …]]
                                                         # replicas in order; those that join

Numbers are positions in the lists of the same value. `runs` is the table of ring.py.

While a replica or a row of virtual shards is on its way, the state says so. `joining` replicas
answer no read, but a write has to reach its level among the replicas with them, too
(`PlacedShard.write_groups`). The writes of a `moving` row go to a second shard as well, the one
that it goes to or has just left, and are done when both have them at their level. Neighbouring
states differ by one such step, so at QUORUM a read by one of them meets a write by the other in a
replica. Once a row has begun to move, replicas may hold objects that are not their shard's any
more, or never came to be (`may_stray`): from then on nothing of a shard counts but what it owns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weftdb.cluster.ring import Run, TokenRange, VirtualTable, range_of, virtuals_of
from weftdb.cluster.stored_json import StoredJson
from weftdb.core.definition.layout import VIRTUAL_SHARDS_PER_SHARD
from weftdb.core.hashing import token, tokens
from weftdb.core.limits import VIRTUAL_SHARDS_MAX
from weftdb.core.types import NodeName, ObjectId, ShardName

FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlacedShard:
    """One shard and the nodes that hold it, in the order in which they are asked."""

    name: ShardName
    replicas: tuple[NodeName, ...]
    joining: tuple[NodeName, ...] = ()
    """Nodes that are filled: written to, not yet read."""

    @property
    def holders(self) -> tuple[NodeName, ...]:
        """Every node that has data of the shard."""
        return (*self.replicas, *self.joining)

    @property
    def write_groups(self) -> tuple[tuple[NodeName, ...], ...]:
        """The sets of replicas in each of which a write must reach its level: those of now, and
        those after what joins has joined (`replication.write_core.WriteTargets`)."""
        return (self.replicas, self.holders) if self.joining else (self.replicas,)


@dataclass(frozen=True, slots=True)
class VirtualMove:
    """A row of virtual shards whose writes go to another shard than its owner as well."""

    first: int
    length: int
    target: int
    """Position of that shard in the state: where the row goes, or has come from."""


@dataclass(frozen=True, slots=True)
class ShardingState:
    """The agreed sharding of a collection without tenants."""

    shards: tuple[PlacedShard, ...]
    factor: int
    """How many replicas a shard is meant to have."""
    table: VirtualTable
    desired_count: int
    """How many shards are asked for; fewer or more may be there while they change."""
    virtual_per_shard: int = VIRTUAL_SHARDS_PER_SHARD
    moving: tuple[VirtualMove, ...] = ()
    may_stray: bool = False
    """A row has begun to move once: a replica may hold objects of rows that are not its shard's."""
    _positions: Mapping[ShardName, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {shard.name: at for at, shard in enumerate(self.shards)}
        assert len(positions) == len(self.shards) >= 1, "shards have different names"
        assert self.factor >= 1, self.factor
        object.__setattr__(self, "_positions", positions)

    @classmethod
    def create(
        cls,
        placed: Sequence[PlacedShard],
        *,
        factor: int,
        virtual_per_shard: int = VIRTUAL_SHARDS_PER_SHARD,
    ) -> ShardingState:
        """The state of a new collection: every shard gets the same part of the ring."""
        table = VirtualTable.even(len(placed), virtual_per_shard=virtual_per_shard)
        return cls(tuple(placed), factor, table, len(placed), virtual_per_shard)

    # --- where is it? ----------------------------------------------------------------------------

    def shard_of(self, object_id: ObjectId) -> PlacedShard:
        """The shard that an object lies in."""
        return self.shards[self.table.owner_of(token(object_id))]

    def shards_of(self, object_ids: Sequence[ObjectId]) -> dict[ShardName, NDArray[np.intp]]:
        """The positions of the ids of each shard, ascending; shards without any are left out."""
        if not object_ids:
            return {}
        return self._grouped(self.table.owners_of(tokens(object_ids)))

    def write_shards_of(self, object_ids: Sequence[ObjectId]) -> dict[ShardName, NDArray[np.intp]]:
        """As `shards_of`; ids in a row that moves are in the other shard of the move as well."""
        groups = self.shards_of(object_ids)
        if not self.moving or not object_ids:
            return groups
        virtuals = virtuals_of(tokens(object_ids), self.table.count)
        for move in self.moving:
            inside = (virtuals >= move.first) & (virtuals < move.first + move.length)
            if inside.any():
                name, found = self.shards[move.target].name, np.flatnonzero(inside)
                groups[name] = np.union1d(groups[name], found) if name in groups else found
        return groups

    def _grouped(self, owners: NDArray[np.int32]) -> dict[ShardName, NDArray[np.intp]]:
        order = np.argsort(owners, kind="stable")
        ordered = owners[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        return {
            self.shards[int(ordered[start])].name: positions
            for start, positions in zip(starts, np.split(order, starts[1:]), strict=True)
        }

    def shard(self, name: ShardName) -> PlacedShard | None:
        """The shard called `name`, if there is one."""
        at = self._positions.get(name)
        return None if at is None else self.shards[at]

    def position_of(self, name: ShardName) -> int:
        """The number of a shard that is there."""
        return self._positions[name]

    def ranges_of(self, name: ShardName) -> tuple[TokenRange, ...]:
        """The tokens of a shard's objects."""
        return self.table.ranges_of(self._positions[name])

    def kept_ranges(self, name: ShardName) -> tuple[TokenRange, ...]:
        """The tokens of the objects that a shard's replicas may hold: its own, and those of rows on
        their way to it or from it; in their order. None of a shard that is gone."""
        at = self._positions.get(name)
        if at is None:
            return ()
        coming = [self.moving_range(move) for move in self.moving if move.target == at]
        return tuple(sorted([*self.table.ranges_of(at), *coming]))

    def moving_range(self, move: VirtualMove) -> TokenRange:
        """The tokens of a row that moves."""
        return range_of(move.first, self.table.count, length=move.length)

    def held_on(self, node: NodeName) -> Iterator[PlacedShard]:
        """The shards of which `node` has data."""
        return (shard for shard in self.shards if node in shard.holders)

    def replica_counts(self) -> dict[NodeName, int]:
        """How many shards each node holds or is being given."""
        counts: dict[NodeName, int] = {}
        for shard in self.shards:
            for node in shard.holders:
                counts[node] = counts.get(node, 0) + 1
        return counts

    def sharding_counts(self) -> dict[str, int]:
        """The numbers of the public `shardingConfig`, as they are now."""
        return {
            "virtualPerPhysical": self.virtual_per_shard,
            "desiredCount": self.desired_count,
            "actualCount": len(self.shards),
            "desiredVirtualCount": self.desired_count * self.virtual_per_shard,
            "actualVirtualCount": self.table.count,
        }

    # --- steps to the next state -----------------------------------------------------------------

    def with_joining(self, name: ShardName, node: NodeName) -> ShardingState:
        """`node` is given the writes of the shard. Requires: it holds nothing of it."""
        shard = self._known(name)
        assert node not in shard.holders, f"{node} has data of {name}"
        return self._with_shard(replace(shard, joining=(*shard.joining, node)))

    def with_joined(self, name: ShardName, node: NodeName) -> ShardingState:
        """The joining `node` has become a replica that is read and counted."""
        shard = self._known(name)
        assert node in shard.joining, f"{node} does not join {name}"
        joining = tuple(other for other in shard.joining if other != node)
        return self._with_shard(PlacedShard(name, (*shard.replicas, node), joining))

    def without_node(self, name: ShardName, node: NodeName) -> ShardingState:
        """`node` holds the shard no more. Requires: another replica is left."""
        shard = self._known(name)
        assert node in shard.holders, f"{node} holds nothing of {name}"
        replicas = tuple(other for other in shard.replicas if other != node)
        assert replicas, f"{name} would have no replica"
        joining = tuple(other for other in shard.joining if other != node)
        return self._with_shard(PlacedShard(name, replicas, joining))

    def with_factor(self, factor: int) -> ShardingState:
        """Another number of replicas is meant."""
        return replace(self, factor=factor)

    def with_desired_count(self, count: int) -> ShardingState:
        """Another number of shards is asked for."""
        return replace(self, desired_count=count)

    def with_shard_added(self, shard: PlacedShard) -> ShardingState:
        """A shard more, which owns nothing yet."""
        return replace(self, shards=(*self.shards, shard))

    def without_shard(self, name: ShardName) -> ShardingState:
        """A shard less. Requires: it owns nothing, and nothing moves to it."""
        gone = self._positions[name]
        positions = [None if at == gone else at - (at > gone) for at in range(len(self.shards))]
        moving = []
        for move in self.moving:
            target = positions[move.target]
            assert target is not None, f"{name} is being given virtual shards"
            moving.append(replace(move, target=target))
        return replace(
            self,
            shards=tuple(shard for shard in self.shards if shard.name != name),
            table=self.table.renumbered(positions),
            moving=tuple(moving),
        )

    def refined(self, factor: int) -> ShardingState:
        """Each virtual shard cut into `factor`; no object has another shard for it."""
        moving = tuple(
            VirtualMove(move.first * factor, move.length * factor, move.target)
            for move in self.moving
        )
        return replace(self, table=self.table.refined(factor), moving=moving)

    def with_moving(self, move: VirtualMove) -> ShardingState:
        """The target of `move` is given the writes of its row. Requires: the row has one owner,
        another one, and does not move yet."""
        last = move.first + move.length
        owners = set(self.table.owners[move.first : last].tolist())
        assert len(owners) == 1, f"{move} has the owners {owners}"
        assert move.target not in owners, f"{move} has arrived"
        assert not any(
            move.first < other.first + other.length and other.first < last for other in self.moving
        ), f"{move} meets a row that moves"
        return replace(self, moving=(*self.moving, move), may_stray=True)

    def with_moved(self, move: VirtualMove) -> ShardingState:
        """The row is read from its target; its writes go to the shard that had it as well."""
        last = replace(move, target=int(self.table.owners[move.first]))
        table = self.table.with_owner(move.first, move.target, length=move.length)
        settled = self.without_moving(move)
        return replace(settled, table=table, moving=(*settled.moving, last))

    def without_moving(self, move: VirtualMove) -> ShardingState:
        """The row is written to its owner only."""
        assert move in self.moving, f"{move} is not on its way"
        return replace(self, moving=tuple(other for other in self.moving if other != move))

    def _known(self, name: ShardName) -> PlacedShard:
        return self.shards[self._positions[name]]

    def _with_shard(self, shard: PlacedShard) -> ShardingState:
        at = self._positions[shard.name]
        return replace(self, shards=(*self.shards[:at], shard, *self.shards[at + 1 :]))


def encode_sharding(state: ShardingState) -> bytes:
    """Write the JSON form; equal states give equal bytes."""
    nodes = sorted({node for shard in state.shards for node in shard.holders})
    numbers = {node: at for at, node in enumerate(nodes)}
    shards: list[list[Any]] = []
    for shard in state.shards:
        row: list[Any] = [shard.name, [numbers[node] for node in shard.replicas]]
        if shard.joining:
            row.append([numbers[node] for node in shard.joining])
        shards.append(row)
    body: dict[str, Any] = {
        "format": FORMAT,
        "factor": state.factor,
        "virtualPerPhysical": state.virtual_per_shard,
        "desiredCount": state.desired_count,
        "nodes": nodes,
        "shards": shards,
        "runs": state.table.runs,
    }
    if state.moving:
        body["moving"] = [[move.first, move.length, move.target] for move in state.moving]
    if state.may_stray and not state.moving:
        body["mayStray"] = True
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode_sharding(value: bytes, *, collection: str) -> ShardingState:
    """Read `encode_sharding` back. Raises CorruptData that says what is wrong."""
    body = StoredJson(value, subject=f"the sharding state of {collection}", format_version=FORMAT)
    nodes = body.names("nodes")
    shards = tuple(_shard(body, row, nodes) for row in body.items("shards"))
    body.check(shards, "it has no shards")
    names = [shard.name for shard in shards]
    body.check(len(set(names)) == len(names), f"two shards have one name: {names}")
    table = _table(body, len(shards))
    moving = _moving(body, table, len(shards))
    return ShardingState(
        shards,
        body.number("factor", at_least=1),
        table,
        body.number("desiredCount", at_least=1),
        body.number("virtualPerPhysical", at_least=1),
        moving,
        body.flag("mayStray") or bool(moving),
    )


def _shard(body: StoredJson, value: Any, nodes: Sequence[str]) -> PlacedShard:
    row = body.row(value, "a shard", sizes=(2, 3))
    name = row[0]
    body.check(isinstance(name, str) and name, f"a shard is called {name!r}")
    replicas = body.chosen(row[1], nodes, f"the replicas of {name}")
    joining = body.chosen(row[2], nodes, f"the joining replicas of {name}") if row[2:] else ()
    body.check(replicas, f"{name} has no replicas")
    body.check(not set(replicas) & set(joining), f"{name} has a replica that joins")
    return PlacedShard(
        ShardName(name), tuple(map(NodeName, replicas)), tuple(map(NodeName, joining))
    )


def _table(body: StoredJson, shards: int) -> VirtualTable:
    runs: list[Run] = []
    for value in body.items("runs"):
        row = body.row(value, "a run", sizes=(2,))
        owner = body.whole(row[0], "the owner of a run", below=shards)
        length = body.whole(row[1], "the length of a run", at_least=1)
        body.check(not runs or runs[-1][0] != owner, f"two runs of shard {owner} touch")
        runs.append((owner, length))
    count = sum(length for _, length in runs)
    body.check(runs, "it has no virtual shards")
    body.check(
        count <= VIRTUAL_SHARDS_MAX,
        f"it has {count} virtual shards, and {VIRTUAL_SHARDS_MAX} are allowed",
    )
    return VirtualTable(tuple(runs))


def _moving(body: StoredJson, table: VirtualTable, shards: int) -> tuple[VirtualMove, ...]:
    moving: list[VirtualMove] = []
    taken: set[int] = set()
    for value in body.items("moving", is_optional=True):
        row = body.row(value, "a moving row", sizes=(3,))
        first = body.whole(row[0], "the start of a moving row", below=table.count)
        length = body.whole(
            row[1], "the length of a moving row", at_least=1, below=table.count - first + 1
        )
        target = body.whole(row[2], "the target of a moving row", below=shards)
        virtuals = range(first, first + length)
        owners = set(table.owners[first : first + length].tolist())
        body.check(len(owners) == 1, f"the moving row at {first} has several owners")
        body.check(target not in owners, f"the moving row at {first} goes to its owner")
        body.check(taken.isdisjoint(virtuals), f"the moving row at {first} meets another")
        taken.update(virtuals)
        moving.append(VirtualMove(first, length, target))
    return tuple(moving)
