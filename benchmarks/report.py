"""Report: a run as a page to read and a file to compare."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .floors import Floor

FOLDER = Path(__file__).parent / "results"


def as_plain(value: Any) -> Any:
    """Dataclasses, bytes and tuples as JSON has them; replies are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: as_plain(getattr(value, item.name))
            for item in dataclasses.fields(value)
            if item.name != "replies"
        }
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value


def write_report(
    name: str,
    *,
    machine: Mapping[str, str],
    results: Mapping[str, Any],
    floors: Sequence[Floor],
    folder: Path = FOLDER,
) -> Path:
    """Write `<name>.md` and `<name>.json`; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = as_plain(results)
    content = {"machine": dict(machine), "results": plain, "floors": as_plain(list(floors))}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    page = folder / f"{name}.md"
    page.write_text("\n".join(page_lines(name, machine, plain, floors)) + "\n", encoding="utf-8")
    return page


def page_lines(
    name: str, machine: Mapping[str, str], results: Mapping[str, Any], floors: Sequence[Floor]
) -> list[str]:
    """The page, line by line."""
    lines = [f"# Benchmark {name}", "", "## Floors", ""]
    lines += ["| verdict | promise | value | bound | numbers |", "|---|---|---:|---:|---|"]
    for floor in floors:
        sign = "≤" if floor.at_most else "≥"
        lines.append(
            f"| {floor.verdict} | {floor.name} | {floor.value:.3g} {floor.unit} "
            f"| {sign} {floor.bound:g} | {floor.detail} |"
        )
    lines += ["", "## Numbers", ""]
    for part, values in results.items():
        lines += [f"### {part}", "", *_table(values), ""]
    lines += ["## Machine", "", "| what | which |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in machine.items()]
    return lines


def _table(values: Any, prefix: str = "") -> list[str]:
    """Nested values as rows of dotted names."""
    rows = ["| what | value |", "|---|---:|"] if not prefix else []
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    for key, value in items:
        name = f"{prefix}{key}"
        if isinstance(value, Mapping | list):
            rows += _table(value, f"{name}.")
        elif isinstance(value, float):
            rows.append(f"| {name} | {value:,.4g} |")
        elif value not in ("", None):
            rows.append(f"| {name} | {value} |")
    return rows
