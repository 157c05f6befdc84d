"""Every golden script of searches is played as it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.golden.script import Execute

from .conversation import Conversation

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, golden: Callable[[Path, Execute], None]) -> None:
    golden(path, Conversation())
