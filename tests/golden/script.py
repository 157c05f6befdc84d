"""A golden script: blocks of commands, `---`, and the output that they must produce.

    script  := block (blank-line block)*
    block   := comment-line* command-line* "---" output-line*       # or lines without "---": prose

A line that starts with `#` is a comment. Each command is given to `execute`, whose text (which may
have several lines, or none) is its output. One script is one life of the value: state lasts from
block to block. `pytest --golden-update` rewrites what the scripts expect; the diff is the review.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Execute = Callable[[str], str]


def play(path: Path, execute: Execute, *, update: bool = False) -> None:
    """Execute every block of `path` and compare; with `update`, rewrite what is expected."""
    written = path.read_text(encoding="utf-8")
    blocks = written.strip("\n").split("\n\n")
    played = "\n\n".join(_play_block(block, execute) for block in blocks) + "\n"
    if update and played != written:
        path.write_text(played, encoding="utf-8")
        return
    assert played == written, f"{path.name} is played otherwise: see pytest --golden-update"


def _play_block(block: str, execute: Execute) -> str:
    lines = block.split("\n")
    if "---" not in lines:
        return block
    source = lines[: lines.index("---")]
    outputs = [execute(line) for line in source if line and not line.startswith("#")]
    return "\n".join([*source, "---", *(output for output in outputs if output)])
