"""The style of the source text that no linter checks: sizes, docstrings, names, exports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from .tree import (
    LAYERS,
    ROOT,
    exceptions,
    native_files,
    python_files,
    relative,
)

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
BANNED_PARTS = {"Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Data", "Info", "Base"}
PRODUCT = tuple(path for path in python_files() if relative(path).split("/")[0] in LAYERS)


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def over_limit(rule: str, measures: dict[str, int], limit: int) -> list[str]:
    """Measures past the limit that no exception covers, and exceptions that have to go."""
    listed = exceptions(rule)
    grown = [
        f"{name}: {measure} > {listed.get(name, limit)}"
        for name, measure in measures.items()
        if measure > listed.get(name, limit)
    ]
    stale = [f"{name}: remove its exception" for name in listed if measures.get(name, 0) <= limit]
    return grown + stale


def test_files_are_short() -> None:
    lines = {
        relative(path): path.read_text(encoding="utf-8").count("\n")
        for path in (*python_files(), *native_files())
    }
    assert over_limit("file_lines", lines, FILE_LINES_MAX) == [], "split along a noun"


def test_functions_are_short() -> None:
    lines: dict[str, int] = {}
    for path in python_files():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                name = f"{relative(path)}:{node.name}"
                lines[name] = max(lines.get(name, 0), node.end_lineno - node.lineno + 1)
    assert over_limit("function_lines", lines, FUNCTION_LINES_MAX) == []


def test_modules_say_what_they_own() -> None:
    silent = [
        relative(path)
        for path in python_files()
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(parse(path))
    ]
    assert silent == []


def test_native_files_say_what_they_own() -> None:
    """A header says it for the source file of its name."""

    def speaks(path: Path) -> bool:
        return path.is_file() and path.read_text(encoding="utf-8").lstrip().startswith("//")

    silent = [
        relative(path)
        for path in native_files()
        if not speaks(path) and not speaks(path.with_suffix(".h"))
    ]
    assert silent == []


def test_no_broad_except() -> None:
    """A handler that ends in `raise` translates; it may be broad, because it hides nothing."""
    listed = exceptions("broad_except")
    broad: dict[str, int] = {}
    for path in PRODUCT:
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.ExceptHandler) or isinstance(node.body[-1], ast.Raise):
                continue
            names = [] if node.type is None else ast.walk(node.type)
            caught = {item.id for item in names if isinstance(item, ast.Name)}
            if node.type is None or caught & {"Exception", "BaseException"}:
                broad[relative(path)] = broad.get(relative(path), 0) + 1
    assert over_limit("broad_except", broad, 0) == [], f"listed: {sorted(listed)}"


def name_parts(name: str) -> set[str]:
    """The words of a CamelCase or snake_case name, capitalised."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", name)
    return {word.capitalize() for word in words}


def test_no_empty_words_in_names() -> None:
    found: dict[str, int] = {}
    for path in python_files():
        if name_parts(path.stem) & BANNED_PARTS:
            found[relative(path)] = 1
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef) and name_parts(node.name) & BANNED_PARTS:
                found[f"{relative(path)}:{node.name}"] = 1
    assert over_limit("banned_name", found, 0) == [], "say what it is instead"


def exported_names(tree: ast.Module) -> list[str] | None:
    """The strings of `__all__`, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = [item.id for item in node.targets if isinstance(item, ast.Name)]
            if targets == ["__all__"]:
                return [str(item) for item in ast.literal_eval(node.value)]
    return None


@pytest.mark.parametrize("folder", ["weftdb", *LAYERS, "clients"])
def test_exports_are_sorted(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        names = exported_names(parse(path))
        if names is not None:
            assert names == sorted(names), relative(path)
            assert len(set(names)) == len(names), relative(path)


def test_only_one_module_reads_the_environment() -> None:
    allowed = {"core/config.py", "server/settings.py"}
    readers = [
        relative(path)
        for path in PRODUCT
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    ]
    assert set(readers) <= allowed, "settings are parsed once, at the edge"


def test_exceptions_from_the_checkers_have_their_reason() -> None:
    """`# noqa: X  # why`, and the same for `type: ignore`."""
    bare = re.compile(r"#\s*(noqa|type: ignore)\b[^#]*$")
    found = []
    for path in python_files():
        if relative(path).startswith(("tests/", "benchmarks/")):
            continue  # Not type-checked, and free to do odd things.
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if bare.search(line):
                found.append(f"{relative(path)}:{number}: {line.strip()}")
    assert found == []
