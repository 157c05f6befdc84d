"""The language of the golden scripts of replication: one coordination, fed line by line.

    write n1 n2 n3 level=QUORUM a=10 b=x11     begin a write: a is an object, b a deletion
    write n1 n2 n3 / n1 n2 n4 level=ONE a=10   in two sets of replicas
    read n1 n2 n3 level=QUORUM a b hedge=1     begin a read
    n1 applied [a:15]                          n1 holds all that its oldest open call carries, but
                                               of a the newer version 15
    n1 digests a=10 b=none                     n1's answer to its oldest open call
    n1 states a=10
    n1 refuses a bad vector                    n1 holds all but a, which its schema forbids
    n1 fails no route                          its oldest open call has no reply
    exchange n1 n2 height=2 stride=1           begin an exchange
    n1 nodes x y                               hashes of the tree's nodes
    n1 leaf a=10 b=x11 [more]                  a page of a leaf
    n1 again                                   the last thing that n1 said is said once more
    time 5                                     the clock stands at 5 s

Options: `away=n2,n3` (membership), `awaited=n1`, `deadline=5`, `strategy=DeleteOnConflict`.
Versions are their time in ms. Output is one line an effect, and `done` when the coordination is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weftdb.cluster.replication.differences import Rules
from weftdb.cluster.replication.effects import (
    Answer,
    CallNumber,
    Coordination,
    Effect,
    Failure,
    KeepHint,
    Send,
    Wake,
)
from weftdb.cluster.replication.merge import DeletionStrategy, digest_of
from weftdb.cluster.replication.merkle import Exchange, ExchangeBounds, Exchanged, ExchangeOrder
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digests,
    Leaf,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Refusal,
    Reply,
    Request,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.cluster.replication.read import Found, ReadCoordination, ReadOrder
from weftdb.cluster.replication.write import WriteCoordination, WriteOrder, Written
from weftdb.cluster.replication.write_core import WriteTargets
from weftdb.core.consistency import ConsistencyLevel
from weftdb.core.errors import WeftError
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, Version

SHARD = ShardRef(CollectionName("C"), ShardName("s1"))


def object_id(name: str) -> ObjectId:
    """`a` is 16 times the letter a."""
    return ObjectId(name.encode() * 16)


def name_of(object_id: ObjectId) -> str:
    """The letter again."""
    return object_id[:1].decode()


def parse_state(text: str) -> tuple[str, ObjectState | None]:
    """`a=10`, `a=x10` (deleted), `a=none`."""
    name, _, stamp = text.partition("=")
    if stamp == "none":
        return name, None
    version = Version(int(stamp.removeprefix("x")))
    return name, ObjectState(object_id(name), version, is_deleted=stamp.startswith("x"))


def show_version(version: Version) -> str:
    """Its time; `+` behind a deletion that DeleteOnConflict made."""
    return f"{version.time_ms}+" if version.node else f"{version.time_ms}"


def show_state(state: ObjectState) -> str:
    """As `parse_state` reads it."""
    mark = "x" if state.is_deleted else ""
    return f"{name_of(state.id)}={mark}{show_version(state.version)}"


def show_states(states: tuple[ObjectState, ...]) -> str:
    """Several, in order."""
    return " ".join(map(show_state, states))


def show_request(request: Request) -> str:
    """What a replica is asked."""
    match request:
        case Apply(states=states):
            return f"apply {show_states(states)}"
        case ReadDigests(ids=ids):
            return f"digests of {' '.join(map(name_of, ids))}"
        case ReadStates(ids=ids):
            return f"states of {' '.join(map(name_of, ids))}"
        case ReadTree(level=level, positions=positions):
            return f"nodes of level {level}: {' '.join(map(str, positions))}"
        case ReadLeaf(position=position, after=after):
            return f"leaf {position}" + ("" if after is None else f" behind {name_of(after)}")


class Conversation:
    """Executes the commands of one script, one coordination after the other."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._names: list[str] = []
        self._open: list[Send] = []
        self._last: dict[str, Callable[[], list[Effect[Any]]]] = {}
        self._coordination: Coordination[Any] | None = None

    def __call__(self, command: str) -> str:
        """Do it, and say what came of it."""
        verb, *words = command.split()
        options = dict(word.split("=", 1) for word in words if is_option(word))
        words = [word for word in words if not is_option(word)]
        if verb == "write":
            effects = self._begin(self._write(words, options))
        elif verb == "read":
            effects = self._begin(self._read(words, options))
        elif verb == "exchange":
            effects = self._begin(self._exchange(words, options))
        elif verb == "time":
            self._now_s = float(words[0])
            effects = self._fed.on_time(self._now_s)
        else:
            effects = self._hear(verb, words)
        lines = [self._show(effect) for effect in effects]
        if self._fed.is_done:
            lines.append("done")
        return "\n".join(lines) or "nothing"

    @property
    def _fed(self) -> Coordination[Any]:
        assert self._coordination is not None, "no coordination has begun"
        return self._coordination

    def _begin(self, coordination: Coordination[Any]) -> list[Effect[Any]]:
        self._coordination = coordination
        self._open.clear()
        self._last.clear()
        return coordination.begin(self._now_s)

    def _write(self, words: list[str], options: dict[str, str]) -> WriteCoordination:
        groups: list[list[NodeName]] = [[]]
        states: list[ObjectState] = []
        for word in words:
            if word == "/":
                groups.append([])
            elif "=" in word:
                state = parse_state(word)[1]
                assert state is not None, word
                states.append(state)
            else:
                groups[-1].append(NodeName(word))
        self._names = [name_of(state.id) for state in states]
        order = WriteOrder(
            shard=SHARD,
            schema_version=1,
            states=tuple(states),
            targets=WriteTargets(
                tuple(map(tuple, groups)), ConsistencyLevel(options.get("level", "QUORUM"))
            ),
            deadline_s=float(options.get("deadline", "10")),
            unavailable=away(options),
            awaited=NodeName(options["awaited"]) if "awaited" in options else None,
        )
        return WriteCoordination(order, lambda newer: Version(newer.time_ms + 1))

    def _read(self, words: list[str], options: dict[str, str]) -> ReadCoordination:
        self._names = [word for word in words if len(word) == 1]
        order = ReadOrder(
            shard=SHARD,
            schema_version=1,
            ids=tuple(map(object_id, self._names)),
            replicas=tuple(NodeName(word) for word in words if len(word) > 1),
            level=ConsistencyLevel(options.get("level", "QUORUM")),
            strategy=strategy(options),
            deadline_s=float(options.get("deadline", "10")),
            hedge_s=float(options["hedge"]) if "hedge" in options else None,
            unavailable=away(options),
        )
        return ReadCoordination(order)

    def _exchange(self, words: list[str], options: dict[str, str]) -> Exchange:
        left, right = map(NodeName, words)
        return Exchange(
            ExchangeOrder(
                shard=SHARD,
                schema_version=1,
                left=left,
                right=right,
                height=int(options["height"]),
                rules=Rules(strategy(options), settled_before_ms=1000, forgotten_before_ms=0),
                deadline_s=float(options.get("deadline", "10")),
                bounds=ExchangeBounds(stride=int(options.get("stride", "4")), states_max=2),
            )
        )

    def _hear(self, node: str, words: list[str]) -> list[Effect[Any]]:
        if words[0] != "again":
            sent = next(send for send in self._open if send.to == node)
            self._open.remove(sent)
            self._last[node] = self._feeding(sent, words)
        return self._last[node]()

    def _feeding(self, sent: Send, words: list[str]) -> Callable[[], list[Effect[Any]]]:
        call: CallNumber = sent.call
        if words[0] == "fails":
            failure = Failure(" ".join(words[1:]))
            return lambda: self._fed.on_failure(call, failure, self._now_s)
        reply = parse_reply(sent.request, words)
        return lambda: self._fed.on_reply(call, reply, self._now_s)

    def _show(self, effect: Effect[Any]) -> str:
        match effect:
            case Send(_, to, request):
                self._open.append(effect)
                return f"-> {to} {show_request(request)}"
            case Wake(at_s):
                return f"wake at {at_s:g}"
            case KeepHint(to, _, states):
                return f"hint for {to} {show_states(states)}"
            case Answer(WeftError() as error):
                return f"answer {type(error).__name__}: {error}"
            case Answer(outcome):
                return f"answer {self._show_outcome(outcome)}"

    def _show_outcome(self, outcome: Written | Found | Exchanged) -> str:
        if isinstance(outcome, Exchanged):
            told = "complete" if outcome.is_complete else "not complete"
            counts = f"found={outcome.found} sent={outcome.sent} unresolved={outcome.unresolved}"
            return f"{told} {counts}" + (f" ({outcome.failure})" if outcome.failure else "")
        if isinstance(outcome, Written):
            shown = [
                show_version(item)
                if isinstance(item, Version)
                else f"{type(item).__name__}: {item}"
                for item in outcome.outcomes
            ]
        else:
            shown = [
                ("none" if state is None else show_version(state.version))
                + ("" if agreed else " (replicas differed)")
                for state, agreed in zip(outcome.states, outcome.is_consistent, strict=True)
            ]
        return " ".join(f"{name}={text}" for name, text in zip(self._names, shown, strict=True))


def is_option(word: str) -> bool:
    """`level=ALL`; but `a=10` is a state."""
    return "=" in word and len(word.partition("=")[0]) > 1


def strategy(options: dict[str, str]) -> DeletionStrategy:
    """The collection's deletion strategy."""
    return DeletionStrategy(options.get("strategy", "TimeBasedResolution"))


def away(options: dict[str, str]) -> frozenset[NodeName]:
    """Who membership calls away."""
    return frozenset(NodeName(name) for name in options.get("away", "").split(",") if name)


def parse_reply(request: Request, words: list[str]) -> Reply:
    """The reply to `request` that the words tell; what they leave out is None."""
    kind, *rest = words
    if kind == "applied":
        assert isinstance(request, Apply), request
        newer = {name: Version(int(stamp)) for name, stamp in (word.split(":") for word in rest)}
        return Applied(tuple(newer.get(name_of(state.id)) for state in request.states))
    if kind == "nodes":
        return TreeNodes(tuple(word.encode().ljust(16, b".") for word in rest))
    if kind == "refuses":
        assert isinstance(request, Apply), request
        names = [name_of(state.id) for state in request.states]
        refusal = Refusal(names.index(rest[0]), " ".join(rest[1:]))
        return Applied((None,) * len(names), (refusal,))
    told = dict(parse_state(word) for word in rest if word != "more")
    if kind == "leaf":
        digests = tuple(digest for state in told.values() if (digest := digest_of(state)))
        return Leaf(tuple(map(object_id, told)), digests, is_last="more" not in rest)
    if kind == "digests":
        return Digests(tuple(digest_of(state) for state in told.values()))
    assert kind == "states", words
    return States(tuple(told.values()))
