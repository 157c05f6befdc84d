"""`python -m tests.growth`: exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.growth.loads import Load
from tests.growth.report import Report
from tests.growth.run import Run

PAGE = Path(__file__).parents[2] / "benchmarks" / "results" / "2026-11-22-grow.md"


def main() -> int:
    """Run once and say what it showed."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.add_argument("--objects", type=int, default=6_000, help="of each collection, at first")
    parser.add_argument("--shards", type=int, default=15, help="of each collection")
    parser.add_argument("--writers", type=int, default=3, help="of each collection")
    parser.add_argument("--seed", type=int, default=None, help="repeats what is written")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="for data")
    parser.add_argument("--save", action="store_true", help=f"append the page to {PAGE.name}")
    asked = parser.parse_args()
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    commit = subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False
    ).stdout.strip()
    words = ["python", "-m", "tests.growth", *sys.argv[1:]]
    report = Report(shlex.join(words), commit, _machine(), seed, loads_of(asked.shards))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="weft-grow-", dir=asked.folder) as scratch:
        os.chdir(scratch)
        run = Run(
            Path(scratch), report, writers=asked.writers, tell=lambda text: print(text, flush=True)
        )
        try:
            run.play(asked.objects)
        finally:
            print(report.page(), flush=True)
            os.chdir("/")
    if asked.save:
        with PAGE.open("a") as file:
            file.write("\n" + report.page())
    return 0 if report.is_clean else 1


def loads_of(shards: int) -> list[Load]:
    """The collections: with three replicas, with two, with one."""
    return [Load("Triple", 3, shards), Load("Double", 2, shards), Load("Single", 1, shards)]


def _machine() -> str:
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} at the start"


if __name__ == "__main__":
    sys.exit(main())
