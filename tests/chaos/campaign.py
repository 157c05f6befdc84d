"""`python -m tests.chaos.campaign --save NAME`: 3 and 5 nodes, on loopback and in namespaces.

Four runs of `python -m tests.chaos`, one after the other, on one page: benchmarks/results/NAME.md.
The page is written anew after each run, so an interrupted campaign keeps what it has. Exit code 1
when any run broke a promise, did not end in its time, or could not be made.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.namespaces import why_not

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
BESIDE_S_MAX = 1200.0
"""For a run beside its load: starts, the last fault, repairs, all the reads of the check."""
ENDING_S = 120.0
HEAD = """# Clusters of real processes under faults: {name}

`make chaos` through the official client, RF 3, reads and writes at QUORUM, one fault at a time.
Each node has one writer that asks it alone until a fault is on it, so that gaps are the cluster's
and not those of clients that wait for a paused node. "Kept": no living node failed a request; after
the faults the digests of all replicas became equal, every acknowledged write was read at QUORUM and
at ALL, no deletion was undone, searches found a sample.

Machine: {cores} processors, {machine}; load of one minute when it began: {load:.1f}.{note}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run is asked."""

    nodes: int
    is_cut_off: bool
    """In namespaces, where nodes can be cut off."""

    @property
    def title(self) -> str:
        """For headings."""
        return f"{self.nodes} nodes, {'namespaces' if self.is_cut_off else 'loopback'}"

    def command(self, seconds: float, page: Path, more: Sequence[str]) -> list[str]:
        """Its command line."""
        asked = ["--nodes", str(self.nodes), "--seconds", f"{seconds:g}", "--report", str(page)]
        where = ["--namespaces"] if self.is_cut_off else []
        return [sys.executable, "-m", "tests.chaos", *asked, *where, *more]


RUNS = tuple(Run(nodes, is_cut_off) for is_cut_off in (False, True) for nodes in (3, 5))


def main() -> int:
    """Make all runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.campaign", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="of load and faults, each")
    parser.add_argument("--save", metavar="NAME", required=True, help="benchmarks/results/NAME.md")
    asked, more = parser.parse_known_args()
    target = RESULTS / f"{asked.save}.md"
    without = why_not()
    head = HEAD.format(
        name=asked.save,
        cores=os.cpu_count(),
        machine=platform.machine(),
        load=os.getloadavg()[0],
        note=f" Partitions were left out: {without}." if without else "",
    )
    pages, failed = [head], 0
    for run in RUNS:
        print(f"=== {run.title}", flush=True)
        page, is_kept = made(run, asked.seconds, more)
        failed += not is_kept
        pages.append(page)
        target.write_text("\n".join(pages))
    print(f"{len(RUNS) - failed} of {len(RUNS)} runs were kept: {target}", flush=True)
    return 1 if failed else 0


def made(
    run: Run, seconds: float, more: Sequence[str], beside_s_max: float = BESIDE_S_MAX
) -> tuple[str, bool]:
    """The page of a run, and whether everything was kept."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.md"
        code = ended(run.command(seconds, page, more), seconds + beside_s_max)
        text = page.read_text() if page.exists() else ""
    if text and code is not None:
        return text, code == 0
    reason = "did not end in its time" if code is None else f"ended with code {code} and no page"
    return f"## {run.title}: BROKEN\n\nThe run {reason}.\n\n{text}", False


def ended(command: Sequence[str], within_s: float) -> int | None:
    """Run a command; its exit code, or None where it had to be ended, with all that it started."""
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # It ends its servers and removes its namespaces.
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait(ENDING_S)
            raise
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return None


if __name__ == "__main__":
    sys.exit(main())
