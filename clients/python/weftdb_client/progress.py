"""Progress: how far a long operation is, as a bar on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

LINE_INTERVAL_S = 5.0
"""Without a terminal (logs, pipes) a line comes at most this often."""


class Progress:
    """Counts and shows. Works without the package `rich`, then by lines."""

    def __init__(
        self,
        label: str,
        *,
        total: int | None = None,
        is_shown: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self._label = label
        self._total = total
        self._is_shown = is_shown
        self._stream = stream or sys.stderr
        self._bar: Any = None
        self._task: Any = None
        self._started_s = self._line_s = 0.0
        self.count = 0

    def start(self) -> None:
        """Begin."""
        self._started_s = self._line_s = time.monotonic()
        if self._is_shown and self._stream.isatty():
            self._bar = _rich_bar(self._stream)
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total)

    def advance(self, count: int) -> None:
        """Add `count` to what is done."""
        self.count += count
        if self._bar is not None:
            self._bar.update(self._task, advance=count)
        elif self._is_shown and time.monotonic() - self._line_s >= LINE_INTERVAL_S:
            self._line()

    def stop(self) -> None:
        """End; says the final count."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif self._is_shown:
            self._line()

    def _line(self) -> None:
        self._line_s = time.monotonic()
        elapsed = max(self._line_s - self._started_s, 1e-9)
        of_total = f"/{self._total:,}" if self._total is not None else ""
        rate = self.count / elapsed
        print(f"{self._label}: {self.count:,}{of_total} ({rate:,.0f}/s)", file=self._stream)


def _rich_bar(stream: TextIO) -> Any:
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar
    except ImportError:
        return None
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=stream),
    )
