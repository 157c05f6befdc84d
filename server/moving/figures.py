"""MovingTally, MovingCollector: what moving data came to since the start of this node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


@dataclass(slots=True)
class MovingTally:
    """Counts. Written in the event loop, read anywhere."""

    under_way: int = 0
    """Operations of the cluster that are not over; a gauge."""
    ended: Counter[str] = field(default_factory=Counter)
    """Operations that this node brought to their end: READY or CANCELLED."""
    objects: int = 0
    """States that were sent to fill or to hand over replicas."""
    bytes: int = 0
    """Of those."""
    dropped: int = 0
    """Shards that were removed from this node."""
    errors: int = 0
    """Attempts of a step that failed."""


class MovingCollector(Collector):
    """The tally in Prometheus' words."""

    def __init__(self, tally: MovingTally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Every metric as it is now."""
        tally = self._tally
        yield GaugeMetricFamily(
            "weftdb_moving_operations",
            "Operations of the cluster that change where data lies and are not over.",
            value=tally.under_way,
        )
        ended = CounterMetricFamily(
            "weftdb_moving_ended", "Operations that this node brought to an end.", labels=("state",)
        )
        for state in ("READY", "CANCELLED"):
            ended.add_metric((state,), tally.ended.get(state, 0))
        yield ended
        for name, about, value in (
            ("weftdb_moving_objects", "States sent to fill or hand over replicas.", tally.objects),
            ("weftdb_moving_bytes", "Bytes of these states, about.", tally.bytes),
            ("weftdb_moving_dropped", "Shards that have left this node.", tally.dropped),
            ("weftdb_moving_errors", "Attempts of a step that failed.", tally.errors),
        ):
            yield CounterMetricFamily(name, about, value=value)
