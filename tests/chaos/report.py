"""Report: what a run did and found, as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.ledger import Ledger

WRITES = ("insert", "replace", "update", "delete")


@dataclass(slots=True)
class Report:
    """Of one run."""

    command: str
    commit: str
    nodes: int
    seed: int
    ledger: Ledger
    seconds: float = 0.0
    """Under load and faults."""
    faults: list[str] = field(default_factory=list)
    """In their order."""
    converged_s: float = 0.0
    checked: int = 0
    skipped: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether everything was kept."""
        ledger = self.ledger
        return not ledger.broken and not ledger.failed and bool(self.checked)

    def page(self) -> str:
        """As markdown."""
        ledger = self.ledger
        keys = ledger.all_keys()
        rows: list[tuple[str, str]] = [
            ("command", f"`{self.command}`"),
            ("commit", self.commit),
            ("load and faults, s", f"{self.seconds:.0f}"),
            ("faults", _counts(Counter(each.split()[0] for each in self.faults))),
            ("requests answered", _counts(ledger.answered)),
            ("writes acknowledged", f"{sum(ledger.answered[each] for each in WRITES):,}"),
            ("**failed requests of living nodes**", _counts(ledger.failed)),
            ("not answered by the node under a fault", _counts(ledger.victims)),
            ("longest time without an acknowledged write, s", f"{ledger.gap_s:.1f}"),
            ("such times of a second and more", "; ".join(ledger.gaps) or "none"),
            ("slowest requests of living nodes, s", _slowest(ledger)),
            ("keys, of them deleted", f"{len(keys):,}, {sum(not key.is_there for key in keys):,}"),
            ("seconds from the last fault to equal digests", f"{self.converged_s:.1f}"),
            ("reads and searches of the check", f"{self.checked:,}"),
            ("**lost, undone, stale or different**", f"{ledger.broken:,}"),
        ]
        if self.skipped:
            rows.append(("left out", self.skipped))
        lines = [
            f"## {self.nodes} nodes, seed {self.seed}: {'kept' if self.is_clean else 'BROKEN'}",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
        ]
        if ledger.named or ledger.slow:
            lines += ["", "```", *ledger.named, *ledger.slow, "```"]
        return "\n".join(lines) + "\n"


def _slowest(ledger: Ledger) -> str:
    longest = sorted(ledger.slowest.items(), key=lambda each: each[1], reverse=True)
    return "; ".join(f"{name} {took_s:.1f} ({scene})" for name, (took_s, scene) in longest)


def _counts(counts: Mapping[str, int]) -> str:
    each = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    total = sum(counts.values())
    return f"{total:,} ({each})" if each else "0"
