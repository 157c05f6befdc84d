"""The runner of golden scripts notices a changed answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from .script import play

SCRIPT = """# Says everything twice.

# Prose stands alone.

say a
say b
---
a a
b b

quiet
---
"""


def twice(command: str) -> str:
    return " ".join([command.removeprefix("say ")] * 2) if command.startswith("say") else ""


def test_a_script_that_holds_passes(tmp_path: Path) -> None:
    path = tmp_path / "twice"
    path.write_text(SCRIPT)
    play(path, twice)
    assert path.read_text() == SCRIPT


def test_a_changed_answer_fails_until_the_script_is_updated(tmp_path: Path) -> None:
    path = tmp_path / "twice"
    path.write_text(SCRIPT.replace("b b", "b"))
    with pytest.raises(AssertionError, match="played otherwise"):
        play(path, twice)
    play(path, twice, update=True)
    assert path.read_text() == SCRIPT
