"""Turn: one thread at a time, and a wait for what another one does; handed in, as the clock is.

`threading.Condition()` is one. Where a single thread does everything (the simulation, most tests)
there is none to wait for, and `Alone` stands in for it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol


class Turn(Protocol):
    """A condition variable over a lock that its holder may take again."""

    def __enter__(self) -> bool:
        """Take the lock."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back until somebody notifies, at most `timeout` seconds; take it again."""
        ...

    def notify_all(self) -> None:
        """Wake all who wait."""
        ...


class Alone:
    """The turn of a single thread. A wait ends at once: nobody is there who could notify."""

    def __enter__(self) -> bool:
        """Nothing to take."""
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to give back."""

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        return False

    def notify_all(self) -> None:
        """Nobody waits."""
