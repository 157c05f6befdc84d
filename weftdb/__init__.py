"""WeftDB: one vector database engine as a library, a service and a cluster."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weftdb.client import connect
    from weftdb.client.connecting import open_embedded as open
    from weftdb.core.memory_estimate import estimate_memory

__version__ = "0.1.0"

__all__ = ["__version__", "connect", "estimate_memory", "open"]

_LATE = {
    "connect": ("weftdb.client.connecting", "connect"),
    "estimate_memory": ("weftdb.core.memory_estimate", "estimate_memory"),
    "open": ("weftdb.client.connecting", "open_embedded"),
}
"""Names that are imported at their first use, so that `import weftdb` stays quick."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'weftdb' has no attribute {name!r}")
    module, attribute = _LATE[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
