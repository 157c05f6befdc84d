"""Report: what a run did and found, as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.ledger import Ledger
from tests.growth.loads import Load

UNEVEN_MAX = 0.10
"""What a node may hold more or less than its even part, after growing."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One thing that was done, under load."""

    what: str
    seconds: float
    answered: int
    failed: int
    gap_s: float
    """The longest time without an acknowledged write, of any collection under load."""
    note: str = ""


@dataclass(slots=True)
class Report:
    """Of one run."""

    command: str
    commit: str
    machine: str
    seed: int
    loads: list[Load] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    evenness: list[tuple[str, dict[str, Counter[str]], tuple[str, ...]]] = field(
        default_factory=list
    )
    """(when, objects of each collection on each node, the nodes)"""
    checks: list[tuple[str, float, int]] = field(default_factory=list)
    """(when, seconds to equal digests, reads and searches)"""
    promises: list[tuple[str, bool]] = field(default_factory=list)
    """Anything else that must be so, and whether it was."""
    is_over: bool = False

    def promise(self, what: str, holds: object) -> None:
        """Note whether something was as it must be."""
        self.promises.append((what, bool(holds)))

    @property
    def is_clean(self) -> bool:
        """Whether everything was kept, to the end of the run."""
        ledgers = [load.ledger for load in self.loads]
        is_kept = not any(each.broken or each.failed for each in ledgers)
        return self.is_over and is_kept and all(holds for _, holds in self.promises)

    def page(self) -> str:
        """As markdown."""
        total: Counter[str] = Counter()
        for load in self.loads:
            total.update(load.ledger.answered)
        lines = [
            f"## Seed {self.seed}: {'kept' if self.is_clean else 'BROKEN'}",
            "",
            f"`{self.command}` at {self.commit}; {self.machine}",
            "",
            *_table(
                ("collection", "replicas", "shards", "objects", "written under load",
                 "failed", "lost, undone, stale or different"),
                [_load_row(load) for load in self.loads],
            ),
            f"Answered: {_counts(total)}.",
            "",
            *_table(
                ("what, under load", "s", "answered", "failed", "longest s without a write", ""),
                [
                    (each.what, f"{each.seconds:.1f}", f"{each.answered:,}", str(each.failed),
                     f"{each.gap_s:.1f}", each.note)
                    for each in self.phases
                ],
            ),
            *self._evenness(),
            *_table(
                ("checked, at rest", "s to equal digests", "reads and searches"),
                [(when, f"{seconds:.1f}", f"{count:,}") for when, seconds, count in self.checks],
            ),
            *(f"- {'yes' if holds else '**NO**'}: {what}" for what, holds in self.promises),
        ]  # fmt: skip
        named = [each for load in self.loads for each in load.ledger.named]
        if named:
            lines += ["", "```", *named, "```"]
        return "\n".join(lines) + "\n"

    def _evenness(self) -> list[str]:
        rows = []
        for when, held, nodes in self.evenness:
            for name, counts in (*sorted(held.items()), ("all", added(held))):
                each = ", ".join(f"{node} {counts[node]:,}" for node in nodes)
                rows.append((when, name, each, f"{100 * unevenness(counts, nodes):.1f} %"))
        return _table(("when", "collection", "objects of each node", "farthest from even"), rows)


def added(held: Mapping[str, Counter[str]]) -> Counter[str]:
    """Objects of all collections on each node."""
    total: Counter[str] = Counter()
    for counts in held.values():
        total.update(counts)
    return total


def unevenness(counts: Mapping[str, int], nodes: tuple[str, ...]) -> float:
    """How far the node that is farthest is from its even part, as a part of that."""
    even = sum(counts.values()) / len(nodes)
    return max(abs(counts.get(node, 0) - even) for node in nodes) / even if even else 0.0


def ledgers_answered(loads: list[Load]) -> int:
    """Requests that were answered so far."""
    return sum(sum(load.ledger.answered.values()) for load in loads)


def _load_row(load: Load) -> tuple[str, ...]:
    ledger: Ledger = load.ledger
    written = sum(ledger.answered[each] for each in ("insert", "replace", "update", "delete"))
    there = sum(key.is_there for key in ledger.all_keys())
    return (
        load.name, str(load.factor), str(load.shards), f"{there:,}", f"{written:,}",
        _counts(ledger.failed), str(ledger.broken),
    )  # fmt: skip


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _counts(counts: Mapping[str, int]) -> str:
    each = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    total = sum(counts.values())
    return f"{total:,} ({each})" if each else "0"
