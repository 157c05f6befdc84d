"""Verdict: the promises about the vector index, as ratios beside the peers of a run. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.floors import Floor

from .contest import RECALLS, SWEPT_AT_LEAST, Entry, recall_at_same_beam
from .curve import best_at
from .engines import GRAPHS, OURS, OWN, UNLISTED

SEARCH_RATIO = 1.1
BUILD_RATIO = 1.0
OPEN_S = 2.0
OPEN_ROWS = 1_000_000
BEAM = SWEPT_AT_LEAST
"""Graphs are of equal worth when their recall at this ef is."""
RECALL_SLACK = 0.01


def entry_of(entries: Sequence[Entry], name: str) -> Entry | None:
    """The entry of an engine, if it took part."""
    return next((item for item in entries if item.name == name), None)


def search_floors(data: str, entries: Sequence[Entry]) -> list[Floor]:
    """Searches per second at equal recall, with one and two threads: best of ours, best peer."""
    floors = []
    absent = [item.name for item in entries if item.failure and item.name not in UNLISTED]
    without = f", without {', '.join(absent)}" if absent else ""
    for recall in RECALLS:
        for threads in (1, 2):
            rates = {
                item.name: found[0]
                for item in entries
                if (found := best_at(item.points, recall, threads=threads)) is not None
            }
            own, mine = _fastest(rates, [name for name in rates if name in OWN])
            best, against = _fastest(
                rates, [name for name in rates if name not in OWN and name not in UNLISTED]
            )
            value = math.inf if own and not best else mine / against  # or no peer gets there
            detail = f"{mine:,.0f}/s of {own} against {against:,.0f}/s of {best}{without}"
            name = f"{data}: searches/s at recall {recall}, {threads} thread{'s' * (threads > 1)}"
            floors.append(Floor(name, value, SEARCH_RATIO, detail=detail))
    return floors


def _fastest(rates: Mapping[str, float], names: Sequence[str]) -> tuple[str, float]:
    best = max(names, key=lambda name: rates[name], default="")
    return best, rates.get(best, math.nan)


def build_floors(data: str, entries: Sequence[Entry]) -> list[Floor]:
    """Build time of each of ours beside the fastest peer whose graph is worth as much."""
    own = [item for item in entries if item.name in OWN and item.build_two is not None]
    return [floor for item in own for floor in _build_floors(data, entries, item)] or [
        Floor(f"{data}: build", math.nan, BUILD_RATIO, at_most=True)
    ]


def _build_floors(data: str, entries: Sequence[Entry], ours: Entry) -> list[Floor]:
    worth = recall_at_same_beam(ours, BEAM)
    if ours.build_two is None or ours.build_one is None or worth is None:
        return [Floor(f"{data}: build", math.nan, BUILD_RATIO, at_most=True)]
    floors = []
    for threads in (1, 2):
        mine = ours.build_two if threads == 2 else ours.build_one
        seconds = {}
        for item in entries:
            build = item.build_two if threads == 2 else item.build_one
            recall = recall_at_same_beam(item, BEAM)
            if item.name in OWN or item.name not in GRAPHS or build is None or recall is None:
                continue
            if recall >= worth - RECALL_SLACK and build.rows == mine.rows:
                seconds[item.name] = build.seconds
        best = min(seconds, key=lambda name: seconds[name], default="")
        detail = f"{mine.seconds:.1f} s against {seconds.get(best, math.nan):.1f} s of {best}, "
        detail += f"{mine.rows:,} rows, recall {worth:.3f} at ef {BEAM}"
        name = f"{data}: build time of {ours.name}, {threads} thread{'s' * (threads > 1)}"
        value = mine.seconds / seconds[best] if best else math.nan
        floors.append(Floor(name, value, BUILD_RATIO, at_most=True, detail=detail))
    return floors


def open_floors(data: str, rows: int, entries: Sequence[Entry]) -> list[Floor]:
    """Opening a saved index; promised for a million rows."""
    ours = entry_of(entries, OURS)
    if rows < OPEN_ROWS or ours is None:
        return []
    value = math.nan if ours.open_s is None else ours.open_s
    return [Floor(f"{data}: open", value, OPEN_S, at_most=True, unit="s", detail=f"{rows:,} rows")]


def all_floors(data: str, rows: int, entries: Sequence[Entry]) -> list[Floor]:
    """Every promise about one dataset."""
    return [
        *search_floors(data, entries),
        *build_floors(data, entries),
        *open_floors(data, rows, entries),
    ]
