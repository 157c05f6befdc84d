"""Progress: a bar on a terminal, lines elsewhere, silence when asked for."""

from __future__ import annotations

import io

import pytest

from weftdb.client import progress
from weftdb.client.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    stream = io.StringIO()
    shown = Progress("importing", total=10, stream=stream)
    shown.start()
    shown.advance(4)
    shown.advance(6)
    shown.stop()
    lines = stream.getvalue().splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "importing: 4/10",
        "importing: 10/10",
        "importing: 10/10",
    ]


def test_a_bar_on_a_terminal() -> None:
    pytest.importorskip("rich")
    stream = Terminal()
    shown = Progress("importing", total=10, stream=stream)
    shown.start()
    shown.advance(10)
    shown.stop()
    assert "10/10" in stream.getvalue()


def test_a_terminal_without_rich_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_rich_bar", lambda stream: None)
    stream = Terminal()
    shown = Progress("importing", stream=stream)
    shown.start()
    shown.advance(2)
    shown.stop()
    assert stream.getvalue().startswith("importing: 2 (")


def test_silence() -> None:
    stream = io.StringIO()
    shown = Progress("importing", is_shown=False, stream=stream)
    shown.start()
    shown.advance(2)
    shown.stop()
    assert (stream.getvalue(), shown.count) == ("", 2)
