"""ReplicationFigures: what replication says of itself, and the metrics that are made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.env import Clock
from weftdb.core.types import NodeName
from weftdb.server.internode.comparing import ComparisonTally
from weftdb.server.internode.hint_store import HintFigures
from weftdb.server.internode.outcomes import Outcomes
from weftdb.server.internode.repair import RebuildTally
from weftdb.server.internode.replica_records import Stage


@dataclass(frozen=True, slots=True)
class ReplicationFigures:
    """One node at one moment; counts are since the start."""

    coordinations: Mapping[tuple[str, str, str], int]
    """By verb, level and outcome."""
    behind: int
    hastened: int
    reads_repaired: int
    restamps: int
    hints: Mapping[NodeName, HintFigures]
    owed: int
    comparisons: Mapping[str, int]
    objects_repaired: int
    unresolved: int
    rebuilds: RebuildTally
    unvouched: Mapping[Stage, int] = field(default_factory=dict)


def figures_of(
    outcomes: Outcomes,
    hints: Mapping[NodeName, HintFigures],
    owed: int,
    *,
    behind: int,
    comparisons: ComparisonTally | None,
    rebuilds: RebuildTally | None,
    standings: Mapping[ShardRef, Stage],
) -> ReplicationFigures:
    """Put them together; what has not begun counts nothing."""
    compared = comparisons or ComparisonTally()
    return ReplicationFigures(
        dict(outcomes.ended),
        behind,
        outcomes.hastened,
        outcomes.reads_repaired,
        outcomes.restamps,
        hints,
        owed,
        dict(compared.ended),
        compared.objects_repaired,
        compared.unresolved,
        rebuilds or RebuildTally(),
        Counter(stage for stage in standings.values() if stage is not Stage.VOUCHES),
    )


class ReplicationCollector(Collector):
    """Makes the metrics when they are read; `registry.register` takes it."""

    def __init__(self, figures: Callable[[], ReplicationFigures], clock: Clock) -> None:
        self._figures = figures
        self._clock = clock

    def describe(self) -> list[Metric]:
        """Nothing in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        figures = self._figures()
        yield from _coordinations(figures)
        yield from _hints(figures, self._clock.now_ms())
        yield from _repairs(figures)


def _coordinations(figures: ReplicationFigures) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "weftdb_coordinations",
        "Reads and writes that this node coordinated, by level and by how many objects went well.",
        labels=("verb", "level", "outcome"),
    )
    for labels, count in sorted(figures.coordinations.items()):
        ended.add_metric(labels, count)
    yield ended
    yield GaugeMetricFamily(
        "weftdb_coordinations_behind",
        "Coordinations that go on after their answer.",
        value=figures.behind,
    )
    for name, about, value in (
        ("weftdb_coordinations_hastened", "Those that stopped waiting for slow replicas.",
         figures.hastened),
        ("weftdb_reads_repaired", "States that reads sent to replicas that lacked them.",
         figures.reads_repaired),
        ("weftdb_restamps", "Times that a write was stamped anew above a newer state.",
         figures.restamps),
    ):  # fmt: skip
        yield CounterMetricFamily(name, about, value=value)


def _hints(figures: ReplicationFigures, now_ms: int) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "weftdb_hints_waiting", "Hints that are kept for a node.", labels=("target",)
    )
    size = GaugeMetricFamily("weftdb_hints_bytes", "What they take.", labels=("target",))
    oldest = GaugeMetricFamily(
        "weftdb_hints_oldest_seconds", "Age of the oldest of them.", labels=("target",)
    )
    kept = CounterMetricFamily("weftdb_hints_kept", "Hints that were kept.", labels=("target",))
    replayed = CounterMetricFamily(
        "weftdb_hints_replayed", "Hints that were delivered.", labels=("target",)
    )
    dropped = CounterMetricFamily(
        "weftdb_hints_dropped",
        "Hints that were never delivered, by reason; the replicas are compared instead.",
        labels=("target", "reason"),
    )
    for target, one in figures.hints.items():
        waiting.add_metric((target,), one.waiting)
        size.add_metric((target,), one.size_bytes)
        age_ms = 0 if one.oldest_ms is None else max(now_ms - one.oldest_ms, 0)
        oldest.add_metric((target,), age_ms / 1000)
        tally = one.tally
        kept.add_metric((target,), tally.kept)
        replayed.add_metric((target,), tally.delivered)
        for reason, count in (
            ("full", tally.dropped_full),
            ("old", tally.dropped_old),
            ("refused", tally.dropped_final),
            ("unstored", tally.dropped_unstored),
            ("damaged", tally.dropped_damaged),
        ):
            dropped.add_metric((target, reason), count)
    yield from (waiting, size, oldest, kept, replayed, dropped)
    yield GaugeMetricFamily(
        "weftdb_comparisons_owed",
        "Replicas that have missed hints which are lost, and are to be compared.",
        value=figures.owed,
    )


def _repairs(figures: ReplicationFigures) -> Iterator[Metric]:
    compared = CounterMetricFamily(
        "weftdb_comparisons",
        "Comparisons of two replicas, by outcome.",
        labels=("outcome",),
    )
    for outcome in ("equal", "repaired", "partly", "failed"):
        compared.add_metric((outcome,), figures.comparisons.get(outcome, 0))
    yield compared
    rebuilds = figures.rebuilds
    for name, about, value in (
        ("weftdb_objects_repaired", "States that comparisons brought to replicas.",
         figures.objects_repaired),
        ("weftdb_conflicts_unresolved", "Conflicts that NoAutomatedResolution left, when seen.",
         figures.unresolved),
        ("weftdb_rebuilds", "Replicas here that were rebuilt.", rebuilds.finished),
        ("weftdb_rebuild_objects", "States that travelled for that.", rebuilds.objects),
    ):  # fmt: skip
        yield CounterMetricFamily(name, about, value=value)
    unvouched = GaugeMetricFamily(
        "weftdb_replicas_unvouched",
        "Replicas here that answer nothing, because they are not rebuilt yet.",
        labels=("stage",),
    )
    for stage in (Stage.MARKED, Stage.REBUILDING):
        unvouched.add_metric((stage.value,), figures.unvouched.get(stage, 0))
    yield unvouched
