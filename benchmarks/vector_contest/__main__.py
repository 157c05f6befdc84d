"""`python -m benchmarks.vector_contest [--scale small] [--data NAME ...]`: the whole contest.

With `--prepare` it only makes the datasets and the peers' graphs, which takes about half an hour at
full scale and happens by itself otherwise.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.floors import Floor
from benchmarks.machine import describe_machine

from .contest import Contest, Entry, Settings
from .datasets import SOURCES, MaterialMissing, load_dataset
from .engines import OWN, PEERS, TRAINED, TRAINING_ROWS_MIN
from .page import write_contest
from .verdict import all_floors

CACHE = Path(__file__).resolve().parents[2] / "build" / "bench-vector"
SMALL_ROWS_MAX = 50_000
"""Datasets of fewer rows are built anew by every engine."""
RIVALS = frozenset({*OWN, "hnswlib"})
"""Built anew whatever the size: ours, and the peer that builds fastest."""


@dataclass(frozen=True)
class Scale:
    """Rows of each dataset, and how often a rate is taken."""

    rows: dict[str, int]
    rounds: int


SCALES = {
    "full": Scale({"bigann": 9500, "mnist": 9500, "text": 250_000, "synthetic": 1_000_000}, 3),
    "small": Scale({"bigann": 9500, "mnist": 9500, "text": 20_000, "synthetic": 20_000}, 2),
}


def tell(text: str) -> None:
    """Say where the run is."""
    print(f"  {text}", flush=True)


def run_dataset(
    source: str, count: int, rounds: int, cache: Path, names: list[str], *, kept_only: bool
) -> tuple[str, int, list[Entry]]:
    """One dataset: its title, rows, and what everyone reached."""
    data = load_dataset(cache, source, count)
    is_small = count <= SMALL_ROWS_MAX
    if count < TRAINING_ROWS_MIN:
        names = [name for name in names if name not in TRAINED]
    title = f"{source} {len(data.rows):,} x {data.rows.shape[1]} ({data.metric})"
    print(f"{title}:", flush=True)
    if rounds == 0:
        Contest(data, cache, Settings(0, RIVALS), names, tell).prepare()
        return title, len(data.rows), []
    fresh = frozenset(names) if is_small else RIVALS
    settings = Settings(rounds, fresh, kept_only=kept_only)
    entries = Contest(data, cache, settings, names, tell).run()
    return title, len(data.rows), entries


def main() -> int:
    """Run the datasets, print the promises, write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vector_contest")
    parser.add_argument("--scale", choices=sorted(SCALES), default="full")
    parser.add_argument("--data", choices=sorted(SOURCES), action="append", help="only these")
    parser.add_argument("--engine", choices=(*OWN, *PEERS), action="append", help="only these")
    parser.add_argument("--cache", type=Path, default=CACHE, help="datasets and peers' graphs")
    parser.add_argument("--rounds", type=int, default=None, help="of which the best counts")
    parser.add_argument("--name", default=None, help="name of the page")
    parser.add_argument("--prepare", action="store_true", help="make what is kept, no page")
    parser.add_argument("--kept-only", action="store_true", help="build no peer but hnswlib")
    arguments = parser.parse_args()
    scale = SCALES[arguments.scale]
    machine = describe_machine()
    contests: dict[str, list[Entry]] = {}
    floors: list[Floor] = []
    names = arguments.engine or [*OWN, *PEERS]
    rounds = 0 if arguments.prepare else arguments.rounds or scale.rounds
    for source in arguments.data or scale.rows:
        began = time.perf_counter()
        try:
            title, rows, entries = run_dataset(
                source,
                scale.rows[source],
                rounds,
                arguments.cache,
                names,
                kept_only=arguments.kept_only,
            )
        except MaterialMissing as missing:
            print(f"{source} is left out: {missing}", file=sys.stderr)
            continue
        contests[title] = entries
        floors += all_floors(title, rows, entries)
        tell(f"took {time.perf_counter() - began:.0f} s")
    if arguments.prepare or not contests:
        return 0 if contests else 2
    suffix = "" if arguments.scale == "full" else "-small"
    name = arguments.name or f"{date.today().isoformat()}-vector{suffix}"
    page = write_contest(name, contests, floors, machine)
    print(*floors, f"written to {page}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
