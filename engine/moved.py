"""Moved: an object moved under a read that takes no lock; `steadily` reads again, with one.

A row that is gone by the time it is read was replaced or deleted meanwhile. The second try holds
`shard.publishing`, so that nothing moves, and always succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Protocol, TypeVar

from weftdb.engine.steps import Steps, run

T = TypeVar("T")


class Moved(Exception):
    """A row was replaced between finding and reading it."""


class Publishing(Protocol):
    """What this needs of a shard."""

    @property
    def publishing(self) -> Lock:
        """Held while anything changes."""
        ...


def steadily(shard: Publishing, attempt: Callable[[], Steps[T]]) -> Steps[T]:
    """What `attempt` gives; if it raises Moved, what it gives with the shard held still."""
    try:
        return (yield from attempt())
    except Moved:
        with shard.publishing:
            return run(attempt())
