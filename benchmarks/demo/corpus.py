"""Corpus: the docstrings of the Python that runs this, so that every machine has a real text.

Source files of the standard library and of installed packages are parsed, not imported: nothing
of them runs. Tests and vendored copies are left out.
"""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

DOCSTRING_CHARS_MIN = 30
SKIPPED_FOLDERS = {"test", "tests", "idlelib", "lib2to3", "_vendor", "site-packages", "__pycache__"}
PACKAGES = ("numpy", "rich", "httpx", "hypothesis", "fastapi", "uvicorn")
"""Installed packages with good docstrings; the ones that are not there are passed over."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Document:
    """One documented thing."""

    package: str
    module: str
    name: str
    kind: str
    signature: str
    docstring: str
    lines: int

    def properties(self) -> dict[str, str | int]:
        """The object's properties."""
        return asdict(self)


def gather() -> list[Document]:
    """Every document, in an order that only depends on what is installed."""
    library = Path(sysconfig.get_path("stdlib"))
    documents = list(_of_folder(library, library, "python"))
    installed = Path(sysconfig.get_path("purelib"))
    for package in PACKAGES:
        documents += _of_folder(installed / package, installed, package)
    return documents


def _of_folder(folder: Path, root: Path, package: str) -> Iterator[Document]:
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIPPED_FOLDERS.isdisjoint(parts):
            module = ".".join(part for part in parts if part != "__init__")
            yield from _of_file(path, module, package)


def _of_file(path: Path, module: str, package: str) -> Iterator[Document]:
    try:
        with warnings.catch_warnings():
            # Old files have escapes that today's compiler warns of.
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    yield from _of_node(tree, module, module, package, parent="")


def _of_node(
    node: Documented, name: str, module: str, package: str, *, parent: str
) -> Iterator[Document]:
    kind = _kind(node, parent)
    text = ast.get_docstring(node)
    if text is not None and len(text) >= DOCSTRING_CHARS_MIN:
        yield Document(package, module, name, kind, _signature(node), text, _lines(node))
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _of_node(child, f"{name}.{child.name}", module, package, parent=kind)


def _kind(node: Documented, parent: str) -> str:
    if isinstance(node, ast.Module):
        return "module"
    if isinstance(node, ast.ClassDef):
        return "class"
    return "method" if parent == "class" else "function"


def _signature(node: Documented) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"{node.name}({ast.unparse(node.args)})"
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}({', '.join(ast.unparse(item) for item in node.bases)})"
    return ""


def _lines(node: Documented) -> int:
    if isinstance(node, ast.Module):
        return max((child.end_lineno or 0 for child in node.body), default=0)
    return (node.end_lineno or node.lineno) - node.lineno + 1
