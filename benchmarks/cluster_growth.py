"""Growth of a cluster by computation: bytes of the agreed metadata, time to place and to look up.

    python -m benchmarks.cluster_growth [--scale small|full] [--save NAME]

Makes the sharding of growing clusters with the code that a cluster runs, without any node: 100
nodes, 10,000 shards and a million tenants at `full`. Written are the bytes that etcd has to keep,
the largest single value (etcd takes 1.5 MiB), and how the bytes grow when nodes are replaced and
collections are resharded. Traffic is computed, not measured: every node keeps its lease alive three
times in `LEASE_S`, and the roots of the hash trees of all replicas of a shard are compared once in
`REPAIR_S`; a tenth of the tenants is active.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TypeVar

from weftdb.cluster.placement import Candidate, NodeFacts, Placer, place_new
from weftdb.cluster.rebalance.changes import entered, path_of
from weftdb.cluster.rebalance.plan import Plan
from weftdb.cluster.rebalance.replicas import plan_replace
from weftdb.cluster.rebalance.shards import plan_reshard
from weftdb.cluster.rebalance.spread import plan_spread
from weftdb.cluster.rebalance.view import ClusterView
from weftdb.cluster.sharding import (
    PlacedShard,
    ShardingState,
    decode_sharding,
    encode_sharding,
)
from weftdb.cluster.tenant_pages import (
    Tenant,
    TenantPage,
    decode_page,
    encode_page,
    page_of,
)
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName

from .floors import Floor
from .machine import describe_machine
from .material import SEED
from .report import write_report

FACTOR = 3
ETCD_VALUE_BYTES_MAX = 1_572_864
TENANT_BYTES_MAX = 64.0
"""Promised of a tenant of a 36 character name, on average."""
BATCH = 1_000
LEASE_S = 10.0
REPAIR_S = 60.0
ROOT_BYTES = 200
"""A comparison of two roots, there and back, with what frames it."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Scale:
    """How far the cluster grows: nodes, collections × shards, tenants."""

    steps: tuple[tuple[int, int, int, int], ...]


SCALES = {
    "small": Scale(((3, 2, 3, 1_000), (10, 5, 20, 20_000))),
    "full": Scale(((3, 10, 3, 1_000), (10, 20, 10, 100_000), (100, 100, 100, 1_000_000))),
}


@dataclass(frozen=True)
class Growth:
    """What one size of the cluster costs."""

    nodes: int
    shards: int
    tenants: int
    sharding_bytes: int
    """Of all collections without tenants."""
    sharding_bytes_largest: int
    sharding_bytes_churned: int
    """After every tenth node was replaced and replicas were spread again."""
    sharding_bytes_resharded: int
    """Of the largest one, after it grew by half its shards and shrank again."""
    tenant_bytes: int
    tenant_pages: int
    tenant_page_bytes_largest: int
    tenant_record_bytes: int
    """What the same tenants would take as one key and record each, without etcd's own share."""
    bytes_per_tenant: float
    place_shard_us: float
    place_tenant_us: float
    encode_ms: float
    decode_ms: float
    """Of the largest sharding state."""
    decode_page_ms: float
    group_batch_us: float
    """Of 1,000 ids onto the shards of one collection."""
    find_page_us: float
    lease_messages_per_s: float
    repair_comparisons_per_s: float
    repair_bytes_per_s_and_node: float


def timed(make: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds that `make` took, and what it made."""
    began = time.perf_counter()
    made = make()
    return time.perf_counter() - began, made


def make_nodes(count: int) -> tuple[NodeFacts, ...]:
    """Nodes in three zones, with names as deployments give them."""
    return tuple(
        NodeFacts(NodeName(f"weftdb-{number}"), f"zone-{number % 3}", 10**12)
        for number in range(count)
    )


def shard_name(source: random.Random) -> ShardName:
    """12 letters, as the engine names shards."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return ShardName("".join(source.choices(letters, k=12)))


def make_collections(
    nodes: tuple[NodeFacts, ...], collections: int, shards: int, source: random.Random
) -> dict[CollectionName, ShardingState]:
    """Collections placed one after the other, each beside those before it."""
    states: dict[CollectionName, ShardingState] = {}
    load: Counter[NodeName] = Counter()
    for number in range(collections):
        names = [shard_name(source) for _ in range(shards)]
        placed = place_new(nodes, names, factor=FACTOR, load=load)
        state = ShardingState.create(
            [PlacedShard(each.shard, each.replicas) for each in placed], factor=FACTOR
        )
        load.update(state.replica_counts())
        states[CollectionName(f"Collection{number}")] = state
    return states


def carried_out(states: dict[CollectionName, ShardingState], plan: Plan) -> None:
    """Apply a plan to the sharding states."""
    for step in plan.steps:
        collection = step.change.collection
        for into in path_of(step.change)[1:]:
            states[collection] = entered(states[collection], step.change, into)


def churned(nodes: tuple[NodeFacts, ...], states: dict[CollectionName, ShardingState]) -> int:
    """Bytes after every tenth node (at least one) was replaced by a new one, and all spread."""
    states = dict(states)
    members = list(nodes)
    for number in range(0, len(nodes), 10):
        lost, new = nodes[number], NodeFacts(NodeName(f"new-{number}"), nodes[number].zone, 10**12)
        members.append(new)
        carried_out(states, plan_replace(ClusterView(tuple(members), states), lost.name, new.name))
        members.remove(lost)
    carried_out(states, plan_spread(ClusterView(tuple(members), states)))
    return sum(len(encode_sharding(state)) for state in states.values())


def resharded(nodes: tuple[NodeFacts, ...], state: ShardingState, source: random.Random) -> int:
    """Bytes of a state after its collection grew by half its shards and shrank again."""
    name, count = CollectionName("C"), len(state.shards)
    states = {name: state}
    for wanted in (count + max(1, count // 2), count):
        names = [shard_name(source) for _ in range(max(0, wanted - len(states[name].shards)))]
        carried_out(states, plan_reshard(ClusterView(nodes, states), name, wanted, names=names))
    return len(encode_sharding(states[name]))


def make_tenants(nodes: tuple[NodeFacts, ...], count: int, source: random.Random) -> list[Tenant]:
    """Tenants called by UUIDs, the longest names that are usual, nine of ten switched off."""
    placer = Placer(nodes)
    return [
        Tenant(
            ShardName(name),
            placer.place(Candidate(ShardName(name), FACTOR)).replicas,
            "INACTIVE" if number % 10 else "ACTIVE",
        )
        for number in range(count)
        for name in [_uuid_text(source)]
    ]


def _uuid_text(source: random.Random) -> str:
    digits = f"{source.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def make_pages(tenants: Iterable[Tenant]) -> dict[str, TenantPage]:
    """The pages of all tenants, split as they grew."""
    root = TenantPage("", {tenant.name: tenant for tenant in tenants})
    return {page.bits: page for page in root.split()}


def measure(step: tuple[int, int, int, int]) -> Growth:
    """Make a cluster of that size, and what it costs."""
    node_count, collections, shards, tenant_count = step
    source = random.Random(SEED)
    nodes = make_nodes(node_count)
    placing_s, states = timed(lambda: make_collections(nodes, collections, shards, source))
    largest = max(states.values(), key=lambda state: len(encode_sharding(state)))
    encoding_s, written = timed(lambda: encode_sharding(largest))
    decoding_s, _ = timed(lambda: decode_sharding(written, collection="C"))
    ids = [ObjectId(source.randbytes(16)) for _ in range(BATCH)]
    largest.shards_of(ids)
    grouping_s = min(timed(lambda: largest.shards_of(ids))[0] for _ in range(20))

    tenanting_s, tenants = timed(lambda: make_tenants(nodes, tenant_count, source))
    pages = make_pages(tenants)
    values = {bits: encode_page(page) for bits, page in pages.items()}
    page = max(values.values(), key=len)
    page_s = min(timed(lambda: decode_page(page, collection="C"))[0] for _ in range(5))
    finding_s, _ = timed(lambda: [page_of(each.name, pages) for each in tenants[:BATCH]])
    replicas = FACTOR * (collections * shards + tenant_count // 10)
    comparisons = replicas * (FACTOR - 1) / 2 / REPAIR_S
    return Growth(
        node_count,
        collections * shards,
        tenant_count,
        sum(len(encode_sharding(state)) for state in states.values()),
        len(written),
        churned(nodes, states),
        resharded(nodes, largest, source),
        sum(len(value) for value in values.values()),
        len(pages),
        len(page),
        sum(map(_record_bytes, tenants)),
        sum(len(value) for value in values.values()) / tenant_count,
        placing_s / (collections * shards) * 1e6,
        tenanting_s / tenant_count * 1e6,
        encoding_s * 1e3,
        decoding_s * 1e3,
        page_s * 1e3,
        grouping_s * 1e6,
        finding_s / min(BATCH, tenant_count) * 1e6,
        node_count * 3 / LEASE_S,
        comparisons,
        comparisons * ROOT_BYTES / node_count,
    )


def _record_bytes(tenant: Tenant) -> int:
    record = {"format": 1, "status": tenant.status, "replicas": tenant.replicas}
    key = f"/weftdb/cluster/tenants/Collection0/{tenant.name}"
    return len(key) + len(json.dumps(record, separators=(",", ":")))


def floors_of(growths: list[Growth]) -> list[Floor]:
    """What is promised of the largest cluster."""
    last = growths[-1]
    value = max(last.sharding_bytes_largest, last.tenant_page_bytes_largest)
    return [
        Floor("largest value of the metadata", value, ETCD_VALUE_BYTES_MAX / 10, at_most=True),
        Floor("bytes of a tenant", last.bytes_per_tenant, TENANT_BYTES_MAX, at_most=True),
        Floor("µs to group 1,000 ids", last.group_batch_us, 1_000.0, at_most=True),
    ]


def table(growths: list[Growth]) -> str:
    """A row for each number, a column for each size."""
    rows = [asdict(growth) for growth in growths]
    lines = [
        "| " + " | ".join(["", *(f"{row['nodes']} nodes" for row in rows)]) + " |",
        "|---" + "|---:" * len(rows) + "|",
    ]
    for key in list(rows[0])[1:]:
        cells = [
            f"{row[key]:,.1f}" if isinstance(row[key], float) else f"{row[key]:,}" for row in rows
        ]
        lines.append(f"| {key.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; with `--save`, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=sorted(SCALES), default="small")
    parser.add_argument("--save", metavar="NAME")
    arguments = parser.parse_args()
    machine = describe_machine()
    growths = [measure(step) for step in SCALES[arguments.scale].steps]
    print(table(growths))
    floors = floors_of(growths)
    for floor in floors:
        print(f"{floor.verdict}: {floor.name} {floor.value:,.1f}, at most {floor.bound:,.0f}")
    if arguments.save:
        results = {f"{growth.nodes} nodes": asdict(growth) for growth in growths}
        print(write_report(arguments.save, machine=machine, results=results, floors=floors))
    return 0 if all(floor.is_met for floor in floors) else 1


if __name__ == "__main__":
    raise SystemExit(main())
