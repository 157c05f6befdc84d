"""Where sanitizers write: files, so that no test can swallow the report of a process it started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.sanitize.parts import FOREIGN

VARIABLES = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


class Reports:
    """A folder; every process of a part that reports something leaves a file there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self, part: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment in which a part runs; what it reported earlier is forgotten."""
        log_path = f"log_path={self._folder / _stem(part)}"
        for path in self._files(part):
            path.unlink()
        told = {
            name: f"{environment[name]}{self._foreign(name, part)}:{log_path}"
            for name in VARIABLES
            if name in environment
        }
        return {**environment, **told}

    @staticmethod
    def _foreign(variable: str, part: str) -> str:
        options = FOREIGN.get(variable, {}).get(part)
        return "" if options is None else f":{options}"

    def of(self, part: str) -> str:
        """All that its processes reported."""
        return "\n".join(path.read_text(errors="replace") for path in self._files(part))

    def _files(self, part: str) -> list[Path]:
        return sorted(self._folder.glob(f"{_stem(part)}.[0-9]*"))


def _stem(part: str) -> str:
    return re.sub(r"\W+", "-", part)
