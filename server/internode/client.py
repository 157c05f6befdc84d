"""InternodeClient: asks other nodes over gRPC, and this node without a wire.

A call ends in its reply or in CallFailed, at its deadline at the latest; nothing is tried again
here, for who asks knows better whether and where to.

What is too large for a message goes in several: an Apply in parts of some megabytes, the states
that do not fit in an answer in another one. A state that no message can carry is refused
(`Applied.refused`) before it is sent to anybody, this node included.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

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
    ShardRef,
    States,
)
from weftdb.cluster.search.messages import (
    AggregateShard,
    FetchRows,
    FindIds,
    GatherStatistics,
    SearchReply,
    SearchRequest,
    SearchShard,
)
from weftdb.core.env import Clock
from weftdb.core.errors import CorruptData, InvalidRequest, WeftError
from weftdb.core.limits import INTERNODE_APPLY_BYTES, INTERNODE_OBJECT_BYTES_MAX, KiB
from weftdb.core.objects import ObjectState
from weftdb.core.partial import PartRows
from weftdb.core.types import CollectionName, NodeName, ObjectId, Version
from weftdb.proto.internode import nodes_pb2 as nodes
from weftdb.server.grpc.connection import Observer
from weftdb.server.internode import codec, methods, node_codec
from weftdb.server.internode.answers import Answers
from weftdb.server.internode.failure_codec import failed
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.hint_store import encode_copied
from weftdb.server.internode.messages import (
    NO_REVISION,
    AskFacts,
    NodeFacts,
    Noted,
    Pong,
    Tell,
)
from weftdb.server.internode.methods import AnswerT
from weftdb.server.internode.part_calls import PART_CALLS
from weftdb.server.internode.part_codec import joined_rows
from weftdb.server.internode.peer import PeerBounds
from weftdb.server.internode.ports import CallFailed, CallObserver
from weftdb.server.internode.security import InternodeSecurity
from weftdb.server.internode.switchboard import Switchboard
from weftdb.storage.encoded_properties import EncodedProperties
from weftdb.storage.state_codec import HEAD_BYTES

log = logging.getLogger("weftdb.internode")

EncodeState = Callable[[ShardRef, ObjectState], bytes]
"""Writes a state (storage/state_codec.py). Raises WeftError."""

AskedT = TypeVar("AskedT")
ReadT = TypeVar("ReadT")

_INLINE_BYTES = 256 * KiB
"""What is larger is encoded and decoded in a thread: it would hold up the event loop."""
PARTS = (GatherStatistics, SearchShard, FetchRows, AggregateShard, FindIds)
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
        encode: EncodeState = encode_copied,
    ) -> None:
        """`answers` are those of this node, `node`; `address_of` says host:port of the others, None
        where none is known. `encode` writes a state, in any thread; without one, states have to
        come with `EncodedProperties`."""
        self.board = Switchboard(
            node=node,
            generation=answers.generation,
            address_of=address_of,
            security=security,
            outcomes=outcomes,
            observer=observer,
            clock=clock,
            bounds=bounds or PeerBounds(),
        )
        self._answers = answers
        self._node = node
        self._encode_state = encode
        self._encodings: dict[int, _Encoding] = {}

    async def close(self) -> None:
        """End all calls and connections."""
        await self.board.close()

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
        if isinstance(request, PARTS):
            return await self._part(node, basis, request, deadline_s)
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
                digests = await self.board.call(
                    node, methods.DIGESTS, codec.digests_message(told, ids), deadline_s
                )
                return self._read(node, codec.digests_reply, digests, len(ids))
            case ReadTree(level=level, positions=positions):
                tree = await self.board.call(
                    node, methods.TREE, codec.tree_message(told, level, positions), deadline_s
                )
                return self._read(node, codec.tree_reply, tree, len(positions))
            case ReadLeaf(position=position, after=after, limit=limit):
                message = codec.leaf_message(told, position, after, limit)
                leaf = await self.board.call(node, methods.LEAF, message, deadline_s)
                return self._read(node, codec.leaf_reply, leaf, limit)

    async def _own(self, basis: Basis, request: Request, deadline_s: float) -> Reply:
        lanes = self._answers.lanes
        lane = lanes.writes if isinstance(request, Apply) else lanes.reads
        is_short = isinstance(request, ReadDigests | ReadStates)
        return await self._answers.replica(
            basis, lane, lambda say: say(request), deadline_s, is_short=is_short
        )

    async def _states(
        self, node: NodeName, basis: Basis, ids: Sequence[ObjectId], deadline_s: float
    ) -> States:
        found: list[ObjectState | None] = []
        told = codec.basis_message(basis)
        while len(found) < len(ids):
            wanted = ids[len(found) :]
            reply = await self.board.call(
                node, methods.STATES, codec.states_message(told, wanted), deadline_s
            )
            found += await self._read_where_best(node, codec.states_reply, reply, len(wanted))
        return States(tuple(found))

    # --- parts of searches -----------------------------------------------------------------------

    async def _part(
        self, node: NodeName, basis: Basis, request: SearchRequest, deadline_s: float
    ) -> SearchReply:
        if node == self._node:
            return await self._answers.part(basis, request, _as_it_is, deadline_s)
        if not isinstance(request, FetchRows):
            return await self._part_over(node, basis, request, deadline_s)
        parts: list[PartRows] = []
        at = 0
        while at < len(request.ids) or not parts:
            wanted = replace(request, ids=request.ids[at:])
            found = await self._part_over(node, basis, wanted, deadline_s)
            assert isinstance(found, PartRows), found
            parts.append(found)
            at += len(found.stored)
        return joined_rows(parts)

    async def _part_over(
        self, node: NodeName, basis: Basis, request: SearchRequest, deadline_s: float
    ) -> SearchReply:
        """Ask another node for a part. Raises CallFailed."""
        call = PART_CALLS[type(request)]
        try:
            question = call.question(codec.basis_message(basis), request)
        except UnicodeEncodeError as error:
            raise failed(InvalidRequest(f"a text of the query is no Unicode: {error}")) from error
        except WeftError as error:
            raise failed(error) from error
        reply = await self.board.call(node, call.method, question, deadline_s)
        return await self._read_where_best(node, call.reply, reply, request)

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
        async with self._encoded(request, sum(sizes)) as states:
            parts = _parts([len(state) for state in states])
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
        reply = await self.board.call(node, methods.APPLY, message, deadline_s)
        return self._read(node, codec.applied_reply, reply, len(states))

    @asynccontextmanager
    async def _encoded(self, request: Apply, size: int) -> AsyncIterator[list[bytes]]:
        """The states as they travel, encoded once for all nodes that the request goes to now.
        Raises CallFailed for what cannot be encoded: no definition, a text that is no Unicode."""
        entry = self._encodings.get(id(request))
        if entry is None:
            encoded: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
            if size > _INLINE_BYTES:
                encoded = asyncio.ensure_future(asyncio.to_thread(self._encode, request))
            else:
                try:
                    encoded.set_result(self._encode(request))
                except WeftError as error:
                    raise failed(error) from error
            entry = self._encodings[id(request)] = _Encoding(request, encoded)
        entry.users += 1
        try:
            try:
                states = await asyncio.shield(entry.states)
            except WeftError as error:
                raise failed(error) from error
            yield states
        finally:
            entry.users -= 1
            if not entry.users:
                del self._encodings[id(request)]

    def _encode(self, request: Apply) -> list[bytes]:
        return [self._encode_state(request.shard, state) for state in request.states]

    # --- nodes -----------------------------------------------------------------------------------

    async def ping(self, node: NodeName, deadline_s: float) -> Pong:
        """Whether a node is there, however much is on its way to it. Raises CallFailed."""
        if node == self._node:
            return self._answers.pong()
        reply = await self.board.call(
            node, methods.PING, nodes.PingRequest(), deadline_s, is_bounded=False
        )
        return node_codec.pong_reply(reply)

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """Tell a node what it has to keep. Raises CallFailed."""
        if node == self._node:
            return await self._answers.note(node, tell, deadline_s)
        reply = await self.board.call(node, methods.TELL, node_codec.tell_message(tell), deadline_s)
        return node_codec.noted_reply(reply)

    async def facts(self, node: NodeName, question: AskFacts, deadline_s: float) -> NodeFacts:
        """What a node has. Raises CallFailed."""
        if node == self._node:
            return await self._answers.facts(question, deadline_s)
        message = node_codec.question_message(question)
        return node_codec.facts_reply(
            await self.board.call(node, methods.FACTS, message, deadline_s)
        )

    async def know(
        self, node: NodeName, collection: CollectionName, revision: int, deadline_s: float
    ) -> int:
        """Wait until a node goes by that sharding state of a collection, and nothing by an older
        one is under way there; the revision that it goes by. Raises CallFailed."""
        if node == self._node:
            return await self._answers.know(collection, revision, deadline_s)
        message = nodes.KnowRequest(collection=collection, revision=revision)
        return int((await self.board.call(node, methods.KNOW, message, deadline_s)).revision)

    # --- answers ---------------------------------------------------------------------------------

    async def _read_where_best(
        self,
        node: NodeName,
        decode: Callable[[AnswerT, AskedT], ReadT],
        reply: AnswerT,
        asked: AskedT,
    ) -> ReadT:
        """Decode a large answer in a thread. Raises CallFailed."""
        if reply.ByteSize() <= _INLINE_BYTES:
            return self._read(node, decode, reply, asked)
        return await asyncio.to_thread(self._read, node, decode, reply, asked)

    def _read(
        self,
        node: NodeName,
        decode: Callable[[AnswerT, AskedT], ReadT],
        reply: AnswerT,
        asked: AskedT,
    ) -> ReadT:
        """Decode an answer. Raises CallFailed."""
        try:
            return decode(reply, asked)
        except CorruptData as error:
            raise CallFailed(Failure(f"the answer of {node} cannot be read: {error}")) from error


def _as_it_is(found: SearchReply) -> SearchReply:
    return found


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
