"""Kernels: chooses between the native element loops and their NumPy twin.

`IMPLEMENTATION` names what this process uses unless an engine's settings say otherwise: `native` or
`reference`. Importing this package stays cheap; the extension is loaded at first use.
"""

from __future__ import annotations

import importlib
import logging
from functools import cache

from weftdb.core.config import IndexConfig
from weftdb.index.kernels.abc import Kernels
from weftdb.index.kernels.reference import ReferenceKernels

_log = logging.getLogger(__name__)

CHOICES = ("auto", "native", "reference")


@cache
def load_kernels(choice: str) -> Kernels:
    """Give the kernels of `IndexConfig.kernels`: `auto`, `native` or `reference`.

    Raises ValueError for another word, and ImportError with the reason if `native` was asked for
    and cannot be loaded. `auto` falls back to `reference` and says so in the log.
    """
    if choice not in CHOICES:
        raise ValueError(f"kernels must be one of {', '.join(CHOICES)}, not {choice!r}")
    if choice == "reference":
        return ReferenceKernels()
    try:
        module = importlib.import_module("weftdb.index.kernels.native")
    except ImportError as error:
        reason = f"the native extension weftdb.index.kernels._native cannot be loaded: {error}"
        if choice == "native":
            raise ImportError(reason) from error
        _log.warning("%s; falling back to the reference kernels, which are slow", reason)
        return ReferenceKernels()
    kernels: Kernels = module.NativeKernels()
    return kernels


def __getattr__(name: str) -> str:
    if name == "IMPLEMENTATION":
        return load_kernels(IndexConfig().kernels).name
    raise AttributeError(name)
