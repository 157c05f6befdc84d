"""The query profile tells how every vector search of a read went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from weftdb.core.query import Hits, NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.proto.v1 import search_pb2
from weftdb.server.grpc.query_profile import query_profile


@dataclass(frozen=True)
class Explained:
    plan: str = "two-hop"
    reason: str = "walking among what is allowed costs least"
    overrides: str = ""
    ef: int = 100
    gave_up: bool = False
    visited: int = 1500
    distances: int = 1200


@dataclass(frozen=True)
class Shards:
    shard_name: str = "north"


def profiled(*searches: Explained) -> dict[str, str]:
    query = Search("Doc", near=NearVector((Target(UNNAMED),)))
    raw = query_profile(
        cast(LocalCollection, Shards()), query, Hits([], vector_searches=searches), 0.0015
    )
    (shard,) = search_pb2.SearchReply.FromString(raw).query_profile.shards
    assert shard.name == "north"
    return dict(shard.searches["vector"].details)


def test_one_search() -> None:
    assert profiled(Explained()) == {
        "total_took": "1.500ms",
        "vector_search_plan": "two-hop",
        "vector_search_reason": "walking among what is allowed costs least",
        "vector_search_ef": "100",
        "vector_search_visited_nodes": "1500",
        "vector_search_distance_computations": "1200",
    }


def test_a_second_one_that_passed_over_a_setting() -> None:
    details = profiled(Explained(), Explained(overrides="ef: too short", gave_up=True, ef=800))
    assert details["vector_search_plan"] == details["vector_search_2_plan"] == "two-hop"
    assert details["vector_search_2_overrides"] == "ef: too short"
    assert details["vector_search_2_gave_up"] == "the walk did not do; the exact scan answered"
    assert "vector_search_gave_up" not in details


def test_no_vector_search() -> None:
    assert profiled() == {"total_took": "1.500ms"}
