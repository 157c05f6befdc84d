"""Placement, any cluster: different nodes, zones apart, even, the same answer every time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from weftdb.cluster.placement import Candidate, NodeFacts, Placer, place_new
from weftdb.core.types import NodeName, ShardName

GiB = 2**30


def names(count: int) -> list[ShardName]:
    return [ShardName(f"s{number}") for number in range(count)]


def facts(zones: list[int], free: list[int | None] | None = None) -> list[NodeFacts]:
    return [
        NodeFacts(NodeName(f"n{number}"), f"z{zone}", free[number] if free else None)
        for number, zone in enumerate(zones)
    ]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 40), st.randoms(use_true_random=False))
def test_equal_nodes_differ_by_one_replica_at_most(
    nodes: int, factor: int, shards: int, shuffler: object
) -> None:
    factor = min(factor, nodes)
    ordered = facts([0] * nodes)
    shuffled = list(ordered)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    placed = place_new(shuffled, names(shards), factor=factor)
    counts = Counter(node for placement in placed for node in placement.replicas)
    held = [counts[node.name] for node in ordered]
    assert max(held) - min(held) <= 1
    assert all(len(set(placement.replicas)) == factor for placement in placed)
    assert placed == place_new(ordered, names(shards), factor=factor), "order does not matter"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.none() | st.integers(1, 100 * GiB), min_size=12, max_size=12),
)
def test_replicas_lie_in_as_many_zones_as_they_can(
    zones: list[int], factor: int, shards: int, free: list[int | None]
) -> None:
    factor = min(factor, len(zones))
    nodes = facts(zones, free)
    zone_of = {node.name: node.zone for node in nodes}
    for placement in place_new(nodes, names(shards), factor=factor):
        used = Counter(zone_of[node] for node in placement.replicas)
        assert len(used) == min(factor, len(set(zones)))


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 8), st.integers(1, 3), st.integers(1, 30))
def test_zones_of_equal_size_are_filled_evenly(zones: int, per_zone: int, shards: int) -> None:
    nodes = facts([number % zones for number in range(zones * per_zone)])
    placed = place_new(nodes, names(shards), factor=2)
    counts = Counter(node for placement in placed for node in placement.replicas)
    held = [counts[node.name] for node in nodes]
    assert max(held) - min(held) <= 1


@settings(max_examples=100, deadline=None)
@given(st.integers(3, 9), st.integers(1, 20))
def test_a_replica_that_is_missing_is_added_and_nothing_else_moves(nodes: int, shards: int) -> None:
    placed = place_new(facts([0] * nodes), names(shards), factor=2)
    grown = facts([0] * (nodes + 1))
    held = Counter(node for placement in placed for node in placement.replicas)
    placer = Placer(grown, held=held)
    for placement in placed:
        more = placer.place(Candidate(placement.shard, 3, placement.replicas))
        assert more.kept == placement.replicas
        assert len(more.choices) == 1
