"""`python -m tests.chaos --nodes 3 --seconds 60`: exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import KINDS
from tests.chaos.ledger import Ledger
from tests.chaos.namespaces import why_not
from tests.chaos.report import Report
from tests.chaos.run import play


def main() -> int:
    """Run once and say what it showed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--nodes", type=int, choices=(3, 5), default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load and faults")
    parser.add_argument("--seed", type=int, default=None, help="repeats the plan of a run")
    parser.add_argument("--faults", default=",".join(KINDS), help="some of %(default)s")
    parser.add_argument("--writers", type=int, default=10)
    parser.add_argument("--namespaces", action="store_true", help="a network for every node")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="for data")
    parser.add_argument("--report", type=Path, default=None, help="append the page to this file")
    asked = parser.parse_args()
    kinds = tuple(asked.faults.split(","))
    unknown = set(kinds) - set(KINDS)
    if unknown:
        parser.error(f"no such faults: {', '.join(sorted(unknown))}")
    skipped = ""
    if asked.namespaces:
        skipped = why_not()
    elif "partition" in kinds:
        skipped = "without --namespaces"
    if skipped:
        kinds = tuple(kind for kind in kinds if kind != "partition")
        skipped = f"partition: {skipped}"
    if not kinds:
        parser.error(skipped)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    commit = subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False
    ).stdout.strip()
    words = ["python", "-m", "tests.chaos", *_shown(sys.argv[1:])]
    report = Report(shlex.join(words), commit, asked.nodes, seed, Ledger(), skipped=skipped)
    page = None if asked.report is None else asked.report.absolute()
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="weft-chaos-", dir=asked.folder) as scratch:
        os.chdir(scratch)
        try:
            play(
                Path(scratch),
                report,
                seconds=asked.seconds,
                kinds=kinds,
                writers=asked.writers,
                namespaces=asked.namespaces and not why_not(),
                tell=lambda text: print(text, flush=True),
            )
        finally:
            print(report.page(), flush=True)
            os.chdir("/")
    if page is not None:
        with page.open("a") as file:
            file.write(report.page() + "\n")
    return 0 if report.is_clean else 1


def _shown(words: list[str]) -> list[str]:
    """What repeats the run: without where its page goes."""
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if "--report" not in (before, word)
    ]


if __name__ == "__main__":
    sys.exit(main())
