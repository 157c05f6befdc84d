"""The command: run every sanitizer (or those named) over all parts (or those named)."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence

from tests import sanitize
from tests.sanitize.compilers import SANITIZERS
from tests.sanitize.ledger import Ledger, table
from tests.sanitize.outcome import Outcome
from tests.sanitize.parts import GROUPS, parts
from tests.sanitize.run import Settings, ledger_of, run

TIMES = 0.2
"""Examples of property tests, times the usual number."""
PART_SECONDS_MAX = 900.0
NICENESS = 10


def summary(outcomes: Sequence[Outcome], seconds: float) -> Iterator[str]:
    """What the end says: the longest parts first, the table, then what is wrong."""
    yield ""
    yield from map(str, sorted(outcomes, key=lambda one: -one.seconds))
    yield ""
    yield from table(outcomes)
    yield ""
    faults = [outcome for outcome in outcomes if outcome.fault]
    yield f"{len(outcomes)} parts in {seconds / 60:.0f} minutes, {len(faults)} with a fault"
    yield from map(str, faults)


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """1 where anything reported or failed, or nothing ran."""
    return 1 if not outcomes or any(one.fault or one.reports for one in outcomes) else 0


def main() -> int:
    """Do what the command line asks; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=sanitize.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", help=f"sanitizers, groups ({', '.join(GROUPS)}), tests; all without one"
    )
    parser.add_argument("--times", type=float, default=TIMES, help="examples of property tests")
    parser.add_argument("--jobs", type=int, default=2, help="parts that run at a time")
    parser.add_argument(
        "--bound", type=float, default=PART_SECONDS_MAX, help="seconds that a part may take"
    )
    parser.add_argument("--table", action="store_true", help="print what every part last did")
    given = parser.parse_intermixed_args()
    named = [sanitizer for sanitizer in SANITIZERS if sanitizer.name in given.names]
    chosen = named or list(SANITIZERS)
    if given.table:
        ledgers = [Ledger(ledger_of(one), one.name) for one in chosen]
        last = [outcome for ledger in ledgers for outcome in ledger.outcomes()]
        print("\n".join(table(last)))
        return exit_status(last)
    names = parts([name for name in given.names if name not in {one.name for one in named}])
    if not names:
        parser.error("no test has such a name")
    os.nice(NICENESS)
    begun_s = time.monotonic()
    settings = Settings(times=given.times, jobs=given.jobs, seconds_max=given.bound)
    outcomes: list[Outcome] = []
    for sanitizer in chosen:
        outcomes += run(sanitizer, names, settings)
    print("\n".join(summary(outcomes, time.monotonic() - begun_s)))
    return exit_status(outcomes)


if __name__ == "__main__":
    sys.exit(main())
