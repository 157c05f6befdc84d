"""NotedCollection: a ServedCollection that notes which level each call came with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.query import Hits, Search
from weftdb.core.schema import Collection
from weftdb.engine.collection import LocalCollection
from weftdb.engine.steps import Steps

Notes = list[tuple[str, ConsistencyLevel | None]]


class NotedCollection:
    """Answers as the local collection does."""

    def __init__(self, local: LocalCollection, notes: Notes, *, reads_elsewhere: bool) -> None:
        self._local = local
        self._notes = notes
        self.reads_elsewhere = reads_elsewhere

    @property
    def schema(self) -> Collection:
        return self._local.schema

    def search_steps(self, query: Search, *, level: ConsistencyLevel | None = None) -> Steps[Hits]:
        self._notes.append(("search_steps", level))
        return self._local.search_steps(query)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._local, name)

        def noted(*arguments: Any, level: ConsistencyLevel | None = None, **options: Any) -> Any:
            self._notes.append((name, level))
            return call(*arguments, **options)

        return noted
