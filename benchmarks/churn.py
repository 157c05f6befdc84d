"""Measures what deletes and updates cost a graph: recall, speed and memory against a fresh build's.

    python -m benchmarks.churn --scale small|full|large [--life "ten rewrites"] [--data rows.npy]

Four lives of an index: half of the docs deleted; four in five deleted, little by little; every doc
rewritten ten times (deleted, and inserted with another vector under a new doc id); a steady churn
of small rewrites between searches.
After each, a fresh index of the same live vectors is built. Recall is against exact neighbours, at
the same ef; memory is what the index reports and, at full scale, the growth of the process (for
small ones it drowns in the allocator's noise), each of the two in a process of its own, so that
neither lives in memory that the other has left; `peak` is the highest growth during the life.
Targets: recall within 0.01, memory within 1.2 times of the fresh build's.

On two quiet cores small takes half a minute, full four minutes, large most of an hour.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import numpy as np

from benchmarks.vector import (
    EF_CONSTRUCTION,
    LINKS,
    Ids,
    K,
    Rows,
    clustered,
    exact,
    recall,
    resident_bytes,
)
from weftdb.core.machine import give_back_memory, map_large_blocks
from weftdb.engine.compaction import CLEANED_SHARE
from weftdb.index.kernels import _native

P = ParamSpec("P")
T = TypeVar("T")

EF = 64
BOUNDS = _native.SearchBounds(None, "")
QUERIES = 2000
"""So many that chance moves recall by a third of what is promised."""
ROUNDS = 5
THINNING_STEPS = 8
REWRITES = 10
CHURN_STEPS = 40
CHURN_SHARE = 0.02
BATCH = 1000
RECALL_LOSS_MAX = 0.01
MEMORY_RATIO_MAX = 1.2
MEASURABLE_BYTES = 50_000_000
WAIT_S = 3600.0
SCALES = {"small": (10_000, 64), "full": (100_000, 128), "large": (400_000, 128)}


@dataclass
class Life:
    """An index, the vectors that are live in it, and what it has cost so far."""

    index: _native.VectorIndex
    material: Rows
    row_of: Ids = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Row number in `material` by doc, -1 for deleted ones."""
    lowest_recall: float = 1.0

    def insert(self, numbers: Ids) -> None:
        """Add the numbered rows of the material under new doc ids."""
        for at in range(0, len(numbers), BATCH):
            part = numbers[at : at + BATCH]
            first = len(self.row_of)
            docs = np.arange(first, first + len(part), dtype=np.uint32)
            self.index.add(docs, self.material[part])
            self.row_of = np.concatenate([self.row_of, part])

    def remove(self, docs: Ids) -> None:
        """Delete docs."""
        for at in range(0, len(docs), BATCH):
            self.index.erase(docs[at : at + BATCH].astype(np.uint32))
        self.row_of[docs] = -1

    def settle(self) -> None:
        """Wait until background work rests."""
        until = time.monotonic() + WAIT_S
        while not self.index.wait_indexed(0.5):
            if time.monotonic() > until:
                raise TimeoutError("background work does not end")

    @property
    def docs(self) -> Ids:
        """Live docs."""
        return np.flatnonzero(self.row_of >= 0)

    @property
    def live(self) -> Ids:
        """Row numbers of the live docs."""
        return self.row_of[self.row_of >= 0]


@dataclass(frozen=True)
class Cost:
    """What a life took on its way."""

    held: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Figures:
    """What an index is like at rest, and what is compared."""

    recall: float
    rate: float
    bytes: int
    reported: int
    deleted: int
    lowest_recall: float
    cost: Cost


def start(material: Rows) -> Life:
    """Make an empty index."""
    index = _native.make_vector_index("cosine", LINKS, EF_CONSTRUCTION, 0, 1024)
    return Life(index, material)


def found_rows(life: Life, queries: Rows) -> Ids:
    """Row numbers that a search finds, int[queries, K]; -1 where it finds fewer."""
    docs, _, counts, _ = life.index.search_many(queries, K, EF, None, BOUNDS, float("inf"))
    result = np.full((len(queries), K), -1, dtype=np.int64)
    for at, filled in enumerate(counts.tolist()):
        result[at, :filled] = life.row_of[docs[at, :filled]]
    return result


def measure_recall(life: Life, queries: Rows) -> float:
    """Share of the exact neighbours among the live vectors that are found."""
    live = life.live
    truth = live[exact(life.material[live], queries)]
    return recall(found_rows(life, queries), truth)


def measure_rate(life: Life, queries: Rows) -> float:
    """Searches a second, one thread, best of the rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        life.index.search_many(queries, K, EF, None, BOUNDS, float("inf"))
        best = max(best, len(queries) / (time.perf_counter() - begin))
    return best


def halve(life: Life, count: int, random: np.random.Generator, queries: Rows) -> None:
    """Delete half."""
    life.insert(np.arange(count))
    life.settle()
    life.remove(random.permutation(life.docs)[: count // 2])
    life.settle()


def thin(life: Life, count: int, random: np.random.Generator, queries: Rows) -> None:
    """Delete four in five, in steps between which repairs may run or not."""
    life.insert(np.arange(count))
    life.settle()
    docs = random.permutation(life.docs)[: count * 4 // 5]
    for part in np.array_split(docs, THINNING_STEPS):
        life.remove(part)
        life.settle()


def rewrite(life: Life, count: int, random: np.random.Generator, queries: Rows) -> None:
    """Rewrite every doc ten times, in random order, a batch at a time."""
    life.insert(np.arange(count))
    for _ in range(REWRITES):
        docs = random.permutation(life.docs)
        spare = np.setdiff1d(np.arange(len(life.material)), life.live)
        fresh = random.permutation(spare)[:count]
        for at in range(0, count, BATCH):
            life.remove(docs[at : at + BATCH])
            life.insert(fresh[at : at + BATCH])
        life.settle()


def churn(life: Life, count: int, random: np.random.Generator, queries: Rows) -> None:
    """Rewrite small shares, with a look at the recall after each and no wait in between."""
    life.insert(np.arange(count))
    life.settle()
    size = int(count * CHURN_SHARE)
    for _ in range(CHURN_STEPS):
        spare = np.setdiff1d(np.arange(len(life.material)), life.live)
        life.remove(random.permutation(life.docs)[:size])
        life.insert(random.permutation(spare)[:size])
        life.lowest_recall = min(life.lowest_recall, measure_recall(life, queries[:200]))
    life.settle()


LIVES: dict[str, Callable[[Life, int, np.random.Generator, Rows], None]] = {
    "half deleted": halve,
    "thinned out": thin,
    "ten rewrites": rewrite,
    "steady churn": churn,
}


def highest_bytes(*, forget: bool = False) -> int:
    """Highest resident memory of this process since it was last told to forget; 0 if unknown."""
    try:
        if forget:
            Path("/proc/self/clear_refs").write_text("5")
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def live(name: str, source: Path) -> tuple[Figures, Ids]:
    """Run one life in this process; what it came to, and the rows that are live at its end."""
    material, queries = begin_as_server(source)
    random = np.random.default_rng(7)
    before = resident_bytes()
    highest_bytes(forget=True)
    life = start(material)
    begin = time.perf_counter()
    LIVES[name](life, len(material) // 2, random, queries)
    held = life.index.deleted
    # What the engine does every `cleanupIntervalSeconds`: an index at rest gives back what is less
    # than it would compact by itself, and the process what it has freed.
    life.index.compact(CLEANED_SHARE)
    life.settle()
    seconds = time.perf_counter() - begin
    figures = measure(life, queries, before, Cost(held, seconds, highest_bytes() - before))
    return figures, random.permutation(life.live)


def build(rows: Ids, source: Path) -> Figures:
    """Build an index of the rows in this process."""
    material, queries = begin_as_server(source)
    before = resident_bytes()
    life = start(material)
    life.insert(rows)
    life.settle()
    return measure(life, queries, before, Cost())


def measure(life: Life, queries: Rows, before: int, cost: Cost) -> Figures:
    """Look at an index at rest; `before` was the process's memory without it."""
    give_back_memory()
    grown = resident_bytes() - before
    return Figures(
        measure_recall(life, queries),
        measure_rate(life, queries),
        grown,
        life.index.memory_bytes,
        life.index.deleted,
        life.lowest_recall,
        cost,
    )


def begin_as_server(source: Path) -> tuple[Rows, Rows]:
    """Set the process up as the server does its own; return material and queries."""
    map_large_blocks()
    _native.set_link_niceness(0)
    _native.set_link_threads(2)
    rows: Rows = np.load(source)
    return rows[QUERIES:], rows[:QUERIES]


def live_through(name: str, source: Path) -> bool:
    """Run one life and its twin, compare, print; whether the targets are met."""
    old, rows = apart(live, name, source)
    new = apart(build, rows, source)
    ratio = old.reported / new.reported
    if new.bytes >= MEASURABLE_BYTES:
        ratio = max(ratio, old.bytes / new.bytes)
    met = new.recall - old.recall <= RECALL_LOSS_MAX and ratio <= MEMORY_RATIO_MAX
    print(
        f"{name:13} recall {old.recall:.4f} (fresh {new.recall:.4f})  "
        f"searches/s {old.rate:,.0f} ({old.rate / new.rate:.2f} x fresh)  "
        f"memory {ratio:.2f} x fresh (peak {old.cost.peak_bytes / max(new.bytes, 1):.2f}, "
        f"reported {old.reported / 1e6:.0f} of {new.reported / 1e6:.0f} MB, "
        f"process {old.bytes / 1e6:.0f} of {new.bytes / 1e6:.0f})  "
        f"{old.deleted} deleted held ({old.cost.held} before the cleaning)  "
        f"{old.cost.seconds:.0f} s"
        + (f"  lowest recall meanwhile {old.lowest_recall:.4f}" if name == "steady churn" else "")
        + ("  PASS" if met else "  MISS"),
        flush=True,
    )
    return met


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in a new process and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=sorted(SCALES), default="small")
    parser.add_argument("--data", help="float32 rows in a .npy file, instead of random ones")
    parser.add_argument("--life", choices=sorted(LIVES), action="append")
    options = parser.parse_args()
    count, dimensions = SCALES[options.scale]
    if options.data:
        rows = np.ascontiguousarray(np.load(options.data), dtype=np.float32)
    else:
        rows = clustered(2 * count + QUERIES, dimensions, 1)
    live_rows = (len(rows) - QUERIES) // 2
    print(f"{live_rows:,} live x {rows.shape[1]}, cosine, k {K}, ef {EF}, links {LINKS}")
    begin = time.perf_counter()
    with TemporaryDirectory() as directory:
        source = Path(directory) / "rows.npy"
        np.save(source, rows)
        results = [live_through(name, source) for name in options.life or LIVES]
    print(f"{len(results)} lives in {time.perf_counter() - begin:.0f} s")
    if not all(results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
