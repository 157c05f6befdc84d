"""Planted errors (canaries.cpp): a run of the sanitizers that does not report them is worthless."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.sanitize.compilers import Sanitizer, build_library
from tests.sanitize.outcome import Outcome, reports_in
from tests.sanitize.reports import Reports

SOURCE = Path(__file__).with_suffix(".cpp")
TIMEOUT_S = 300
CANARIES = {"address": ("overflow", "freed", "undefined"), "thread": ("race",)}
"""The errors that each sanitizer must report."""
PROGRAM = "import ctypes, sys; getattr(ctypes.CDLL(sys.argv[1]), 'weft_canary_' + sys.argv[2])()"


def unseen(
    sanitizer: Sanitizer, environment: Mapping[str, str], reports: Reports
) -> Iterator[Outcome]:
    """A fault for every planted error that is not reported in the environment of the tests."""
    library = build_library(sanitizer, SOURCE, f"-fsanitize={sanitizer.flags}")
    for canary in CANARIES[sanitizer.name]:
        part = f"canary {canary}"
        done = subprocess.run(
            [sys.executable, "-S", "-P", "-c", PROGRAM, str(library), canary],
            env=reports.environment(part, environment), capture_output=True, text=True,
            errors="replace", timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr + reports.of(part)
        if done.returncode == 0 or not reports_in(output):
            yield Outcome(sanitizer.name, part, "a planted error went unseen", 0.0)
