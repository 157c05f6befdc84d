"""`python -m tests.simulation --seeds 1000 [--first N]`, or `--seed N --trace`.

Exit code 1 when a promise was broken. With `--canary NAME` it must be: exit code 1 when it was not.
"""

from __future__ import annotations

import argparse
import sys
import time

from .canaries import CANARIES
from .checkers import Violation, check_all
from .plan import USUAL, Size
from .report import Tally, tell_failure, trace
from .run import REPLICAS, Setting, play, play_seeds
from .shrink import shrink

FAILURES_TOLD_MAX = 3
PROGRESS_SEEDS = 100


def main() -> int:
    """Play seeds, say what they showed."""
    arguments = _arguments()
    size = Size(arguments.steps, arguments.clients, arguments.keys)
    setting = Setting(size, arguments.replica, arguments.canary)
    if arguments.seed is not None:
        return _one(arguments.seed, setting, with_trace=arguments.trace)
    return _many(arguments, setting)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, default=None, help="only this one")
    parser.add_argument("--trace", action="store_true", help="print the conversation")
    parser.add_argument("--replica", choices=sorted(REPLICAS), default="engine")
    parser.add_argument("--canary", choices=sorted(CANARIES), default="")
    parser.add_argument("--steps", type=int, default=USUAL.steps)
    parser.add_argument("--clients", type=int, default=USUAL.clients)
    parser.add_argument("--keys", type=int, default=USUAL.keys)
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def _one(seed: int, setting: Setting, *, with_trace: bool) -> int:
    plan = setting.plan(seed)
    run = play(plan, setting)
    if with_trace:
        print(trace(run))
    violations = check_all(run.facts)
    print(f"{plan}\njournal {run.journal.digest()}, {run.events} events")
    if violations:
        _tell(seed, violations[0], setting)
    else:
        print("every promise kept")
    return _exit_code(setting, is_broken=bool(violations))


def _many(arguments: argparse.Namespace, setting: Setting) -> int:
    began = time.monotonic()
    tally = Tally()
    told = 0
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    for result in play_seeds(seeds, setting, processes=arguments.jobs):
        tally.add(result)
        if tally.seeds % PROGRESS_SEEDS == 0:
            print(f"{tally.seeds} seeds, {len(tally.failures)} failed", flush=True)
        if result.violations and told < FAILURES_TOLD_MAX:
            told += 1
            _tell(result.seed, result.violations[0], setting)
        if result.violations and setting.canary:
            break  # It is found.
    print(tally.tell(time.monotonic() - began))
    return _exit_code(setting, is_broken=bool(tally.failures))


def _tell(seed: int, violation: Violation, setting: Setting) -> None:
    small, runs = shrink(setting.plan(seed), violation, setting)
    print(tell_failure(seed, violation, small, setting, runs=runs), flush=True)


def _exit_code(setting: Setting, *, is_broken: bool) -> int:
    if setting.canary:
        print(f"canary {setting.canary}: {'found' if is_broken else 'NOT FOUND'}")
        return 0 if is_broken else 1
    return 1 if is_broken else 0


if __name__ == "__main__":
    sys.exit(main())
