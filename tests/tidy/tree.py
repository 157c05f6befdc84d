"""The tree as the tidy tests see it: which files are ours, and the listed exceptions.

`exceptions.toml` names what may break a rule, with a reason and the measure it has today. An entry
may only shrink: it fails when the file grows past it, and when the rule holds without it.
"""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("core", "storage", "index", "modules", "engine", "cluster", "server", "proto")
PYTHON_FOLDERS = (*LAYERS, "clients", "tests", "benchmarks")
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def is_generated(path: Path) -> bool:
    """True for what a tool writes: message classes and copies of them."""
    return path.name.endswith(GENERATED)


@cache
def python_files() -> tuple[Path, ...]:
    """Every Python file of ours, through the real folders, generated ones left out."""
    found = [path for folder in PYTHON_FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(path for path in found if not is_generated(path)))


@cache
def native_files() -> tuple[Path, ...]:
    """Every C++ file of ours."""
    folders = (ROOT / "index" / "kernels" / "src", ROOT / "server" / "grpc" / "src")
    return tuple(sorted(path for folder in folders for path in folder.rglob("*.[ch]*")))


@cache
def tracked_files() -> tuple[Path, ...]:
    """What git tracks, or everything that is not built, in a tree without git (an sdist)."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode == 0:
        names = [name for name in answer.stdout.decode().split("\0") if name]
        paths = [ROOT / name for name in names]
    else:
        paths = [*python_files(), *native_files(), *ROOT.glob("*.md")]
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


@cache
def exceptions(rule: str) -> dict[str, int]:
    """The listed exceptions of one rule: name to the measure it may have."""
    table = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())
    entries = table.get(rule, [])
    for entry in entries:
        assert entry["reason"], f"{rule}: {entry['name']} needs a reason"
    return {entry["name"]: entry["measure"] for entry in entries}


def relative(path: Path) -> str:
    """The path as people write it."""
    return path.relative_to(ROOT).as_posix()
