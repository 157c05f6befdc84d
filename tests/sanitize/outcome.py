"""How one part went under one sanitizer, read from what its process printed and reported."""

from __future__ import annotations

import re
from dataclasses import dataclass

REPORT = re.compile(r"WARNING: ThreadSanitizer|(?:ERROR|FATAL): \w+Sanitizer|runtime error: ")
"""How a report begins."""
SIGNAL = "Sanitizer:DEADLYSIGNAL"
"""What comes before the report of a fatal signal, and alone where the report fails, too."""
COUNT = re.compile(r"(\d+) (passed|failed|skipped|deselected|errors?)\b")
NOTHING_RAN = 5
"""The exit code of pytest where all of it is skipped or nothing was collected."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a part; `fault` is empty where nothing is wrong."""

    sanitizer: str
    part: str
    fault: str
    seconds: float
    passed: int = 0
    skipped: int = 0
    reports: int = 0
    commit: str = ""
    day: str = ""
    """When it ended, as YYYY-MM-DD in UTC."""

    def __str__(self) -> str:
        verdict = f"FAILED ({self.fault})" if self.fault else "ok"
        tests = f"{self.passed} passed, {self.skipped} skipped"
        return f"{verdict} {self.sanitizer} {self.part} ({tests}, {self.seconds:.0f} s)"


def fault_of(output: str, exit_code: int | None, *, seconds_max: float) -> str:
    """What is wrong, in a few words; an exit code of None is of a part that was stopped."""
    reported = REPORT.search(output)
    if reported:
        return reported.group().strip(" :")
    if SIGNAL in output:
        return SIGNAL
    if exit_code is None:
        return f"not done after {seconds_max:.0f} s"
    return "" if exit_code in (0, NOTHING_RAN) else f"exit code {exit_code}"


def reports_in(output: str) -> int:
    """How many reports there are."""
    return max(len(REPORT.findall(output)), int(SIGNAL in output))


def counts_in(output: str) -> tuple[int, int]:
    """Tests that passed and tests that were skipped, as the last line of pytest says."""
    lines = [line for line in output.splitlines() if COUNT.search(line) and " in " in line]
    counts = {word: int(number) for number, word in COUNT.findall(lines[-1] if lines else "")}
    return counts.get("passed", 0), counts.get("skipped", 0)
