"""Damage: what may happen to the files of a folder behind the back of their owner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

VERBS = ("cut", "flip", "lose", "empty", "lengthen", "swap", "outdate", "scramble")


def damage(
    folder: Path,
    verb: str,
    which: int,
    *,
    random: np.random.Generator,
    earlier: Mapping[str, bytes],
) -> None:
    """Do `verb` to one file of `folder`, the `which`-th around. `earlier` has what the files were
    some time ago: to outdate one is to put that back."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return
    file = files[which % len(files)]
    content = bytearray(file.read_bytes())
    spot = int(random.integers(0, max(len(content), 1)))
    if verb == "lose":
        file.unlink()
    elif verb == "cut":
        file.write_bytes(content[:spot])
    elif verb == "empty":
        file.write_bytes(b"")
    elif verb == "lengthen":
        file.write_bytes(content + random.bytes(spot % 5_000))
    elif verb == "scramble":
        content[spot : spot + 64] = random.bytes(len(content[spot : spot + 64]))
        file.write_bytes(content)
    elif verb == "swap":
        other = files[(which + 1) % len(files)]
        file.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif verb == "outdate":
        if file.name in earlier:
            file.write_bytes(earlier[file.name])
    elif content:
        content[spot] ^= 1 << int(random.integers(0, 8))
        file.write_bytes(content)
