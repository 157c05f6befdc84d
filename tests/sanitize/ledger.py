"""What every part last did under a sanitizer, in a file, and as a table by group.

file := JSON: {part: {"fault", "seconds", "passed", "skipped", "reports", "commit", "day"}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.sanitize.outcome import Outcome
from tests.sanitize.parts import GROUPS, OTHERS, group_of, parts

HEADING = (
    "| group | sanitizer | date | commit | parts | tests passed | skipped | reports | faults"
    " | minutes |"
)


class Ledger:
    """The outcomes of one sanitizer; later ones of a part replace earlier ones."""

    def __init__(self, path: Path, sanitizer: str) -> None:
        self._path = path
        self._sanitizer = sanitizer
        self._rows = self._read()

    def seconds_of(self, part: str) -> float:
        """How long a part took; one that never ran, longer than any other."""
        return float(str(self._rows.get(part, {}).get("seconds", "inf")))

    def note(self, outcome: Outcome) -> None:
        """Remember one, beside what other runs of this sanitizer remember meanwhile."""
        row = asdict(outcome)
        del row["sanitizer"], row["part"]
        self._rows = self._read()
        self._rows[outcome.part] = {**row, "seconds": round(outcome.seconds, 1)}
        text = json.dumps(self._rows, indent=1, sort_keys=True)
        self._path.write_text(text + "\n", encoding="utf-8")

    def _read(self) -> dict[str, dict[str, object]]:
        if not self._path.exists():
            return {}
        rows: dict[str, dict[str, object]] = json.loads(self._path.read_text(encoding="utf-8"))
        return rows

    def outcomes(self) -> Iterator[Outcome]:
        """All that are remembered."""
        for part, row in self._rows.items():
            yield Outcome(sanitizer=self._sanitizer, part=part, **row)  # type: ignore[arg-type]


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A row for every group and sanitizer, as Markdown; minutes are those of one part at a time."""
    yield HEADING
    yield "|---|---|---|---|--:|--:|--:|--:|--:|--:|"
    groups = {outcome.part: group_of(outcome.part) for outcome in outcomes}
    for sanitizer in dict.fromkeys(outcome.sanitizer for outcome in outcomes):
        for group in (*GROUPS, OTHERS):
            rows = [
                outcome
                for outcome in outcomes
                if outcome.sanitizer == sanitizer and groups[outcome.part] == group
            ]
            if rows:
                yield _line(group, sanitizer, rows)


def _line(group: str, sanitizer: str, rows: Sequence[Outcome]) -> str:
    cells = (
        group,
        sanitizer,
        ", ".join(sorted({row.day for row in rows})),
        ", ".join(sorted({row.commit for row in rows})),
        f"{len(rows)} of {len(parts([group])) if group in GROUPS else len(rows)}",
        sum(row.passed for row in rows),
        sum(row.skipped for row in rows),
        sum(row.reports for row in rows),
        sum(bool(row.fault) for row in rows),
        f"{sum(row.seconds for row in rows) / 60:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"
