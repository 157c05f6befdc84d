"""InternodeClient: asks other nodes over gRPC, and this node without a wire.

A call ends in its reply or in CallFailed, at its deadline at the latest; nothing is tried again
here, for who asks knows better whether and where to. How each call ended is told to an observer
(membership), and counted.

What is too large for a message goes in several: an Apply in parts of some megabytes, the states
that do not fit in an answer in another one. A state that no message can carry is refused
(`Applied.refused`) before it is sent to anybody, this node included.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.effects import AnyReply, AnyRequest, Failure
from weftdb.cluster.replication.messages import (
    Applied,
    Apply,
    Purpose,
    ReadDigests,
    ReadLeaf,
    ReadStates,
    ReadTree,
    Refusal,
    Reply,
    Request,
    States,
)
from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData
from weftdb.core.limits import INTERNODE_APPLY_BYTES, INTERNODE_OBJECT_BYTES_MAX, KiB
from weftdb.core.objects import ObjectState
from weftdb.core.types import NodeName, ObjectId, Version
from weftdb.proto.internode import nodes_pb2 as nodes
from weftdb.server.grpc.connection import Observer
from weftdb.server.internode import codec, methods, node_codec
from weftdb.server.internode.answers import Answers
from weftdb.server.internode.failure_codec import failure_of
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.messages import (
    NO_REVISION,
    AskFacts,
    NodeFacts,
    Noted,
    Pong,
    Tell,
)
from weftdb.server.internode.methods import AnswerT, Method, QuestionT
from weftdb.server.internode.peer import NoAnswer, Peer, PeerBounds, PeerFigures
from weftdb.server.internode.ports import CallFailed, CallObserver
from weftdb.server.internode.security import InternodeSecurity
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.state_codec import HEAD_BYTES, encode_state

log = logging.getLogger("weftdb.internode")

ReadT = TypeVar("ReadT")

_TIMEOUT_MS_MAX = 2**32 - 1
_INLINE_BYTES = 256 * KiB
"""What is larger is encoded and decoded in a thread: it would hold up the event loop."""
_PARTS_AT_ONCE = 4
"""Of one Apply that goes in several messages."""
_VECTOR_BYTES = 16
"""What a vector costs in a state beside its floats and its name, at most."""


@dataclass(slots=True)
class _Encoding:
    """The states of a request that is on its way to several nodes."""

    request: Apply
    states: asyncio.Future[list[bytes]]
    users: int = 0


class InternodeClient:
    """Of one node. Implements `ReplicaCaller` and `NodeCaller`; lives in one event loop."""

    def __init__(
        self,
        answers: Answers,
        *,
        node: NodeName,
        address_of: Callable[[NodeName], str | None],
        security: InternodeSecurity,
        outcomes: CallObserver,
        observer: Observer,
        clock: Clock,
        bounds: PeerBounds | None = None,
    ) -> None:
        """`answers` are those of this node, `node`; `address_of` says host:port of the others, None
        where none is known."""
        self._answers = answers
        self._node = node
        self._address_of = address_of
        self._security = security
        self._outcomes = outcomes
        self._observer = observer
        self._clock = clock
        self._bounds = bounds or PeerBounds()
        self._peers: dict[NodeName, Peer] = {}
        self._figures: dict[NodeName, PeerFigures] = {}
        self._encodings: dict[int, _Encoding] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    # --- replicas --------------------------------------------------------------------------------

    async def ask(
        self,
        node: NodeName,
        request: AnyRequest,
        deadline_s: float,
        *,
        revision: int = NO_REVISION,
        purpose: Purpose = Purpose.SERVE,
    ) -> AnyReply:
        """What a replica answers (`ReplicaCaller.ask`). Raises CallFailed."""
        basis = Basis(request.shard, request.schema_version, revision, purpose)
        if isinstance(request, Apply):
            return await self._apply(node, basis, request, deadline_s)
        if not isinstance(request, ReadDigests | ReadStates | ReadTree | ReadLeaf):
            raise CallFailed(Failure("searches do not travel between nodes yet"))
        if node == self._node:
            return await self._own(basis, request, deadline_s)
        return await self._of_replica(node, basis, request, deadline_s)

    async def _of_replica(
        self,
        node: NodeName,
        basis: Basis,
        request: ReadDigests | ReadStates | ReadTree | ReadLeaf,
        deadline_s: float,
    ) -> Reply:
        told = codec.basis_message(basis)
        match request:
            case ReadStates(ids=ids):
                return await self._states(node, basis, ids, deadline_s)
            case ReadDigests(ids=ids):
                digests = await self._call(
                    node, methods.DIGESTS, codec.digests_message(told, ids), deadline_s
                )
                return self._read(node, codec.digests_reply, digests, len(ids))
            case ReadTree(level=level, positions=positions):
                tree = await self._call(
                    node, methods.TREE, codec.tree_message(told, level, positions), deadline_s
                )
                return self._read(node, codec.tree_reply, tree, len(positions))
            case ReadLeaf(position=position, after=after, limit=limit):
                message = codec.leaf_message(told, position, after, limit)
                leaf = await self._call(node, methods.LEAF, message, deadline_s)
                return self._read(node, codec.leaf_reply, leaf, limit)

    async def _own(self, basis: Basis, request: Request, deadline_s: float) -> Reply:
        lanes = self._answers.lanes
        lane = lanes.writes if isinstance(request, Apply) else lanes.reads
        return await self._answers.replica(basis, lane, lambda say: say(request), deadline_s)

    async def _states(
        self, node: NodeName, basis: Basis, ids: Sequence[ObjectId], deadline_s: float
    ) -> States:
        found: list[ObjectState | None] = []
        told = codec.basis_message(basis)
        while len(found) < len(ids):
            wanted = ids[len(found) :]
            reply = await self._call(
                node, methods.STATES, codec.states_message(told, wanted), deadline_s
            )
            read = functools.partial(self._read, node, codec.states_reply, reply, len(wanted))
            if reply.ByteSize() <= _INLINE_BYTES:
                found += read()
            else:
                found += await asyncio.to_thread(read)
        return States(tuple(found))

    # --- writes ----------------------------------------------------------------------------------

    async def _apply(
        self, node: NodeName, basis: Basis, request: Apply, deadline_s: float
    ) -> Applied:
        sizes = [_state_bytes(state) for state in request.states]
        if max(sizes, default=0) <= INTERNODE_OBJECT_BYTES_MAX:
            return await self._applied(node, basis, request, sizes, deadline_s)
        kept = [at for at, size in enumerate(sizes) if size <= INTERNODE_OBJECT_BYTES_MAX]
        less = Apply(
            request.shard, request.schema_version, tuple(request.states[at] for at in kept)
        )
        said = Applied(())
        if kept:
            fitting = [sizes[at] for at in kept]
            said = await self._applied(node, basis, less, fitting, deadline_s)
        return _with_refusals(said, kept, sizes)

    async def _applied(
        self,
        node: NodeName,
        basis: Basis,
        request: Apply,
        sizes: Sequence[int],
        deadline_s: float,
    ) -> Applied:
        if node == self._node:
            own = await self._own(basis, request, deadline_s)
            assert isinstance(own, Applied), own
            return own
        parts = _parts(sizes)
        async with self._encoded(request, sum(sizes)) as states:
            if len(parts) == 1:
                return await self._apply_part(node, basis, states, deadline_s)
            turns = asyncio.Semaphore(_PARTS_AT_ONCE)

            async def apply(part: slice) -> Applied:
                async with turns:
                    return await self._apply_part(node, basis, states[part], deadline_s)

            tasks = [asyncio.ensure_future(apply(part)) for part in parts]
            try:
                return _joined(parts, await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()

    async def _apply_part(
        self, node: NodeName, basis: Basis, states: Sequence[bytes], deadline_s: float
    ) -> Applied:
        told = codec.basis_message(basis)
        message = codec.apply_message(told, states)
        reply = await self._call(node, methods.APPLY, message, deadline_s)
        return self._read(node, codec.applied_reply, reply, len(states))

    @asynccontextmanager
    async def _encoded(self, request: Apply, size: int) -> AsyncIterator[list[bytes]]:
        """The states as they travel, encoded once for all nodes that the request goes to now."""
        entry = self._encodings.get(id(request))
        if entry is None:
            encoded: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
            if size <= _INLINE_BYTES:
                encoded.set_result(_encode(request.states))
            else:
                encoded = asyncio.ensure_future(asyncio.to_thread(_encode, request.states))
            entry = self._encodings[id(request)] = _Encoding(request, encoded)
        entry.users += 1
        try:
            yield await asyncio.shield(entry.states)
        finally:
            entry.users -= 1
            if not entry.users:
                del self._encodings[id(request)]

    # --- nodes -----------------------------------------------------------------------------------

    async def ping(self, node: NodeName, deadline_s: float) -> Pong:
        """Whether a node is there, however much is on its way to it. Raises CallFailed."""
        if node == self._node:
            return self._answers.pong()
        reply = await self._call(
            node, methods.PING, nodes.PingRequest(), deadline_s, is_bounded=False
        )
        return node_codec.pong_reply(reply)

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """Tell a node what it has to keep. Raises CallFailed."""
        if node == self._node:
            return await self._answers.note(node, tell, deadline_s)
        reply = await self._call(node, methods.TELL, node_codec.tell_message(tell), deadline_s)
        return node_codec.noted_reply(reply)

    async def facts(self, node: NodeName, question: AskFacts, deadline_s: float) -> NodeFacts:
        """What a node has. Raises CallFailed."""
        if node == self._node:
            return await self._answers.facts(question, deadline_s)
        message = node_codec.question_message(question)
        return node_codec.facts_reply(await self._call(node, methods.FACTS, message, deadline_s))

    # --- any call --------------------------------------------------------------------------------

    async def _call(
        self,
        node: NodeName,
        method: Method[QuestionT, AnswerT],
        question: QuestionT,
        deadline_s: float,
        *,
        is_bounded: bool = True,
    ) -> AnswerT:
        """One question and its answer. Raises CallFailed."""
        began_s = self._clock.monotonic_s()
        left_s = deadline_s - began_s
        if left_s <= 0:
            raise CallFailed(Failure(f"the deadline passed before {node} was asked"))
        peer = self._peer(node)
        head = question.head
        head.cluster, head.sender, head.receiver = self._security.cluster, self._node, node
        head.generation = self._answers.generation
        head.timeout_ms = min(int(left_s * 1000) + 1, _TIMEOUT_MS_MAX)
        begun, code = time.perf_counter(), "CANCELLED"
        try:
            message = question.SerializeToString()
            answered = await peer.call(method.path, message, left_s, is_bounded=is_bounded)
            reply = self._answer_of(node, method, answered, began_s)
            code = "OK"
        except NoAnswer as failure:
            code = failure.outcome.name
            self._outcomes.on_failure(node, failure.outcome, began_s=began_s)
            raise
        except CallFailed as failure:
            code = failure.code
            raise
        finally:
            self._observer.observe(method.name, code, time.perf_counter() - begun)
        return reply

    def _answer_of(
        self, node: NodeName, method: Method[QuestionT, AnswerT], answered: bytes, began_s: float
    ) -> AnswerT:
        """Read an answer, and tell that there was one. Raises CallFailed, NoAnswer."""
        try:
            reply = codec.read_reply(method, answered)
        except CorruptData as error:
            raise NoAnswer(Failure(f"{node}: {error}"), CallOutcome.REFUSED) from error
        head = reply.head
        failure = failure_of(head.failure) if head.HasField("failure") else None
        if not head.generation:  # Somebody answered, who is not that node or does not know us.
            text = failure.failure.reason if failure else "an answer without a sender"
            log.warning("%s (%s) refuses this node: %s", node, self._address_of(node), text)
            raise NoAnswer(Failure(f"{node}: {text}"), CallOutcome.REFUSED)
        self._outcomes.on_answer(node, head.generation)
        if failure is not None:
            raise failure
        return reply

    def _read(
        self, node: NodeName, decode: Callable[[AnswerT, int], ReadT], reply: AnswerT, asked: int
    ) -> ReadT:
        """Decode an answer. Raises CallFailed."""
        try:
            return decode(reply, asked)
        except CorruptData as error:
            raise CallFailed(Failure(f"the answer of {node} cannot be read: {error}")) from error

    # --- peers -----------------------------------------------------------------------------------

    def figures(self) -> Mapping[NodeName, PeerFigures]:
        """How calls went, by node, since the start."""
        return dict(self._figures)

    def bytes_on_the_way(self) -> Mapping[NodeName, int]:
        """Of messages that are not answered yet, by node."""
        return {node: peer.bytes_on_the_way for node, peer in self._peers.copy().items()}

    def forget(self, node: NodeName) -> None:
        """Close the connection to a node that is no member any more."""
        peer = self._peers.pop(node, None)
        if peer is not None:
            self._close_later(peer)

    async def close(self) -> None:
        """End all calls and connections."""
        self._is_closed = True
        for node in tuple(self._peers):
            self.forget(node)
        while self._closing:
            await asyncio.gather(*self._closing)

    def _peer(self, node: NodeName) -> Peer:
        if self._is_closed:
            raise CallFailed(Failure("this node is stopping"))
        address = self._address_of(node)
        if address is None:
            raise CallFailed(Failure(f"no address of {node} is known"))
        peer = self._peers.get(node)
        if peer is not None and peer.address == address:
            return peer
        if peer is not None:
            self.forget(node)  # It lives elsewhere now.
        figures = self._figures.setdefault(node, PeerFigures())
        try:
            peer = Peer(node, address, self._security, self._bounds, figures)
        except OSError as error:
            raise CallFailed(Failure(f"no connection to {node}: {error}")) from error
        self._peers[node] = peer
        return peer

    def _close_later(self, peer: Peer) -> None:
        task = asyncio.ensure_future(peer.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _encode(states: Sequence[ObjectState]) -> list[bytes]:
    return [encode_state(state) for state in states]


def _state_bytes(state: ObjectState) -> int:
    """What a state takes in a message, about and at least."""
    size = HEAD_BYTES
    if isinstance(state.properties, EncodedProperties):
        size += len(state.properties.message)
    for name, vector in state.vectors.items():
        size += vector.nbytes + 4 * len(name) + _VECTOR_BYTES
    return size


def _parts(sizes: Sequence[int]) -> list[slice]:
    """Rows of states that fit in a message, or of one that does not; one row at least."""
    parts, begin, filled = [], 0, 0
    for at, size in enumerate(sizes):
        if at > begin and filled + size > INTERNODE_APPLY_BYTES:
            parts.append(slice(begin, at))
            begin, filled = at, 0
        filled += size
    return [*parts, slice(begin, len(sizes))]


def _joined(parts: Sequence[slice], answers: Sequence[Applied]) -> Applied:
    """The answer to all parts of an Apply."""
    newer: list[Version | None] = []
    refused: list[Refusal] = []
    for part, said in zip(parts, answers, strict=True):
        newer += said.newer
        refused += (Refusal(part.start + one.position, one.reason) for one in said.refused)
    return Applied(tuple(newer), tuple(refused))


def _with_refusals(said: Applied, kept: Sequence[int], sizes: Sequence[int]) -> Applied:
    """The answer to all states, of which only the `kept` ones were small enough to be sent."""
    newer: list[Version | None] = [None] * len(sizes)
    for at, version in zip(kept, said.newer, strict=True):
        newer[at] = version
    refused = {kept[one.position]: one.reason for one in said.refused}
    for at, size in enumerate(sizes):
        if size > INTERNODE_OBJECT_BYTES_MAX:
            refused[at] = (
                f"an object of {size} bytes: nodes tell each other of at most "
                f"{INTERNODE_OBJECT_BYTES_MAX}"
            )
    return Applied(tuple(newer), tuple(Refusal(at, refused[at]) for at in sorted(refused)))
