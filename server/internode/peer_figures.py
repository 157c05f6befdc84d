"""Metrics of what nodes ask each other: how calls ended, and what waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from weftdb.core.types import NodeName
from weftdb.server.internode.answers import Lanes
from weftdb.server.internode.peer import PeerFigures
from weftdb.server.internode.switchboard import Switchboard


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """The links of a node at one moment."""

    calls: Mapping[NodeName, PeerFigures]
    bytes_on_the_way: Mapping[NodeName, int]
    taken: Mapping[str, int]
    """Requests of other nodes that run or wait, by lane."""
    refused: Mapping[str, int]
    """And those that found a lane's queue full, since the start."""


def link_figures(board: Switchboard, lanes: Lanes) -> LinkFigures:
    """Read them off. Any thread."""
    both = (lanes.writes, lanes.reads)
    return LinkFigures(
        board.figures(),
        board.bytes_on_the_way(),
        {lane.name: lane.taken for lane in both},
        {lane.name: lane.refused for lane in both},
    )


class LinkCollector(Collector):
    """Makes the metrics when they are read."""

    def __init__(self, figures: Callable[[], LinkFigures]) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        figures = self._figures()
        calls = CounterMetricFamily(
            "weftdb_node_calls",
            "Calls to other nodes: answered, timed_out, broken, held_back (too much on its way).",
            labels=("node", "outcome"),
        )
        for node, found in sorted(figures.calls.items()):
            for outcome in ("answered", "timed_out", "broken", "held_back"):
                calls.add_metric((node, outcome), getattr(found, outcome))
        sent = GaugeMetricFamily(
            "weftdb_node_bytes_on_the_way",
            "Bytes of calls to a node that are not answered yet.",
            labels=("node",),
        )
        for node, size in sorted(figures.bytes_on_the_way.items()):
            sent.add_metric((node,), size)
        taken = GaugeMetricFamily(
            "weftdb_node_requests_taken",
            "Requests of other nodes that run or wait for a thread here.",
            labels=("lane",),
        )
        refused = CounterMetricFamily(
            "weftdb_node_requests_refused",
            "Requests of other nodes that were refused because too many waited.",
            labels=("lane",),
        )
        for lane, count in sorted(figures.taken.items()):
            taken.add_metric((lane,), count)
        for lane, count in sorted(figures.refused.items()):
            refused.add_metric((lane,), count)
        yield from (calls, sent, taken, refused)
