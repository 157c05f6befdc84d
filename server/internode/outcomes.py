"""Outcomes: what came of coordinations, counted for metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from weftdb.cluster.replication.write import Restamp, Written
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import WeftError
from weftdb.core.types import Version


@dataclass(frozen=True, slots=True)
class Kind:
    """What a coordination does for a client."""

    is_read: bool
    level: ConsistencyLevel

    @property
    def verb(self) -> str:
        """The word of metrics."""
        return "read" if self.is_read else "write"


@dataclass(slots=True)
class Outcomes:
    """Counts since the start. Concurrency: written in the event loop, read anywhere."""

    ended: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By verb, level and outcome: `all` went well, `some` objects did not, `none` did."""
    reads_repaired: int = 0
    """States that reads sent to replicas that lacked them."""
    restamps: int = 0
    """Times that a write was stamped anew above a newer state."""
    hastened: int = 0
    """Coordinations that stopped waiting for slow replicas because too many did."""

    def note(self, kind: Kind, answer: asyncio.Future[Any]) -> None:
        """Count an answer that was given."""
        if answer.cancelled():
            return
        error = answer.exception()
        outcome = "none" if error is not None else _outcome(answer.result())
        self.ended[kind.verb, kind.level.value, outcome] += 1

    def counting(self, restamp: Restamp) -> Restamp:
        """`restamp`, counted."""

        def counted(above: Version) -> Version:
            self.restamps += 1
            return restamp(above)

        return counted


def _outcome(result: Any) -> str:
    if not isinstance(result, Written):
        return "all"
    failed = sum(isinstance(outcome, WeftError) for outcome in result.outcomes)
    if not failed:
        return "all"
    return "none" if failed == len(result.outcomes) else "some"
