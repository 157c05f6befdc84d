"""The language of the golden scripts of searches: one round of questions, fed line by line.

    ask s1: n1 n2 s2: n2 n3 hedge=1        begin: shards with their replicas, best first
    n1 answers s1                          n1's answer to the oldest open call for s1
    n1 answers s1 rubbish                  an answer to another question
    n1 fails s1 no route                   the call has no reply
    n1 refuses s1 no such property         the request is wrong: so says n1
    time 5                                 the clock stands at 5 s

Options: `away=n2,n3` (membership), `deadline=5`. Output is one line an effect, and `done` when
nothing more matters.
"""

from __future__ import annotations

from typing import Any

from weftdb.cluster.replication.effects import Answer, Effect, Failure, Send, Wake
from weftdb.cluster.replication.messages import ShardRef
from weftdb.cluster.search.messages import FindIds
from weftdb.cluster.search.scatter import Gathered, Part, ScatterOrder, ScatterRead
from weftdb.core.errors import InvalidRequest, WeftError
from weftdb.core.partial import FoundIds, PartIds, PartRows
from weftdb.core.query import Comparison, Operator, ValueKind
from weftdb.core.types import CollectionName, NodeName, ShardName

WANTED = PartIds(Comparison(Operator.EQUAL, ("kind",), "x", ValueKind.TEXT), limit=10)


class Conversation:
    """Executes the commands of one script, one round after the other."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._open: list[Send] = []
        self._round: ScatterRead | None = None

    def __call__(self, command: str) -> str:
        """Do it, and say what came of it."""
        verb, *words = command.split()
        if verb == "ask":
            effects = self._begin(words)
        elif verb == "time":
            self._now_s = float(words[0])
            effects = self._fed.on_time(self._now_s)
        else:
            effects = self._hear(verb, *words)
        lines = [self._show(effect) for effect in effects]
        if self._fed.is_done:
            lines.append("done")
        return "\n".join(lines) or "nothing"

    @property
    def _fed(self) -> ScatterRead:
        assert self._round is not None, "no round has begun"
        return self._round

    def _begin(self, words: list[str]) -> list[Effect[Gathered]]:
        options = dict(word.split("=") for word in words if "=" in word)
        replicas: dict[str, list[NodeName]] = {}
        for word in words:
            if word.endswith(":"):
                replicas[word[:-1]] = nodes = []
            elif "=" not in word:
                nodes.append(NodeName(word))
        parts = [
            Part(FindIds(ShardRef(CollectionName("C"), ShardName(name)), 1, WANTED), tuple(nodes))
            for name, nodes in replicas.items()
        ]
        away = options.get("away", "")
        order = ScatterOrder(
            tuple(parts),
            deadline_s=float(options.get("deadline", "10")),
            hedge_s=float(options["hedge"]) if "hedge" in options else None,
            unavailable=frozenset(NodeName(name) for name in away.split(",") if name),
        )
        self._open.clear()
        self._round = ScatterRead(order)
        return self._round.begin(self._now_s)

    def _hear(self, node: str, verb: str, shard: str, *words: str) -> list[Effect[Gathered]]:
        sent = next(
            send
            for send in self._open
            if send.to == node and send.request.shard.shard == shard  # type: ignore[union-attr]
        )
        self._open.remove(sent)
        text = " ".join(words)
        if verb == "fails":
            return self._fed.on_failure(sent.call, Failure(text), self._now_s)
        if verb == "refuses":
            refusal = Failure(text, refusal=InvalidRequest(text))
            return self._fed.on_failure(sent.call, refusal, self._now_s)
        reply = PartRows(()) if text == "rubbish" else FoundIds((), is_last=True)
        return self._fed.on_reply(sent.call, reply, self._now_s)

    def _show(self, effect: Effect[Any]) -> str:
        match effect:
            case Send(_, to, request):
                self._open.append(effect)
                return f"-> {to} {request.shard.shard}"  # type: ignore[union-attr]
            case Wake(at_s):
                return f"wake at {at_s:g}"
            case Answer(WeftError() as error):
                return f"answer {type(error).__name__}: {error}"
            case Answer(outcome):
                return f"answer from {' '.join(outcome.nodes)}"
        raise AssertionError(effect)
