"""Compaction chores: they look when the interval has passed, at graphs only."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from weftdb.core.env import Env, ManualClock
from weftdb.core.types import UNNAMED
from weftdb.engine.compaction import CLEANED_SHARE, CompactionChore, GraphUpkeep, graph_upkeep
from weftdb.engine.shard import Shard


class Graph:
    """A `Compactable` that remembers what it was asked."""

    deleted, compactions, log_bytes, log_fault = 5, 2, 70, ""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def compact(self, share: float) -> None:
        self.asked.append(share)


def shard_of(graph: object, interval_s: int) -> Shard:
    vector = SimpleNamespace(hnsw=SimpleNamespace(cleanup_interval_s=interval_s))
    schema = SimpleNamespace(name="Doc", vector_by_name={UNNAMED: vector})
    return cast(Shard, SimpleNamespace(schema=schema, vectors={UNNAMED: graph}))


@pytest.mark.parametrize(("interval_s", "looks"), [(300, 1), (30, 2), (0, 0), (-1, 0)])
def test_it_looks_when_the_interval_has_passed(interval_s: int, looks: int) -> None:
    graph, clock = Graph(), ManualClock()
    chore = CompactionChore(shard_of(graph, interval_s), UNNAMED, Env(clock))
    for _ in range(2):
        chore.run_if_due()
        clock.advance(200_000)
    chore.run_if_due()
    assert graph.asked == [CLEANED_SHARE] * looks


def test_other_kinds_of_indexes_are_left_alone(tmp_path: Path) -> None:
    clock = ManualClock()
    chore = CompactionChore(shard_of(object(), 10), UNNAMED, Env(clock))
    clock.advance(20_000)
    assert not chore.run_if_due()
    assert graph_upkeep(shard_of(object(), 10)) == GraphUpkeep()


def test_figures_are_those_of_the_graphs() -> None:
    assert graph_upkeep(shard_of(Graph(), 10)) == GraphUpkeep(5, 2, 70)
