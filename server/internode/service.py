"""InternodeService: answers the questions of other nodes at a port of its own.

A question is taken from who proves to belong to the cluster (security.py), names this cluster, and
means this node. Refusals of that kind have no generation in their head: they are answers of
somebody, not of the node that was asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import (
    Applied,
    Digests,
    Leaf,
    ReadStates,
    States,
    TreeNodes,
)
from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData, LimitExceeded, WeftError
from weftdb.core.limits import INTERNODE_MESSAGE_BYTES_MAX, INTERNODE_REPLY_BYTES
from weftdb.core.types import CollectionName, NodeName
from weftdb.proto.internode import nodes_pb2 as nodes
from weftdb.proto.internode import parts_pb2 as parts
from weftdb.proto.internode import replication_pb2 as replication
from weftdb.server.grpc.connection import Call, Observer, UnaryHandler
from weftdb.server.grpc.door import Door, DoorSettings
from weftdb.server.internode import codec, methods, node_codec, part_codec
from weftdb.server.internode.answers import Answers, Say
from weftdb.server.internode.bundles import answering_bundles
from weftdb.server.internode.failure_codec import failed, failure_message
from weftdb.server.internode.lane import Lane
from weftdb.server.internode.methods import (
    Answer,
    AnswerT,
    Method,
    QuestionT,
    ShardQuestion,
    ShardQuestionT,
)
from weftdb.server.internode.part_calls import PART_CALLS, PartCall, first_rows
from weftdb.server.internode.ports import CallFailed
from weftdb.server.internode.security import HEADER, InternodeSecurity
from weftdb.server.internode.seldom import SeldomLog
from weftdb.server.right_of_way import RightOfWay

log = logging.getLogger("weftdb.internode")

RequestT = TypeVar("RequestT")

SHORT_BYTES_MAX = 4096
"""A question of more than this is taken by a thread at once: some two hundred ids."""
_STATES_AT_ONCE = 16
"""Objects that are read before it is looked how large they are."""


class InternodeService:
    """The listener of one node. Lives in one event loop."""

    def __init__(
        self,
        answers: Answers,
        *,
        node: NodeName,
        security: InternodeSecurity,
        clock: Clock,
        observer: Observer,
        way: RightOfWay | None = None,
    ) -> None:
        self._answers = answers
        self._node = node
        self._cluster = security.cluster
        self._security = security
        self._clock = clock
        self._observer = observer
        self._way = way
        self._door: Door | None = None
        self._strangers = SeldomLog(log, clock)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises InvalidRequest where that were unprotected, OSError."""
        self._security.check(host)
        settings = DoorSettings(host, port, INTERNODE_MESSAGE_BYTES_MAX)
        tls = self._security.tls
        if tls is not None:
            settings = replace(
                settings, certificate=tls.certificate, key=tls.key, authority=tls.authority
            )
        self._door = Door(self.handlers(), {}, settings, _NobodyObserves(), self._way)
        return await self._door.start()

    async def stop(self, grace_s: float) -> None:
        """Take no more questions, and give those that run `grace_s` seconds."""
        if self._door is not None:
            await self._door.stop(grace_s)

    def handlers(self) -> dict[str, UnaryHandler]:
        """What answers, by path."""
        lanes = self._answers.lanes
        handlers = {
            methods.APPLY.path: self._of_replica(methods.APPLY, lanes.writes, _apply),
            methods.DIGESTS.path: self._of_replica(
                methods.DIGESTS, lanes.reads, _digests, is_short=True
            ),
            methods.STATES.path: self._of_replica(
                methods.STATES, lanes.reads, _states, is_short=True
            ),
            methods.TREE.path: self._of_replica(methods.TREE, lanes.reads, _tree),
            methods.LEAF.path: self._of_replica(methods.LEAF, lanes.reads, _leaf),
            methods.PING.path: self._handler(methods.PING, self._ping),
            methods.TELL.path: self._handler(methods.TELL, self._tell),
            methods.FACTS.path: self._handler(methods.FACTS, self._facts),
            methods.KNOW.path: self._handler(methods.KNOW, self._know),
            **{call.method.path: self._of_part(call) for call in PART_CALLS.values()},
            methods.ROWS.path: self._handler(methods.ROWS, self._rows),
        }
        return {**handlers, methods.TOGETHER_PATH: answering_bundles(handlers)}

    # --- any question ----------------------------------------------------------------------------

    def _handler(
        self,
        method: Method[QuestionT, AnswerT],
        respond: Callable[[QuestionT, float], Awaitable[bytes]],
    ) -> UnaryHandler:
        """`respond` gets a question that may be asked, and its deadline."""

        async def handle(message: bytes, call: Call) -> bytes:
            begun, code = time.perf_counter(), "OK"
            generation = 0
            try:
                question = self._admitted(method, message, call)
                generation = self._answers.generation
                deadline_s = self._clock.monotonic_s() + question.head.timeout_ms / 1000
                return await respond(question, deadline_s)
            except CallFailed as failure:
                code = failure.code
                reply = method.reply()
                reply.head.generation = generation
                reply.head.failure.CopyFrom(failure_message(failure))
                return reply.SerializeToString()
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            finally:
                self._observer.observe(method.name, code, time.perf_counter() - begun)

        return handle

    def _admitted(
        self, method: Method[QuestionT, AnswerT], message: bytes, call: Call
    ) -> QuestionT:
        """Read a question of a node of this cluster that means this node. Raises CallFailed."""
        if not self._security.admits(call.header(HEADER)):
            self._strangers.warn(f"{method.name} is refused: no proof of the cluster's secret")
            raise CallFailed(Failure("the call does not prove that it knows the cluster's secret"))
        try:
            question = codec.read_request(method, message)
        except CorruptData as error:
            raise failed(error) from error
        head = question.head
        if head.cluster != self._cluster:
            self._strangers.warn(f"node {head.sender!r} of cluster {head.cluster!r} called here")
            raise CallFailed(
                Failure(f"this is a node of cluster {self._cluster!r}, not of {head.cluster!r}")
            )
        if head.receiver != self._node:
            raise CallFailed(Failure(f"this is node {self._node}, not {head.receiver}"))
        return question

    def _written(self, reply: Answer) -> bytes:
        reply.head.generation = self._answers.generation
        size = reply.ByteSize()
        if size > INTERNODE_MESSAGE_BYTES_MAX:
            raise LimitExceeded(
                f"a shard's part of the answer has {size} bytes, nodes send each other at most "
                f"{INTERNODE_MESSAGE_BYTES_MAX}: ask for fewer objects at a time"
            )
        return reply.SerializeToString()

    # --- replicas --------------------------------------------------------------------------------

    def _of_replica(
        self,
        method: Method[ShardQuestionT, AnswerT],
        lane: Lane,
        work: Callable[[Say, ShardQuestionT], AnswerT],
        *,
        is_short: bool = False,
    ) -> UnaryHandler:
        """Messages are read and written in the lane's threads: they may be large. With `is_short`
        small ones of them are answered in the loop where nothing has to be waited for."""

        async def respond(question: ShardQuestionT, deadline_s: float) -> bytes:
            told = question.shard
            basis = codec.basis(told)
            return await self._answers.replica(
                basis,
                lane,
                lambda say: self._written(work(say, question)),
                deadline_s,
                is_short=is_short and question.ByteSize() <= SHORT_BYTES_MAX,
            )

        return self._handler(method, respond)

    # --- parts of searches -----------------------------------------------------------------------

    def _of_part(self, call: PartCall) -> UnaryHandler:
        async def respond(question: ShardQuestion, deadline_s: float) -> bytes:
            basis, request = codec.basis(question.shard), _request_of(call.request, question)
            return await self._answers.part(
                basis, request, lambda found: self._written(call.answer(found)), deadline_s
            )

        return self._handler(call.method, respond)

    async def _rows(self, question: parts.RowsRequest, deadline_s: float) -> bytes:
        basis, asked = codec.basis(question.shard), _request_of(part_codec.rows_request, question)
        return await self._answers.rows(
            basis, lambda fetch: self._written(first_rows(fetch, asked)), deadline_s
        )

    # --- nodes -----------------------------------------------------------------------------------

    async def _ping(self, _question: nodes.PingRequest, _deadline_s: float) -> bytes:
        return self._written(node_codec.pong_message(self._answers.pong()))

    async def _tell(self, question: nodes.TellRequest, deadline_s: float) -> bytes:
        sender, tell = NodeName(question.head.sender), node_codec.tell_request(question)
        noted = await self._answers.note(sender, tell, deadline_s)
        return self._written(node_codec.noted_message(noted))

    async def _facts(self, question: nodes.FactsRequest, deadline_s: float) -> bytes:
        asked = node_codec.question_request(question)
        return self._written(node_codec.facts_message(await self._answers.facts(asked, deadline_s)))

    async def _know(self, question: nodes.KnowRequest, deadline_s: float) -> bytes:
        collection = CollectionName(question.collection)
        revision = await self._answers.know(collection, question.revision, deadline_s)
        return self._written(nodes.KnowReply(revision=revision))


class _NobodyObserves:
    """The door's observer: the service counts by itself, for it knows failures."""

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Do nothing."""


def _request_of(read: Callable[[QuestionT], RequestT], question: QuestionT) -> RequestT:
    """Raises CallFailed for a request of another release, or a damaged one."""
    try:
        return read(question)
    except WeftError as error:
        raise failed(error) from error


def _apply(say: Say, question: replication.ApplyRequest) -> replication.ApplyReply:
    said = say(codec.apply_request(question))
    assert isinstance(said, Applied), said
    return codec.applied_message(said)


def _digests(say: Say, question: replication.DigestsRequest) -> replication.DigestsReply:
    said = say(codec.digests_request(question))
    assert isinstance(said, Digests), said
    return codec.digests_answer(said)


def _tree(say: Say, question: replication.TreeRequest) -> replication.TreeReply:
    said = say(codec.tree_request(question))
    assert isinstance(said, TreeNodes), said
    return codec.tree_answer(said)


def _leaf(say: Say, question: replication.LeafRequest) -> replication.LeafReply:
    said = say(codec.leaf_request(question))
    assert isinstance(said, Leaf), said
    return codec.leaf_answer(said)


def _states(say: Say, question: replication.StatesRequest) -> replication.StatesReply:
    """As many as fit in an answer, read a few at a time: who asks asks again for the others."""
    asked = codec.states_request(question)
    reply, size, at = replication.StatesReply(), 0, 0
    while at < len(asked.ids) and size < INTERNODE_REPLY_BYTES:
        few = asked.ids[at : at + _STATES_AT_ONCE]
        said = say(ReadStates(asked.shard, asked.schema_version, few))
        assert isinstance(said, States), said
        for encoded in codec.states_answer(said).states:
            if at and size + len(encoded) > INTERNODE_REPLY_BYTES:
                return reply
            reply.states.append(encoded)
            size, at = size + len(encoded), at + 1
    return reply
