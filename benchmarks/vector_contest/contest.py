"""Contest: all engines over one dataset, in rounds, so that other load hits each of them alike.

Order of a dataset: builds (ours and the quickest peers anew, the rest from the cache unless it is
small), one pass over the knobs for recall and a first rate, then rounds over the knobs around the
wanted recalls, engine by engine, with one and with two threads. The best of the rounds counts.

Peers' graphs are kept below the cache with how long they took to build, because building all of
them takes longer than everything else; a build that was read from there says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from .curve import Point, knobs_around
from .datasets import Dataset
from .engines import GRAPHS, OWN, knobs
from .worker import Build, Worker, WorkerFailed

RECALLS = (0.95, 0.99)
SWEPT_AT_LEAST = 32
"""Knob that every sweep reaches: graphs are compared at it."""
RECALL_END = 0.993
"""A sweep ends here: nobody is asked for more."""
BUILD_TIMEOUT_S = 3600.0
ANSWER_TIMEOUT_S = 180.0
ONE_THREAD_ROWS_MAX = 100_000
"""Builds with one thread are taken over this many rows."""
PACKAGES = {"hnswlib": "hnswlib", "usearch": "usearch", "faiss": "faiss-cpu"}


@dataclass(frozen=True)
class Settings:
    """How thorough a contest is."""

    rounds: int
    fresh: frozenset[str]
    """Engines that are built anew; others come from the cache where they are in it."""
    knob_limit: int = 1024
    kept_only: bool = False
    """Leave out peers that would have to be built first, so that a run has a known length."""
    one_thread_rows: int = ONE_THREAD_ROWS_MAX


@dataclass
class Entry:
    """What one engine reached on one dataset; `failure` says why there is less."""

    name: str
    build_two: Build | None = None
    build_one: Build | None = None
    built_on: str = "this run"
    memory_bytes: int = 0
    open_s: float | None = None
    file_bytes: int = 0
    points: list[Point] = field(default_factory=list)
    failure: str = ""


Tell = Callable[[str], None]
Answer = TypeVar("Answer")


class Contest:
    """Runs the engines over one dataset."""

    def __init__(
        self, data: Dataset, cache: Path, settings: Settings, names: Sequence[str], tell: Tell
    ) -> None:
        self._data = data
        self._folder = cache / data.name
        self._settings = settings
        self._tell = tell
        self._entries = {name: Entry(name) for name in names}
        self._workers: dict[str, Worker] = {}

    def run(self) -> list[Entry]:
        """Everything, then end the workers whatever happened."""
        try:
            for name in self._entries:
                self._guarded(name, self._start)
            recalls = {name: self._guarded(name, self._sweep) or {} for name in list(self._workers)}
            self._rounds(recalls)
            for name in list(self._workers):
                self._guarded(name, self._reopen)
        finally:
            for worker in self._workers.values():
                worker.close()
        return list(self._entries.values())

    def prepare(self) -> None:
        """Build and keep what is not in the cache and not built anew by every run."""
        for name in self._entries:
            if name in self._settings.fresh:
                continue
            self._guarded(name, self._start_unless_kept)
            worker = self._workers.pop(name, None)
            if worker is not None:
                worker.close()

    def _guarded(self, name: str, step: Callable[[str], Answer]) -> Answer | None:
        """A step whose failure ends this engine, not the contest."""
        try:
            return step(name)
        except WorkerFailed as failed:
            self._tell(f"! {failed}")
            self._entries[name].failure = str(failed)
            worker = self._workers.pop(name, None)
            if worker is not None:
                worker.close()
            return None

    # --- builds -------------------------------------------------------------------------------

    def _start_unless_kept(self, name: str) -> None:
        if self._record(name) is None:
            self._start(name)

    def _start(self, name: str) -> None:
        entry = self._entries[name]
        is_fresh = name in self._settings.fresh
        if not is_fresh and self._settings.kept_only and self._record(name) is None:
            raise WorkerFailed(f"{name} is left out: no kept graph (--prepare makes it)")
        worker = Worker(self._folder, self._data.metric, name)
        self._workers[name] = worker
        if not is_fresh and self._take_kept(name, worker):
            return
        count = len(self._data.rows)
        load = os.getloadavg()[0]
        entry.build_two = worker.ask("build", count, 2, timeout_s=BUILD_TIMEOUT_S)
        entry.memory_bytes = entry.build_two.memory_bytes
        self._tell(
            f"{name}: built {count:,} in {entry.build_two.seconds:.1f} s with two threads "
            f"({entry.build_two.cpu_s:.0f} s of processor), {entry.memory_bytes / 1e6:,.0f} MB"
        )
        self._keep(name, worker, load)
        if is_fresh:
            entry.build_one = self._build_alone(name, min(count, self._settings.one_thread_rows))

    def _build_alone(self, name: str, count: int) -> Build:
        """Build with one thread, in a process that goes afterwards."""
        worker = Worker(self._folder, self._data.metric, name)
        try:
            build: Build = worker.ask("build", count, 1, timeout_s=BUILD_TIMEOUT_S)
        finally:
            worker.close()
        self._tell(f"{name}: built {count:,} in {build.seconds:.1f} s with one thread")
        return build

    def path(self, name: str) -> Path:
        """Where the graph of an engine is kept, by the version of its library."""
        package = PACKAGES.get(name.split()[0])
        try:
            version = metadata.version(package) if package else "ours"
        except metadata.PackageNotFoundError:
            raise WorkerFailed(
                f"{name} is left out: {package} is not installed (pip install 'weftdb[bench]')"
            ) from None
        return self._folder / f"{name.replace(' ', '-')}-{version}.index"

    def _keep(self, name: str, worker: Worker, load: float) -> None:
        entry = self._entries[name]
        path = self.path(name)
        entry.file_bytes = worker.ask("save", str(path), timeout_s=ANSWER_TIMEOUT_S)
        if name in OWN:
            return
        assert entry.build_two is not None, name
        record = {
            "build": asdict(entry.build_two), "on": date.today().isoformat(),
            "load": round(load, 1), "file_bytes": entry.file_bytes,
        }  # fmt: skip
        known = self._record(name)
        # The best that was ever measured for a peer counts for it.
        if known is not None and known["build"]["seconds"] < entry.build_two.seconds:
            record |= {"build": known["build"], "on": known["on"], "load": known["load"]}
        path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")

    def _record(self, name: str) -> dict[str, Any] | None:
        path = self.path(name).with_suffix(".json")
        if not path.exists() or not self.path(name).exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        # One that an earlier form of this benchmark wrote counts as none.
        return found if {"build", "on", "load", "file_bytes"} <= found.keys() else None

    def _take_kept(self, name: str, worker: Worker) -> bool:
        record = self._record(name)
        if record is None:
            self._tell(f"{name}: no graph in {self._folder}, building it (minutes, once)")
            return False
        entry = self._entries[name]
        entry.build_two = Build(**record["build"])
        entry.built_on = f"{record['on']}, load {record['load']}"
        entry.file_bytes = record["file_bytes"]
        entry.open_s, grown = worker.ask("load", str(self.path(name)), timeout_s=ANSWER_TIMEOUT_S)
        entry.memory_bytes = entry.build_two.memory_bytes or grown
        self._tell(f"{name}: opened, built in {entry.build_two.seconds:.1f} s ({entry.built_on})")
        return True

    # --- searches -----------------------------------------------------------------------------

    def _sweep(self, name: str) -> dict[int, float]:
        """Recall of every knob up to the end, with a first rate each."""
        worker = self._workers[name]
        recall_of: dict[int, float] = {}
        for knob in knobs(name, limit=self._settings.knob_limit):
            recall_of[knob] = worker.ask("recall", knob, timeout_s=ANSWER_TIMEOUT_S)
            rate = worker.ask("rate", knob, 1, timeout_s=ANSWER_TIMEOUT_S)
            self._entries[name].points.append(Point(knob, recall_of[knob], rate))
            values = list(recall_of.values())
            is_flat = len(values) > 3 and values[-1] - values[-4] < 0.001
            if knob < SWEPT_AT_LEAST and name in GRAPHS:
                continue
            if recall_of[knob] >= RECALL_END or (is_flat and name not in (*OWN, "hnswlib")):
                break
        return recall_of

    def _rounds(self, recalls: dict[str, dict[int, float]]) -> None:
        """Rounds over the knobs that matter; of each rate the best stays."""
        wanted = {name: knobs_around(found, RECALLS) for name, found in recalls.items()}
        best: dict[tuple[str, int, int], float] = {}
        began = time.perf_counter()
        for _ in range(self._settings.rounds):
            for place in range(max((len(item) for item in wanted.values()), default=0)):
                for threads in (1, 2):
                    for name, chosen in wanted.items():
                        if place >= len(chosen) or name not in self._workers:
                            continue
                        self._guarded(
                            name,
                            lambda name, at=(chosen[place], threads): self._rate(name, at, best),
                        )
        for (name, knob, threads), rate in best.items():
            points = self._entries[name].points
            at = next(index for index, item in enumerate(points) if item.knob == knob)
            old = points[at]
            one = max(old.one_per_s, rate) if threads == 1 else old.one_per_s
            two = rate if threads == 2 else old.two_per_s
            points[at] = Point(knob, old.recall, one, two)
        self._tell(f"{self._settings.rounds} rounds in {time.perf_counter() - began:.0f} s")

    def _rate(
        self, name: str, at: tuple[int, int], best: dict[tuple[str, int, int], float]
    ) -> None:
        rate = self._workers[name].ask("rate", *at, timeout_s=ANSWER_TIMEOUT_S)
        best[name, *at] = max(best.get((name, *at), 0.0), rate)

    # --- opening ------------------------------------------------------------------------------

    def _reopen(self, name: str) -> None:
        """Open from the file, in a process that has not held the index before."""
        entry = self._entries[name]
        self._workers.pop(name).close()
        if entry.open_s is not None and name not in OWN:
            return
        fresh = Worker(self._folder, self._data.metric, name)
        try:
            found = [
                fresh.ask("load", str(self.path(name)), timeout_s=ANSWER_TIMEOUT_S)[0]
                for _ in range(2)
            ]
        finally:
            fresh.close()
        entry.open_s = min(found)


def recall_at_same_beam(entry: Entry, beam: int) -> float | None:
    """Recall at one ef: what a build is worth; None for engines without a beam."""
    if entry.name not in GRAPHS:
        return None
    return next((item.recall for item in entry.points if item.knob == beam), None)
