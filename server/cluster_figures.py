"""ClusterFigures: what Prometheus reads of a node's place in its cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from weftdb.cluster.membership import Liveness
from weftdb.core.types import NodeName


@dataclass(frozen=True, slots=True)
class ClusterFigures:
    """One moment."""

    nodes: Mapping[NodeName, Liveness]
    is_current: bool
    schema_faults: int
    etcd_restarts: int


class ClusterCollector(Collector):
    """Asks for the figures whenever the metrics are read."""

    def __init__(self, figures: Callable[[], ClusterFigures]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing: the registry must not ask for figures when it takes this in."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        figures = self._figures()
        states = Counter(figures.nodes.values())
        nodes = GaugeMetricFamily(
            "weftdb_cluster_nodes", "Members by what this node takes them for.", labels=["state"]
        )
        for liveness in Liveness:
            nodes.add_metric([liveness.value], states[liveness])
        yield nodes
        yield GaugeMetricFamily(
            "weftdb_metadata_current",
            "1 while the metadata of the cluster is heard.",
            int(figures.is_current),
        )
        yield GaugeMetricFamily(
            "weftdb_schema_faults",
            "Collections that this node could not make as the nodes agreed.",
            figures.schema_faults,
        )
        yield CounterMetricFamily(
            "weftdb_etcd_restarts",
            "Times that this node's own etcd had to be started again.",
            figures.etcd_restarts,
        )
