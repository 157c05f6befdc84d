"""`python -m tests.crash --rounds 100 [--seed N]`: exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from .rounds import play


def main() -> int:
    """Play the rounds and say what they showed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run")
    parser.add_argument("--data", type=Path, default=None, help="keep the data in this directory")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="weft-crash-") as scratch:
        data = arguments.data or Path(scratch) / "data"
        report = play(data, rounds=arguments.rounds, seed=seed, tell=lambda t: print(t, flush=True))
    print(report)
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
