"""The calls between nodes, by their paths on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from weftdb.proto.internode import envelope_pb2 as envelope
from weftdb.proto.internode import nodes_pb2 as nodes
from weftdb.proto.internode import parts_pb2 as parts
from weftdb.proto.internode import replication_pb2 as replication


class Question(Protocol):
    """A message that asks: it begins with who asks whom."""

    @property
    def head(self) -> envelope.RequestHead:
        """Who asks, whom, and for how long."""
        ...

    def ByteSize(self) -> int:
        """What it takes when written."""
        ...

    def SerializeToString(self) -> bytes:
        """Write it."""
        ...

    @classmethod
    def FromString(cls, s: bytes) -> Self:
        """Read it. Raises DecodeError."""
        ...


class ShardQuestion(Question, Protocol):
    """A question about a shard."""

    @property
    def shard(self) -> envelope.ShardBasis:
        """Which shard, and by what it is asked."""
        ...


class Answer(Protocol):
    """A message that answers: it begins with who answers, and says so where there is no answer."""

    @property
    def head(self) -> envelope.ReplyHead:
        """Who answers."""
        ...

    def ByteSize(self) -> int:
        """What it takes when written."""
        ...

    def SerializeToString(self) -> bytes:
        """Write it."""
        ...

    @classmethod
    def FromString(cls, s: bytes) -> Self:
        """Read it. Raises DecodeError."""
        ...


QuestionT = TypeVar("QuestionT", bound=Question)
ShardQuestionT = TypeVar("ShardQuestionT", bound=ShardQuestion)
AnswerT = TypeVar("AnswerT", bound=Answer)


@dataclass(frozen=True, slots=True)
class Method(Generic[QuestionT, AnswerT]):
    """One call: its path, what goes in, what comes back."""

    path: str
    request: type[QuestionT]
    reply: type[AnswerT]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


APPLY = Method("/weftdb.internode.Replica/Apply", replication.ApplyRequest, replication.ApplyReply)
DIGESTS = Method(
    "/weftdb.internode.Replica/Digests", replication.DigestsRequest, replication.DigestsReply
)
STATES = Method(
    "/weftdb.internode.Replica/States", replication.StatesRequest, replication.StatesReply
)
TREE = Method("/weftdb.internode.Replica/Tree", replication.TreeRequest, replication.TreeReply)
LEAF = Method("/weftdb.internode.Replica/Leaf", replication.LeafRequest, replication.LeafReply)
PING = Method("/weftdb.internode.Node/Ping", nodes.PingRequest, nodes.PingReply)
TELL = Method("/weftdb.internode.Node/Tell", nodes.TellRequest, nodes.TellReply)
FACTS = Method("/weftdb.internode.Node/Facts", nodes.FactsRequest, nodes.FactsReply)
KNOW = Method("/weftdb.internode.Node/Know", nodes.KnowRequest, nodes.KnowReply)
STATISTICS = Method(
    "/weftdb.internode.Shard/Statistics", parts.StatisticsRequest, parts.StatisticsReply
)
SEARCH = Method("/weftdb.internode.Shard/Search", parts.SearchRequest, parts.SearchReply)
ROWS = Method("/weftdb.internode.Shard/Rows", parts.RowsRequest, parts.RowsReply)
AGGREGATE = Method(
    "/weftdb.internode.Shard/Aggregate", parts.AggregateRequest, parts.AggregateReply
)
TOGETHER_PATH = "/weftdb.internode.Node/Together"
"""Of several calls in one (bundles.py); it has no head of its own."""
IDS = Method("/weftdb.internode.Shard/Ids", parts.IdsRequest, parts.IdsReply)
