"""MovingTally: what moving data came to since the start of this node, for metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class MovingTally:
    """Counts. Written in the event loop, read anywhere."""

    under_way: int = 0
    """Operations of the cluster that are not over; a gauge."""
    ended: Counter[str] = field(default_factory=Counter)
    """Operations that this node brought to their end: READY or CANCELLED."""
    objects: int = 0
    """States that were sent to fill or to hand over replicas."""
    moved: int = 0
    dropped: int = 0
    """Shards that were removed from this node."""
    errors: int = 0
    """Attempts of a step that failed."""
