"""A run of parts under one sanitizer: build, canaries, then `jobs` processes at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from tests.sanitize.canaries import unseen
from tests.sanitize.compilers import Sanitizer, build, compiler, environment_of
from tests.sanitize.ledger import Ledger
from tests.sanitize.outcome import Outcome, counts_in, fault_of, reports_in
from tests.sanitize.parts import ROOT
from tests.sanitize.reports import Reports

TAIL_CHARS = 12_000


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run: examples of property tests times `times`, `jobs` parts at a time."""

    times: float
    jobs: int
    seconds_max: float
    """A part that takes longer is stopped."""


def run(sanitizer: Sanitizer, names: Sequence[str], settings: Settings) -> list[Outcome]:
    """Build, and run the parts; what fails is printed with the end of its output."""
    print(f"== {sanitizer.name}: -fsanitize={sanitizer.flags}", flush=True)
    begun_s = time.monotonic()
    commit = commit_now()
    environment = environment_of(sanitizer, build(sanitizer), settings.times)
    if environment is None:
        fault = f"{sanitizer.runtime} does not come with {compiler()}"
        return [Outcome(sanitizer.name, "build", fault, 0.0)]
    print(f"built {commit} in {time.monotonic() - begun_s:.0f} s", flush=True)
    reports = Reports(sanitizer.folder / "reports")
    blind = list(unseen(sanitizer, environment, reports))
    if blind:
        return blind
    ledger = Ledger(ledger_of(sanitizer), sanitizer.name)
    outcomes = []
    with ThreadPoolExecutor(settings.jobs) as workers:
        running = [
            workers.submit(run_part, part, environment, reports, settings.seconds_max)
            for part in (
                Outcome(sanitizer.name, name, "", 0.0, commit=commit)
                for name in sorted(names, key=ledger.seconds_of, reverse=True)
            )
        ]
        for done in as_completed(running):
            outcome, output = done.result()
            if outcome.fault:
                print(output[-TAIL_CHARS:])
            print(outcome, flush=True)
            outcomes.append(outcome)
            ledger.note(outcome)
    return outcomes


def ledger_of(sanitizer: Sanitizer) -> Path:
    """The file of its ledger."""
    return sanitizer.folder / "outcomes.json"


def commit_now() -> str:
    """The commit of the working tree, with a plus where it has changes; empty outside git."""
    command = ["git", "describe", "--always", "--abbrev=7", "--exclude=*", "--dirty=+"]
    answer = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return answer.stdout.strip()


def run_part(
    part: Outcome, environment: Mapping[str, str], reports: Reports, seconds_max: float
) -> tuple[Outcome, str]:
    """Run one part to its end, or to the end of its time; its outcome and what it said."""
    command = [
        sys.executable, "-S", "-P", "-m", "pytest", "-q", "--durations=5",
        "-p", "no:cacheprovider", "-p", "no:xdist",
        "--capture=sys",
        "-o", "pythonpath=", part.part,
    ]  # fmt: skip
    begun_s = time.monotonic()
    exit_code: int | None = None
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=reports.environment(part.part, environment), check=False,
            timeout=seconds_max, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        output = _text(late.stdout)
    else:
        exit_code, output = ended.returncode, ended.stdout
    output += reports.of(part.part)
    passed, skipped = counts_in(output)
    outcome = replace(
        part,
        fault=fault_of(output, exit_code, seconds_max=seconds_max),
        seconds=time.monotonic() - begun_s,
        passed=passed,
        skipped=skipped,
        reports=reports_in(output),
        day=time.strftime("%Y-%m-%d", time.gmtime()),
    )
    return outcome, output


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
