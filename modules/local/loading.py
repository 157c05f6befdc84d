"""LoadedModels: in-process models by directory, each loaded once, at its first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from weftdb.core.errors import CorruptData, ModuleFailure

Model = TypeVar("Model")

MODELS_MAX = 16
"""Distinct models in memory; a collection that needs one more gets an error that says so."""


class LoadedModels(Generic[Model]):
    """Loads and keeps models. Thread-safe: two first uses load once."""

    def __init__(self, module: str, load: Callable[[Path | None], Model]) -> None:
        self._module = module
        self._load = load
        self._lock = threading.Lock()
        self._models: dict[Path | None, Model] = {}

    def get(self, directory: Path | None) -> Model:
        """The model in `directory` (None: the built-in one). Raises ModuleFailure with the cause.

        A failure is not remembered: the next call tries again.
        """
        model = self._models.get(directory)
        if model is not None:
            return model
        with self._lock:
            model = self._models.get(directory)
            if model is None:
                if len(self._models) >= MODELS_MAX:
                    raise ModuleFailure(
                        f"module '{self._module}': {MODELS_MAX} models are loaded, no room for "
                        f"{directory}"
                    )
                model = self._models[directory] = self._loaded(directory)
        return model

    def _loaded(self, directory: Path | None) -> Model:
        try:
            return self._load(directory)
        except (OSError, CorruptData) as error:
            where = directory if directory is not None else "the built-in model"
            raise ModuleFailure(f"module '{self._module}': cannot load {where}: {error}") from error
