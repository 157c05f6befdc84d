"""Outcome: what our server and hnswlib reached on the same real vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.loadgen import Load
from benchmarks.server_run import Import

from .curve import Point
from .worker import Build


@dataclass(frozen=True)
class ServedPoint:
    """One ef over gRPC with eight in flight."""

    ef: int
    recall: float
    load: Load


@dataclass(frozen=True)
class FilteredPoint:
    """One filter at the first ef that is good enough, or at the last that was tried."""

    name: str
    share: float
    ef: int
    recall: float
    counts_are_exact: bool
    load: Load


@dataclass
class Outcome:
    """What both sides reached."""

    rows: int
    peer_build: Build
    peer_points: list[Point] = field(default_factory=list)
    imported: Import | None = None
    points: list[ServedPoint] = field(default_factory=list)
    filtered: list[FilteredPoint] = field(default_factory=list)
    resident_bytes: int = 0
    anonymous_bytes: int = 0
