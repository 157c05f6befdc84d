"""Checker: holds what every read path shows against what the writers were told. Pure.

A `Sighting` says, for one key, which revision each path shows. The object store, keyword search,
filter and vector search must all show the same revision, and it must be an allowed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .ledger import ABSENT, Entry

PATHS = ("keyword", "filter", "vector")


@dataclass(slots=True)
class Sighting:
    """What the read paths show of one key."""

    stored: int = ABSENT
    """Revision in the object store; ABSENT when there is no such object."""
    intact: bool = True
    """Properties and vector of the stored object belong to its revision."""
    keyword: set[int] = field(default_factory=set)
    """Revisions whose unique word finds the object."""
    filter: set[int] = field(default_factory=set)
    """Revisions whose unique tag finds the object."""
    vector: set[int] = field(default_factory=set)
    """Revisions whose vector finds the object at distance zero."""
    looked_for: bool = True
    """False when only the store and the listings were read, not each path by revision."""
    listings: dict[str, bool] = field(default_factory=dict)
    """Path name to whether the listing of all objects over that path shows the key."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    key: str
    what: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}"


def check_entry(entry: Entry, sighting: Sighting) -> list[Violation]:
    """Everything wrong with one key."""
    found = []
    stored = sighting.stored
    if stored not in entry.allowed:
        allowed = " or ".join(revision_name(item) for item in sorted(entry.allowed))
        found.append(f"the store shows {revision_name(stored)}, but {allowed} was promised")
    if not sighting.intact:
        found.append(f"the stored object mixes revisions at {revision_name(stored)}")
    expected = set() if stored == ABSENT else {stored}
    if sighting.looked_for:
        for path in PATHS:
            shown: set[int] = getattr(sighting, path)
            if shown != expected:
                found.append(f"{path} search shows {sorted(shown)}, the store {sorted(expected)}")
    for path, listed in sorted(sighting.listings.items()):
        if listed != (stored != ABSENT):
            found.append(f"the {path} listing {'shows' if listed else 'lacks'} it wrongly")
    return [Violation(entry.key, what) for what in found]


def revision_name(revision: int) -> str:
    """How a message calls a revision."""
    return "no object" if revision == ABSENT else f"revision {revision}"


def check_all(
    entries: Mapping[str, Entry],
    sightings: Mapping[str, Sighting],
    *,
    strangers: set[str],
    counted: int,
) -> list[Violation]:
    """Everything wrong after one restart.

    `strangers` are stored ids that no writer ever wrote (or that were retired as deleted);
    `counted` is what the server says it holds.
    """
    found = [Violation(key, "stored, but nobody wrote it") for key in sorted(strangers)]
    for key, entry in entries.items():
        found += check_entry(entry, sightings.get(key, Sighting()))
    stored = len(strangers) + sum(item.stored != ABSENT for item in sightings.values())
    if counted != stored:
        found.append(Violation("*", f"the count says {counted}, the listing has {stored}"))
    return found
