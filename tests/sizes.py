"""How much a test works with: less under a sanitizer, where native code is 5 to 20 times slower.

What a sanitizer finds it finds in a small index as in a large one, so long as the same code runs:
more than 1,024 vectors are linked, more than a seventh of them deleted begin a compaction. Graphs
that are made with less care have less recall; how good answers are is not asked for there.
"""

from __future__ import annotations

import os

import pytest

from weftdb.core.schema import HnswSettings

SANITIZER = os.environ.get("WEFTDB_SANITIZER", "")
"""Under which one the tests run; empty as a rule."""


def sized(usual: int, *, sanitized: int) -> int:
    """A size for this run."""
    return sanitized if SANITIZER else usual


def recall_floor(usual: float) -> float:
    """The recall that a test asks for."""
    return min(usual, 0.5) if SANITIZER else usual


EF_CONSTRUCTION = sized(HnswSettings().ef_construction, sanitized=24)
"""For graphs of tests that do not ask for another one."""

measures = pytest.mark.skipif(
    bool(SANITIZER), reason="it measures how good answers are, on paths that other tests take, too"
)
"""Goes on tests that a sanitizer would learn nothing from."""
