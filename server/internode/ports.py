"""What coordinators and searches ask of other nodes, and what answering asks of this one.

`client.InternodeClient` implements the callers, over gRPC and, for its own node, without a wire.
Every call has a deadline: monotonic seconds of this node's `core.env.Clock`. All of them run in the
event loop that owns the client. A call that is cancelled is given up here; the other node may still
do what was asked.

`LocalShards` is what the answering side needs: the wiring of a node implements it.
"""

from __future__ import annotations

from typing import Protocol

from weftdb.cluster.membership import Failure as CallOutcome
from weftdb.cluster.replication.effects import AnyReply, AnyRequest, Failure
from weftdb.cluster.replication.messages import Purpose, ShardRef
from weftdb.core.errors import WeftError
from weftdb.core.partial import TokenRanges
from weftdb.core.types import CollectionName, NodeName
from weftdb.engine.local_shard import LocalShard
from weftdb.server.internode.messages import (
    NO_REVISION,
    AskFacts,
    Moved,
    NodeFacts,
    Noted,
    Pong,
    Tell,
)


class CallFailed(Exception):
    """A call has no reply; `failure` is what coordinations are fed with.

    Whether what was asked for was done is not known, unless `error` or `moved` says so.
    """

    def __init__(
        self, failure: Failure, *, error: WeftError | None = None, moved: Moved | None = None
    ) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.error = error
        """What the other node raised, where it said so: the same class with the same text."""
        self.moved = moved
        """The newer sharding state by which it has to be asked."""

    @property
    def code(self) -> str:
        """A word for metrics."""
        if self.moved is not None:
            return "Moved"
        return "Refused" if self.error is None else type(self.error).__name__


class ReplicaCaller(Protocol):
    """Asks replicas; this node's own like every other."""

    async def ask(
        self,
        node: NodeName,
        request: AnyRequest,
        deadline_s: float,
        *,
        revision: int = NO_REVISION,
        purpose: Purpose = Purpose.SERVE,
    ) -> AnyReply:
        """What `node` answers until `deadline_s`. Raises CallFailed.

        `purpose` travels with the request, to `cluster/replication/answering.py` on the other side.

        `revision` is that of the sharding state by which the replicas were chosen, not of the
        newest one: a replica that knows a newer one refuses (`CallFailed.moved`), one that knows
        an older one learns first. `NO_REVISION` leaves that out, which suits only those who write
        nothing (decision 28, rule 3).

        Properties of states that are `EncodedProperties` are copied; others are encoded by the
        definition that this node goes by.
        """
        ...


class NodeCaller(Protocol):
    """Asks nodes, whatever they hold; this one like every other."""

    async def ping(self, node: NodeName, deadline_s: float) -> Pong:
        """Whether the node is there. Raises CallFailed."""
        ...

    async def tell(self, node: NodeName, tell: Tell, deadline_s: float) -> Noted:
        """Tell the node something that it has to keep. Raises CallFailed."""
        ...

    async def facts(self, node: NodeName, question: AskFacts, deadline_s: float) -> NodeFacts:
        """What the node has. Raises CallFailed."""
        ...

    async def know(
        self, node: NodeName, collection: CollectionName, revision: int, deadline_s: float
    ) -> int:
        """Wait until the node goes by that sharding state, and nothing by an older one is under way
        there; the revision that it goes by. Raises CallFailed."""
        ...


class CallObserver(Protocol):
    """Hears how calls to other nodes went, in the event loop: membership does."""

    def on_answer(self, node: NodeName, generation: int) -> None:
        """The node answered, in that life; whatever the answer."""
        ...

    def on_failure(self, node: NodeName, failure: CallOutcome, *, began_s: float) -> None:
        """A call to the node, begun at `began_s` (monotonic), had no answer."""
        ...


class LocalShards(Protocol):
    """What is held and known on this node. `wait_for_...` run in the event loop, the rest in any
    thread; none of them blocks for long."""

    def local(self, shard: ShardRef) -> LocalShard:
        """The open shard.

        Raises UnknownCollection or UnknownTenant where the shard is gone for good, ShardLoading
        where it is being made ready.
        """
        ...

    def is_rebuilding(self, shard: ShardRef) -> bool:
        """Whether the replica was emptied and is not rebuilt yet: it takes states, but what it
        says counts in comparisons only."""
        ...

    def kept(self, shard: ShardRef) -> TokenRanges | None:
        """The tokens of the objects that a replica here may hold; None for all of them."""
        ...

    def is_coming(self, shard: ShardRef) -> bool:
        """Whether the shard is given to this node, and is not open yet."""
        ...

    def sharding(self, collection: CollectionName) -> Moved | None:
        """The newest sharding state known here; None without one."""
        ...

    def schema_version(self, collection: CollectionName) -> int:
        """Of the definition that this node goes by; 0 for a collection that it does not know."""
        ...

    async def wait_for_schema(
        self, collection: CollectionName, version: int, deadline_s: float
    ) -> bool:
        """Wait until this node goes by that version or a newer one; False when it does not in time.

        Raises UnknownCollection once it is known that the collection was deleted.
        """
        ...

    async def wait_for_sharding(
        self, collection: CollectionName, revision: int, deadline_s: float
    ) -> bool:
        """The same for the sharding state."""
        ...


class NodeAnswers(Protocol):
    """What this node says to questions about itself. Called in a thread; may sync to disk."""

    def note(self, sender: NodeName, tell: Tell) -> Noted:
        """Keep what was told, durably. Raises WeftError."""
        ...

    def facts(self, question: AskFacts) -> NodeFacts:
        """What this node has. Raises WeftError."""
        ...
