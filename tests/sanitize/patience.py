"""Patience: under a sanitizer a wait for links may take ten times as long as the test thinks.

What hangs is stopped by the time of its part. On a machine that does much else, a test's own minute
is soon over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

TIMES = 10


def be_patient() -> None:
    """Let every wait for links of this process take longer."""
    from weftdb.index.building import BuildingIndex
    from weftdb.index.native_index import NativeIndex

    for owner in (BuildingIndex, NativeIndex):
        owner.wait_indexed = _longer(owner.wait_indexed)  # type: ignore[method-assign]


def _longer(wait: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(wait)
    def wait_longer(index: Any, timeout_s: float) -> bool:
        return wait(index, timeout_s * TIMES)

    return wait_longer
