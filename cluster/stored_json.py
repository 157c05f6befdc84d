"""StoredJson: reads agreed metadata back, and says what is wrong with it.

Metadata that does not follow its format is `CorruptData`: a node that guessed would write objects
where nobody looks for them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from weftdb.core.errors import CorruptData


class StoredJson:
    """A JSON object of the metadata, with typed access. `subject` names it in messages."""

    __slots__ = ("_body", "subject")

    def __init__(self, value: bytes, *, subject: str, format_version: int) -> None:
        self.subject = subject
        try:
            body = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"no JSON: {error}") from None
        if not isinstance(body, dict):
            raise self.damaged("not a JSON object")
        self._body: dict[str, Any] = body
        if (found := body.get("format")) != format_version:
            raise self.damaged(f"format {found!r}, and this build reads {format_version}")

    def damaged(self, what: str) -> CorruptData:
        """The error that says `what` is wrong."""
        return CorruptData(f"{self.subject} is damaged: {what}")

    def check(self, holds: object, what: str) -> None:
        """Raise CorruptData with `what` unless `holds`."""
        if not holds:
            raise self.damaged(what)

    def number(self, key: str, *, at_least: int = 0, is_optional: bool = False) -> int:
        """The whole number at `key`; a missing one is 0 where it is optional."""
        value = self._body.get(key, 0 if is_optional else None)
        return self.whole(value, key, at_least=at_least)

    def text(self, key: str) -> str:
        """The text at `key`, which may be empty."""
        value = self._body.get(key)
        self.check(isinstance(value, str), f"{key} is {value!r}, not a text")
        return str(value)

    def flag(self, key: str) -> bool:
        """Whether true stands at `key`; a missing one is false."""
        value = self._body.get(key, False)
        self.check(isinstance(value, bool), f"{key} is {value!r}, not true or false")
        return bool(value)

    def items(self, key: str, *, is_optional: bool = False) -> list[Any]:
        """The list at `key`; a missing one is empty where it is optional."""
        value: Any = self._body.get(key, [] if is_optional else None)
        self.check(isinstance(value, list), f"{key} is {value!r}, not a list")
        return list(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """The object at `key`."""
        value = self._body.get(key)
        self.check(isinstance(value, dict), f"{key} is {value!r}, not an object")
        return dict(value or {})

    def names(self, key: str) -> list[str]:
        """The list of different names at `key`."""
        found = self.items(key)
        for name in found:
            self.check(isinstance(name, str) and name, f"{key} has {name!r}, which is no name")
        self.check(len(set(found)) == len(found), f"{key} names something twice: {found}")
        return found

    def row(self, value: Any, where: str, *, sizes: Collection[int]) -> Sequence[Any]:
        """`value`, if it is a list of one of `sizes`."""
        is_row = isinstance(value, list) and len(value) in sizes
        self.check(is_row, f"{where} is {value!r}")
        return list(value)

    def whole(self, value: Any, where: str, *, at_least: int = 0, below: int | None = None) -> int:
        """`value`, if it is a whole number in its bounds."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        self.check(is_whole, f"{where} is {value!r}, not a whole number")
        self.check(value >= at_least, f"{where} is {value}, and at least {at_least} is needed")
        self.check(below is None or value < below, f"{where} is {value}, and {below} are there")
        return int(value)

    def chosen(self, value: Any, names: Sequence[str], where: str) -> tuple[str, ...]:
        """The different names whose positions in `names` the list `value` holds."""
        self.check(isinstance(value, list), f"{where} is {value!r}, not a list")
        found = [names[self.whole(at, where, below=len(names))] for at in value]
        self.check(len(set(found)) == len(found), f"{where} names something twice: {found}")
        return tuple(found)
