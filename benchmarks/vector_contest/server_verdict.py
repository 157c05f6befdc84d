"""Server verdict: the promises about real vectors behind our gRPC, as ratios. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.floors import Floor

from .curve import Point, best_at
from .outcome import FilteredPoint, Outcome, ServedPoint

RATIO_AT = {0.95: 0.75, 0.99: 1.1}
IMPORT_RATIO = 0.7
TAIL_RATIO = 3.0
MEMORY_BYTES_OF_REFERENCE = 1.9e9 / 400_000
"""The reference's bytes for each object of 256 dimensions (bench/peers.md)."""
MEMORY_RATIO = 0.5
MEMORY_ROWS_MIN = 300_000
"""Of fewer rows the process itself is most of the memory; nothing is promised for them."""
FILTERED_RECALL = 0.97
UNFILTERED_RECALL = 0.95
"""hnswlib's unfiltered rate is read at this recall."""
FILTER_RATIOS = (0.5, 0.4, 0.35, 0.35, 0.6, 0.9)
"""From the widest filter to the narrowest, as `filters_of` gives them."""


def plain_floors(served: Sequence[ServedPoint], peer: Sequence[Point]) -> list[Floor]:
    """Rates at the wanted recalls, and the tail of each point."""
    floors = []
    ours = [Point(item.ef, item.recall, item.load.per_s) for item in served]
    for recall, ratio in RATIO_AT.items():
        mine, theirs = (best_at(points, recall, threads=1) for points in (ours, peer))
        value = mine[0] / theirs[0] if mine and theirs else math.nan
        detail = ""
        if mine and theirs:
            detail = f"{mine[0]:,.0f}/s (ef {mine[1]:.0f}) against {theirs[0]:,.0f}/s"
            detail += f" (ef {theirs[1]:.0f})"
        name = f"searches/s, 8 in flight, recall {recall}, beside hnswlib's one thread"
        floors.append(Floor(name, value, ratio, detail=detail))
    floors += [
        Floor(
            f"p99 over p50, 8 in flight, ef {item.ef}",
            item.load.p99_ms / item.load.p50_ms,
            TAIL_RATIO,
            at_most=True,
            detail=f"{item.load.p99_ms:.2f} over {item.load.p50_ms:.2f} ms",
        )
        for item in served
    ]
    return floors


def filter_floors(filtered: Sequence[FilteredPoint], peer: Sequence[Point]) -> list[Floor]:
    """Rate, recall and counts of each filter."""
    floors = []
    theirs = best_at(peer, UNFILTERED_RECALL, threads=1)
    for item, ratio in zip(filtered, FILTER_RATIOS, strict=False):
        name = f"{item.name} ({item.share:.2%})"
        value = item.load.per_s / theirs[0] if theirs else math.nan
        detail = f"{item.load.per_s:,.0f}/s at ef {item.ef}"
        floors.append(Floor(f"{name}, beside hnswlib unfiltered", value, ratio, detail=detail))
        recall = item.recall if item.counts_are_exact else 0.0
        detail = "" if item.counts_are_exact else "wrong number of results"
        floors.append(Floor(f"{name}, recall", recall, FILTERED_RECALL, unit="", detail=detail))
    return floors


def server_floors(outcome: Outcome) -> list[Floor]:
    """Every promise about the server on real vectors."""
    peer_per_s = outcome.peer_build.rows / outcome.peer_build.seconds
    mine = outcome.imported.indexed_per_s if outcome.imported else math.nan
    reference = MEMORY_BYTES_OF_REFERENCE * outcome.rows
    is_promised = outcome.rows >= MEMORY_ROWS_MIN
    memory = outcome.resident_bytes / reference if is_promised else math.nan
    return [
        *plain_floors(outcome.points, outcome.peer_points),
        Floor("import until searchable, beside hnswlib's two threads", mine / peer_per_s,
              IMPORT_RATIO, detail=f"{mine:,.0f}/s against {peer_per_s:,.0f}/s"),
        Floor("memory, beside the reference", memory, MEMORY_RATIO,
              at_most=True, detail=f"{outcome.resident_bytes / 1e6:,.0f} MB, "
              f"{outcome.anonymous_bytes / 1e6:,.0f} MB of it anonymous"),
        *filter_floors(outcome.filtered, outcome.peer_points),
    ]  # fmt: skip
