"""Placement: the rule in small cases, its reasons, and what it refuses."""

from __future__ import annotations

import pytest

from weftdb.cluster.placement import (
    Candidate,
    NodeFacts,
    Placement,
    Placer,
    check_factor,
    place_new,
)
from weftdb.core.errors import SchemaViolation, TooFewNodes
from weftdb.core.types import NodeName, ShardName

GiB = 2**30


def node(
    name: str, zone: str = "", free: int | None = None, *, draining: bool = False
) -> NodeFacts:
    return NodeFacts(NodeName(name), zone, free, draining)


def replicas(placed: tuple[Placement, ...]) -> list[tuple[NodeName, ...]]:
    return [placement.replicas for placement in placed]


def shards(count: int) -> list[ShardName]:
    return [ShardName(f"s{number}") for number in range(count)]


def test_equal_nodes_take_turns() -> None:
    nodes = [node("n3"), node("n1"), node("n2")]
    assert replicas(place_new(nodes, shards(3), factor=2)) == [
        ("n1", "n2"),
        ("n3", "n1"),
        ("n2", "n3"),
    ]


def test_a_shard_lies_in_different_zones_even_where_disks_are_fuller() -> None:
    nodes = [node("a1", "a", 100 * GiB), node("a2", "a", 100 * GiB), node("b1", "b", 10 * GiB)]
    for placement in place_new(nodes, shards(4), factor=2):
        assert {choice.zone for choice in placement.choices} == {"a", "b"}


def test_half_the_room_gets_half_the_replicas() -> None:
    nodes = [node("big", free=80 * GiB), node("small", free=40 * GiB)]
    placed = replicas(place_new(nodes, shards(9), factor=1))
    assert placed.count((NodeName("big"),)) == 6


def test_about_equal_disks_count_as_equal() -> None:
    nodes = [node("n1", free=100 * GiB), node("n2", free=95 * GiB)]
    placed = replicas(place_new(nodes, shards(10), factor=1))
    assert placed.count((NodeName("n1"),)) == 5


def test_a_collection_is_spread_before_the_cluster_is_filled_up() -> None:
    load = {NodeName("n1"): 50, NodeName("n2"): 50}
    placed = replicas(
        place_new([node("n1"), node("n2"), node("n3")], shards(3), factor=1, load=load)
    )
    assert placed == [("n3",), ("n1",), ("n2",)]


def test_full_nodes_are_taken_only_where_nobody_else_is_left() -> None:
    nodes = [node("full", free=GiB), node("n1", free=9 * GiB), node("n2", free=9 * GiB)]
    (placement,) = place_new(nodes, shards(1), factor=2, bytes_needed=2 * GiB)
    assert placement.replicas == ("n1", "n2")
    (placement,) = place_new(nodes, shards(1), factor=3, bytes_needed=2 * GiB)
    assert placement.replicas == ("n1", "n2", "full")
    assert "no room, but nobody else is left" in str(placement.choices[2])


def test_draining_nodes_get_nothing() -> None:
    nodes = [node("n1", draining=True), node("n2"), node("n3")]
    assert replicas(place_new(nodes, shards(1), factor=2)) == [("n2", "n3")]
    with pytest.raises(
        SchemaViolation,
        match=r"^init sharding state: could not find enough weaviate nodes for replication: "
        r"2 available, 3 requested$",
    ):
        place_new(nodes, shards(1), factor=3)


def test_what_is_there_stays_and_counts() -> None:
    placer = Placer([node("a1", "a"), node("a2", "a"), node("b1", "b")], held={NodeName("b1"): 5})
    wish = Candidate(ShardName("s"), 2, present=(NodeName("a1"),))
    placement = placer.place(wish)
    assert placement.kept == ("a1",)
    assert placement.replicas == ("a1", "b1")
    assert str(placement.choices[0]) == (
        "b1: zone b (new), 5 of the collection here, free disk 8/8 of the most"
    )
    assert placer.place(wish).choices[0].collection_replicas == 6


def test_a_node_that_is_avoided_is_not_counted_as_available() -> None:
    placer = Placer([node("n1"), node("n2")])
    wish = Candidate(ShardName("s"), 2, (NodeName("n1"),), avoid=frozenset({NodeName("n2")}))
    with pytest.raises(TooFewNodes, match="1 available, 2 requested"):
        placer.place(wish)
    # Nothing was taken by the wish that failed.
    assert placer.place(Candidate(ShardName("t"), 2)).replicas == ("n1", "n2")


def test_the_settings_bound_the_factor() -> None:
    check_factor(1)
    check_factor(99)
    check_factor(3, least=2, most=3)
    with pytest.raises(
        SchemaViolation, match=r"setup requires a minimum replication factor of 2: got 1$"
    ):
        check_factor(1, least=2)
    with pytest.raises(SchemaViolation, match=r"setup caps replication at 3: got 4$"):
        check_factor(4, most=3)


def test_reasons_name_zone_load_and_disk() -> None:
    nodes = [node("n1", free=80 * GiB), node("n2", free=20 * GiB)]
    (placement,) = place_new(nodes, shards(1), factor=2)
    assert [str(choice) for choice in placement.choices] == [
        "n1: 0 of the collection here, free disk 8/8 of the most",
        "n2: 0 of the collection here, free disk 2/8 of the most",
    ]
