"""SearchExplanation: how a vector search went, for whoever asks why it was fast, slow or odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class SearchExplanation(Protocol):
    """How a vector search went."""

    @property
    def plan(self) -> str:
        """`plain`, `sweeping`, `two-hop`, `sketched` or `exact`, as the planner names them
        (search_plan.h); of a multi-vector `rows`, `muvera` or `exact`."""
        ...

    @property
    def reason(self) -> str:
        """Why this one."""
        ...

    @property
    def overrides(self) -> str:
        """The setting that could not be obeyed, and why; usually empty."""
        ...

    @property
    def ef(self) -> int:
        """Places in the beam of the walk."""
        ...

    @property
    def gave_up(self) -> bool:
        """Whether the walk did not do and a scan answered after all."""
        ...

    @property
    def visited(self) -> int:
        """Nodes of the graph that were met, and sketches that were looked at."""
        ...

    @property
    def distances(self) -> int:
        """Distances that were computed."""
        ...


@runtime_checkable
class CandidateExplanation(SearchExplanation, Protocol):
    """How a search went that measures candidates (multi-vectors; `distances` counts matrices)."""

    @property
    def candidates(self) -> int:
        """Docs that were ranked."""
        ...

    @property
    def expected_recall(self) -> float:
        """The share of the hits that was to be expected; negative before enough is known."""
        ...


@dataclass(frozen=True, slots=True)
class SearchAccount:
    """A `SearchExplanation` as a value, which can be sent."""

    plan: str
    reason: str
    overrides: str
    ef: int
    gave_up: bool
    visited: int
    distances: int


@dataclass(frozen=True, slots=True)
class CandidateAccount(SearchAccount):
    """A `CandidateExplanation` as a value."""

    candidates: int
    expected_recall: float


def account_of(search: SearchExplanation) -> SearchAccount:
    """Write down how a vector search went."""
    common = (
        search.plan,
        search.reason,
        search.overrides,
        search.ef,
        search.gave_up,
        search.visited,
        search.distances,
    )
    if hasattr(search, "candidates"):  # `isinstance` looks at every name of the protocol.
        assert isinstance(search, CandidateExplanation), search
        return CandidateAccount(*common, search.candidates, search.expected_recall)
    return SearchAccount(*common)
