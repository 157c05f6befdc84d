"""Imports optional packages late, and says how to install the ones that are missing."""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import Any

from weftdb.core.errors import ModuleFailure


def require(package: str, *, purpose: str, extra: str = "local") -> Any:
    """Import `package`. Raises ModuleFailure naming the extra that brings it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ModuleFailure(
            f"{purpose} needs the package {package!r}, which cannot be imported ({error}): "
            f"pip install weftdb[{extra}]"
        ) from error


def package_file(distribution: str, path: str) -> Path:
    """Locate a file that an installed distribution brought, without importing it.

    Raises ModuleFailure if the distribution or the file is not there.
    """
    try:
        located = Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError:
        raise ModuleFailure(
            f"in-process embedding takes its weights from the package {distribution!r}, "
            f"which is not installed: pip install weftdb[local]"
        ) from None
    if not located.is_file():
        raise ModuleFailure(f"the installed package {distribution!r} has no file {path}")
    return located
