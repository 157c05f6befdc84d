"""Screen: tables on a terminal, tab-separated lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

CELL_CHARS_MAX = 80


def show_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their heads; cells are cut on a terminal, and only there."""
    if sys.stdout.isatty() and _show_rich(title, heads, rows):
        return
    print("\t".join(heads))
    for row in rows:
        print("\t".join(" ".join(cell.split()) for cell in row))


def _show_rich(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Print with the package `rich`; False if it is not there."""
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        return False
    table = Table(title=escape(title), title_justify="left")
    for head in heads:
        table.add_column(escape(head))
    for row in rows:
        table.add_row(*(escape(shortened(cell)) for cell in row))
    Console().print(table)
    return True


def shortened(text: str) -> str:
    """Text on one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= CELL_CHARS_MAX else line[: CELL_CHARS_MAX - 1] + "…"
