"""Journal: everything that happened in a run, in order; its hash says whether two runs are one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `actor` is a node, a client or the world; `about` the key it concerns, if any."""

    at: float
    actor: str
    verb: str
    text: str
    about: bytes | None = None

    def __str__(self) -> str:
        return f"{self.at:10.4f}  {self.actor:<8} {self.verb:<9} {self.text}"


class Complaints(logging.Handler):
    """What the server logs as an error in one run; the rest of what it logs is thrown away."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error."""
        if record.levelno >= logging.ERROR:
            why = "" if not record.exc_info else f": {record.exc_info[1]!r}"
            self.found.append(record.getMessage() + why)


class Journal:
    """The entries of one run."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def note(
        self, at: float, actor: str, verb: str, text: str, *, about: bytes | None = None
    ) -> None:
        """Add an entry."""
        self.entries.append(Entry(at, actor, verb, text, about))

    def digest(self) -> str:
        """16 bytes in hexadecimal that any difference between two journals changes."""
        whole = blake2b(digest_size=16)
        for entry in self.entries:
            whole.update(f"{entry.at!r}|{entry.actor}|{entry.verb}|{entry.text}\n".encode())
        return whole.hexdigest()

    def of_key(self, key: bytes, last: int) -> list[Entry]:
        """The last entries that concern a key, and those that concern everyone (faults)."""
        assert last > 0, last
        found = [one for one in self.entries if one.about == key or one.actor == "world"]
        return found[-last:]
