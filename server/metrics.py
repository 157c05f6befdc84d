"""Metrics: what Prometheus reads of this node.

Counted while it happens: requests by door, method and status. Asked for at the time of reading:
objects, vectors that are not linked yet, the store's figures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from weftdb.core.types import VectorName
from weftdb.engine.compaction import GraphUpkeep
from weftdb.index.ports import QuantizerReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class RecallFigures:
    """One vector that has a `targetRecall`; `achieved` is None before enough was measured."""

    vector: str
    target: float
    achieved: float | None
    ef: int


@dataclass(frozen=True, slots=True)
class CollectionFigures:
    """One collection at one moment."""

    name: str
    objects: int
    pending_vectors: int
    pending_oldest_s: float = 0.0
    slowed_s: float = 0.0
    recalls: Sequence[RecallFigures] = ()
    graphs: GraphUpkeep = field(default_factory=GraphUpkeep)
    link_faults: int = 0
    quantizers: Mapping[VectorName, QuantizerReport] = field(default_factory=dict)
    tombstones: int = 0


@dataclass(frozen=True, slots=True)
class ResourceFigures:
    """Memory and disk at one moment; `memory` is what the parts of the engine say they take."""

    memory: Mapping[str, int]
    memory_used: int
    memory_budget: int
    disk_percentage: float
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the engine says of itself when asked."""

    collections: Callable[[], Iterator[CollectionFigures]]
    store: Callable[[], dict[str, int]]
    resources: Callable[[], ResourceFigures] | None = None


class Metrics:
    """The registry of one server. Thread-safe."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "weftdb_requests",
            "Finished requests by door, method and status.",
            ("door", "method", "code"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "weftdb_request_seconds",
            "Time from the whole request to the whole reply.",
            ("door", "method"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._version = version

    def door(self, name: str) -> DoorMetrics:
        """The counters of one door."""
        return DoorMetrics(self._requests, self._seconds, name)

    def watch(self, figures: Figures) -> None:
        """Ask `figures` whenever the metrics are read."""
        self._registry.register(_FiguresCollector(figures, self._version))

    def include(self, collector: Collector) -> None:
        """Ask `collector` whenever the metrics are read."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class DoorMetrics:
    """Counts the requests of one door; the label lookups are kept, they cost more than counting."""

    def __init__(self, requests: Counter, seconds: Histogram, door: str) -> None:
        self._requests = requests
        self._seconds = seconds
        self._door = door
        self._known: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Note one finished request."""
        pair = self._known.get((method, code))
        if pair is None:
            pair = (
                self._requests.labels(self._door, method, code),
                self._seconds.labels(self._door, method),
            )
            self._known[(method, code)] = pair
        pair[0].inc()
        pair[1].observe(seconds)


class _FiguresCollector(Collector):
    """Reads the engine's figures at the time of the scrape."""

    def __init__(self, figures: Figures, version: str) -> None:
        self._figures = figures
        self._version = version

    def describe(self) -> list[Metric]:
        """Nothing in advance: the registry must not ask the engine when it is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        collections = list(self._figures.collections())
        yield from _queues(collections)
        yield from _graphs(collections)
        yield from _recalls(collections)
        yield from _quantizers(collections)
        for name, value in self._figures.store().items():
            yield GaugeMetricFamily(f"weftdb_store_{name}", f"RocksDB: {name}.", value=value)
        if self._figures.resources is not None:
            yield from _resources(self._figures.resources())
        if sys.platform != "win32":
            yield _memory()
        build = GaugeMetricFamily("weftdb_build", "1, with the version.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build


def _queues(collections: Sequence[CollectionFigures]) -> Iterator[Metric]:
    objects = GaugeMetricFamily("weftdb_objects", "Objects.", labels=("collection",))
    pending = GaugeMetricFamily(
        "weftdb_vectors_pending",
        "Vectors that are searched one by one until they are linked into the graph.",
        labels=("collection",),
    )
    oldest = GaugeMetricFamily(
        "weftdb_vectors_pending_oldest_seconds",
        "Age of the oldest vector that is not linked yet.",
        labels=("collection",),
    )
    slowed = CounterMetricFamily(
        "weftdb_writes_slowed_seconds",
        "Time that writes waited for vectors to be linked.",
        labels=("collection",),
    )
    faults = GaugeMetricFamily(
        "weftdb_link_faults",
        "Vector indexes whose linking rests because it failed; it is tried again.",
        labels=("collection",),
    )
    tombstones = GaugeMetricFamily(
        "weftdb_tombstones",
        "Deletions that are remembered for other replicas.",
        labels=("collection",),
    )
    for collection in collections:
        tombstones.add_metric((collection.name,), collection.tombstones)
        faults.add_metric((collection.name,), collection.link_faults)
        oldest.add_metric((collection.name,), collection.pending_oldest_s)
        slowed.add_metric((collection.name,), collection.slowed_s)
        objects.add_metric((collection.name,), collection.objects)
        pending.add_metric((collection.name,), collection.pending_vectors)
    yield objects
    yield pending
    yield oldest
    yield slowed
    yield faults
    yield tombstones


def _graphs(collections: Sequence[CollectionFigures]) -> Iterator[Metric]:
    deleted = GaugeMetricFamily(
        "weftdb_vectors_deleted",
        "Deleted vectors whose slots the graphs still hold.",
        labels=("collection",),
    )
    compactions = CounterMetricFamily(
        "weftdb_graph_compactions",
        "Times that a graph was repaired and gave the slots of deleted vectors back.",
        labels=("collection",),
    )
    logs = GaugeMetricFamily(
        "weftdb_graph_log_bytes",
        "Length of the commit logs beside the snapshots.",
        labels=("collection",),
    )
    waiting = GaugeMetricFamily(
        "weftdb_graph_compactions_waiting",
        "Graphs that keep the slots of deleted vectors because there is no room to repair them.",
        labels=("collection",),
    )
    for collection in collections:
        waiting.add_metric((collection.name,), collection.graphs.waiting)
        deleted.add_metric((collection.name,), collection.graphs.deleted)
        compactions.add_metric((collection.name,), collection.graphs.compactions)
        logs.add_metric((collection.name,), collection.graphs.log_bytes)
    yield from (deleted, compactions, logs, waiting)


def _recalls(collections: Sequence[CollectionFigures]) -> Iterator[Metric]:
    labels = ("collection", "vector")
    target = GaugeMetricFamily("weftdb_recall_target", "Recall asked for.", labels=labels)
    achieved = GaugeMetricFamily(
        "weftdb_recall_achieved", "Recall@10 measured with the present ef.", labels=labels
    )
    ef = GaugeMetricFamily("weftdb_recall_ef", "The ef that searches use for it.", labels=labels)
    for collection in collections:
        for recall in collection.recalls:
            key = (collection.name, recall.vector)
            target.add_metric(key, recall.target)
            ef.add_metric(key, recall.ef)
            if recall.achieved is not None:
                achieved.add_metric(key, recall.achieved)
    yield from (target, achieved, ef)


def _quantizers(collections: Sequence[CollectionFigures]) -> Iterator[Metric]:
    labels = ("collection", "vector")
    size = GaugeMetricFamily(
        "weftdb_vector_code_bytes",
        "Length of the code that stands for a vector in searches; 0 while they use vectors.",
        labels=labels,
    )
    faults = GaugeMetricFamily(
        "weftdb_quantizer_faults",
        "1 where a quantizer could not do what was asked for; the log says why.",
        labels=labels,
    )
    for collection in collections:
        for vector, report in collection.quantizers.items():
            size.add_metric((collection.name, vector), report.code_bytes)
            faults.add_metric((collection.name, vector), 1 if report.fault else 0)
    yield from (size, faults)


def _resources(figures: ResourceFigures) -> Iterator[Metric]:
    parts = GaugeMetricFamily(
        "weftdb_memory_bytes", "What parts of the engine take of memory.", labels=("part",)
    )
    for part, size in figures.memory.items():
        parts.add_metric((part,), size)
    yield parts
    for name, about, value in (
        ("weftdb_memory_used_bytes", "Memory that counts against the budget.", figures.memory_used),
        ("weftdb_memory_budget_bytes", "The budget; 0: none.", figures.memory_budget),
        ("weftdb_disk_used_ratio", "Share of the disk in use.", figures.disk_percentage / 100),
    ):
        yield GaugeMetricFamily(name, about, value=value)
    refused = CounterMetricFamily(
        "weftdb_writes_refused", "Writes refused by a guard before anything was written.",
        labels=("guard",),
    )  # fmt: skip
    for guard, count in figures.refused.items():
        refused.add_metric((guard,), count)
    yield refused


def _memory() -> Metric:
    import resource  # Not there on Windows.

    unit = 1 if sys.platform == "darwin" else 1024
    memory = GaugeMetricFamily("weftdb_resident_bytes_max", "Largest resident memory so far.")
    memory.add_metric((), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return memory
