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
    ) -> Run:
        """Feed the coordination until it is done. Time goes on only when nothing else happens, or
        by choice; requests to `dead` nodes fail or are never heard of again."""
        travelling: list[Send] = []
        arriving: list[tuple[CallNumber, Reply | Failure]] = []
        heard: list[tuple[CallNumber, Reply | Failure]] = []
        answers: list[Any] = []
        run = Run(None, 0, [])
        times = list(times_s)
        now_s = 0.0

        def carry_out(effects: list[Effect[Any]]) -> None:
            for effect in effects:
                match effect:
                    case Send():
                        travelling.append(effect)
                        run.requests += 1
                    case KeepHint():
                        run.hints.append(effect)
                    case Answer(outcome):
                        answers.append(outcome)
            assert len(answers) <= 1, "answered twice"

        carry_out(coordination.begin(now_s))
        for _ in range(STEPS_MAX):
            if coordination.is_done:
                break
            event = choose(20) if self.is_faulty else 2 + choose(18)
            if event == 0 and heard:
                call, news = heard[choose(len(heard))]
                carry_out(_feed(coordination, call, news, now_s))
            elif event == 1 and times:
                now_s = times.pop(0)
                carry_out(coordination.on_time(now_s))
            elif travelling and (event % 2 or not arriving):
                send = travelling.pop(choose(len(travelling)))
                arrived = self._arrive(send, choose, is_dead=send.to in dead)
                if arrived is not None:
                    arriving.append((send.call, arrived))
            elif arriving:
                call, news = arriving.pop(choose(len(arriving)))
                heard.append((call, news))
                carry_out(_feed(coordination, call, news, now_s))
            else:
                assert times, "waits for nothing"
                now_s = times.pop(0)
                carry_out(coordination.on_time(now_s))
        assert coordination.is_done, "no end"
        assert len(answers) == 1, "no answer"
        _expect_deaf(coordination, [*heard, *arriving], now_s)
        run.outcome = answers[0]
        return run

    def _arrive(self, send: Send, choose: Choose, *, is_dead: bool) -> Reply | Failure | None:
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
