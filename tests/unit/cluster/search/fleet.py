"""Shards of a collection on several nodes in one process, beside one shard that holds everything.

Rounds are driven without a loop: what is sent is answered at once, in order; nodes that are down
fail. `whole` says what one shard answers to the same question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from weftdb.cluster.replication.answering import answer
from weftdb.cluster.replication.effects import (
    Answer,
    AnyReply,
    AnyRequest,
    Coordination,
    Effect,
    Failure,
    Send,
)
from weftdb.cluster.search.answering import answer_steps
from weftdb.cluster.search.layout import Layout, Rounds, SearchTerms
from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchShard,
)
from weftdb.cluster.search.searching import search_rounds
from weftdb.cluster.sharding import PlacedShard, ShardingState
from weftdb.core.config import Config
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env, ManualClock
from weftdb.core.errors import RequestError, WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.query import Hits, Search
from weftdb.core.types import NodeName, ShardName
from weftdb.engine.collection import LocalCollection
from weftdb.engine.database import Database
from weftdb.engine.steps import run
from weftdb.modules.ports import Vectorizers
from weftdb.modules.registry import Registry
from weftdb.storage.memory import MemoryStore

T = TypeVar("T")

SEARCHES = (GatherStatistics, SearchShard, FetchRows, AggregateShard, FindIds)
EFFECTS_MAX = 10_000


def open_database(path: Path, vectorizers: Vectorizers) -> Database:
    """Over an empty store in memory; its maintenance rests."""
    path.mkdir(parents=True)
    env = Env(ManualClock(), seed=1)
    database = Database(path, MemoryStore(), config=Config(), vectorizers=vectorizers, env=env)
    database.maintenance.stop()
    return database


@dataclass
class Fleet:
    """`factor` replicas of each of `shards` shards, each in a database of its own."""

    folder: Path
    definition: Mapping[str, Any]
    shards: int
    factor: int = 1
    nodes: int = 3
    vectorizers: Vectorizers = field(default_factory=Registry)
    down: set[NodeName] = field(default_factory=set)
    asked: list[tuple[NodeName, AnyRequest]] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [NodeName(f"n{at}") for at in range(self.nodes)]
        placed = [
            PlacedShard(
                ShardName(f"s{at}"),
                tuple(names[(at + step) % self.nodes] for step in range(self.factor)),
            )
            for at in range(self.shards)
        ]
        self.state = ShardingState.create(placed, factor=self.factor)
        self.schema = parse_collection(
            {**self.definition, "replicationConfig": {"factor": 3}}  # States need a ledger.
        )
        self._databases: list[Database] = []
        self.whole = self._create("whole")
        self.replicas: dict[tuple[ShardName, NodeName], LocalCollection] = {
            (shard.name, node): self._create(f"{shard.name}-{node}")
            for shard in placed
            for node in shard.replicas
        }

    def _create(self, name: str) -> LocalCollection:
        database = open_database(self.folder / name, self.vectorizers)
        self._databases.append(database)
        return database.create_collection(self.schema)

    def close(self) -> None:
        """Close every database."""
        for database in self._databases:
            database.close()

    def apply(self, states: Iterable[ObjectState], *, only: NodeName | None = None) -> None:
        """Write everywhere; or, of the shards, on one node only."""
        listed = list(states)
        self.whole.replica.apply(listed)
        for name, positions in self.state.write_shards_of([each.id for each in listed]).items():
            own = [listed[int(at)] for at in positions]
            for (shard, node), local in self.replicas.items():
                if shard == name and only in (None, node):
                    local.replica.apply(own)

    def rounds(
        self, level: ConsistencyLevel = ConsistencyLevel.ONE, *, has_strays: bool = False
    ) -> Rounds:
        """What a search goes by."""
        state = replace(self.state, may_stray=has_strays or self.state.may_stray)
        layout = Layout.of_state(self.schema, 1, state, lambda nodes: nodes)
        return Rounds(layout, SearchTerms(deadline_s=10, level=level))

    def search(self, query: Search, level: ConsistencyLevel = ConsistencyLevel.ONE) -> Hits:
        """Search the shards."""
        return self.run(search_rounds(self.rounds(level), query, self.vectorizers))

    def run(self, questions: Generator[Any, Any, T]) -> T:
        """Drive a search to its end: rounds are answered by the shards, calls run inline."""
        try:
            asked = next(questions)
            while True:
                try:
                    if isinstance(asked, tuple):
                        given: Any = [self.converse(one) for one in asked]
                    else:
                        given = asked.run()
                except WeftError as error:
                    asked = questions.throw(error)
                else:
                    asked = questions.send(given)
        except StopIteration as stop:
            return stop.value

    def converse(self, conversation: Coordination[Any]) -> Any:
        """Carry out the effects of a coordination until it is done. Raises what it answers."""
        waiting: deque[Effect[Any]] = deque(conversation.begin(0.0))
        answers: list[Any] = []
        for _ in range(EFFECTS_MAX):
            if not waiting:
                break
            effect = waiting.popleft()
            if isinstance(effect, Answer):
                answers.append(effect.outcome)
            elif isinstance(effect, Send):
                heard = self.ask(effect.to, effect.request)
                if isinstance(heard, Failure):
                    waiting.extend(conversation.on_failure(effect.call, heard, 0.0))
                else:
                    waiting.extend(conversation.on_reply(effect.call, heard, 0.0))
        assert conversation.is_done
        (outcome,) = answers
        if isinstance(outcome, WeftError):
            raise outcome
        return outcome

    def ask(self, node: NodeName, request: AnyRequest) -> AnyReply | Failure:
        """What a node says to a request."""
        self.asked.append((node, request))
        if node in self.down:
            return Failure("is down")
        local = self.replicas[request.shard.shard, node].only
        try:
            if isinstance(request, SEARCHES):
                return run(answer_steps(local, request))
            return answer(local.replica, request)
        except RequestError as error:
            return Failure(str(error), refusal=error)
