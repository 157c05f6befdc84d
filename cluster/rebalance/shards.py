"""Plans that change the number of shards of a collection by moving virtual shards.

Every shard ends with the same number of virtual shards, or one more; what a shard has too many goes
straight to shards that have too few, so as few move as can. A shard gives from the end of what it
has, and takers are filled one after the other: rows stay long, and the table small. Virtual shards
are cut first where there would be fewer than `virtualPerPhysical` for each shard (ring.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weftdb.cluster.placement import Candidate
from weftdb.cluster.rebalance.changes import AddShard, DropShard, MoveRow, Refine, SetCount
from weftdb.cluster.rebalance.plan import Plan, StepList
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.ring import VirtualTable, range_of
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.errors import InvalidRequest
from weftdb.core.limits import SHARDS_PER_COLLECTION_MAX, VIRTUAL_SHARDS_MAX
from weftdb.core.types import CollectionName, ShardName


@dataclass(frozen=True, slots=True)
class Row:
    """Virtual shards in a row that change their owner; shards are numbers."""

    first: int
    length: int
    source: int
    target: int


def plan_reshard(
    view: ClusterView, collection: CollectionName, count: int, *, names: Sequence[ShardName] = ()
) -> Plan:
    """Give the collection `count` shards; new ones are called by the first of `names`.

    Requires: `names` are as many as shards come, and new. Raises InvalidRequest, TooFewNodes.
    """
    state = view.state(collection)
    if not 1 <= count <= SHARDS_PER_COLLECTION_MAX:
        raise InvalidRequest(
            "invalid sharding state: physical shards unavailable: "
            f"desiredCount must be between 1 and {SHARDS_PER_COLLECTION_MAX}, got {count}"
        )
    view.check_quiet(collection)
    steps = StepList()
    if count != state.desired_count:
        steps.add_barrier(SetCount(collection, count))
    table = state.table
    factor = _refinement(state, count)
    if factor > 1:
        steps.add_barrier(
            Refine(collection, factor), why=f"{table.count} are too few for {count} even shards"
        )
        table = table.refined(factor)
    shards = list(state.shards)
    placer = view.placer(collection)
    for name in names[: max(0, count - len(shards))]:
        assert state.shard(name) is None, f"there is a shard {name}"
        placement = placer.place(Candidate(name, state.factor))
        why = "; ".join(str(choice) for choice in placement.choices)
        steps.add(AddShard(collection, name, placement.replicas), why=why)
        shards.append(PlacedShard(name, placement.replicas))
    assert len(shards) >= count, f"{count} shards need {count - len(shards)} more names"
    leaving = _leaving(table, len(state.shards), len(shards) - count)
    held = table.counts(len(shards))
    for row in rows_to_even(table, len(shards), leaving):
        source, target = shards[row.source].name, shards[row.target].name
        tokens = range_of(row.first, table.count, length=row.length)
        steps.add(
            MoveRow(collection, source, target, row.first, row.length),
            size=view.size(collection, source).part(row.length / held[row.source]),
            why=f"tokens {tokens.start:016x} to {tokens.stop - 1:016x}",
        )
    for at in sorted(leaving):
        steps.add(DropShard(collection, shards[at].name, shards[at].replicas))
    return steps.plan(
        f"reshard {collection} from {len(state.shards)} to {count} shards", _notes(view, shards)
    )


def _notes(view: ClusterView, shards: Sequence[PlacedShard]) -> Iterator[str]:
    away = sorted(view.dead.intersection(node for shard in shards for node in shard.replicas))
    if away:
        yield f"a row goes to a shard once all of its replicas are there; away: {', '.join(away)}"


def rows_to_even(table: VirtualTable, shards: int, leaving: frozenset[int]) -> tuple[Row, ...]:
    """The fewest moves of virtual shards after which `leaving` own none and all others the same
    number, or one more; in the order of the ring."""
    counts = table.counts(shards)
    quotas = _quotas(counts, leaving)
    surplus = [max(0, count - quota) for count, quota in zip(counts, quotas, strict=True)]
    lacking = [max(0, quota - count) for count, quota in zip(counts, quotas, strict=True)]
    given: dict[int, int] = {}
    owners = table.owners.tolist()
    for virtual in range(len(owners) - 1, -1, -1):
        source = owners[virtual]
        if surplus[source]:
            surplus[source] -= 1
            given[virtual] = source
    takers = [shard for shard in range(shards) if lacking[shard]]
    rows: list[Row] = []
    for virtual in sorted(given):
        source, target = given[virtual], takers[0]
        last = rows[-1] if rows else None
        touches = last is not None and last.first + last.length == virtual
        if last and touches and (last.source, last.target) == (source, target):
            rows[-1] = Row(last.first, last.length + 1, source, target)
        else:
            rows.append(Row(virtual, 1, source, target))
        lacking[target] -= 1
        if not lacking[target]:
            takers.pop(0)
    return tuple(rows)


def _quotas(counts: Sequence[int], leaving: frozenset[int]) -> list[int]:
    """How many each shard should own: those that own most get what is left over."""
    staying = [shard for shard in range(len(counts)) if shard not in leaving]
    each, over = divmod(sum(counts), len(staying))
    quotas = [0] * len(counts)
    for place, shard in enumerate(sorted(staying, key=lambda shard: (-counts[shard], shard))):
        quotas[shard] = each + (place < over)
    return quotas


def _refinement(state: ShardingState, count: int) -> int:
    wanted = -(-count * state.virtual_per_shard // state.table.count)
    allowed = VIRTUAL_SHARDS_MAX // state.table.count
    factor = max(1, min(wanted, allowed))
    if state.table.count * factor < count:
        raise InvalidRequest(
            f"{count} shards need more than the {VIRTUAL_SHARDS_MAX} virtual shards allowed"
        )
    return factor


def _leaving(table: VirtualTable, present: int, count: int) -> frozenset[int]:
    """The `count` shards that own least, the youngest first."""
    counts = table.counts(present)
    order = sorted(range(present), key=lambda shard: (counts[shard], -shard))
    return frozenset(order[: max(0, count)])
