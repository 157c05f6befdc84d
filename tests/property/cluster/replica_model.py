"""Replicas that are dicts, and a network that is at the mercy of whoever draws its choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from weftdb.cluster.replication.effects import (
    Answer,
    CallNumber,
    Coordination,
    Effect,
    Failure,
    KeepHint,
    Send,
)
from weftdb.cluster.replication.merge import digest_of
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Digests,
    Leaf,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Reply,
    Request,
    ShardRef,
    States,
    TreeNodes,
)
from weftdb.core.hashing import token
from weftdb.core.objects import ObjectState
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, Version

SHARD = ShardRef(CollectionName("C"), ShardName("s"))
STEPS_MAX = 5_000


def object_id(number: int) -> ObjectId:
    """The same id for the same number."""
    return ObjectId(number.to_bytes(16, "big"))


@dataclass(slots=True)
class ReplicaModel:
    """One replica of the shard."""

    height: int = 4
    held: dict[ObjectId, ObjectState] = field(default_factory=dict)

    def answer(self, request: Request) -> Reply:
        """Do what the request says."""
        match request:
            case Apply(states=states):
                return Applied(tuple(map(self.apply, states)))
            case ReadDigests(ids=ids):
                return Digests(tuple(digest_of(self.held.get(key)) for key in ids))
            case ReadStates(ids=ids):
                return States(tuple(self.held.get(key) for key in ids))
            case ReadTree(level=level, positions=positions):
                return TreeNodes(tuple(self.node_hash(level, at) for at in positions))
            case ReadLeaf(position=position, after=after, limit=limit):
                return self.leaf(position, after, limit)

    def apply(self, state: ObjectState) -> Version | None:
        """Take a state unless a newer one is there."""
        present = self.held.get(state.id)
        if present is not None and present.version > state.version:
            return present.version
        if present is not None and present.version == state.version:
            assert present == state, "one version is one state"
        self.held[state.id] = state
        return None

    def leaf_of(self, key: ObjectId) -> int:
        """The leaf that counts an object."""
        return token(key) >> 64 - self.height if self.height else 0

    def leaf(self, position: int, after: ObjectId | None, limit: int) -> Leaf:
        """One page of a leaf."""
        ids = sorted(key for key in self.held if self.leaf_of(key) == position)
        ids = [key for key in ids if after is None or key > after]
        page = tuple(ids[:limit])
        digests = tuple(digest for key in page if (digest := digest_of(self.held[key])))
        return Leaf(page, digests, is_last=len(ids) <= limit)

    def node_hash(self, level: int, position: int) -> bytes:
        """The hash of one node of the tree."""
        if level < self.height:
            below = [self.node_hash(level + 1, 2 * position + step) for step in (0, 1)]
            return blake2b(b"".join(below), digest_size=16).digest()
        total = 0
        for key, state in self.held.items():
            if self.leaf_of(key) == position:
                item = f"{key.hex()} {state.version} {state.is_deleted}".encode()
                total ^= int.from_bytes(blake2b(item, digest_size=16).digest(), "big")
        return total.to_bytes(16, "big")


Choose = Callable[[int], int]
"""A number below the one given."""


@dataclass(slots=True)
class Run:
    """What came of a coordination that was run to its end."""

    outcome: Any
    requests: int
    hints: list[KeepHint]


@dataclass(slots=True)
class NetworkModel:
    """Nodes and what lies between them: requests are lost before or after they were done, answers
    come late, twice and in any order."""

    replicas: dict[NodeName, ReplicaModel]
    is_faulty: bool = True

    def run(
        self,
        coordination: Coordination[Any],
        choose: Choose,
        *,
        dead: Sequence[NodeName] = (),
        times_s: Sequence[float] = (1.0, 10.0),
        may_crash: bool = False,
    ) -> Run:
        """Feed the coordination until it is done, or, if it `may_crash`, perhaps only until it has
        answered. Time goes on only when nothing else happens, or by choice; requests to `dead`
        nodes fail or are never heard of again."""
        session = _Session(self, coordination, choose, dead, list(times_s))
        session.carry_out(coordination.begin(0.0))
        for _ in range(STEPS_MAX):
            is_crash = may_crash and bool(session.answers) and choose(4) == 0
            if coordination.is_done or is_crash:
                break
            session.step()
        assert len(session.answers) == 1, "no answer"
        if not is_crash:
            assert coordination.is_done, "no end"
            _expect_deaf(coordination, [*session.heard, *session.arriving], session.now_s)
        return Run(session.answers[0], session.requests, session.hints)

    def arrive(self, send: Send, choose: Choose, *, is_dead: bool) -> Reply | Failure | None:
        """What the request comes to: a reply, a failure, or silence."""
        if is_dead:
            return Failure("no route") if choose(2) else None
        fault = choose(16) if self.is_faulty else 9
        if fault == 0:
            return Failure("lost on the way")
        reply = self.replicas[send.to].answer(send.request)
        if fault == 1:
            return Failure("lost on the way back")
        return None if fault == 2 else reply


@dataclass(slots=True)
class _Session:
    """One coordination on the network."""

    network: NetworkModel
    coordination: Coordination[Any]
    choose: Choose
    dead: Sequence[NodeName]
    times_s: list[float]
    now_s: float = 0.0
    requests: int = 0
    travelling: list[Send] = field(default_factory=list)
    arriving: list[tuple[CallNumber, Reply | Failure]] = field(default_factory=list)
    heard: list[tuple[CallNumber, Reply | Failure]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    hints: list[KeepHint] = field(default_factory=list)

    def carry_out(self, effects: list[Effect[Any]]) -> None:
        """Do what the coordination wants."""
        for effect in effects:
            match effect:
                case Send():
                    self.travelling.append(effect)
                    self.requests += 1
                case KeepHint():
                    self.hints.append(effect)
                case Answer(outcome):
                    self.answers.append(outcome)
        assert len(self.answers) <= 1, "answered twice"

    def step(self) -> None:
        """Let one thing happen."""
        event = self.choose(20) if self.network.is_faulty else 2 + self.choose(18)
        if event == 0 and self.heard:
            self._hear(self.heard[self.choose(len(self.heard))])
        elif event == 1 and self.times_s:
            self._pass_time()
        elif self.travelling and (event % 2 or not self.arriving):
            send = self.travelling.pop(self.choose(len(self.travelling)))
            arrived = self.network.arrive(send, self.choose, is_dead=send.to in self.dead)
            if arrived is not None:
                self.arriving.append((send.call, arrived))
        elif self.arriving:
            news = self.arriving.pop(self.choose(len(self.arriving)))
            self.heard.append(news)
            self._hear(news)
        else:
            self._pass_time()

    def _hear(self, news: tuple[CallNumber, Reply | Failure]) -> None:
        self.carry_out(_feed(self.coordination, *news, self.now_s))

    def _pass_time(self) -> None:
        assert self.times_s, "waits for nothing"
        self.now_s = self.times_s.pop(0)
        self.carry_out(self.coordination.on_time(self.now_s))


def _expect_deaf(
    coordination: Coordination[Any], news: list[tuple[CallNumber, Reply | Failure]], now_s: float
) -> None:
    """What comes after the end, or a second time, changes nothing."""
    for call, item in news:
        assert _feed(coordination, call, item, now_s) == []
    assert coordination.on_time(now_s + 1000) == []


def _feed(
    coordination: Coordination[Any], call: CallNumber, news: Reply | Failure, now_s: float
) -> list[Effect[Any]]:
    if isinstance(news, Failure):
        return coordination.on_failure(call, news, now_s)
    return coordination.on_reply(call, news, now_s)
