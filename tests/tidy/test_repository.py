"""The repository: readable folders, true commands, nothing of one machine, nothing large."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .tree import LAYERS, ROOT, relative, tracked_files

TRACKED_BYTES_MAX = 1_000_000
FOLDERS = (*LAYERS, "clients/python", "tests", "benchmarks", "docs/decisions", "docs/formats")
TEXT_SUFFIXES = {
    ".py", ".pyi", ".md", ".toml", ".yml", ".yaml", ".txt", ".cpp", ".h", ".proto", ".json", "",
}  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:" + "work|farm|root|home" + r")/\w")


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_has_a_readme_with_its_question(folder: str) -> None:
    readme = ROOT / folder / "README.md"
    assert readme.is_file(), "a page headed by the question that the folder answers"
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# "), folder
    assert "?" in " ".join(lines[:6]), "the question stands at the top"
    assert len(lines) <= 120, "a page"


def test_no_machine_paths() -> None:
    found = []
    for path in tracked_files():
        if path.suffix not in TEXT_SUFFIXES or path.name.endswith(".jsonl"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{relative(path)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_nothing_large_is_tracked() -> None:
    large = [relative(path) for path in tracked_files() if path.stat().st_size > TRACKED_BYTES_MAX]
    assert large == []


def test_nothing_built_is_tracked() -> None:
    built = [relative(path) for path in tracked_files() if path.suffix in {".so", ".pyd", ".pyc"}]
    assert built == []


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, flags=re.MULTILINE))


def markdown_files() -> list[Path]:
    """Every tracked page."""
    return [path for path in tracked_files() if path.suffix == ".md"]


def code_of(page: str) -> str:
    """What a page shows as code: fenced, indented or between backticks."""
    fenced = re.findall(r"```.*?```", page, flags=re.DOTALL)
    indented = re.findall(r"^ {4}.*$", page, flags=re.MULTILINE)
    inline = re.findall(r"`[^`\n]+`", page)
    return "\n".join([*fenced, *indented, *inline])


def test_commands_in_the_pages_exist() -> None:
    targets = make_targets()
    unknown = [
        f"{relative(path)}: make {target}"
        for path in markdown_files()
        for target in re.findall(
            r"(?:^|[`\s])make ([a-z-]+)", code_of(path.read_text(encoding="utf-8"))
        )
        if target not in targets
    ]
    assert unknown == []


def test_links_in_the_pages_lead_somewhere() -> None:
    broken = []
    for path in markdown_files():
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" not in link and not (path.parent / link).exists():
                broken.append(f"{relative(path)}: {link}")
    assert broken == []


def test_decisions_are_numbered_without_gaps() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in records]
    assert numbers == list(range(1, len(numbers) + 1)), [path.name for path in records]
    for listing in (ROOT / "docs" / "decisions" / "README.md", ROOT / "mkdocs.yml"):
        text = listing.read_text(encoding="utf-8")
        assert [path.name for path in records if path.name not in text] == [], listing.name


def test_the_project_refuses_to_run_without_assertions(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-O", "-m", "weftdb", "serve", "--data", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert answer.returncode == 2, "assertions guard the data: python -O must be refused"
    assert "-O" in answer.stderr
