"""Worker: one engine over one dataset in a process of its own, driven over a pipe.

An engine's memory is what its process grows by, and a library that crashes or hangs takes only its
own numbers with it. The parent sends (command, arguments) and gets (True, answer) or (False, text).
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .datasets import Dataset, open_dataset
from .engines import import_library, make_engine

TIMED_QUERIES = 500
PASS_S_MIN = 0.25
"""A rate is taken over whole passes of at least this long."""
STOP_S = 10.0


class WorkerFailed(Exception):
    """The engine raised, died or did not answer in time; the message says which."""


@dataclass(frozen=True)
class Build:
    """One build: wall clock and processor seconds, and the growth of the process."""

    rows: int
    threads: int
    seconds: float
    cpu_s: float
    memory_bytes: int


def resident_bytes() -> int:
    """Resident memory of this process (Linux; 0 elsewhere)."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Bench:
    """The far end: what a worker can do."""

    def __init__(self, folder: str, metric: str, name: str) -> None:
        self._name = name
        self._data: Dataset = open_dataset(Path(folder), metric)
        self._engine = make_engine(name, metric)
        # The rows are in memory before any growth is measured.
        self._rows = np.ascontiguousarray(self._data.rows)

    def build(self, count: int, threads: int) -> Build:
        """Build anew over the first `count` rows."""
        import_library(self._name)
        self._engine = make_engine(self._name, self._data.metric)
        before, began, cpu = resident_bytes(), time.perf_counter(), time.process_time()
        self._engine.build(self._rows[:count], threads)
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
        return Build(count, threads, seconds, spent, resident_bytes() - before)

    def load(self, path: str) -> tuple[float, int]:
        """Open a file anew; seconds until a first search has answered, and the growth."""
        self._engine = make_engine(self._name, self._data.metric)
        before, began = resident_bytes(), time.perf_counter()
        self._engine.load(Path(path), *self._data.rows.shape)
        self._engine.search(self._data.queries[:1], 64, 1)
        return time.perf_counter() - began, resident_bytes() - before

    def save(self, path: str) -> int:
        """Write the file, whole; its bytes."""
        part = Path(f"{path}.part")
        self._engine.save(part)
        os.replace(part, path)
        return Path(path).stat().st_size

    def recall(self, knob: int) -> float:
        """Recall@10 over all queries, with two threads."""
        return self._data.recall(self._engine.search(self._data.queries, knob, 2))

    def rate(self, knob: int, threads: int) -> float:
        """Searches per second over whole batches."""
        queries = self._data.queries[:TIMED_QUERIES]
        done, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < PASS_S_MIN:
            self._engine.search(queries, knob, threads)
            done += len(queries)
        return done / spent


def serve(pipe: Connection, folder: str, metric: str, name: str) -> None:
    """Answer commands until the pipe closes."""
    # A thread of OpenMP that spins while another waits for a core costs its own library dearly.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    bench = Bench(folder, metric, name)
    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, getattr(bench, command)(*arguments))
        except (ValueError, RuntimeError, OSError, AssertionError, MemoryError) as error:
            answer = (False, f"{type(error).__name__}: {error}")
        pipe.send(answer)


class Worker:
    """The near end: starts the process, asks, and ends it by its id."""

    def __init__(self, folder: Path, metric: str, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, far = context.Pipe()
        # A daemon: it does not outlive a parent that fails.
        self._process = context.Process(
            target=serve, args=(far, str(folder), metric, name), daemon=True
        )
        self._process.start()
        far.close()

    def ask(self, command: str, *arguments: Any, timeout_s: float) -> Any:
        """Run a command there. Raises WorkerFailed; the worker is gone after a timeout."""
        try:
            self._pipe.send((command, arguments))
            if not self._pipe.poll(timeout_s):
                self.close()
                raise WorkerFailed(f"{self.name}: {command}{arguments} took over {timeout_s:.0f} s")
            is_done, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise WorkerFailed(f"{self.name} died in {command}{arguments}") from error
        if not is_done:
            raise WorkerFailed(f"{self.name}: {command}{arguments}: {answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout=STOP_S)
