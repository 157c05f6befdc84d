"""Setting values: text of the environment, or plain values of YAML, to what a setting holds.

Every reader says what it expects, so that an error can name variable, value and expectation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weftdb.core.limits import KiB, MiB

_TRUE = ("true", "on", "1", "enabled", "yes")
_FALSE = ("false", "off", "0", "disabled", "no", "")
_NEVER = ("", "0", "0.0")
_SIZES = {"": 1, "b": 1, "kib": KiB, "mib": MiB, "gib": 1024 * MiB, "kb": 10**3, "mb": 10**6}
_SIZE = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


class BadValue(Exception):
    """A value that its setting cannot hold; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads values of one kind. `read` raises BadValue."""

    read: Callable[[Any], Any]
    expected: str


def _reader(expected: str, parse: Callable[[Any], Any]) -> Reader:
    def read(value: Any) -> Any:
        try:
            parsed = parse(value)
        except (ValueError, TypeError, BadValue):
            parsed = None
        if parsed is None:
            raise BadValue(expected)
        return parsed

    return Reader(read, expected)


def whole(minimum: int, maximum: int | None = None) -> Reader:
    """A whole number between two bounds, both included."""
    bounds = f"from {minimum} to {maximum}" if maximum is not None else f"of at least {minimum}"

    def parse(value: Any) -> int | None:
        if isinstance(value, bool | float):
            return None
        number = int(value)
        return number if minimum <= number <= (number if maximum is None else maximum) else None

    return _reader(f"a whole number {bounds}", parse)


def size(minimum: int) -> Reader:
    """A number of bytes; text may carry a unit: 64MiB, 1GiB, 500kB."""

    def parse(value: Any) -> int | None:
        if isinstance(value, bool | float):
            return None
        match = _SIZE.fullmatch(str(value).strip())
        if match is None or match[2].lower() not in _SIZES:
            return None
        count = int(match[1]) * _SIZES[match[2].lower()]
        return count if count >= minimum else None

    return _reader(f"a size of at least {minimum} bytes, such as 67108864 or 64MiB", parse)


UNBOUNDED = 2**60
"""What a budget that is `off` becomes: more than any machine has."""


def _budget(value: Any) -> int | None:
    if str(value).strip().lower() == "off":
        return UNBOUNDED
    number: int = size(0).read(value)
    return number


def duration(minimum_s: float) -> Reader:
    """Seconds; text may carry units: 50s, 1m30s, 500ms, and be a schedule: @every 1m."""

    def parse(value: Any) -> float | None:
        text = str(value).strip().removeprefix("@every ")
        if isinstance(value, bool):
            return None
        parts = _DURATION_PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        else:
            seconds = float(text)
        return seconds if minimum_s <= seconds < float("inf") else None

    return _reader(f"a time of at least {minimum_s:g} s, such as 30, 30s or 1m30s", parse)


def _schedule(value: Any) -> float | None:
    text = str(value).strip()
    if text in _NEVER:
        return 0.0
    seconds: float = SECONDS.read(text.removeprefix("@every ").strip())
    return seconds


def choice(options: Sequence[str], *, empty: bool = False) -> Reader:
    """One of a closed list."""
    named = ", ".join(options) + (", or nothing" if empty else "")

    def parse(value: Any) -> str | None:
        text = str(value).strip()
        return text if text in options or (empty and not text) else None

    return _reader(f"one of {named}", parse)


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _text(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) and "\x00" not in value else None


def _filled(value: Any) -> str | None:
    return _text(value) or None


SECONDS = duration(0.1)
BUDGET = _reader("a size such as 4GiB, 0 for the automatic one, or off", _budget)
SCHEDULE = _reader(
    "an interval such as 30s or @every 30s (cron lines are not read), or nothing", _schedule
)
FLAG = _reader("true or false", _flag)
TEXT = _reader("a text", _text)
NAME = _reader("a text that is not empty", _filled)
PORT = whole(0, 65_535)
PATH = _reader("a path", lambda value: Path(value) if _filled(value) else None)
OPTIONAL_PATH = Reader(lambda value: Path(value) if value else None, "a path, or nothing")
