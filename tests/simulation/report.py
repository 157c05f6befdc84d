"""What runs showed, in words: tallies, traces, and how to come back to a failure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

from .checkers import Violation, check_all
from .plan import Plan
from .run import Result, Run, Setting, play

ENTRIES_TOLD_MAX = 40


@dataclass(slots=True)
class Tally:
    """Sums over seeds."""

    seeds: int = 0
    failures: dict[int, tuple[Violation, ...]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    undecided: int = 0
    virtual_s: float = 0.0
    events: int = 0
    digest: str = ""
    """Of all journals in their order: two tallies with the same digest saw the same runs."""

    def add(self, result: Result) -> None:
        """Count one seed."""
        self.seeds += 1
        self.outcomes += result.outcomes
        self.undecided += result.undecided
        self.virtual_s += result.virtual_s
        self.events += result.events
        self.digest = blake2b((self.digest + result.digest).encode(), digest_size=8).hexdigest()
        if result.violations:
            self.failures[result.seed] = result.violations

    def tell(self, seconds: float) -> str:
        """The sums as lines."""
        counts = ", ".join(f"{number} {name}" for name, number in sorted(self.outcomes.items()))
        broken = Counter(one.checker for found in self.failures.values() for one in found)
        lines = [
            f"{self.seeds} seeds in {seconds:.1f} s ({self.seeds / max(seconds, 1e-9):.1f} a "
            f"second): {self.virtual_s:.0f} virtual seconds, {self.events} events, "
            f"digest {self.digest}",
            f"operations: {counts}; objects whose history could not be judged: {self.undecided}",
        ]
        if self.failures:
            lines.append(f"BROKEN PROMISES {dict(broken)} in the seeds {sorted(self.failures)}")
        else:
            lines.append("every promise kept")
        return "\n".join(lines)


def trace(run: Run) -> str:
    """The whole conversation of a run."""
    return "\n".join(str(entry) for entry in run.journal.entries)


def tell_failure(
    seed: int, violation: Violation, small: Plan, setting: Setting, *, runs: int
) -> str:
    """A broken promise, how to see it again, and its smallest form."""
    run = play(small, setting)
    found = [one for one in check_all(run.facts) if one.checker == violation.checker]
    again = found[0] if found else violation
    lines = [
        f"seed {seed} breaks a promise: {violation}",
        f"again: {setting.command(seed)} --trace",
        f"smallest form found in {runs} runs: {len(small.steps)} steps, "
        f"{len(small.faults)} faults; there: {again}",
        f"  {small}",
        *(f"  fault {fault}" for fault in small.faults),
    ]
    if again.key is not None:
        entries = run.journal.of_key(again.key, ENTRIES_TOLD_MAX)
        lines += ["last events of the object:", *(f"  {entry}" for entry in entries)]
    return "\n".join(lines)
