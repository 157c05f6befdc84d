"""Accounts of vector searches keep what explanations say."""

from __future__ import annotations

from dataclasses import dataclass

from weftdb.core.search_explanation import (
    CandidateAccount,
    CandidateExplanation,
    SearchAccount,
    account_of,
)


@dataclass
class Walked:
    """As native code explains a walk."""

    plan: str = "plain"
    reason: str = "no filter"
    overrides: str = ""
    ef: int = 64
    gave_up: bool = False
    visited: int = 100
    distances: int = 90


@dataclass
class Measured(Walked):
    """As native code explains a search over candidates."""

    candidates: int = 7
    expected_recall: float = 0.99


def test_a_walk() -> None:
    """Every word stays, and nothing is made up."""
    account = account_of(Walked())
    assert account == SearchAccount("plain", "no filter", "", 64, False, 100, 90)
    assert not isinstance(account, CandidateExplanation)


def test_candidates() -> None:
    """What counts candidates goes on doing so."""
    account = account_of(Measured())
    assert isinstance(account, CandidateAccount)
    assert (account.candidates, account.expected_recall) == (7, 0.99)
    assert isinstance(account, CandidateExplanation)
