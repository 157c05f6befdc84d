"""The demo's questions, asked through the official client and again through the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

LIMIT = 5
SHOWN = ("name", "kind", "lines", "docstring")


@dataclass(frozen=True)
class Question:
    """One search. `conditions` are (property, operator of the Filter, value)."""

    way: str
    query: str
    expects: str
    """A name that must be among the hits: the demo checks that they are relevant."""
    conditions: tuple[tuple[str, str, Any], ...] = ()

    @property
    def title(self) -> str:
        """What the demo prints above the hits."""
        where = " and ".join(f"{name} {verb} {value}" for name, verb, value in self.conditions)
        return f"{self.way}: {self.query!r}" + (f", where {where}" if where else "")


QUESTIONS = (
    Question("keyword", "least recently used cache decorator", "functools.lru_cache"),
    Question("meaning", "shorten a long paragraph of text to a given width", "textwrap"),
    Question("hybrid", "compare two sequences of lines and show the differences", "difflib"),
    Question(
        "hybrid",
        "open a compressed archive and extract its members",
        "zipfile",
        (("kind", "equal", "class"), ("lines", "greater_than", 100)),
    ),
)


@dataclass(frozen=True)
class Hit:
    """One hit, comparable between clients."""

    id: str
    rank: float
    properties: dict[str, Any]


class Asked(Protocol):
    """A collection of either client: both have the same verbs."""

    @property
    def query(self) -> Any:
        """The searches."""
        ...


def ask(collection: Asked, question: Question, classes: Any) -> list[Hit]:
    """Search. `classes` holds the client's own Filter and MetadataQuery."""
    filters = None
    for name, verb, value in question.conditions:
        condition = getattr(classes.Filter.by_property(name), verb)(value)
        filters = condition if filters is None else filters & condition
    options = {
        "query": question.query,
        "limit": LIMIT,
        "filters": filters,
        "return_metadata": classes.MetadataQuery(score=True, distance=True),
        "return_properties": list(SHOWN),
    }
    method = {"keyword": "bm25", "meaning": "near_text", "hybrid": "hybrid"}[question.way]
    found = getattr(collection.query, method)(**options).objects
    return [_hit(item, question.way) for item in found]


def _hit(item: Any, way: str) -> Hit:
    rank = item.metadata.distance if way == "meaning" else item.metadata.score
    return Hit(str(item.uuid), float(rank), dict(item.properties))


def is_relevant(hits: Sequence[Hit], question: Question) -> bool:
    """Whether the expected name is among the hits."""
    return any(question.expects in hit.properties["name"] for hit in hits)
