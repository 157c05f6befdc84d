"""Steps: a read as a generator that yields its long native calls.

Planning and assembly are short Python; what takes long (graph walk, embedding a text) is yielded
as a call. The library runs the calls inline (`run`); the server hands them to a pool and goes on
with other requests meanwhile. The read itself knows nothing of either (psycopg's `generators` and
`waiting` are the model).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from weftdb.core.errors import WeftError
from weftdb.core.schema import VectorConfig
from weftdb.core.types import Row, Rows
from weftdb.index.allow_list import AllowList
from weftdb.index.ports import Neighbours, VectorIndex
from weftdb.modules.ports import TextVectorizer


class Call(Protocol):
    """Something long that a driver runs where it likes."""

    def run(self) -> Any:
        """Do it here and now."""
        ...


@dataclass(frozen=True, slots=True)
class VectorCall:
    """One graph search; the result is `Neighbours`."""

    index: VectorIndex
    query: Row
    k: int
    allow: AllowList | None
    ef: int | None
    distance_max: float | None

    def run(self) -> Neighbours:
        """Search inline; the GIL is free meanwhile."""
        return self.index.search(
            self.query, self.k, allow=self.allow, ef=self.ef, distance_max=self.distance_max
        )


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """Texts to vectors; may go over the network."""

    vectorizer: TextVectorizer
    texts: Sequence[str]
    config: VectorConfig

    def run(self) -> Rows:
        """Embed inline."""
        return self.vectorizer.embed(self.texts, self.config.vectorizer_settings, is_query=True)


@dataclass(frozen=True, slots=True)
class AwaitCall:
    """What other nodes are asked. A driver in their event loop awaits `begin()` and holds no thread
    for it."""

    begin: Callable[[], Awaitable[Any]]
    wait: Callable[[Callable[[], Awaitable[Any]]], Any]
    """Has the loop await what `begin` makes, and holds the calling thread until then."""

    def run(self) -> Any:
        """Wait in this thread, which must not be the loop's."""
        return self.wait(self.begin)


@dataclass(frozen=True, slots=True)
class Work:
    """Something long in Python that needs nothing but a thread."""

    do: Callable[[], Any]

    def run(self) -> Any:
        """Do it inline."""
        return self.do()


T = TypeVar("T")
Steps = Generator[Call, Any, T]


def run(steps: Steps[T]) -> T:
    """Drive `steps` to its end, every call inline."""
    try:
        call = next(steps)
        while True:
            try:
                answer = call.run()
            except WeftError as error:  # The read may clean up, or answer otherwise.
                call = steps.throw(error)
            else:
                call = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
