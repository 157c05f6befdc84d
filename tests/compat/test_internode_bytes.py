"""Nodes of two releases ask each other: these bytes mean today what they meant when they were
written. Change a number here only for messages that no release has sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.test_state_bytes import STATES as STATE_BYTES
from weftdb.cluster.replication.effects import Failure
from weftdb.cluster.replication.messages import (
    Applied,
    Digest,
    Digests,
    Leaf,
    Purpose,
    Refusal,
    ShardRef,
    TreeNodes,
)
from weftdb.core.errors import DiskFull
from weftdb.core.types import CollectionName, NodeName, ObjectId, ShardName, Version
from weftdb.proto.internode import envelope_pb2 as envelope
from weftdb.proto.internode import nodes_pb2 as nodes
from weftdb.proto.internode import replication_pb2 as replication
from weftdb.server.internode import codec, methods, node_codec
from weftdb.server.internode.failure_codec import failure_message
from weftdb.server.internode.gate import Basis
from weftdb.server.internode.messages import (
    AskFacts,
    Moved,
    NodeFacts,
    Noted,
    Pong,
    ShardFacts,
    Tell,
)
from weftdb.server.internode.ports import CallFailed

ID = ObjectId(bytes(range(16)))
VERSION = Version(1_700_000_000_123, 5, 77)
SHARD = ShardRef(CollectionName("Doc"), ShardName("s1"))
TOLD = codec.basis_message(Basis(SHARD, 3, 41, Purpose.REPAIR))
DIGEST = Digest(VERSION, is_deleted=True)
HEAD = envelope.RequestHead(cluster="c", sender="a", generation=2, receiver="b", timeout_ms=1500)
STATE = bytes.fromhex(STATE_BYTES["deletion"][1])
ANSWERED = envelope.ReplyHead(generation=9)
FAILED = CallFailed(
    Failure("why", is_final=True),
    error=DiskFull("full"),
    moved=Moved(SHARD.collection, 42, b"{}"),
)
SHARD_FACTS = ShardFacts(SHARD.collection, SHARD.shard, 5, "READY", 6, True, True, 3, 2)
FACTS = NodeFacts(
    NodeName("a"), "1.39.0", "0.1", "abc", "HEALTHY", "ReadWrite", 7, 2.5, (SHARD_FACTS,)
)

MESSAGES: dict[str, tuple[Any, str]] = {
    "head": (HEAD, "0a0163120161180222016228dc0b"),
    "failure": (
        failure_message(FAILED),
        "0a0377687910011a084469736b46756c6c220466756c6c2a0b0a03446f63102a1a027b7d",
    ),
    "apply": (
        codec.apply_message(TOLD, [STATE]),
        "120f0a03446f63120273311803202928011a3c447872880101000102030405060708090a0b0c0d0e"
        "0f018bcfe5687b0005000000000000004d00000000000000000000000000000000000000000000",
    ),
    "applied": (
        codec.applied_message(Applied((VERSION, None), (Refusal(1, "no"),))),
        "10021a121210018bcfe5687b0005000000000000004d2206080112026e6f",
    ),
    "digests": (
        codec.digests_message(TOLD, [ID]),
        "120f0a03446f63120273311803202928011a10000102030405060708090a0b0c0d0e0f",
    ),
    "digests answer": (
        codec.digests_answer(Digests((DIGEST, None))),
        "12140a10018bcfe5687b0005000000000000004d10011200",
    ),
    "states": (
        codec.states_message(TOLD, [ID]),
        "120f0a03446f63120273311803202928011a10000102030405060708090a0b0c0d0e0f",
    ),
    "states answer": (
        replication.StatesReply(head=ANSWERED, states=[STATE, b""]),
        "0a020809123c447872880101000102030405060708090a0b0c0d0e0f018bcfe5687b000500000000"
        "0000004d000000000000000000000000000000000000000000001200",
    ),
    "tree": (
        codec.tree_message(TOLD, 4, [0, 300]),
        "120f0a03446f63120273311803202928011804220300ac02",
    ),
    "tree answer": (
        codec.tree_answer(TreeNodes((bytes(16),))),
        "121000000000000000000000000000000000",
    ),
    "leaf": (
        codec.leaf_message(TOLD, 7, ID, 100),
        "120f0a03446f631202733118032029280118072210000102030405060708090a0b0c0d0e0f2864",
    ),
    "leaf answer": (
        codec.leaf_answer(Leaf((ID,), (DIGEST,), is_last=True)),
        "1210000102030405060708090a0b0c0d0e0f1a140a10018bcfe5687b0005000000000000004d10012001",
    ),
    "ping": (nodes.PingRequest(head=HEAD), "0a0e0a0163120161180222016228dc0b"),
    "pong": (node_codec.pong_message(Pong(9, "0.1")), "1203302e31"),
    "tell": (
        node_codec.tell_message(Tell(SHARD, 17, (NodeName("a"),), (NodeName("b"),))),
        "1203446f631a02733120112a0161320162",
    ),
    "noted": (node_codec.noted_message(Noted((NodeName("a"),))), "120161"),
    "ask facts": (
        node_codec.question_message(AskFacts(True, SHARD.collection, SHARD.shard)),
        "10011a03446f6322027331",
    ),
    "facts": (
        node_codec.facts_message(FACTS),
        "12540a01611206312e33392e301a03302e3122036162632a074845414c5448593209526561645772"
        "69746538074100000000000004404801521c0a03446f631202733118052205524541445928063001"
        "380140034802",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_written_and_read_as_ever(name: str) -> None:
    message, written = MESSAGES[name]
    assert message.SerializeToString().hex() == written
    assert type(message).FromString(bytes.fromhex(written)) == message


def test_methods_are_called_as_ever() -> None:
    paths = {each.path for each in vars(methods).values() if isinstance(each, methods.Method)}
    assert paths >= {
        *(f"/weftdb.internode.Replica/{name}" for name in ("Apply", "Digests", "States")),
        *(f"/weftdb.internode.Replica/{name}" for name in ("Tree", "Leaf")),
        *(f"/weftdb.internode.Node/{name}" for name in ("Ping", "Tell", "Facts")),
    }
