"""Tables: on a terminal with rich, plain lines elsewhere."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from weftdb.server.cli.screen import show_table


def show() -> None:
    show_table("[title]", ["a", "b"], [["x\ny", "long " * 50]])


def test_a_table_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show()
    output = capsys.readouterr().out
    assert "[title]" in output
    assert "x y" in output
    assert "…" in output


def test_lines_elsewhere_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show()
    assert capsys.readouterr().out == "a\tb\nx y\t" + ("long " * 50).strip() + "\n"


def test_a_terminal_without_rich_gets_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = builtins.__import__

    def without_rich(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(builtins, "__import__", without_rich)
    show()
    assert capsys.readouterr().out.startswith("a\tb\n")
