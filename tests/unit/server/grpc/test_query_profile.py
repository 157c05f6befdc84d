"""The query profile tells how every vector search of a read went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from weftdb.core.query import Hits, NearVector, Search, Target
from weftdb.core.types import UNNAMED
from weftdb.engine.collection import LocalCollection
from weftdb.index.ports import RecallReport
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
    reports: Mapping[str, RecallReport] = field(default_factory=dict)
    shards: tuple[str, ...] = ("north",)

    @property
    def figures(self) -> Shards:
        return self

    def recalls(self, k: int, target: float | None) -> Mapping[str, RecallReport]:
        assert (k, target) == (25, None)
        return self.reports


def profiled(*searches: Explained, **reports: RecallReport) -> dict[str, str]:
    query = Search("Doc", near=NearVector((Target(UNNAMED),)), limit=20, offset=5)
    raw = query_profile(
        cast(LocalCollection, Shards(reports=reports)),
        query,
        Hits([], vector_searches=searches),
        0.0015,
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


def test_the_recall_that_was_asked_for() -> None:
    details = profiled(
        title=RecallReport(25, 0.95, 0.95678, 70, 100), body=RecallReport(25, 0.9, None, 100, 3)
    )
    assert details == {
        "total_took": "1.500ms",
        "target_recall_title": "0.95",
        "tuned_ef_title": "70",
        "achieved_recall_title": "0.9568",
        "target_recall_body": "0.9",
        "tuned_ef_body": "100",
    }
