"""Resolves a collection's `modelPath` below the one directory that the operator opened.

A remote client chooses the setting, so it must not reach any other file of the machine.
"""

from __future__ import annotations

from pathlib import Path

from weftdb.core.config import ModulesConfig
from weftdb.core.errors import SchemaViolation


def resolve_model_path(text: str, config: ModulesConfig, *, module: str) -> Path:
    """The model's directory. Raises SchemaViolation if it is outside or not there."""
    if not config.models_directory:
        raise SchemaViolation(
            f"module '{module}': modelPath is set, but this node has no models directory: "
            "start it with WEFTDB_MODELS_DIRECTORY"
        )
    root = Path(config.models_directory).resolve()
    path = (root / text).resolve()
    if path != root and root not in path.parents:
        raise SchemaViolation(
            f"module '{module}': modelPath {text!r} leads out of the models directory"
        )
    if not path.is_dir():
        raise SchemaViolation(
            f"module '{module}': modelPath {text!r} is no directory in the models directory"
        )
    return path
